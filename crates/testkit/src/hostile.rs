//! Images that want to do harm, and what must become of each.
//!
//! A layer case is a list of tar archives; it becomes one image for each compression. Other cases are whole
//! layouts or archives. Each has the number of its rule, and its expected end: an exit code, or the exact tree.
//! Paths that try to leave the target point at a canary folder, which the runner compares before and after.

mod codecs;
mod documents;
mod editing;
mod edits;
mod items;
mod paths;
mod tars;
mod trial;

pub use editing::{EDITS, Edit, Effect, spoiled};
pub use trial::{Trial, User};

use crate::image::{Image, Layout, Packing};
use orlop_spec::Kind;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// One input and its expected end.
#[derive(Clone, Debug)]
pub struct Case {
    /// The rule that it breaks or stretches, for example `P1` or `47`.
    pub item: &'static str,
    /// A name of its own.
    pub name: String,
    /// What is done with it.
    pub verb: Verb,
    /// The image.
    pub form: Form,
    /// What must come of it.
    pub expected: Expected,
    /// Who can be asked.
    pub who: Who,
}

/// What is done with an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `unpack`.
    Unpack,
    /// `bundle`.
    Bundle,
    /// `inspect`.
    Inspect,
    /// `copy` to a new layout.
    Copy,
}

/// In which form the image lies on disk.
#[derive(Clone, Debug)]
pub enum Form {
    /// A layout folder.
    Layout(Layout),
    /// A layout in a tar.
    OciArchive(Vec<u8>),
    /// An archive of `docker save`.
    DockerArchive(Vec<u8>),
}

/// What must come of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// An error of one of these kinds, and no target.
    Refused(Vec<Kind>),
    /// Success; for `unpack`, exactly these lines of [`listing`].
    Tree(Vec<String>),
    /// Either: both are safe, and engines differ.
    TreeOr(Vec<String>, Vec<Kind>),
    /// Success or any documented error: only the canary, memory and time are judged.
    Safe,
}

/// Whether an ordinary user's run can meet the expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody's.
    Anyone,
    /// Root's only: owners or devices show in the tree.
    Root,
}

/// An error of integrity.
pub(crate) fn refused() -> Expected {
    Expected::Refused(vec![Kind::Integrity])
}

/// An exceeded limit; a reader that sees the damage first may say so.
pub(crate) fn limited() -> Expected {
    Expected::Refused(vec![Kind::Limit, Kind::Integrity])
}

/// An error of one of these kinds.
pub(crate) fn refused_as(kinds: &[Kind]) -> Expected {
    Expected::Refused(kinds.to_vec())
}

/// Exactly this tree.
pub(crate) fn tree(lines: &[&str]) -> Expected {
    Expected::Tree(lines.iter().map(|line| (*line).to_owned()).collect())
}

/// This tree or a refusal.
pub(crate) fn tree_or_refused(lines: &[&str]) -> Expected {
    let Expected::Tree(lines) = tree(lines) else { unreachable!("just made") };
    Expected::TreeOr(lines, vec![Kind::Integrity, Kind::Limit])
}

/// Collects cases.
pub(crate) struct Cases<'a> {
    /// Where escaping paths point: an absolute path to a folder that holds `file`.
    pub canary: &'a str,
    cases: Vec<Case>,
}

impl Cases<'_> {
    /// A stack of layers, unpacked from a layout in each compression.
    pub(crate) fn layers(&mut self, item: &'static str, name: &str, layers: &[Vec<u8>], expected: &Expected) {
        for packing in Packing::ALL {
            let form = Form::Layout(Image::of(layers, packing).layout());
            self.push(item, &format!("{name}/{packing:?}"), Verb::Unpack, form, expected, Who::Anyone);
        }
    }

    /// The same where only root sees the expected tree.
    pub(crate) fn root_layers(
        &mut self,
        item: &'static str,
        name: &str,
        layers: &[Vec<u8>],
        expected: &Expected,
    ) {
        let form = Form::Layout(Image::of(layers, Packing::Gzip).layout());
        self.push(item, name, Verb::Unpack, form, expected, Who::Root);
    }

    /// A whole layout, unpacked.
    pub(crate) fn layout(&mut self, item: &'static str, name: &str, layout: Layout, expected: &Expected) {
        self.push(item, name, Verb::Unpack, Form::Layout(layout), expected, Who::Anyone);
    }

    /// Anything.
    pub(crate) fn push(
        &mut self,
        item: &'static str,
        name: &str,
        verb: Verb,
        form: Form,
        expected: &Expected,
        who: Who,
    ) {
        let (name, expected) = (format!("{item} {name}").to_lowercase(), expected.clone());
        self.cases.push(Case { item, name, verb, form, expected, who });
    }
}

