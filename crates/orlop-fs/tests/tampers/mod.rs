//! What somebody may do to a tree, and what must be named.

use orlop_fs::Dir;
use orlop_fs::scan::{Scan, ScanOptions, Unrepresentable};
use orlop_layer::tree::{Builder, Content, Tree};
use orlop_layer::{Chunk, Entries as _, Kind, TreeManifest};
use orlop_spec::{Algorithm, Digest, Limits};
use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use testkit::is_root;
use testkit::scratch::Scratch;

/// A folder as it was.
pub(crate) struct Known {
    pub(crate) tree: Tree,
    pub(crate) manifest: TreeManifest,
    /// By the ordinal of the file.
    pub(crate) contents: HashMap<u32, Vec<u8>>,
}

/// What a folder holds now.
pub(crate) fn known(folder: &Path) -> Known {
    let options = ScanOptions { unrepresentable: Unrepresentable::Skip, ..ScanOptions::default() };
    let mut scan = Scan::open(&Dir::open(folder).expect("opened"), options).expect("a scan");
    let (mut builder, mut contents) = (Builder::new(0, &Limits::default()), HashMap::new());
    let mut ordinal = 0;
    while let Some(entry) = scan.next_entry().expect("readable") {
        builder.add(ordinal, 0, &entry).expect("fits");
        if matches!(entry.kind, Kind::File { .. }) {
            let mut content = Vec::new();
            while let Some(chunk) = scan.next_chunk().expect("readable") {
                match chunk {
                    Chunk::Data(bytes) => content.extend_from_slice(bytes),
                    Chunk::Hole(length) => {
                        content.resize(content.len() + usize::try_from(length).expect("small"), 0);
                    }
                }
            }
            contents.insert(ordinal, content);
        }
        ordinal += 1;
    }
    let tree = Tree::default().stack(builder.finish()).expect("fits");
    let digest = |file: &Content| Digest::of(Algorithm::Sha256, &contents[&file.ordinal]);
    let Ok(manifest) = TreeManifest::of(&tree, None, |file| Ok::<Digest, Infallible>(digest(file)));
    Known { tree, manifest, contents }
}

fn set_xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()).expect("set");
}

/// A small tree with a bit of everything.
pub(crate) fn make(scratch: &Scratch, name: &str) -> std::path::PathBuf {
    let root = scratch.folder(name);
    for folder in ["bin", "etc", "var", "var/deep", "gone"] {
        fs::create_dir(root.join(folder)).expect("made");
    }
    for (file, content) in [
        ("bin/sh", &vec![1; 70_000][..]),
        ("bin/su", b"su"),
        ("etc/passwd", b"root"),
        ("etc/empty", b""),
        ("var/a", b"same"),
        ("var/one", b"1"),
        ("var/two", b"2"),
        ("gone/x", b"x"),
    ] {
        fs::write(root.join(file), content).expect("written");
    }
    fs::hard_link(root.join("var/a"), root.join("var/deep/b")).expect("linked");
    symlink("sh", root.join("bin/bash")).expect("linked");
    set_xattr(&root.join("etc/passwd"), "user.a", b"value");
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("var/fifo"), rustix::fs::Mode::from_raw_mode(0o600))
        .expect("made");
    root
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

fn replace(path: &Path, by: impl FnOnce(&Path)) {
    fs::remove_file(path).expect("removed");
    by(path);
}

