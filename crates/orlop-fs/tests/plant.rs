//! Trees from contents that lie elsewhere: whole, as a skeleton that the kernel's overlay fills, and as an EROFS image.

mod scratch;

use orlop_fs::erofs::{self, Describe, Place};
use orlop_fs::mount::{InUse, Mount, Overlay, unmount};
use orlop_fs::overlay::{self, Flavour};
use orlop_fs::scan::{Scan, ScanOptions, Unreadable, Unrepresentable};
use orlop_fs::staging::{Apply, Durable, Existing, Planted, Source, Staging, Supply};
use orlop_fs::{Dir, Error, Result};
use orlop_layer::codec::Codec;
use orlop_layer::tar::Reader;
use orlop_layer::tree::{Builder, Content, Inode, InodeKind};
use orlop_layer::{Chunk, Encode, Entries as _, Entry, Kind, Meta, Tree, TreePath, Xattrs, encode};
use orlop_spec::{Algorithm, Cancel, Diagnose as _, Digest, Event, Limits, Observer};
use scratch::{Who, again_as};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Cursor;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use testkit::disk::{LoopDisk, Missing};
use testkit::dump::dump;
use testkit::{Scratch, is_root, proof, torture};

/// Contents of more bytes are files of their own.
const SHORT: usize = 4;

/// More than most trees of these tests have folders.
const WORKERS: NonZeroUsize = NonZeroUsize::new(7).expect("some");

/// What a tree's files hold, by their ordinals, and the folder that holds the long ones.
struct Contents {
    bytes: HashMap<u32, Vec<u8>>,
    folder: PathBuf,
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    Whole,
    Skeleton,
}

impl Contents {
    fn new(scratch: &Scratch, bytes: HashMap<u32, Vec<u8>>, form: Form) -> Self {
        let folder = scratch.folder("objects");
        for (ordinal, bytes) in bytes.iter().filter(|(_, bytes)| bytes.len() > SHORT) {
            fs::write(folder.join(ordinal.to_string()), bytes).expect("written");
        }
        Self { bytes, folder, form }
    }

    fn short(&self, content: &Content) -> Option<&[u8]> {
        self.bytes.get(&content.ordinal).map(Vec::as_slice).filter(|bytes| bytes.len() <= SHORT)
    }
}

impl Supply for Contents {
    fn source(&self, content: &Content) -> Result<Source<'_>> {
        match (self.short(content), self.form) {
            (Some(bytes), _) => Ok(Source::Bytes(bytes)),
            (None, Form::Whole) => {
                Dir::open(&self.folder)?.open_file(content.ordinal.to_string()).map(Source::File)
            }
            (None, Form::Skeleton) => {
                Ok(Source::Elsewhere(Flavour::User, format!("/{}", content.ordinal).into_bytes()))
            }
        }
    }
}

impl Describe for Contents {
    fn place(&self, content: &Content) -> Result<Place<'_>> {
        Ok(self.short(content).map_or(Place::Nowhere, Place::Here))
    }

    fn attributes<'i>(&self, inode: &'i Inode) -> Result<Cow<'i, Xattrs>> {
        let data = match &inode.kind {
            InodeKind::File(content) if content.size > 0 && self.short(content).is_none() => {
                Some(format!("/{}", content.ordinal).into_bytes())
            }
            _ => None,
        };
        Ok(Cow::Owned(overlay::attributes(&inode.meta.xattrs, Flavour::Trusted, data.as_deref())))
    }
}

/// A mount that is taken away when it is dropped.
struct Shown(PathBuf);

impl Shown {
    fn new(scratch: &Scratch, name: &str, mount: Mount) -> Self {
        let place = scratch.folder(name);
        mount.attach(&place).expect("attached");
        Self(place)
    }

    /// The skeleton in `root`, filled from `objects`.
    fn skeleton(scratch: &Scratch, root: &Path, objects: &Path) -> Result<Self> {
        let overlay = Overlay { lower: &[root], data: &[objects], upper: None, flavour: Flavour::User };
        Mount::overlay(&overlay).map(|mount| Self::new(scratch, "shown", mount))
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        unmount(&self.0, InUse::Detach).expect("unmounted");
    }
}

