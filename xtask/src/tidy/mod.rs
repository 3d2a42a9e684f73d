//! `cargo xtask tidy`: the laws of the house that no compiler checks.
//!
//! Invariant: every check looks at the [`Repository`] alone and adds to the [`Report`]; none changes a file.

mod bans;
mod budgets;
mod crates;
mod documents;
mod items;
mod modules;
mod source;

use crate::{Outcome, Verdict};
use source::Source;
use std::io;
use std::path::{Path, PathBuf};

/// What the checks look at: every Rust source and every document, by its path below the root.
struct Repository {
    root: PathBuf,
    sources: Vec<Source>,
    documents: Vec<(PathBuf, String)>,
}

/// What the checks found.
#[derive(Default)]
struct Report {
    faults: Vec<String>,
    facts: Vec<String>,
}

impl Report {
    fn fault(&mut self, path: &Path, what: impl std::fmt::Display) {
        self.faults.push(format!("{}: {what}", path.display()));
    }

    fn fact(&mut self, what: impl std::fmt::Display) {
        self.facts.push(what.to_string());
    }
}

pub(crate) fn run(root: &Path) -> Outcome {
    let repository = Repository::read(root)?;
    let mut report = Report::default();
    crates::check(&repository, &mut report)?;
    budgets::check(&repository, &mut report);
    bans::check(&repository, &mut report);
    modules::check(&repository, &mut report);
    documents::check(&repository, &mut report);
    items::check(&repository, &mut report)?;
    for fact in &report.facts {
        println!("{fact}");
    }
    for fault in &report.faults {
        println!("error: {fault}");
    }
    Ok(if report.faults.is_empty() { Verdict::Green } else { Verdict::Red })
}

impl Repository {
    fn read(root: &Path) -> io::Result<Self> {
        let mut repository = Self { root: root.to_owned(), sources: Vec::new(), documents: Vec::new() };
        repository.enter(Path::new(""))?;
        Ok(repository)
    }

    fn enter(&mut self, folder: &Path) -> io::Result<()> {
        let mut entries = std::fs::read_dir(self.root.join(folder))?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                if !is_foreign(&path) {
                    self.enter(&path)?;
                }
            } else {
                self.take(path)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, path: PathBuf) -> io::Result<()> {
        let full = self.root.join(&path);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => self.sources.push(Source::new(path, std::fs::read_to_string(full)?)),
            Some("md") => self.documents.push((path, std::fs::read_to_string(full)?)),
            _ => {}
        }
        Ok(())
    }
}

/// Folders that hold nothing of ours: what was built, and what git and editors keep.
fn is_foreign(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name == "target" || (name.starts_with('.') && name != ".ci")
}
