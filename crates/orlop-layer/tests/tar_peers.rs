//! Archives of other writers are read: what the kernel said of the trees, the reader says of the archives.

mod recorded;

use orlop_layer::{Device, Entry, Kind, Meta};
use orlop_spec::digest::{Algorithm, Digest};
use recorded::{read, recorded, text, unhex};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Entries with their contents, by path.
type Tree = BTreeMap<Vec<u8>, (Entry, Vec<u8>)>;

/// Hard links become what they are links to.
fn tree(tar: &[u8]) -> Tree {
    let mut tree = Tree::new();
    for (mut entry, mut content) in read(tar).expect("a good archive") {
        if let Kind::HardLink { target } = &entry.kind {
            let (first, same) = tree[target.as_bytes()].clone();
            (entry.kind, content, entry.meta) = (first.kind, same, first.meta);
        }
        tree.insert(entry.path.as_bytes().to_vec(), (entry, content));
    }
    tree
}

/// What the recording script saw on disk, in the words of the expectation's file.
fn described(path: &[u8], entry: &Entry, content: &[u8], keeps: &str) -> String {
    let Meta { mode, uid, gid, mtime, xattrs } = &entry.meta;
    let (letter, link) = match &entry.kind {
        Kind::File { .. } => ('f', Vec::new()),
        Kind::Directory => ('d', Vec::new()),
        Kind::Symlink { target } => ('l', target.to_vec()),
        Kind::CharDevice(device) => ('c', numbers(*device)),
        Kind::BlockDevice(device) => ('b', numbers(*device)),
        Kind::Fifo => ('p', Vec::new()),
        other => panic!("{other:?} is in no tree"),
    };
    let nanoseconds = if keeps.contains("ns") { mtime.nanoseconds } else { 0 };
    let time = i128::from(mtime.seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let hash = Digest::of(Algorithm::Sha256, content).hex();
    let xattrs: Vec<_> = xattrs.iter().map(|(name, value)| format!("{}={}", hex(name), hex(value))).collect();
    let (path, link, size, xattrs) = (hex(path), hex(&link), content.len(), xattrs.join(","));
    format!("{path} {letter} {mode:o} {uid} {gid} {time} {size} {hash} {link} {xattrs}")
}

fn expected(line: &str, keeps: &str) -> (Vec<u8>, String) {
    let fields: Vec<&str> = line.split('\t').collect();
    let &[path, letter, mode, uid, gid, time, _inode, size, hash, link, xattrs] = &fields[..] else {
        panic!("eleven fields: {line}")
    };
    let second = 1_000_000_000;
    let time: i128 = time.parse().expect("nanoseconds");
    let time = if keeps.contains("ns") { time } else { time.div_euclid(second) * second };
    // libarchive rounds the seconds down, and then writes the fraction behind a minus.
    let floor = time.div_euclid(second) * second;
    let time = if keeps.contains("minus-floor") && time < 0 { floor - time.rem_euclid(second) } else { time };
    let xattrs = if keeps.contains("xattr") { xattrs } else { "" };
    (unhex(path), format!("{path} {letter} {mode} {uid} {gid} {time} {size} {hash} {link} {xattrs}"))
}

fn numbers(device: Device) -> Vec<u8> {
    format!("{}:{}", device.major, device.minor).into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

#[test]
fn item_42_and_43_archives_of_other_writers_are_read() {
    let archives = text("archives");
    for archive in archives.lines() {
        let fields: Vec<&str> = archive.split('\t').collect();
        let &[name, of, keeps, _version] = &fields[..] else { panic!("four fields: {archive}") };
        let mut found = tree(&recorded(name));
        found.remove(&b""[..]);
        let mut count = 0;
        for line in text(&format!("{of}.expected")).lines() {
            let (path, expected) = expected(line, keeps);
            let (entry, content) =
                found.get(&path).unwrap_or_else(|| panic!("{name}: {expected} is missing"));
            assert_eq!(described(&path, entry, content, keeps), expected, "{name}");
            count += 1;
        }
        assert_eq!(found.len(), count, "{name}");
    }
    assert!(archives.lines().count() >= 22);
}
