//! Words that have no place in the code.

use super::source::{Source, words};
use super::{Report, Repository};
use std::path::Path;

/// Attributes and macros that postpone or hide something, and what to do instead.
const BANNED: &[(&str, &str)] = &[
    ("#[allow(", "use #[expect(lint, reason = \"…\")]"),
    ("#![allow(", "use #![expect(lint, reason = \"…\")]"),
    ("todo!", "say what is missing as an error, or leave it out of the help"),
    ("unimplemented!", "say what is missing as an error, or leave it out of the help"),
];

/// The one place for `unsafe` and raw system calls.
const UNSAFE_HOME: &str = "crates/orlop-fs/src/sys.rs";

/// What turns on the bans of a crate's `clippy.toml` for all that is not a test.
const LIST: &str = "clippy.toml";
const OBEYED: &str = "#![cfg_attr(not(test), deny(clippy::disallowed_methods))]";

pub(super) fn check(repository: &Repository, report: &mut Report) {
    for source in &repository.sources {
        check_list(&repository.root, source, report);
        check_words(source, report);
        check_unsafe(source, report);
        check_header(source, report);
    }
}

/// A list that the crate's root does not turn on would ban nothing.
fn check_list(root: &Path, source: &Source, report: &mut Report) {
    let is_root = ["src/lib.rs", "src/main.rs"].iter().any(|name| source.path.ends_with(name));
    let list = root.join(&source.path).with_file_name("..").join(LIST);
    if is_root && list.exists() && !source.code.contains(OBEYED) {
        report.fault(&source.path, format_args!("1: `{OBEYED}` turns on the list in {LIST}"));
    }
}

fn check_words(source: &Source, report: &mut Report) {
    for (number, line) in (1..).zip(source.code.lines()) {
        let line: String = line.split_whitespace().collect();
        for (banned, instead) in BANNED.iter().filter(|(banned, _)| line.contains(banned)) {
            report.fault(&source.path, format_args!("{number}: `{banned}` is banned: {instead}"));
        }
    }
}

fn check_unsafe(source: &Source, report: &mut Report) {
    if source.path == Path::new(UNSAFE_HOME) {
        return;
    }
    for (at, _) in words(&source.code).filter(|(_, word)| *word == "unsafe") {
        let number = 1 + source.code[..at].matches('\n').count();
        report.fault(&source.path, format_args!("{number}: `unsafe` lives in {UNSAFE_HOME} alone"));
    }
}

/// A file says first what it is for; `tests.rs` is for what its module is for.
fn check_header(source: &Source, report: &mut Report) {
    if !source.text.starts_with("//!") && !source.path.ends_with("tests.rs") {
        report.fault(&source.path, "1: no `//!` header that says purpose and invariant");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn faults(path: &str, text: &str) -> usize {
        let sources = vec![Source::new(PathBuf::from(path), format!("//! Header.\n{text}"))];
        let mut report = Report::default();
        check(&Repository { root: PathBuf::new(), sources, documents: Vec::new() }, &mut report);
        report.faults.len()
    }

    #[test]
    fn banned_words_are_found_in_code_and_nowhere_else() {
        assert_eq!(faults("x.rs", "#[allow(dead_code)]\nfn f() { todo!() }"), 2);
        assert_eq!(faults("x.rs", "// todo!() is banned\nfn f() { g(\"unimplemented!\") }"), 0);
        assert_eq!(faults("x.rs", "#[expect(dead_code, reason = \"\")]\nfn f() {}"), 0);
    }

    #[test]
    fn unsafe_has_one_home() {
        assert_eq!(faults("x.rs", "fn f() { unsafe { g() } }"), 1);
        assert_eq!(faults(UNSAFE_HOME, "fn f() { unsafe { g() } }"), 0);
        assert_eq!(faults("x.rs", "#![forbid(unsafe_code)]"), 0);
    }

    #[test]
    fn a_list_of_bans_that_a_crate_does_not_turn_on_is_a_fault() {
        let root = std::env::temp_dir().join(format!("orlop-xtask-bans-{}", std::process::id()));
        std::fs::create_dir_all(root.join("listed/src")).expect("made");
        std::fs::write(root.join("listed").join(LIST), "").expect("written");
        let faults = |path: &str, code: &str| {
            let mut report = Report::default();
            check_list(&root, &Source::new(PathBuf::from(path), code.into()), &mut report);
            report.faults.len()
        };
        assert_eq!(faults("listed/src/lib.rs", OBEYED), 0);
        assert_eq!(faults("listed/src/lib.rs", ""), 1);
        assert_eq!(faults("listed/src/main.rs", &format!("// {OBEYED}")), 1);
        assert_eq!(faults("listed/src/other/lib.rs", ""), 0);
        assert_eq!(faults("free/src/lib.rs", ""), 0);
        std::fs::remove_dir_all(root).expect("ours");
    }

    #[test]
    fn a_file_without_a_header_is_a_fault() {
        let source = Source::new(PathBuf::from("x.rs"), "fn f() {}".into());
        let mut report = Report::default();
        check_header(&source, &mut report);
        assert_eq!(report.faults.len(), 1);
    }
}
