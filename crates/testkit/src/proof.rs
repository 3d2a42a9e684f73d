//! The report of what was proven: one JSON line for each proof, appended to the file that `ORLOP_PROOFS` names.
//!
//! ```text
//! {"proof":"peers: skopeo reads our layout","state":"ran","cases":6,"why":""}
//! ```
//!
//! `skipped` is for what could be installed, `not offered` for what this kernel or user does not have; the
//! runner turns the lines into its closing table, and a skipped proof turns a run in CI red.

use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// `cases` cases of the proof `name` were run and held.
pub fn ran(name: &str, cases: usize) {
    report(name, "ran", cases, "");
}

/// Something that can be installed is missing.
pub fn skipped(name: &str, why: &str) {
    report(name, "skipped", 0, why);
}

/// A probe found that this kernel, file system or user does not offer what the proof needs.
pub fn not_offered(name: &str, why: &str) {
    report(name, "not offered", 0, why);
}

fn report(name: &str, state: &str, cases: usize, why: &str) {
    if let Some(file) = std::env::var_os("ORLOP_PROOFS") {
        append(Path::new(&file), &line(name, state, cases, why));
    }
}

fn line(name: &str, state: &str, cases: usize, why: &str) -> String {
    format!("{}\n", json!({ "proof": name, "state": state, "cases": cases, "why": why }))
}

/// One `write` on a file opened for appending: lines of tests that run at once do not mix.
fn append(file: &Path, line: &str) {
    let mut out =
        OpenOptions::new().create(true).append(true).open(file).expect("the file of ORLOP_PROOFS opens");
    out.write_all(line.as_bytes()).expect("the file of ORLOP_PROOFS takes a line");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_proof_is_one_whole_line() {
        let scratch = crate::scratch();
        let file = scratch.path("proofs");
        append(&file, &line("a \"name\"\n", "ran", 3, ""));
        append(&file, &line("b", "skipped", 0, "umoci is missing"));
        let text = std::fs::read_to_string(&file).expect("written");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a line is one document")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], json!({"proof": "a \"name\"\n", "state": "ran", "cases": 3, "why": ""}));
        assert_eq!(lines[1]["why"], "umoci is missing");
    }
}