fn planted(root: &Path, tree: &Tree, contents: &Contents) -> Planted {
    let layer_of = match contents.form {
        Form::Whole => None,
        Form::Skeleton => Some(Flavour::User),
    };
    let apply = Apply { layer_of, ..Apply::default() };
    let mut staging = Staging::create(root, Existing::Refuse, apply).expect("staged");
    let planted = staging.plant(tree, contents, WORKERS).expect("planted");
    staging.publish(Durable::No).expect("published");
    planted
}

/// A folder as a tree, and what its files hold.
fn packed(root: &Path) -> (Tree, HashMap<u32, Vec<u8>>) {
    let (limits, mut tar) = (Limits::default(), Vec::new());
    let how = Encode {
        codec: Codec::None,
        algorithm: Algorithm::Sha256,
        workers: NonZeroUsize::MIN,
        limits: &limits,
        cancel: &Cancel::new(),
        progress: &|_| {},
    };
    let options = ScanOptions {
        unrepresentable: Unrepresentable::Skip,
        unreadable: Unreadable::Lend,
        ..ScanOptions::default()
    };
    let mut scan = Scan::open(&Dir::open(root).expect("opened"), options).expect("a scan");
    let tree = encode(&mut scan, &how, &mut tar).expect("encoded").tree;
    let mut reader = Reader::new(Cursor::new(tar), &limits);
    let (mut bytes, mut ordinal) = (HashMap::new(), 0);
    while let Some(entry) = reader.next_entry().expect("read") {
        if let Kind::File { size: 1.. } = entry.kind {
            let content: &mut Vec<u8> = bytes.entry(ordinal).or_default();
            while let Some(chunk) = reader.next_chunk().expect("read") {
                match chunk {
                    Chunk::Data(data) => content.extend(data),
                    Chunk::Hole(length) => {
                        content.resize(content.len() + usize::try_from(length).expect("short"), 0);
                    }
                }
            }
        }
        ordinal += 1;
    }
    (Tree::default().stack(tree).expect("stacked"), bytes)
}

/// What the tar lacks, and what means a removal to an overlay.
const LACKING: [&str; 3] = ["socket", "file whose own name begins .wh.", "sparse file (holes kept)"];
const REMOVAL: &str = "character device 0:0";

#[test]
fn a_planted_tree_is_the_tree() {
    let scratch = testkit::scratch();
    let root = scratch.path("tree");
    let power = if is_root() { torture::Power::Root } else { torture::Power::User };
    let features = torture::make(&root, power);
    let (tree, bytes) = packed(&root);
    let contents = Contents::new(&scratch, bytes, Form::Whole);
    let made = planted(&scratch.path("planted"), &tree, &contents);
    assert!(made.report.losses.is_empty(), "{:?}", made.report);
    let long = contents.bytes.values().filter(|bytes| bytes.len() > SHORT).count();
    assert_eq!(made.shared + made.copied, long as u64);
    let losses = torture::compare(&features, &dump(&root), &dump(&scratch.path("planted")));
    assert_eq!(torture::lost_features(&losses), LACKING, "{losses:?}");
}

/// Whether the kernel fills a tree that is a folder from data layers by attributes that any user sets (since 6.16 or so).
fn offers_skeletons(name: &str) -> bool {
    if !is_root() {
        proof::not_offered(name, "only root may mount");
        return false;
    }
    let scratch = testkit::scratch();
    let contents = Contents::new(&scratch, HashMap::from([(1, b"content".to_vec())]), Form::Skeleton);
    planted(&scratch.path("tree"), &two_files(7), &contents);
    let read = Shown::skeleton(&scratch, &scratch.path("tree"), &contents.folder)
        .map(|shown| fs::read(shown.0.join("a")).expect("read"));
    let is_offered = read.is_ok_and(|bytes| bytes == b"content");
    if !is_offered {
        proof::not_offered(name, "this kernel does not follow `user.overlay` to data layers");
    }
    is_offered
}

/// Files of one size: `a`, which is hard linked as `b`.
fn two_files(size: u64) -> Tree {
    stacked([
        entry("", Kind::Directory, []),
        entry("a", Kind::File { size }, []),
        entry("b", Kind::HardLink { target: TreePath::parse(b"a").expect("a path") }, []),
    ])
}

fn entry<'a>(path: &str, kind: Kind, xattrs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Entry {
    let bytes = |text: &str| text.as_bytes().into();
    let xattrs = xattrs.into_iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
    let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
    Entry {
        path: TreePath::parse(path.as_bytes()).expect("a path"),
        kind,
        meta: Meta { mode, xattrs, ..Meta::default() },
    }
}

