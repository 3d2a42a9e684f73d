//! Our EROFS images: any bytes are refused or read, and what is written of any tree is read back.
//!
//! Four bytes are an entry of the tree: what it is, its folder and name, and a number for everything else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_fs::Result;
use orlop_fs::erofs::{self, BLOCK, Describe, Place};
use orlop_fuzz::limits;
use orlop_layer::tree::{Builder, Content, InodeKind, Tree};
use orlop_layer::{Device, Entry, Kind, Meta, Time, TreePath};

const DEVICE: u64 = 1 << 20;
const BYTES: [u8; 600] = [7; 600];
const NAMES: [&str; 4] = ["a", "b", "c", "ddddddddddddddddddddddddddddddddddddddddddddddddd"];
const FOLDERS: [&str; 8] = ["", "", "a/", "b/", "c/", "a/a/", "a/b/", "b/c/"];

fuzz_target!(|bytes: &[u8]| {
    if let Ok(image) = erofs::read(bytes, &limits()) {
        assert!(image.tree.walk().count() as u64 == image.tree.len());
    }
    let mut builder = Builder::new(0, &limits());
    for (ordinal, four) in (0..).zip(bytes.chunks_exact(4)) {
        // One that the tree refuses is left out.
        let _ = builder.add(ordinal, four[3].into(), &entry(four));
    }
    let Ok(tree) = Tree::default().stack(builder.finish()) else { return };
    let mut image = Vec::new();
    erofs::write(&tree, &[DEVICE], &Anywhere, &mut image).expect("written");
    let read = erofs::read(&image, &limits()).expect("what was written is read");
    assert_eq!(read.tree.len(), tree.len());
    for ((path, ours), (other, theirs)) in tree.walk().zip(read.tree.walk()) {
        let (ours, theirs) = (tree.inode(ours), read.tree.inode(theirs));
        assert_eq!((path, &ours.meta), (other, &theirs.meta));
        match (&ours.kind, &theirs.kind) {
            (InodeKind::File(ours), InodeKind::File(theirs)) if ours.size > 0 => {
                assert_eq!(ours.size, theirs.size);
                assert_eq!(Anywhere.place(ours).expect("told"), read.place(theirs));
            }
            (InodeKind::File(ours), InodeKind::File(theirs)) => assert_eq!(ours.size, theirs.size),
            (ours, theirs) => assert_eq!(ours, theirs),
        }
    }
});

/// Where a content lies depends on the last byte of its entry.
struct Anywhere;

impl Describe for Anywhere {
    fn place(&self, content: &Content) -> Result<Place<'_>> {
        Ok(match (content.offset % 3, BYTES.get(..usize::try_from(content.size).unwrap_or(usize::MAX))) {
            (0, Some(bytes)) => Place::Here(bytes),
            (1, _) => Place::Device { device: 0, at: content.offset * BLOCK },
            _ => Place::Nowhere,
        })
    }
}

fn entry(four: &[u8]) -> Entry {
    let pick = |from: &[&'static str], index: u8| from[usize::from(index) % from.len()];
    let path = |index: u8| format!("{}{}", pick(&FOLDERS, index), pick(&NAMES, index / 8));
    let parse = |path: &str| TreePath::parse(path.as_bytes()).expect("a path");
    let number = four[3];
    let device = Device { major: u32::from(number) << 4, minor: u32::from(number) << 12 };
    let kind = match four[0] % 8 {
        0 => Kind::Directory,
        1 => Kind::Symlink { target: vec![b'x'; number.max(1).into()].into() },
        2 => Kind::HardLink { target: parse(&path(number)) },
        3 => Kind::CharDevice(device),
        4 => Kind::BlockDevice(device),
        5 => Kind::Fifo,
        _ => Kind::File { size: [u64::from(number), u64::from(number) << 32][usize::from(four[0] / 8 % 2)] },
    };
    let meta = Meta {
        mode: u16::from(four[2]) << 4,
        uid: number.into(),
        mtime: Time { seconds: i64::from(number) - 100, nanoseconds: four[2].into() },
        xattrs: (0..four[2] % 3).map(|it| (name(it), vec![it; number.into()].into())).collect(),
        ..Meta::default()
    };
    Entry { path: parse(&path(four[1])), kind, meta }
}

fn name(number: u8) -> Box<[u8]> {
    format!("user.{number}").into_bytes().into()
}
