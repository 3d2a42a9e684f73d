//! Forgotten files: a source that no `mod` line reaches is never compiled, and a test in it never runs.

use super::source::{Source, words};
use super::{Report, Repository};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(super) fn check(repository: &Repository, report: &mut Report) {
    let mut reached = BTreeSet::new();
    for root in repository.sources.iter().filter(|source| is_root(&source.path)) {
        reach(repository, root, &mut reached);
    }
    for source in &repository.sources {
        if !reached.contains(&source.path) {
            report.fault(&source.path, "no `mod` line reaches this file");
        }
    }
}

/// Files that cargo finds by itself, or that a manifest names.
fn is_root(path: &Path) -> bool {
    let parent = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder_of_roots = ["tests", "benches", "examples", "bin", "fuzz_targets"].contains(&parent)
        && !path.components().rev().skip(2).any(|part| part.as_os_str() == "src" && parent != "bin");
    // Elsewhere than beside a manifest, `build.rs` is a module like any other.
    let build_script = name == "build.rs" && !path.components().any(|part| part.as_os_str() == "src");
    folder_of_roots || build_script || ["lib.rs", "main.rs"].contains(&name)
}

fn reach(repository: &Repository, source: &Source, reached: &mut BTreeSet<PathBuf>) {
    if !reached.insert(source.path.clone()) {
        return;
    }
    for name in declared(&source.code) {
        let inside = folder_of(&source.path);
        let candidates = [inside.join(format!("{name}.rs")), inside.join(&name).join("mod.rs")];
        for module in repository.sources.iter().filter(|source| candidates.contains(&source.path)) {
            reach(repository, module, reached);
        }
    }
}

/// The names in `mod name;`.
fn declared(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in words(code).filter(|(_, word)| *word == "mod") {
        let Some((start, name)) = words(&code[at + 3..]).next() else { continue };
        if code[at + 3 + start + name.len()..].trim_start().starts_with(';') {
            names.push(name.to_owned());
        }
    }
    names
}

/// Where the modules that a file declares lie: beside a root or a `mod.rs`, else in the folder of its name.
fn folder_of(path: &Path) -> PathBuf {
    let parent = path.parent().unwrap_or(Path::new("")).to_owned();
    if is_root(path) || path.ends_with("mod.rs") {
        return parent;
    }
    path.file_stem().map_or(parent.clone(), |stem| parent.join(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forgotten(files: &[(&str, &str)]) -> Vec<String> {
        let sources =
            files.iter().map(|(path, text)| Source::new(PathBuf::from(path), (*text).into())).collect();
        let mut report = Report::default();
        check(&Repository { root: PathBuf::new(), sources, documents: Vec::new() }, &mut report);
        report.faults
    }

    #[test]
    fn what_a_mod_line_reaches_is_not_forgotten() {
        let files = [
            ("a/src/lib.rs", "mod one; mod two;"),
            ("a/src/one.rs", "mod deep;"),
            ("a/src/one/deep.rs", ""),
            ("a/src/two/mod.rs", "mod beside;"),
            ("a/src/two/beside.rs", ""),
            ("a/tests/it/main.rs", "mod case;"),
            ("a/tests/it/case.rs", ""),
            ("a/tests/alone.rs", ""),
        ];
        assert_eq!(forgotten(&files), Vec::<String>::new());
    }

    #[test]
    fn a_test_file_that_nobody_declares_is_a_fault() {
        let files = [("a/tests/it/main.rs", "mod tests {} // mod case;"), ("a/tests/it/case.rs", "")];
        assert_eq!(forgotten(&files).len(), 1);
    }

    #[test]
    fn a_source_below_src_tests_is_no_root() {
        assert_eq!(forgotten(&[("a/src/lib.rs", ""), ("a/src/tests/x.rs", "")]).len(), 1);
    }
}