fn stacked(entries: impl IntoIterator<Item = Entry>) -> Tree {
    let mut builder = Builder::new(0, &Limits::default());
    for (ordinal, entry) in (0..).zip(entries) {
        builder.add(ordinal, 0, &entry).expect("added");
    }
    Tree::default().stack(builder.finish()).expect("stacked")
}

#[test]
fn an_overlay_fills_a_skeleton() {
    const PROOF: &str = "skeleton: an overlay fills it, and the tree is the same";
    if !offers_skeletons(PROOF) {
        return;
    }
    let scratch = testkit::scratch();
    let root = scratch.path("tree");
    let features = torture::make(&root, torture::Power::Root);
    let (tree, bytes) = packed(&root);
    let contents = Contents::new(&scratch, bytes, Form::Skeleton);
    planted(&scratch.path("planted"), &tree, &contents);
    let shown = Shown::skeleton(&scratch, &scratch.path("planted"), &contents.folder).expect("shown");
    let losses = torture::compare(&features, &dump(&root), &dump(&shown.0));
    assert_eq!(torture::lost_features(&losses), [&LACKING[..], &[REMOVAL]].concat(), "{losses:?}");
    let (a, b) = (fs::metadata(shown.0.join("hl-a")).expect("there"), fs::metadata(shown.0.join("hl/c")));
    assert_eq!((a.nlink(), a.ino()), (3, b.expect("there").ino()));
    proof::ran(PROOF, features.len());
}

/// A skeleton is only a tree by its attributes: without them the files hold zeros, and that must be seen.
#[test]
fn a_skeleton_holds_no_content_itself() {
    let scratch = testkit::scratch();
    let contents = Contents::new(&scratch, HashMap::from([(1, vec![7; 1 << 20])]), Form::Skeleton);
    planted(&scratch.path("tree"), &two_files(1 << 20), &contents);
    let stat = fs::metadata(scratch.path("tree/a")).expect("there");
    assert_eq!((stat.len(), stat.nlink()), (1 << 20, 2));
    assert!(stat.blocks() < 64, "it occupies {} blocks", stat.blocks());
}

/// Contents that are proven by their digests, in the files that a folder has.
struct Named {
    folder: PathBuf,
    digest: Digest,
}

impl Supply for Named {
    fn source(&self, _: &Content) -> Result<Source<'_>> {
        Ok(Source::Proven(Dir::open(&self.folder)?.open_file("content")?, self.digest))
    }
}

/// Plants one file in the folder `place` of a scratch, whose content is the file `content` there.
fn planted_proven(place: &Path, size: u64, digest: Digest) -> Result<Planted> {
    let supply = Named { folder: place.into(), digest };
    let mut staging = Staging::create(place.join("tree"), Existing::Refuse, Apply::default())?;
    let planted = staging.plant(&two_files(size), &supply, WORKERS)?;
    staging.publish(Durable::No)?;
    Ok(planted)
}

#[test]
fn a_proven_content_is_copied_with_its_holes_or_nothing_is() {
    let mut content = vec![0; 3 << 20];
    content[1 << 20..][..5].copy_from_slice(b"bytes");
    let digest = Digest::of(Algorithm::Sha256, &content);
    for scratch in [testkit::scratch(), testkit::scratch::scratch_in_memory()] {
        scratch.file("content", &content);
        let made =
            planted_proven(scratch.root(), content.len() as u64, digest).expect("it is what it should be");
        assert_eq!((made.shared, made.copied), (0, 1));
        assert!(fs::read(scratch.path("tree/a")).expect("there") == content);
        assert!(fs::metadata(scratch.path("tree/a")).expect("there").blocks() < 2048, "zeros are holes");
        fs::remove_dir_all(scratch.path("tree")).expect("ours");
        for at in [0, 1 << 20, content.len() - 1] {
            let mut other = content.clone();
            other[at] ^= 1;
            fs::write(scratch.path("content"), &other).expect("ours");
            let refused = planted_proven(scratch.root(), content.len() as u64, digest).expect_err("another");
            assert!(matches!(refused, Error::Unproven { .. }), "{refused:?}");
            assert!(refused.to_string().contains(&digest.to_string()), "{refused}");
            assert_eq!(refused.kind(), orlop_spec::Kind::Integrity);
        }
        scratch.file("content", &content[1..]);
        let refused = planted_proven(scratch.root(), content.len() as u64, digest).expect_err("shorter");
        assert!(matches!(refused, Error::Unproven { .. }), "{refused:?}");
        assert!(!scratch.path("tree").exists());
    }
}

