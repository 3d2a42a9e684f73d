//! What files say of single paths: which are left out, and which have other modes.

use super::{Arguments, open};
use orlop::fs::FileKind;
use orlop::host::Error;
use orlop::host::ostree::commit::Take;
use orlop::host::ostree::repo::RepoError;
use orlop::layer::Meta;
use orlop::layer::path::printable;
use orlop::spec::Fault;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Mutex;

/// The most bytes of such a file.
const MOST: u64 = 16 << 20;

/// Decides on single paths.
#[derive(Default)]
pub struct Lists {
    skipped: HashSet<Vec<u8>>,
    modes: HashMap<Vec<u8>, Change>,
    matched: Mutex<HashSet<Vec<u8>>>,
    read_only_executables: bool,
}

#[derive(Clone, Copy)]
enum Change {
    Add(u16),
    Set(u16),
}

impl Lists {
    /// Reads what the flags name.
    pub fn read(arguments: &Arguments) -> Result<Self, Fault> {
        let mut lists = Self { read_only_executables: arguments.mode_ro_executables, ..Self::default() };
        if let Some(file) = &arguments.skip_list {
            lists.skipped = text(file)?.lines().filter(|line| !line.is_empty()).map(path).collect();
        }
        if let Some(file) = &arguments.statoverride {
            for line in text(file)?.lines().filter(|line| !line.is_empty()) {
                let (name, change) = change(line).ok_or(BAD_LINE)?;
                lists.modes.insert(name, change);
            }
        }
        Ok(lists)
    }

    /// Whether nothing is decided.
    pub fn is_empty(&self) -> bool {
        self.skipped.is_empty() && self.modes.is_empty() && !self.read_only_executables
    }

    /// Decides on a path.
    pub fn adjust(&self, path: &[u8], kind: FileKind, meta: &mut Meta) -> Take {
        if self.skipped.contains(path) {
            return Take::No;
        }
        if self.read_only_executables && kind == FileKind::File && meta.mode & 0o111 != 0 {
            meta.mode &= !0o222;
        }
        if let Some(change) = self.modes.get(path) {
            meta.mode = match change {
                Change::Add(bits) => meta.mode | bits,
                Change::Set(mode) => *mode,
            };
            self.matched.lock().expect("no holder panics").insert(path.to_vec());
        }
        Take::Yes
    }

    /// An error where a mode was given to a path that is not there.
    pub fn check_matched(&self) -> Result<(), Error> {
        let matched = self.matched.lock().expect("no holder panics");
        let mut missed: Vec<_> = self.modes.keys().filter(|path| !matched.contains(*path)).collect();
        missed.sort();
        match missed.first() {
            Some(path) => {
                let path = printable(&String::from_utf8_lossy(path)).into_owned().into();
                Err(RepoError::NoPath { path }.into())
            }
            None => Ok(()),
        }
    }
}

const BAD_LINE: orlop::Error = orlop::Error::Unfit {
    what: "a line of the file of modes is no mode and path",
    hint: "write each line as the mode in decimal, a space and the path, such as 2048 /usr/bin/sudo, or =493 /bin/tool",
};

/// `MODE PATH` or `=MODE PATH`, as `ostree` reads it: the mode is decimal.
fn change(line: &str) -> Option<(Vec<u8>, Change)> {
    let (mode, name) = line.split_once(' ')?;
    let change = match mode.strip_prefix('=') {
        Some(mode) => Change::Set(mode.parse().ok()?),
        None => Change::Add(mode.strip_prefix('+').unwrap_or(mode).parse().ok()?),
    };
    let (Change::Add(bits) | Change::Set(bits)) = change;
    (bits <= 0o7777).then(|| (path(name), change))
}

fn path(text: &str) -> Vec<u8> {
    text.trim_matches('/').as_bytes().to_vec()
}

/// The text of a file that a flag names.
pub fn text(file: &PathBuf) -> Result<String, Fault> {
    let bytes = open(file)?.read_to_limit(MOST)?;
    String::from_utf8(bytes).map_err(|_| NO_TEXT.into())
}

const NO_TEXT: orlop::Error =
    orlop::Error::Unfit { what: "a file that a flag names is no text", hint: "give a file in UTF-8" };