/// Every case; `canary` is an absolute path that must stay as it is.
pub fn corpus(canary: &Path) -> Vec<Case> {
    let canary = canary.to_str().expect("a scratch folder has a plain name");
    let mut cases = Cases { canary, cases: Vec::new() };
    paths::add(&mut cases);
    tars::add(&mut cases);
    codecs::add(&mut cases);
    documents::add(&mut cases);
    items::add(&mut cases);
    edits::add(&mut cases);
    cases.cases
}

/// A tree as lines, sorted by path: `folder/`, `file=content`, `link -> target`, `name == first name of the
/// inode`, `fifo|`, `device c` or `b`; setuid, setgid and sticky bits and extended attributes behind.
pub fn listing(root: &Path) -> Vec<String> {
    let mut lines = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    list(root, &mut Vec::new(), &mut inodes, &mut lines);
    lines.into_values().collect()
}

type Inodes = BTreeMap<u64, String>;

fn list(folder: &Path, prefix: &mut Vec<u8>, inodes: &mut Inodes, lines: &mut BTreeMap<Vec<u8>, String>) {
    let mut names: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.file_name()).collect();
    names.sort_unstable();
    for name in names {
        let path = folder.join(&name);
        let length = prefix.len();
        prefix.extend(name.as_bytes());
        let shown = prefix.escape_ascii().to_string();
        let meta = fs::symlink_metadata(&path).expect("just listed");
        lines.insert(prefix.clone(), line(&path, &meta, &shown, inodes));
        if meta.is_dir() {
            prefix.push(b'/');
            list(&path, prefix, inodes, lines);
        }
        prefix.truncate(length);
    }
}

fn line(path: &Path, meta: &fs::Metadata, shown: &str, inodes: &mut Inodes) -> String {
    use std::os::unix::fs::FileTypeExt as _;
    if meta.is_dir() {
        return format!("{shown}/{}", marks(path, meta));
    }
    if let Some(first) = inodes.get(&meta.ino()) {
        return format!("{shown} == {first}");
    }
    inodes.insert(meta.ino(), shown.to_owned());
    let kind = meta.file_type();
    let rest = match () {
        () if kind.is_symlink() => format!(" -> {}", fs::read_link(path).expect("a link").display()),
        () if kind.is_fifo() => "|".into(),
        () if kind.is_char_device() => " c".into(),
        () if kind.is_block_device() => " b".into(),
        () if meta.len() > 64 => format!("={} bytes", meta.len()),
        () => format!("={}", fs::read(path).unwrap_or_default().escape_ascii()),
    };
    format!("{shown}{rest}{}", marks(path, meta))
}

fn marks(path: &Path, meta: &fs::Metadata) -> String {
    let special = meta.permissions().mode() & 0o7000;
    let mut marks = if special == 0 || meta.is_symlink() { String::new() } else { format!(" {special:o}") };
    for (name, value) in crate::dump::xattrs(path) {
        marks.extend([
            " ".to_owned(),
            name.escape_ascii().to_string(),
            "=".into(),
            value.escape_ascii().to_string(),
        ]);
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_corpus_is_large_and_each_case_has_its_own_name() {
        let cases = corpus(Path::new("/canary"));
        assert!(cases.len() >= 400, "{}", cases.len());
        let mut names = BTreeSet::new();
        let doubled: Vec<_> =
            cases.iter().map(|case| &case.name).filter(|name| !names.insert(*name)).collect();
        assert!(doubled.is_empty(), "{doubled:?}");
    }

    #[test]
    fn every_rule_of_the_catalogue_has_a_case() {
        let cases = corpus(Path::new("/canary"));
        let items: BTreeSet<_> = cases.iter().map(|case| case.item).collect();
        for item in [
            "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "P11", "P12", "T1", "T2", "T3",
            "T4", "T5", "T6", "D1", "D2", "J1", "J2", "J3", "J4", "J5", "J6", "L1",
        ] {
            assert!(items.contains(item), "{item}");
        }
    }

    #[test]
    fn a_listing_shows_what_a_tree_is() {
        let scratch = crate::scratch();
        let root = scratch.folder("t");
        fs::create_dir(root.join("d")).expect("new");
        fs::write(root.join("d/a"), "1\n").expect("new");
        fs::hard_link(root.join("d/a"), root.join("b")).expect("new");
        std::os::unix::fs::symlink("d/a", root.join("s")).expect("new");
        fs::set_permissions(root.join("d"), fs::Permissions::from_mode(0o1777)).expect("ours");
        assert_eq!(listing(&root), [r"b=1\n", "d/ 1000", "d/a == b", "s -> d/a"]);
    }
}