#[test]
fn a_proven_content_shares_its_blocks_where_the_file_system_can() {
    for kind in ["xfs", "btrfs"] {
        let name = format!("plant: contents are shared on {kind}");
        let scratch = testkit::scratch();
        let _disk = match LoopDisk::at(scratch.folder("disk"), kind) {
            Ok(disk) => disk,
            Err(Missing::Program(program)) => {
                proof::skipped(&name, &format!("{program} is missing"));
                continue;
            }
            Err(Missing::Kernel(why)) => {
                proof::not_offered(&name, &why);
                continue;
            }
        };
        let content = testkit::noise(1, 1 << 20);
        let digest = Digest::of(Algorithm::Sha256, &content);
        let path = scratch.file("disk/content", &content);
        let place = path.parent().expect("the disk");
        let made = planted_proven(place, content.len() as u64, digest).expect("it is what it should be");
        assert_eq!((made.shared, made.copied), (1, 0), "{kind}");
        assert!(fs::read(place.join("tree/a")).expect("there") == content);
        fs::write(place.join("tree/a"), "changed").expect("ours");
        assert!(fs::read(&path).expect("there") == content, "it is a file of its own");
        fs::remove_dir_all(place.join("tree")).expect("ours");
        fs::write(&path, testkit::noise(2, 1 << 20)).expect("ours");
        let refused = planted_proven(place, content.len() as u64, digest).expect_err("another");
        assert!(matches!(refused, Error::Unproven { .. }), "{refused:?}");
        proof::ran(&name, 2);
    }
}

/// Folders within folders, each with a file that holds `content`.
fn deep(branches: usize, depth: usize) -> Vec<Entry> {
    let folders = (0..branches)
        .flat_map(|branch| (0..depth).map(move |depth| format!("{branch}{}", "/d".repeat(depth))));
    folders
        .flat_map(|path| {
            let file = entry(&format!("{path}/file"), Kind::File { size: 7 }, []);
            [entry(&path, Kind::Directory, []), file]
        })
        .collect()
}

/// However many threads there may be, and however deep the tree is.
#[test]
fn many_threads_need_few_handles() {
    if !again_as(Who::Few, "many_threads_need_few_handles") {
        return;
    }
    let scratch = testkit::scratch();
    let content = scratch.file("content", b"content");
    let digest = Digest::of(Algorithm::Sha256, b"content");
    let supply = Named { folder: content.parent().expect("a folder").into(), digest };
    let tree = stacked(deep(64, 40));
    let mut staging =
        Staging::create(scratch.path("tree"), Existing::Refuse, Apply::default()).expect("staged");
    let workers = NonZeroUsize::new(64).expect("some");
    let made = staging.plant(&tree, &supply, workers).expect("with 160 handles");
    staging.publish(Durable::No).expect("published");
    assert_eq!(made.shared + made.copied, 64 * 40);
    let last = format!("tree/63{}/file", "/d".repeat(39));
    assert_eq!(fs::read(scratch.path(&last)).expect("there"), b"content");
}

