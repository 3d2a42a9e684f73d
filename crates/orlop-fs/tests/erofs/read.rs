//! What is written is read back, and nothing else is.

use crate::trees::{Places, entry, packed, random_tree, stacked};
use orlop_fs::erofs::{self, BLOCK, Describe, Image, Place};
use orlop_layer::tree::{InodeId, InodeKind};
use orlop_layer::{Kind, Meta, Tree};
use orlop_spec::Limits;
use std::collections::HashMap;
use testkit::{proof, torture};

/// Where inodes begin in an image without devices.
const INODES: usize = 1536;

fn written(tree: &Tree, devices: &[u64], places: &Places) -> Vec<u8> {
    let mut image = Vec::new();
    erofs::write(tree, devices, places, &mut image).expect("written");
    image
}

fn read(bytes: &[u8]) -> orlop_fs::Result<Image<'_>> {
    erofs::read(bytes, &Limits::default())
}

/// The tree and the places of the image are those that were written.
fn check(tree: &Tree, places: &Places, image: &Image<'_>) {
    let mut partners: HashMap<InodeId, InodeId> = HashMap::new();
    assert_eq!(tree.len(), image.tree.len());
    for ((path, ours), (other, theirs)) in tree.walk().zip(image.tree.walk()) {
        assert_eq!(path, other);
        assert_eq!(*partners.entry(ours).or_insert(theirs), theirs, "{path}: names of one file");
        assert_eq!(tree.names(ours), image.tree.names(theirs), "{path}");
        let (ours, theirs) = (tree.inode(ours), image.tree.inode(theirs));
        assert_eq!(ours.meta, theirs.meta, "{path}");
        match (&ours.kind, &theirs.kind) {
            (InodeKind::File(ours), InodeKind::File(theirs)) => {
                let place = if ours.size == 0 { Ok(Place::Nowhere) } else { places.place(ours) };
                assert_eq!(ours.size, theirs.size, "{path}");
                assert_eq!(place.expect("told"), image.place(theirs), "{path}");
            }
            (ours, theirs) => assert_eq!(ours, theirs, "{path}"),
        }
    }
}

#[test]
fn what_is_written_is_read_back() {
    const DEVICE: u64 = 1 << 20;
    let trees = if testkit::full() { 2000 } else { 60 };
    for seed in 1..=trees {
        let mut places = Places::default();
        let tree = random_tree(seed, DEVICE, &mut places);
        let image = written(&tree, &[DEVICE], &places);
        let image = read(&image).expect("read");
        assert_eq!(image.devices, [DEVICE / BLOCK]);
        check(&tree, &places, &image);
    }
    let scratch = testkit::scratch();
    let root = scratch.path("tree");
    let power = if testkit::is_root() { torture::Power::Root } else { torture::Power::User };
    torture::make(&root, power);
    let (tree, _) = packed(&root);
    check(&tree, &Places::default(), &read(&written(&tree, &[], &Places::default())).expect("read"));
    proof::ran("erofs: what is written is read back", usize::try_from(trees).expect("few") + 1);
}

/// A tree of a few blocks that has everything.
fn small() -> (Tree, Places) {
    let file = |name: &[u8], size| entry(name, Kind::File { size }, Meta::default());
    let with = Meta {
        xattrs: [(b"user.a"[..].into(), b"one"[..].into()), (b"trusted.b"[..].into(), Box::default())].into(),
        ..Meta::default()
    };
    let long = [b"long/".as_slice(), &[b'n'; 250]].concat();
    let tree = stacked([
        entry(b"", Kind::Directory, with),
        file(b"held", 5),
        file(b"elsewhere", 600),
        file(b"nowhere", 1 << 50),
        entry(b"link", Kind::Symlink { target: b"held"[..].into() }, Meta::default()),
        entry(b"pipe", Kind::Fifo, Meta::default()),
        entry(b"long", Kind::Directory, Meta::default()),
        entry(&long, Kind::Directory, Meta::default()),
        entry(&[&long[..], b"/below"].concat(), Kind::Fifo, Meta::default()),
        entry(b"again", Kind::HardLink { target: path(b"held") }, Meta::default()),
        file(&[&long[..254], b"m"].concat(), 0),
        file(&[&long[..254], b"o"].concat(), 0),
    ]);
    let places = Places(HashMap::from([(2 * BLOCK, BLOCK)]), HashMap::from([(BLOCK, b"bytes".to_vec())]));
    (tree, places)
}

fn path(path: &[u8]) -> orlop_layer::TreePath {
    orlop_layer::TreePath::parse(path).expect("a path")
}

