//! The documents: lengths, the index of decisions, and links that lead somewhere.

use super::{Report, Repository};
use std::path::{Component, Path, PathBuf};

const ARCHITECTURE_LINES: usize = 300;
const DECISIONS: &str = "docs/decisions";

pub(super) fn check(repository: &Repository, report: &mut Report) {
    for (path, text) in &repository.documents {
        check_links(repository, path, text, report);
        if path == Path::new("ARCHITECTURE.md") && text.lines().count() > ARCHITECTURE_LINES {
            report.fault(path, format_args!("more than {ARCHITECTURE_LINES} lines"));
        }
    }
    check_decisions(repository, report);
}

/// Every link to a file of this repository has its file.
fn check_links(repository: &Repository, path: &Path, text: &str, report: &mut Report) {
    for target in links(text).filter(|target| !target.contains("://") && !target.starts_with(['#', '<'])) {
        let file = target.split('#').next().unwrap_or_default();
        let linked = normal(&path.parent().unwrap_or(Path::new("")).join(file));
        if !linked.is_some_and(|linked| repository.root.join(linked).exists()) {
            report.fault(path, format_args!("the link to {target} leads nowhere"));
        }
    }
}

/// The targets of `[text](target)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|target| !target.contains(' '))
}

/// A path without `..`; none where it leaves the repository.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if !parts.pop() => return None,
            Component::Normal(name) => parts.push(name),
            _ => {}
        }
    }
    Some(parts)
}

/// The index of decisions links every record.
fn check_decisions(repository: &Repository, report: &mut Report) {
    let index_path = Path::new(DECISIONS).join("README.md");
    let index = repository.documents.iter().find(|(path, _)| *path == index_path);
    let listed: Vec<&str> = index.map_or(Vec::new(), |(_, text)| links(text).collect());
    let records = repository.documents.iter().filter(|(path, _)| path.parent() == Some(Path::new(DECISIONS)));
    for (path, _) in records.filter(|(path, _)| *path != index_path) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !listed.contains(&name) {
            report.fault(path, format_args!("{} does not list it", index_path.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(documents: &[(&str, &str)]) -> Vec<String> {
        let documents = documents.iter().map(|(path, text)| (PathBuf::from(path), (*text).into())).collect();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).to_owned();
        let mut report = Report::default();
        check(&Repository { root, sources: Vec::new(), documents }, &mut report);
        report.faults
    }

    #[test]
    fn a_decision_that_the_index_leaves_out_is_a_fault() {
        let record = ("docs/decisions/0001-x.md", "");
        assert_eq!(faults(&[record, ("docs/decisions/README.md", "")]).len(), 1);
    }

    #[test]
    fn a_link_leads_to_a_file_below_the_root() {
        assert_eq!(faults(&[("docs/a.md", "[x](../Cargo.toml) [y](https://z) [z](#here)")]), [""; 0]);
        assert_eq!(faults(&[("docs/a.md", "[x](Cargo.toml)")]).len(), 1);
        assert_eq!(faults(&[("docs/a.md", "[x](../../Cargo.toml)")]).len(), 1);
    }

    #[test]
    fn a_long_architecture_is_a_fault() {
        assert_eq!(faults(&[("ARCHITECTURE.md", &"\n".repeat(301))]).len(), 1);
        assert_eq!(faults(&[("ARCHITECTURE.md", &"\n".repeat(300))]), [""; 0]);
    }
}
