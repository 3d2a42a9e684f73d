//! The gate on speed: instructions that fixed operations take, counted by valgrind, against a committed budget.
//!
//! Wall time on a shared machine varies by half; instruction counts of one binary vary by parts of a percent.
//! `xtask/icount.json` holds a count per operation. More than [`TOLERANCE_PERCENT`] above it is an error, that
//! much below it asks for a lower budget: `cargo xtask icount --record` writes what it measures. The binary is that of
//! the profile `gate`.

use crate::{Outcome, Verdict};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

const BUDGET: &str = "xtask/icount.json";

/// Other processors and other versions of valgrind choose other copies of `memcpy` and of the codecs.
const TOLERANCE_PERCENT: i64 = 10;

/// Another C library starts a program with so many instructions more or fewer.
const SLACK: i64 = 300_000;

/// Whether to compare with the budget or to write it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Check,
    Record,
}

/// An operation, measured in the folder of the fixture. `out` is not there yet.
const OPERATIONS: &[(&str, &[&str])] = &[
    ("start", &["version"]),
    ("build plain", &["build", "--compress", "none", "tree", "oci:out:x"]),
    ("build gzip", &["build", "--compress", "gzip", "tree", "oci:out:x"]),
    ("build zstd", &["build", "--compress", "zstd", "tree", "oci:out:x"]),
    ("inspect", &["inspect", "oci:image:x"]),
    ("copy", &["copy", "oci:image:x", "oci:out:x"]),
    ("unpack", &["unpack", "oci:image:x", "out"]),
    ("diff", &["diff", "oci:image:x", "oci:image:x"]),
];

pub(crate) fn run(root: &Path, mode: Mode) -> Outcome {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: valgrind is missing");
        return report("skipped", 0, "valgrind is missing").map(|()| Verdict::Green);
    }
    let fixture = Fixture::make()?;
    let counts = OPERATIONS
        .iter()
        .map(|(name, words)| Ok(((*name).to_owned(), fixture.count(words)?)))
        .collect::<Result<BTreeMap<_, _>, Box<dyn std::error::Error>>>()?;
    let path = root.join(BUDGET);
    if mode == Mode::Record {
        std::fs::write(&path, serde_json::to_string_pretty(&counts)? + "\n")?;
        return Ok(Verdict::Green);
    }
    let budget: BTreeMap<String, i64> = serde_json::from_slice(&std::fs::read(&path)?)?;
    report("ran", counts.len(), "")?;
    Ok(compare(&counts, &budget))
}

/// A line for the table of proofs.
fn report(state: &str, cases: usize, why: &str) -> Result<(), Box<dyn std::error::Error>> {
    if let Some(file) = std::env::var_os("ORLOP_PROOFS") {
        let line = serde_json::json!({ "proof": "icount", "state": state, "cases": cases, "why": why });
        writeln!(File::options().create(true).append(true).open(file)?, "{line}")?;
    }
    Ok(())
}

fn compare(counts: &BTreeMap<String, i64>, budget: &BTreeMap<String, i64>) -> Verdict {
    let mut verdict = Verdict::Green;
    for (name, count) in counts {
        let Some(allowed) = budget.get(name) else {
            println!("{name:12} {count:>14}  no budget: record one");
            verdict = Verdict::Red;
            continue;
        };
        let tolerated = (allowed * TOLERANCE_PERCENT / 100).max(SLACK);
        let word = match count - allowed {
            over if over > tolerated => {
                verdict = Verdict::Red;
                "  TOO MANY"
            }
            under if under < -tolerated => "  lower the budget",
            _ => "",
        };
        let permille = (count - allowed) * 1000 / allowed.max(&1);
        let sign = if permille < 0 { '-' } else { '+' };
        let (whole, tenth) = (permille.abs() / 10, permille.abs() % 10);
        println!("{name:12} {count:>14}  budget {allowed:>14}  {sign}{whole}.{tenth} %{word}");
    }
    verdict
}

/// A folder with a tree of fixed content and an image of it; gone when dropped.
struct Fixture {
    folder: PathBuf,
    binary: PathBuf,
}

impl Fixture {
    fn make() -> Result<Self, Box<dyn std::error::Error>> {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
        let binary = std::path::absolute(target.join("gate/orlop"))?;
        let folder = std::env::temp_dir().join(format!("orlop-icount-{}", std::process::id()));
        let fixture = Self { folder, binary };
        grow(&fixture.folder.join("tree"))?;
        let built = fixture.orlop(&["build", "tree", "oci:image:x"], Command::new(&fixture.binary))?;
        if !built.status.success() {
            return Err(
                format!("cannot build the fixture: {}", String::from_utf8_lossy(&built.stderr)).into()
            );
        }
        Ok(fixture)
    }

    /// Runs orlop, itself or as the last words of `command`, with nothing of this machine's settings.
    fn orlop(&self, words: &[&str], mut command: Command) -> std::io::Result<std::process::Output> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .args(words)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", path)
            .env("SOURCE_DATE_EPOCH", "0");
        command.output()
    }

    /// The instructions of one operation.
    fn count(&self, words: &[&str]) -> Result<i64, Box<dyn std::error::Error>> {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(&self.binary);
        let output = self.orlop(words, valgrind)?;
        let said = String::from_utf8_lossy(&output.stderr);
        let _absent = std::fs::remove_dir_all(self.folder.join("out"));
        if !output.status.success() {
            return Err(format!("`orlop {}` failed: {said}", words.join(" ")).into());
        }
        let line = said.lines().find_map(|line| line.split("Collected :").nth(1));
        Ok(line.ok_or("valgrind printed no count")?.trim().parse()?)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.folder);
    }
}

/// 16 folders of 16 files, 4 MiB in all, of words that compress about as well as programs do.
fn grow(tree: &Path) -> std::io::Result<()> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for folder in 0..16 {
        let folder = tree.join(format!("folder-{folder:02}"));
        std::fs::create_dir_all(&folder)?;
        for file in 0..16_u64 {
            let mut content = Vec::new();
            while content.len() < 1024 * (1 + 2 * usize::try_from(file).unwrap_or(0)) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                content.extend_from_slice(&state.to_le_bytes()[..3]);
                content
                    .extend_from_slice(b"lorem ipsum"[..usize::try_from(state % 11).unwrap_or(0)].as_ref());
            }
            let mut out = File::create(folder.join(format!("file-{file:02}")))?;
            out.write_all(&content)?;
            out.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + file))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(count: i64, allowed: i64) -> Verdict {
        compare(&[("x".to_owned(), count)].into(), &[("x".to_owned(), allowed)].into())
    }

    #[test]
    fn more_instructions_than_the_budget_and_its_tolerance_are_red() {
        assert!(verdict(11_000_000, 10_000_000) == Verdict::Green);
        assert!(verdict(11_000_001, 10_000_000) == Verdict::Red);
        assert!(verdict(5_000_000, 10_000_000) == Verdict::Green);
        assert!(verdict(1_300_000, 1_000_000) == Verdict::Green);
        assert!(verdict(1_300_001, 1_000_000) == Verdict::Red);
    }

    #[test]
    fn an_operation_without_a_budget_is_red() {
        assert!(compare(&[("x".to_owned(), 1)].into(), &BTreeMap::new()) == Verdict::Red);
    }
}