pub(crate) type Tamper = (&'static str, fn(&Path), &'static [&'static str]);

/// What somebody may do to a tree, and what must be named.
const TAMPERS: &[Tamper] = &[
    (
        "content of equal size",
        |at| fs::write(at.join("bin/su"), "us").expect("written"),
        &["bin/su: content"],
    ),
    (
        "one bit of a longer content",
        |at| {
            let mut content = vec![1; 70_000];
            content[69_999] ^= 1;
            fs::write(at.join("bin/sh"), content).expect("written");
        },
        &["bin/sh: content"],
    ),
    ("size", |at| fs::write(at.join("bin/su"), "longer").expect("written"), &["bin/su: size"]),
    (
        "an empty file gets bytes",
        |at| fs::write(at.join("etc/empty"), "x").expect("written"),
        &["etc/empty: size"],
    ),
    ("mode", |at| chmod(&at.join("bin/su"), 0o4755), &["bin/su: mode"]),
    ("mode of a folder", |at| chmod(&at.join("etc"), 0o777), &["etc: mode"]),
    ("mode of the root", |at| chmod(at, 0o777), &["/: mode"]),
    (
        "an attribute",
        |at| set_xattr(&at.join("etc/passwd"), "user.a", b"other"),
        &["etc/passwd: xattr user.a"],
    ),
    ("a new attribute", |at| set_xattr(&at.join("bin"), "user.b", b"x"), &["bin: xattr user.b"]),
    (
        "an attribute less",
        |at| rustix::fs::removexattr(at.join("etc/passwd"), "user.a").expect("removed"),
        &["etc/passwd: xattr user.a"],
    ),
    ("an added file", |at| fs::write(at.join("bin/evil"), "").expect("written"), &["bin/evil: added File"]),
    (
        "an added folder, once for all in it",
        |at| fs::create_dir_all(at.join("new/below")).expect("made"),
        &["new: added Directory"],
    ),
    ("a removed file", |at| fs::remove_file(at.join("etc/empty")).expect("removed"), &["etc/empty: removed"]),
    (
        "a removed folder, once for all in it",
        |at| fs::remove_dir_all(at.join("gone")).expect("removed"),
        &["gone: removed"],
    ),
    (
        "a renamed file",
        |at| fs::rename(at.join("bin/su"), at.join("bin/sv")).expect("renamed"),
        &["bin/su: removed", "bin/sv: added File"],
    ),
    (
        "a symbolic link to elsewhere",
        |at| replace(&at.join("bin/bash"), |link| symlink("su", link).expect("linked")),
        &["bin/bash: target"],
    ),
    (
        "a link in the place of a file",
        |at| replace(&at.join("bin/su"), |file| symlink("sh", file).expect("linked")),
        &["bin/su: type"],
    ),
    (
        "a link in the place of a folder",
        |at| {
            fs::rename(at.join("gone"), at.join("var/moved")).expect("renamed");
            symlink("var/moved", at.join("gone")).expect("linked");
        },
        &["gone: type", "var/moved: added Directory"],
    ),
    (
        "a folder in the place of a file",
        |at| replace(&at.join("bin/su"), |file| fs::create_dir(file).expect("made")),
        &["bin/su: type"],
    ),
    (
        "a hard link that is a file of its own",
        |at| replace(&at.join("var/deep/b"), |file| fs::write(file, "same").expect("written")),
        &["var/deep/b: hard link of"],
    ),
    (
        "two files that are one",
        |at| replace(&at.join("var/two"), |file| fs::hard_link(at_one(file), file).expect("linked")),
        &["var/two: content, hard link of"],
    ),
    (
        "a file of the same bytes, put in the place of another",
        |at| replace(&at.join("bin/su"), |file| fs::write(file, "us").expect("written")),
        &["bin/su: content"],
    ),
    (
        "several at once",
        |at| {
            chmod(&at.join("bin/su"), 0o4711);
            fs::write(at.join("etc/passwd"), "toor").expect("written");
            fs::remove_file(at.join("var/deep/b")).expect("removed");
        },
        &["bin/su: mode", "etc/passwd: content", "var/deep/b: removed"],
    ),
];

fn at_one(two: &Path) -> std::path::PathBuf {
    two.with_file_name("one")
}

/// What only root may do.
const TAMPERS_OF_ROOT: &[Tamper] = &[
    (
        "owner",
        |at| std::os::unix::fs::lchown(at.join("bin/su"), Some(7), None).expect("given"),
        &["bin/su: uid"],
    ),
    ("group", |at| std::os::unix::fs::lchown(at.join("bin"), None, Some(7)).expect("given"), &["bin: gid"]),
    (
        "owner of a link",
        |at| std::os::unix::fs::lchown(at.join("bin/bash"), Some(7), Some(8)).expect("given"),
        &["bin/bash: uid, gid"],
    ),
    (
        "a device in the place of a fifo",
        |at| replace(&at.join("var/fifo"), |node| device(node, 3)),
        &["var/fifo: type"],
    ),
    (
        "a capability",
        |at| {
            let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            set_xattr(&at.join("bin/su"), "security.capability", &capability);
        },
        &["bin/su: xattr security.capability"],
    ),
];

fn device(node: &Path, minor: u32) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let numbers = rustix::fs::makedev(1, minor);
    rustix::fs::mknodat(rustix::fs::CWD, node, rustix::fs::FileType::CharacterDevice, mode, numbers)
        .expect("made");
}

pub(crate) fn tampers() -> Vec<&'static Tamper> {
    let privileged = if is_root() { TAMPERS_OF_ROOT } else { &[] };
    TAMPERS.iter().chain(privileged).collect()
}
