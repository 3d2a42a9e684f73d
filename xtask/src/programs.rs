//! Every test of the workspace, as `cargo test` runs them, but with several test programs at once.
//!
//! `cargo test` runs one program after the other: one that waits for a server, or whose last test is a long one,
//! leaves a core idle. Here there is a program for each core. What a program prints is shown in one piece when it
//! has ended.
//!
//! Invariant: every program that cargo built runs, in the folder of its package, and none goes on when the time is
//! over: it is ended with all of its process group, shown, and red.

use crate::{Outcome, Verdict};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// The longest programs, which begin first: begun last, one of them would run for minutes beside an idle core.
const LONGEST: &[&str] =
    &["crash", "buildstream", "hostile_edits", "holders", "hostile", "ostree_import_crash", "track", "fsck"];

/// What runs after the others, one at a time: these measure time, or what is on its way at a moment.
const ALONE: &[&str] = &["orlop_remote", "line", "registry_far", "registry_kill", "store_pause"];

/// What every cargo here is asked for.
const WORKSPACE: [&str; 3] = ["test", "--locked", "--workspace"];

/// A test program that cargo built. Their order is the one in which they begin.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Program {
    /// Its place in [`LONGEST`], or the one behind all of those.
    rank: usize,
    source: PathBuf,
    executable: PathBuf,
    /// Its package's folder.
    package: PathBuf,
    name: String,
}

/// How a program ended.
struct Ended {
    status: ExitStatus,
    time: Duration,
    said: Vec<u8>,
}

/// Builds the test programs of the workspace at `root` and runs them, and then the examples of its documentation.
pub(crate) fn run(root: &Path, time: Duration) -> Outcome {
    let end = Instant::now() + time;
    let mut programs = build(end)?;
    programs.sort();
    let (alone, beside): (Vec<_>, Vec<_>) =
        programs.into_iter().partition(|it| ALONE.contains(&it.name.as_str()));
    let mut failed = Vec::new();
    let mut tell = |program: &Program, ended: Ended| {
        let name = program.source.strip_prefix(root).unwrap_or(&program.source).display().to_string();
        show(&name, &ended)?;
        if !ended.status.success() {
            failed.push(name);
        }
        Ok(())
    };
    run_all(&beside, thread::available_parallelism()?.get(), end, &mut tell)?;
    run_all(&alone, 1, end, &mut tell)?;
    if !until(end, "cargo").args(WORKSPACE).args(["--doc", "--no-fail-fast"]).status()?.success() {
        failed.push("the examples of the documentation".into());
    }
    for name in &failed {
        println!("failed: {name}");
    }
    Ok(if failed.is_empty() { Verdict::Green } else { Verdict::Red })
}

/// Builds what is out of date, and lists all programs.
fn build(end: Instant) -> Result<Vec<Program>, Box<dyn std::error::Error>> {
    let only = ["--no-run", "--message-format=json-render-diagnostics"];
    let built = until(end, "cargo").args(WORKSPACE).args(only).stderr(Stdio::inherit()).output()?;
    if !built.status.success() {
        return Err("the tests do not build".into());
    }
    let programs: Vec<_> = String::from_utf8(built.stdout)?.lines().filter_map(Program::parse).collect();
    for name in LONGEST.iter().chain(ALONE) {
        if !programs.iter().any(|program| program.name == *name) {
            return Err(format!("xtask names `{name}`, and no program of tests is called so").into());
        }
    }
    Ok(programs)
}

/// A command that is ended, with its process group, when the time is over.
fn until(end: Instant, program: impl AsRef<OsStr>) -> Command {
    // `timeout` takes 0 for no limit.
    let left = end.saturating_duration_since(Instant::now()).as_secs().max(1);
    let mut command = Command::new("timeout");
    command.arg("--kill-after=30").arg(left.to_string()).arg(program).stdin(Stdio::null());
    // What cargo says of this package to xtask: a cargo below would build again what looks at it.
    for (name, _) in std::env::vars_os().filter(|(name, _)| of_a_package(name)) {
        command.env_remove(name);
    }
    command
}

fn of_a_package(name: &OsStr) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|it| name.as_encoded_bytes().starts_with(it.as_bytes()))
}

