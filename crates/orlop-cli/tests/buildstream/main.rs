//! BuildStream: the real `bst` runs our plugins, and its cache says what was staged.
//!
//! Invariant: what is expected of a tree is written beside the image, or comes from another tool; never from orlop.

mod cases;
mod credentials;
mod forms;
mod guide;
mod made;
mod package;
mod registry;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use testkit::buildstream::Project;
use testkit::{Scratch, orlop, proof};

/// A project, or the word that the proof was skipped.
fn project(name: &str, more: &str) -> Option<Project> {
    let project = Project::new(more);
    if project.is_none() {
        proof::skipped(name, "bst, from `./test peers`, or bwrap is missing");
    }
    project
}

/// Runs the program under test in a folder, and gives what it said, without the line's end.
fn run(it: &Scratch, words: &[&str]) -> String {
    orlop().args(words).current_dir(it.root()).ok().out().trim().to_owned()
}

/// Puts a static busybox into `tree/bin`, under each of these names; whether there is one.
fn busybox(it: &Scratch, names: &[&str]) -> bool {
    it.folder("tree/bin");
    let is_there = fs::copy("/bin/busybox", it.path("tree/bin/busybox")).is_ok();
    for name in names {
        symlink("busybox", it.path(&format!("tree/bin/{name}"))).expect("a link");
    }
    is_there
}

/// An element of sources.
fn import(sources: &[String]) -> String {
    format!("kind: import\nsources:\n{}\n", sources.join("\n"))
}

/// Writes an element. Its sources are given in braces, and written in lines: BuildStream does not quote refs.
fn write(project: &Project, element: &str, text: &str) {
    let source =
        |line: &str| match line.strip_prefix("- {kind: oci, ").and_then(|rest| rest.strip_suffix('}')) {
            Some(words) => format!("- kind: oci\n  {}\n", words.replace(", ", "\n  ")),
            None => format!("{line}\n"),
        };
    project.write(&format!("elements/{element}"), &text.lines().map(source).collect::<String>());
}

/// What BuildStream can tell of a tree: `f content`, `f* content` where it can be run, `d/` and `l -> target`.
fn listing(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    list(folder, "", &mut lines);
    lines.sort();
    lines
}

fn list(folder: &Path, above: &str, lines: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let (meta, own) = (entry.metadata().expect("there"), entry.path());
        let path = format!("{above}{}", entry.file_name().to_string_lossy());
        if meta.is_symlink() {
            lines.push(format!("{path} -> {}", fs::read_link(own).expect("a link").display()));
        } else if meta.is_dir() {
            lines.push(format!("{path}/"));
            list(&own, &format!("{path}/"), lines);
        } else if !meta.is_file() {
            lines.push(format!("{path} special"));
        } else {
            let runs = if meta.permissions().mode() & 0o100 == 0 { "" } else { "*" };
            let content = fs::read(own).expect("a file");
            lines.push(format!("{path}{runs} {}", String::from_utf8_lossy(&content)));
        }
    }
}