/// What an image says; the tree knows its contents by number, so their places are named with it.
fn said(image: &Image<'_>) -> (Tree, Vec<u64>, Vec<String>) {
    let place = |id| match &image.tree.inode(id).kind {
        InodeKind::File(content) => format!("{:?}", image.place(content)),
        _ => String::new(),
    };
    let places = image.tree.walk().map(|(_, id)| place(id)).collect();
    (image.tree.clone(), image.devices.clone(), places)
}

/// Modes, owners, times, names: another value of them is another image. All else has one form.
#[test]
fn a_flipped_bit_is_refused_or_shows() {
    let (tree, places) = small();
    let mut image = written(&tree, &[4096], &places);
    let original = read(&image).expect("read");
    check(&tree, &places, &original);
    let (original, mut refused) = (said(&original), 0);
    // Seven has no factor of eight: every bit of a byte has its turn.
    let bits = (0..image.len() * 8).step_by(if testkit::full() { 1 } else { 7 });
    let flipped = bits.len();
    for bit in bits {
        image[bit / 8] ^= 1 << (bit % 8);
        match read(&image) {
            Ok(other) => assert!(said(&other) != original, "bit {} of byte {}", bit % 8, bit / 8),
            Err(_) => refused += 1,
        }
        image[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(refused * 10 > flipped * 8, "{refused} of {flipped} are refused");
    proof::ran("erofs: a flipped bit is refused or shows", flipped);
}

#[test]
fn an_image_of_another_length_is_refused() {
    let (tree, places) = small();
    let image = written(&tree, &[4096], &places);
    for length in 0..image.len() {
        assert!(read(&image[..length]).is_err(), "{length} bytes of it");
    }
    assert!(read(&[&image[..], &[0; 512]].concat()).is_err(), "a block more");
}

/// Folders within each other; `lead` says where the name of each next one leads, by the numbers of inodes.
fn chain(length: usize, lead: impl Fn(u64) -> u64) -> Vec<u8> {
    // An inode and its three names, up to the next multiple of 32; the name of the next folder is the last.
    const FOLDER: usize = 128;
    const LAST: usize = 64 + 2 * 12;
    let names = (0..length).map(|depth| b"a/".repeat(depth));
    let tree = stacked(names.map(|name| entry(&name, Kind::Directory, Meta::default())));
    let mut image = written(&tree, &[], &Places::default());
    for folder in 0..length - 1 {
        let number = &mut image[INODES + folder * FOLDER + LAST..][..8];
        let led = lead(u64::from_le_bytes(number.try_into().expect("eight")));
        number.copy_from_slice(&led.to_le_bytes());
    }
    image
}

#[test]
fn j3_folders_that_lead_in_circles_end() {
    assert!(read(&chain(5, |number| number)).is_ok());
    let first = u64::try_from(INODES).expect("small") / 32;
    assert!(read(&chain(5, |_| first)).is_err(), "to the root");
    assert!(read(&chain(5, |number| number + 4)).is_err(), "each to the next but one");
    assert!(read(&chain(5, |_| u64::MAX)).is_err(), "beyond any image");
}

#[test]
fn limits_hold_for_images_too() {
    let image = chain(6, |number| number);
    let bounded = |limits: Limits| erofs::read(&image, &limits).map(|image| image.tree.len());
    assert_eq!(bounded(Limits { depth: 5, ..Limits::default() }).expect("read"), 6);
    for limits in [
        Limits { depth: 4, ..Limits::default() },
        Limits { entries: 4, ..Limits::default() },
        Limits { path: 8, ..Limits::default() },
    ] {
        let error = orlop_spec::Fault::from(bounded(limits).expect_err("beyond a limit"));
        assert_eq!(orlop_spec::Diagnose::kind(&error), orlop_spec::Kind::Limit, "{error}");
    }
}

/// A file of 2⁶² bytes has as many chunks as need 32 MiB to be told; the image has not got them.
#[test]
fn t6_a_size_that_the_image_cannot_bear_out_is_refused() {
    let tree = stacked([
        entry(b"", Kind::Directory, Meta::default()),
        entry(b"f", Kind::File { size: 1 }, Meta::default()),
    ]);
    let image = written(&tree, &[], &Places::default());
    let at = (INODES..image.len()).step_by(32).find(|at| image[at + 8..at + 16] == 1_u64.to_le_bytes());
    for size in [u64::MAX, u64::MAX >> 1, 1 << 62, 1 << 41] {
        let mut image = image.clone();
        image[at.expect("the file") + 8..][..8].copy_from_slice(&size.to_le_bytes());
        assert!(read(&image).is_err(), "{size} bytes");
    }
}