/// Runs `together` programs at once, and tells of each that ended.
fn run_all(
    programs: &[Program],
    together: usize,
    end: Instant,
    tell: &mut dyn FnMut(&Program, Ended) -> io::Result<()>,
) -> io::Result<()> {
    let waiting = Mutex::new(programs.iter());
    let next = || waiting.lock().ok()?.next();
    thread::scope(|scope| {
        let (done, ends) = mpsc::channel();
        for _ in 0..together {
            let done = done.clone();
            scope.spawn(move || {
                while let Some(program) = next() {
                    if done.send((program, program.run(end))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        ends.iter().try_for_each(|(program, ended)| tell(program, ended?))
    })
}

impl Program {
    /// The program that one of cargo's messages tells of, where it does.
    fn parse(message: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(message).ok()?;
        let path = |value: &Value| value.as_str().map(PathBuf::from);
        let name = message["target"]["name"].as_str()?;
        message["profile"]["test"].as_bool().filter(|test| *test)?;
        Some(Self {
            rank: LONGEST.iter().position(|long| *long == name).unwrap_or(LONGEST.len()),
            source: path(&message["target"]["src_path"])?,
            executable: path(&message["executable"])?,
            package: path(&message["manifest_path"])?.parent()?.into(),
            name: name.to_owned(),
        })
    }

    fn run(&self, end: Instant) -> io::Result<Ended> {
        let began = Instant::now();
        // A file, not a pipe: what a test leaves running could hold that open for long.
        let log = self.executable.with_extension("log");
        let output = File::create(&log)?;
        let mut command = until(end, &self.executable);
        command.current_dir(&self.package).env("CARGO_MANIFEST_DIR", &self.package);
        let status = command.stdout(output.try_clone()?).stderr(output).status()?;
        Ok(Ended { status, time: began.elapsed(), said: fs::read(log)? })
    }
}

/// Prints what a program said below its name. The status says what no line of results does: that it was ended, or died.
fn show(name: &str, ended: &Ended) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "     Running {name} ({:.1} s)", ended.time.as_secs_f64())?;
    out.write_all(&ended.said)?;
    if !ended.status.success() {
        writeln!(out, "{name}: {}", ended.status)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// Runs programs of one line of shell each, all at once, in a folder of their own: the statuses and what they said.
    fn ends(name: &str, scripts: &[&str], time: Duration) -> Vec<(Option<i32>, String)> {
        // A script cannot be run while a child that another test has just begun holds it open for writing.
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let package = std::env::temp_dir().join(format!("orlop-xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&package).expect("made");
        let program = |(rank, script): (usize, &&str)| {
            let executable = package.join(format!("program-{rank}"));
            fs::write(&executable, format!("#!/bin/sh\n{script}\n")).expect("written");
            fs::set_permissions(&executable, fs::Permissions::from_mode(0o755)).expect("ours");
            Program {
                rank,
                source: executable.clone(),
                executable,
                package: package.clone(),
                name: String::new(),
            }
        };
        let programs: Vec<_> = scripts.iter().enumerate().map(program).collect();
        let mut ends = vec![(None, String::new()); programs.len()];
        run_all(&programs, programs.len(), Instant::now() + time, &mut |program, ended| {
            ends[program.rank] =
                (ended.status.code(), String::from_utf8_lossy(&ended.said).trim().to_owned());
            Ok(())
        })
        .expect("they run");
        fs::remove_dir_all(&package).expect("ours");
        ends
    }

    #[test]
    fn a_program_of_tests_is_known_by_its_message_and_other_artifacts_are_none() {
        let message = |test: bool, executable: Value| {
            let target = serde_json::json!({ "name": "crash", "src_path": "/w/p/tests/crash/main.rs" });
            serde_json::json!({ "manifest_path": "/w/p/Cargo.toml", "target": target,
                "profile": { "test": test }, "executable": executable })
            .to_string()
        };
        let program = Program::parse(&message(true, "/w/t/crash-1".into())).expect("a program of tests");
        assert_eq!((program.rank, program.package), (0, "/w/p".into()));
        assert_eq!(Program::parse(&message(false, "/w/t/orlop".into())), None);
        assert_eq!(Program::parse(&message(true, Value::Null)), None);
        assert_eq!(Program::parse(r#"{"reason":"build-finished","success":true}"#), None);
    }

    #[test]
    fn one_that_fails_hinders_no_other_and_each_runs_in_its_package() {
        let ends = ends("fails", &["echo no >&2; exit 3", "basename $PWD; test -e program-1"], MINUTE);
        assert_eq!(ends[0], (Some(3), "no".into()));
        assert_eq!(ends[1].0, Some(0));
        assert!(ends[1].1.starts_with("orlop-xtask-fails-"), "{}", ends[1].1);
    }

    #[test]
    fn a_program_hears_of_its_own_package_and_not_of_this_one() {
        assert!(of_a_package("CARGO_PKG_NAME".as_ref()) && !of_a_package("CARGO_TARGET_DIR".as_ref()));
        let ends = ends("hears", &["env | grep -c ^CARGO_PKG_; basename $CARGO_MANIFEST_DIR"], MINUTE);
        assert!(ends[0].1.starts_with("0\norlop-xtask-hears-"), "{}", ends[0].1);
    }

    #[test]
    fn programs_run_at_once() {
        let waits =
            |mine: &str, other: &str| format!("touch {mine}; until test -e {other}; do sleep 0.02; done");
        let ends = ends("meet", &[&waits("a", "b"), &waits("b", "a")], MINUTE);
        assert!(ends.iter().all(|(status, _)| *status == Some(0)), "{ends:?}");
    }

    #[test]
    fn what_is_not_done_in_time_is_ended_with_what_it_started_and_shows_what_it_said() {
        let began = Instant::now();
        let ends = ends("late", &["sleep 100 & echo $!; sleep 100"], Duration::from_secs(1));
        assert_eq!(ends[0].0, Some(124));
        assert!(began.elapsed() < MINUTE);
        let started = format!("/proc/{}/cmdline", ends[0].1.parse::<u32>().expect("it said its number"));
        // What nobody has waited for yet has a number still, and no words. What was told to end needs a moment.
        let is_over = || fs::read(&started).unwrap_or_default().is_empty();
        let ended = (0..250).any(|_| {
            is_over() || {
                thread::sleep(Duration::from_millis(20));
                false
            }
        });
        assert!(ended, "{started}");
    }

    const MINUTE: Duration = Duration::from_secs(60);
}
