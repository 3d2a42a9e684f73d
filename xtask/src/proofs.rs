//! The table of proofs: what was compared with a peer or with the kernel, and what could not be.
//!
//! A test appends one JSON line per proof to the file that `ORLOP_PROOFS` names:
//!
//! ```text
//! {"proof":"merge: kernel overlayfs","state":"ran","cases":10000,"why":""}
//! ```
//!
//! `ran`, `skipped` (something that can be installed is missing) or `not offered` (a probe's answer about this
//! kernel). Lines of one proof are added up; its state is the worst of theirs. `xtask/proofs.txt` names the proofs
//! that a whole run as root has, so that none is lost in silence.

use crate::{Outcome, Verdict};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

const EXPECTED: &str = include_str!("../proofs.txt");

/// From best to worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum State {
    Ran,
    NotOffered,
    Skipped,
}

#[derive(Debug, PartialEq, Eq)]
struct Proof {
    state: State,
    cases: u64,
    why: String,
}

/// Prints the table. With `CI=true` a proof that is skipped is an error, and so is one that root should have.
pub(crate) fn run(file: &Path) -> Outcome {
    let lines = match std::fs::read_to_string(file) {
        Ok(lines) => lines,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("cannot read {}: {error}", file.display()).into()),
    };
    let table = tabulate(&lines)?;
    print(&table);
    let strict = std::env::var("CI").is_ok_and(|value| value == "true");
    let expected = if is_root()? { EXPECTED } else { "" };
    Ok(if strict { verdict(&table, expected) } else { Verdict::Green })
}

fn is_root() -> std::io::Result<bool> {
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}

fn tabulate(lines: &str) -> Result<BTreeMap<String, Proof>, String> {
    let mut table = BTreeMap::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let (name, proof) = parse(line).ok_or_else(|| format!("not a proof: {line}"))?;
        add(table.entry(name).or_insert(Proof { state: State::Ran, cases: 0, why: String::new() }), proof);
    }
    Ok(table)
}

fn parse(line: &str) -> Option<(String, Proof)> {
    let value: Value = serde_json::from_str(line).ok()?;
    let state = match value["state"].as_str()? {
        "ran" => State::Ran,
        "skipped" => State::Skipped,
        "not offered" => State::NotOffered,
        _ => return None,
    };
    let why = value["why"].as_str().unwrap_or_default().to_owned();
    Some((value["proof"].as_str()?.to_owned(), Proof { state, cases: value["cases"].as_u64()?, why }))
}

fn add(sum: &mut Proof, proof: Proof) {
    sum.cases += proof.cases;
    if proof.state >= sum.state && !proof.why.is_empty() {
        sum.why = proof.why;
    }
    sum.state = sum.state.max(proof.state);
}

fn print(table: &BTreeMap<String, Proof>) {
    let width = table.keys().map(|name| name.chars().count()).max().unwrap_or(0).max("proof".len());
    println!("{:width$}  {:11}  {:>8}  why", "proof", "state", "cases");
    for (name, proof) in table {
        println!("{name:width$}  {:11}  {:>8}  {}", label(proof.state), proof.cases, proof.why);
    }
}

fn label(state: State) -> &'static str {
    match state {
        State::Ran => "ran",
        State::NotOffered => "not offered",
        State::Skipped => "skipped",
    }
}

fn verdict(table: &BTreeMap<String, Proof>, expected: &str) -> Verdict {
    let mut verdict = Verdict::Green;
    for name in expected.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if !table.contains_key(name) {
            println!("error: no word of the proof `{name}`");
            verdict = Verdict::Red;
        }
    }
    for (name, _) in table.iter().filter(|(_, proof)| proof.state == State::Skipped) {
        println!("error: `{name}` was skipped; in CI what can be installed must be");
        verdict = Verdict::Red;
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAN: &str = r#"{"proof":"a","state":"ran","cases":3,"why":""}"#;
    const SKIPPED: &str = r#"{"proof":"a","state":"skipped","cases":0,"why":"umoci is missing"}"#;
    const NOT_OFFERED: &str = r#"{"proof":"b","state":"not offered","cases":0,"why":"no overlayfs"}"#;

    #[test]
    fn the_worst_state_of_a_proof_is_its_state() {
        let table = tabulate(&[RAN, SKIPPED, RAN].join("\n")).expect("three proofs");
        let expected = Proof { state: State::Skipped, cases: 6, why: "umoci is missing".into() };
        assert_eq!(table["a"], expected);
    }

    #[test]
    fn a_skipped_proof_is_red_and_one_that_the_kernel_does_not_offer_is_not() {
        let verdict_of = |lines: &str| verdict(&tabulate(lines).expect("proofs"), "");
        assert!(verdict_of(NOT_OFFERED) == Verdict::Green);
        assert!(verdict_of(SKIPPED) == Verdict::Red);
    }

    #[test]
    fn a_proof_that_is_expected_and_absent_is_red() {
        let table = tabulate(RAN).expect("a proof");
        assert!(verdict(&table, "# all\na\n") == Verdict::Green);
        assert!(verdict(&table, "a\nb\n") == Verdict::Red);
    }

    #[test]
    fn a_line_that_is_no_proof_is_refused() {
        assert!(tabulate("{\"proof\":\"a\",\"state\":\"maybe\",\"cases\":1}").is_err());
        assert!(tabulate("ran").is_err());
    }
}