/// Each file of the tree loses an attribute, and only a few are told: the same whoever is quicker.
#[test]
fn which_losses_are_told_does_not_depend_on_threads() {
    let scratch = testkit::scratch();
    let lossy = |path: String| entry(&path, Kind::File { size: 0 }, [("trusted.overlay.opaque", "y")]);
    let folders = (0..40).map(|number| format!("{number:02}"));
    let tree = stacked(folders.flat_map(|path| {
        let files = (0..3).map(move |file| format!("{path}/{file}"));
        files.map(lossy).collect::<Vec<_>>()
    }));
    let contents = Contents::new(&scratch, HashMap::new(), Form::Whole);
    let told = |workers: usize, number: usize| {
        let heard = Heard::default();
        let apply = Apply { observer: &heard, ..Apply::default() };
        let root = scratch.path(&format!("tree{workers}-{number}"));
        let mut staging = Staging::create(root, Existing::Refuse, apply).expect("staged");
        let workers = NonZeroUsize::new(workers).expect("some");
        let planted = staging.plant(&tree, &contents, workers).expect("planted");
        staging.publish(Durable::No).expect("published");
        let examples: Vec<_> =
            planted.report.losses.iter().map(|(_, loss)| (loss.count, loss.examples.clone())).collect();
        (examples, heard.0.into_inner().expect("no holder panics"))
    };
    let expected = told(1, 0);
    assert_eq!((expected.0[0].0, expected.0[0].1.len(), expected.1.len()), (120, 8, 9));
    for number in 0..20 {
        assert_eq!(told(8, number), expected);
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Observer for Heard {
    fn event(&self, event: Event) {
        self.0.lock().expect("no holder panics").push(event);
    }
}

#[test]
fn a_content_of_another_size_is_refused() {
    for bytes in [&b"abc"[..], b"abcde"] {
        let scratch = testkit::scratch();
        let contents = Contents::new(&scratch, HashMap::from([(1, bytes.to_vec())]), Form::Whole);
        let mut staging =
            Staging::create(scratch.path("tree"), Existing::Refuse, Apply::default()).expect("staged");
        let refused = staging.plant(&two_files(4), &contents, WORKERS).expect_err("they are not four bytes");
        assert!(matches!(refused, Error::Changed(_)), "{refused:?}");
    }
}

/// What an image could tell an overlay: to hide, to redirect, to take other contents.
const SMUGGLED: [(&str, &str); 5] =
    [("opaque", "y"), ("redirect", "/etc"), ("metacopy", ""), ("overlay.opaque", "y"), ("whiteouts", "y")];

/// The image's attributes of both flavours on a folder, on a file with content and on one without.
fn smuggling(flavour: &str) -> Tree {
    let names: Vec<(String, &str)> =
        SMUGGLED.iter().map(|(name, value)| (format!("{flavour}.overlay.{name}"), *value)).collect();
    let attributes = || names.iter().map(|(name, value)| (name.as_str(), *value));
    stacked([
        entry("", Kind::Directory, attributes()),
        entry("folder", Kind::Directory, attributes()),
        entry("folder/short", Kind::File { size: 1 }, attributes()),
        entry("folder/long", Kind::File { size: 9 }, attributes()),
        entry("folder/empty", Kind::File { size: 0 }, attributes()),
    ])
}

fn smuggled() -> HashMap<u32, Vec<u8>> {
    HashMap::from([(2, b"s".to_vec()), (3, b"long text".to_vec())])
}

/// The names that an image has are shown as it has them, and mean nothing.
fn check_smuggled(shown: &Path, flavour: &str) {
    assert_eq!(fs::read(shown.join("folder/short")).expect("read"), b"s");
    assert_eq!(fs::read(shown.join("folder/long")).expect("read"), b"long text");
    for path in ["", "folder", "folder/short", "folder/long", "folder/empty"] {
        for (name, value) in SMUGGLED {
            let (name, mut is) = (format!("{flavour}.overlay.{name}"), vec![0; 99]);
            let length = rustix::fs::lgetxattr(shown.join(path), name.as_str(), &mut is).expect(&name);
            assert_eq!(&is[..length], value.as_bytes(), "{path} {name}");
        }
    }
}

#[test]
fn p11_attributes_of_an_image_never_reach_the_overlay() {
    const PROOF: &str = "P11: overlay attributes of an image mean nothing to its mount";
    if !offers_skeletons(PROOF) {
        return;
    }
    let scratch = testkit::scratch();
    let contents = Contents::new(&scratch, smuggled(), Form::Skeleton);
    planted(&scratch.path("skeleton"), &smuggling("user"), &contents);
    let shown = Shown::skeleton(&scratch, &scratch.path("skeleton"), &contents.folder).expect("shown");
    check_smuggled(&shown.0, "user");
    drop(shown);

    let image = scratch.path("image");
    erofs::write(&smuggling("trusted"), &[], &contents, &mut File::create(&image).expect("made"))
        .expect("written");
    let names = Shown::new(&scratch, "names", Mount::erofs(&image, &[]).expect("mounted"));
    let overlay =
        Overlay { lower: &[&names.0], data: &[&contents.folder], upper: None, flavour: Flavour::Trusted };
    let shown = Shown::new(&scratch, "shown", Mount::overlay(&overlay).expect("mounted"));
    check_smuggled(&shown.0, "trusted");
    drop(shown);

    let other = planted(&scratch.path("other"), &smuggling("trusted"), &contents).report.losses;
    let lost: u64 = other.iter().map(|(_, loss)| loss.count).sum();
    assert_eq!(lost, 5 * SMUGGLED.len() as u64, "{other:?}");
    proof::ran(PROOF, 3 * 5 * SMUGGLED.len());
}
