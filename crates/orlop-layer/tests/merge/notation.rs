//! Layers and trees as lines of text.
//!
//! ```text
//! an entry    KIND NAME [more]          KIND: d folder, f file, l link (-> TARGET), h hard link (=> TARGET),
//!                                       p fifo, c and b devices (MAJOR:MINOR); MODE may end a line of d or f
//! a listing   KIND MODE OWNER NAME …    `h NAME = FIRST` for a further name of a file
//! ```
//!
//! A file's content is `LAYER.ORDINAL`: what a file holds tells where it comes from.

use orlop_layer::tree::{Builder, InodeKind, Tree};
use orlop_layer::whiteout::{Member, read_member};
use orlop_layer::{Device, Entry, Error, Kind, Meta, TreePath};
use orlop_spec::Limits;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The tree of a layer, as the lines of its tar say.
pub(crate) fn layer(number: u16, lines: &[&str]) -> Result<Tree, Error> {
    let mut builder = Builder::new(number, &Limits::default());
    for (ordinal, line) in (0..).zip(lines) {
        if let Some(entry) = entry(number, ordinal, line)? {
            builder.add(ordinal, 0, &entry)?;
        }
    }
    Ok(builder.finish())
}

/// The stack of layers, the base first.
pub(crate) fn stack(layers: &[Vec<&str>]) -> Result<Tree, Error> {
    (0..).zip(layers).try_fold(Tree::default(), |tree, (number, lines)| tree.stack(layer(number, lines)?))
}

/// One entry as a reader of tars gives it; nothing for what it passes over.
pub(crate) fn entry(layer: u16, ordinal: u32, line: &str) -> Result<Option<Entry>, Error> {
    let words: Vec<&str> = line.split(' ').collect();
    let path = TreePath::parse(words[1].as_bytes())?;
    let kind = kind(&words, layer, ordinal)?;
    let mode = match &kind {
        Kind::Symlink { .. } => 0o777,
        _ => mode(words.last().expect("a line has words"), &kind, layer),
    };
    let entry = |path, kind| Some(Entry { path, meta: Meta { mode, ..Meta::default() }, kind });
    Ok(match read_member(&path)? {
        Member::Plain => entry(path, kind),
        Member::Whiteout(path) => entry(path, Kind::Whiteout),
        Member::Opaque(path) => entry(path, Kind::Opaque),
        Member::Private => None,
    })
}

fn kind(words: &[&str], layer: u16, ordinal: u32) -> Result<Kind, Error> {
    Ok(match *words {
        ["d", ..] => Kind::Directory,
        ["f", ..] => Kind::File { size: content(layer, ordinal).len() as u64 },
        ["p", ..] => Kind::Fifo,
        ["l", _, "->", target] => Kind::Symlink { target: target.as_bytes().into() },
        ["h", _, "=>", target, ..] => Kind::HardLink { target: TreePath::parse(target.as_bytes())? },
        ["c", _, device] => Kind::CharDevice(numbers(device)),
        ["b", _, device] => Kind::BlockDevice(numbers(device)),
        _ => panic!("{words:?} is no entry"),
    })
}

/// Modes tell layers apart: 0750 and 0640 in the base, one more in each layer above.
fn mode(last: &str, kind: &Kind, layer: u16) -> u16 {
    let usual = if *kind == Kind::Directory { 0o750 } else { 0o640 };
    if last.len() >= 4 { u16::from_str_radix(last, 8).unwrap_or(usual | layer) } else { usual | layer }
}

fn numbers(text: &str) -> Device {
    let (major, minor) = text.split_once(':').expect("a device is MAJOR:MINOR");
    Device { major: major.parse().expect("a number"), minor: minor.parse().expect("a number") }
}

/// The content of a file.
pub(crate) fn content(layer: u16, ordinal: u32) -> String {
    format!("{layer}.{ordinal}")
}

/// A stacked tree, line by line; the root only when it is not 0755.
pub(crate) fn listing(tree: &Tree) -> Vec<String> {
    let mut first: HashMap<_, String> = HashMap::new();
    let mut lines = Vec::new();
    for (path, id) in tree.walk() {
        let (inode, path) = (tree.inode(id), path.to_string());
        if let Some(first) = first.get(&id) {
            lines.push(format!("h {path} = {first}"));
            continue;
        }
        let Meta { mode, uid, gid, .. } = inode.meta;
        let line = |kind: char| format!("{kind} {mode:04o} {uid}:{gid} {path}");
        lines.push(match &inode.kind {
            InodeKind::Directory { .. } => line('d'),
            InodeKind::File(file) => format!("{} {}", line('f'), content(file.layer, file.ordinal)),
            InodeKind::Symlink(target) => format!("l {path} -> {}", String::from_utf8_lossy(target)),
            InodeKind::CharDevice(at) => format!("{} {}:{}", line('c'), at.major, at.minor),
            InodeKind::BlockDevice(at) => format!("{} {}:{}", line('b'), at.major, at.minor),
            InodeKind::Fifo => line('p'),
            kind @ (InodeKind::Whiteout | InodeKind::LinkBelow(_)) => {
                panic!("{path} is {kind:?} in a stacked tree")
            }
        });
        first.insert(id, path);
    }
    lines.retain(|line| line != "d 0755 0:0 /");
    lines
}

/// What the kernel shows of a tree of files, folders and links: its listing, without the root.
pub(crate) fn shown(root: &Path) -> Vec<String> {
    let (mut lines, mut first) = (vec![], HashMap::new());
    let mut open = vec![(root.to_path_buf(), String::new())];
    while let Some((at, name)) = open.pop() {
        let Ok(meta) = fs::symlink_metadata(&at) else { continue };
        let mode = meta.mode() & 0o7777;
        if meta.is_dir() {
            let names = fs::read_dir(&at).expect("a folder can be read");
            let mut names: Vec<PathBuf> = names.map(|entry| entry.expect("an entry").path()).collect();
            names.sort_by(|one, two| two.cmp(one));
            let below = |path: PathBuf| {
                let last = path.file_name().expect("an entry has a name").to_str().expect("ASCII").to_owned();
                (path, if name.is_empty() { last } else { format!("{name}/{last}") })
            };
            open.extend(names.into_iter().map(below));
            if !name.is_empty() {
                lines.push(format!("d {mode:04o} {}:{} {name}", meta.uid(), meta.gid()));
            }
        } else if let Some(known) = first.get(&meta.ino()) {
            lines.push(format!("h {name} = {known}"));
        } else {
            first.insert(meta.ino(), name.clone());
            lines.push(if meta.is_symlink() {
                format!("l {name} -> {}", fs::read_link(&at).expect("a target").display())
            } else {
                let content = fs::read_to_string(&at).expect("a file can be read");
                format!("f {mode:04o} {}:{} {name} {content}", meta.uid(), meta.gid())
            });
        }
    }
    lines
}
