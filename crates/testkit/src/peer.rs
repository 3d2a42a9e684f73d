//! Other people's tools, which judge what we write and write what we judge.

use crate::command::Command;
use std::path::{Path, PathBuf};

/// A tool that is installed.
#[derive(Clone, Debug)]
pub struct Peer {
    /// As it is called.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The first number with dots of its `--version`.
    pub version: String,
}

/// The tool `name` from `PATH` or an `sbin` folder; `None` when it is not installed, and then the proof that
/// needs it is [`skipped`](crate::proof::skipped).
pub fn peer(name: &str) -> Option<Peer> {
    let path = find(name)?;
    let ask = match name {
        "actool" | "openssl" => "version",
        "busybox" => "--help",
        _ => "--version",
    };
    let answer = Command::new(&path).arg(ask).run();
    let version = first_version(&format!("{}{}", answer.out(), answer.err()))?;
    Some(Peer { name: name.into(), path, version })
}

impl Peer {
    /// The tool as a command without arguments.
    pub fn command(&self) -> Command {
        Command::new(&self.path)
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.name, self.version)
    }
}

/// A program in `PATH` or an `sbin` folder.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn first_version(answer: &str) -> Option<String> {
    let numbers = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    let words = answer.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'));
    words.map(|word| word.trim_start_matches('v').trim_end_matches('.')).find(numbers).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_tools_say() {
        for (answer, version) in [
            ("skopeo version 1.9.3\n", "1.9.3"),
            ("umoci version 0.4.7\n", "0.4.7"),
            ("tar (GNU tar) 1.34\n", "1.34"),
            ("bsdtar 3.6.2 - libarchive 3.6.2", "3.6.2"),
            ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u1", "1.6.20"),
            ("runc version v1.1.5\n", "1.1.5"),
        ] {
            assert_eq!(first_version(answer).as_deref(), Some(version), "{answer}");
        }
    }

    #[test]
    fn what_is_not_installed_is_no_peer() {
        assert!(peer("no-such-tool-of-orlop").is_none());
    }
}
