//! Trees to write: at random, and of folders.

use orlop_fs::erofs::{BLOCK, Describe, Place};
use orlop_fs::scan::{Scan, ScanOptions};
use orlop_fs::{Dir, Result};
use orlop_layer::codec::Codec;
use orlop_layer::tree::{Builder, Content};
use orlop_layer::{Device, Encode, Entry, Kind, Meta, Time, Tree, TreePath, encode};
use orlop_spec::{Algorithm, Cancel, Limits};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::Path;

/// Contents lie where the first map says, by the offset of their entry, or are in the second; what neither holds is
/// nowhere.
#[derive(Default)]
pub(crate) struct Places(pub(crate) HashMap<u64, u64>, pub(crate) HashMap<u64, Vec<u8>>);

impl Describe for Places {
    fn place(&self, content: &Content) -> Result<Place<'_>> {
        if let Some(bytes) = self.1.get(&content.offset) {
            return Ok(Place::Here(bytes));
        }
        let at = self.0.get(&content.offset);
        Ok(at.map_or(Place::Nowhere, |at| Place::Device { device: 0, at: *at }))
    }
}

pub(crate) fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

pub(crate) fn entry(path: &[u8], kind: Kind, meta: Meta) -> Entry {
    Entry { path: TreePath::parse(path).expect("a path"), kind, meta }
}

/// A layer of entries, stacked.
pub(crate) fn stacked(entries: impl IntoIterator<Item = Entry>) -> Tree {
    let mut builder = Builder::new(0, &Limits::default());
    for (at, entry) in entries.into_iter().enumerate() {
        let ordinal = u32::try_from(at).expect("few");
        builder.add(ordinal, u64::from(ordinal) * BLOCK, &entry).expect("added");
    }
    Tree::default().stack(builder.finish()).expect("stacked")
}

/// A folder as the tar that orlop makes of it, and its tree.
pub(crate) fn packed(root: &Path) -> (Tree, Vec<u8>) {
    let mut tar = Vec::new();
    let how = Encode {
        codec: Codec::None,
        algorithm: Algorithm::Sha256,
        workers: NonZeroUsize::MIN,
        limits: &Limits::default(),
        cancel: &Cancel::new(),
        progress: &|_| {},
    };
    let options =
        ScanOptions { unrepresentable: orlop_fs::scan::Unrepresentable::Skip, ..ScanOptions::default() };
    let mut scan = Scan::open(&Dir::open(root).expect("opened"), options).expect("a scan");
    let tree = encode(&mut scan, &how, &mut tar).expect("encoded").tree;
    let tree = Tree::default().stack(tree).expect("stacked");
    (tree, tar)
}

/// A tree of everything, with contents anywhere in a device of so many bytes, in the image or nowhere.
pub(crate) fn random_tree(seed: u64, device: u64, places: &mut Places) -> Tree {
    let mut next = numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut folders = vec![Vec::new()];
    let mut files: Vec<Vec<u8>> = Vec::new();
    let mut entries = vec![entry(b"", Kind::Directory, meta(&mut next))];
    for number in 0..=next(1500) {
        let parent = &folders[usize::try_from(next(folders.len() as u64)).expect("few")];
        let longest = if next(10) == 0 { 240 } else { 12 };
        let length = usize::try_from(next(longest)).expect("short");
        let name: Vec<u8> = (0..length)
            .map(|_| u8::try_from(33 + next(200)).expect("a byte"))
            .map(|byte| if byte == b'/' { b'!' } else { byte })
            .collect();
        let path = [parent.as_slice(), b"/", &name, number.to_string().as_bytes()].concat();
        let path = path.strip_prefix(b"/").map_or(path.clone(), <[u8]>::to_vec);
        let kind = match next(12) {
            0..3 => Kind::Directory,
            3 => Kind::Symlink { target: vec![b'x'; usize::try_from(1 + next(600)).expect("short")].into() },
            4 => Kind::Fifo,
            5 => Kind::CharDevice(Device {
                major: 1 + u32::try_from(next(4000)).expect("few"),
                minor: u32::try_from(next(1 << 20)).expect("few"),
            }),
            6 => Kind::BlockDevice(Device { major: 8, minor: u32::try_from(next(1 << 20)).expect("few") }),
            7 if !files.is_empty() => {
                let target = &files[usize::try_from(next(files.len() as u64)).expect("few")];
                Kind::HardLink { target: TreePath::parse(target).expect("a path") }
            }
            _ => Kind::File {
                size: [0, 1, 511, 512, 513, next(100_000)][usize::try_from(next(6)).expect("few")],
            },
        };
        match &kind {
            Kind::Directory => folders.push(path.clone()),
            Kind::File { size } => {
                files.push(path.clone());
                if next(4) == 0 {
                    let bytes = (0..*size).map(|_| u8::try_from(next(256)).expect("a byte")).collect();
                    places.1.insert(entries.len() as u64 * BLOCK, bytes);
                } else if next(8) > 0 {
                    places.0.insert(entries.len() as u64 * BLOCK, next((device - size) / BLOCK) * BLOCK);
                }
            }
            _ => {}
        }
        entries.push(entry(&path, kind, meta(&mut next)));
    }
    stacked(entries)
}

/// Any owner, mode, time and attributes.
fn meta(next: &mut impl FnMut(u64) -> u64) -> Meta {
    let mut meta = Meta {
        mode: u16::try_from(next(0o10000)).expect("twelve bits"),
        uid: u32::try_from(next(u64::from(u32::MAX) - 1)).expect("32 bits"),
        gid: u32::try_from(next(70_000)).expect("32 bits"),
        mtime: Time {
            seconds: i64::try_from(next(1 << 34)).expect("positive") - (1 << 32),
            nanoseconds: u32::try_from(next(1_000_000_000)).expect("30 bits"),
        },
        ..Meta::default()
    };
    for number in 0..next(12).saturating_sub(8) {
        let value = vec![b'v'; usize::try_from(next(700)).expect("short")];
        meta.xattrs.insert(format!("user.name{number}").into_bytes().into(), value.into());
        meta.xattrs.insert(format!("trusted.{number}").into_bytes().into(), Box::default());
    }
    meta
}
