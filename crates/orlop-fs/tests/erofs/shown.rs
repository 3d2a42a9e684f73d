//! The kernel is the judge of our EROFS images: what it shows of one is the tree that was written.

use crate::trees::{Places, entry, packed, random_tree, stacked};
use orlop_fs::Result;
use orlop_fs::erofs::{self, BLOCK, Describe, Place};
use orlop_fs::mount::{Mount, Overlay};
use orlop_fs::overlay::{self, Flavour};
use orlop_layer::tar::Reader;
use orlop_layer::tree::{Content, Inode, InodeId, InodeKind};
use orlop_layer::{Chunk, Device, Entries as _, Kind, Meta, Tree, Xattrs};
use orlop_spec::{Algorithm, Digest, Limits};
use rustix::mount::{UnmountFlags, unmount};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Cursor, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use testkit::dump::{dump, xattrs};
use testkit::{Scratch, is_root, proof, torture};

/// An image that the kernel shows until it is dropped.
pub(crate) struct Shown(pub(crate) PathBuf);

impl Shown {
    fn of(scratch: &Scratch, tree: &Tree, device: &Path, places: &Places) -> Self {
        let (image, folder) = (scratch.path("image"), scratch.folder("shown"));
        let size = fs::metadata(device).expect("a device").len();
        let mut file = File::create(&image).expect("an image");
        let written = erofs::write(tree, &[size], places, &mut file).expect("written");
        assert_eq!(written, file.metadata().expect("a file").len());
        assert_eq!(written % BLOCK, 0);
        Mount::erofs(&image, &[device]).expect("mounted").attach(&folder).expect("attached");
        Self(folder)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        unmount(&self.0, UnmountFlags::DETACH).expect("unmounted");
    }
}

/// Whether the kernel can show an image from its file, and this user may ask it to.
pub(crate) fn is_offered(name: &str) -> bool {
    let known = fs::read_to_string("/proc/filesystems").expect("the kernel says").contains("erofs");
    if !is_root() {
        proof::not_offered(name, "only root may mount");
    } else if !known {
        proof::not_offered(name, "this kernel has no EROFS");
    }
    is_root() && known
}

/// What the kernel shows is what the tree says, path by path; contents are those of the device.
fn check(tree: &Tree, shown: &Shown, device: &File, places: &Places) -> usize {
    let mut seen = 0;
    for (path, id) in tree.walk() {
        let at = shown.0.join(std::ffi::OsStr::from_bytes(path.as_bytes()));
        let (inode, stat) = (tree.inode(id), fs::symlink_metadata(&at).expect("it is shown"));
        let meta = &inode.meta;
        assert_eq!(stat.mode() & 0o7777, u32::from(meta.mode), "{path}");
        assert_eq!((stat.uid(), stat.gid()), (meta.uid, meta.gid), "{path}");
        let time = (meta.mtime.seconds, i64::from(meta.mtime.nanoseconds));
        assert_eq!((stat.mtime(), stat.mtime_nsec()), time, "{path}");
        // Of what is neither file nor folder the kernel lists `user.` attributes, and reads none.
        let is_read = |name: &[u8]| stat.is_file() || stat.is_dir() || !name.starts_with(b"user.");
        let value = |name: &[u8], value: &[u8]| if is_read(name) { value.to_vec() } else { Vec::new() };
        let attributes = meta.xattrs.iter().map(|(name, it)| (name.to_vec(), value(name, it))).collect();
        assert!(xattrs(&at) == attributes, "{path}: attributes");
        match &inode.kind {
            InodeKind::File(content) => {
                assert_eq!(stat.len(), content.size, "{path}");
                assert_eq!(stat.nlink(), u64::from(tree.names(id)), "{path}");
                check_content(&at, content, device, places);
            }
            InodeKind::Symlink(target) => {
                assert_eq!(fs::read_link(&at).expect("a link").as_os_str().as_bytes(), &**target, "{path}");
            }
            InodeKind::CharDevice(Device { major, minor })
            | InodeKind::BlockDevice(Device { major, minor }) => {
                assert_eq!(stat.rdev(), rustix::fs::makedev(*major, *minor), "{path}");
            }
            InodeKind::Directory { .. } => {
                let shown: Vec<_> =
                    fs::read_dir(&at).expect("a folder").map(|it| it.expect("read")).collect();
                assert_eq!(shown.len(), tree.children(id).count(), "{path}");
                let folders = shown.iter().filter(|it| it.file_type().expect("told").is_dir()).count();
                assert_eq!(stat.nlink(), 2 + folders as u64, "{path}");
            }
            _ => {}
        }
        seen += 1;
    }
    seen
}

/// The first and last bytes, which is where a wrong block shows.
fn check_content(at: &Path, content: &Content, device: &File, places: &Places) {
    const PART: u64 = 8 << 10;
    let file = File::open(at).expect("opened");
    for from in [0, content.size.saturating_sub(PART)] {
        let length = usize::try_from(PART.min(content.size - from)).expect("short");
        let (mut is, mut should) = (vec![1; length], vec![0; length]);
        file.read_exact_at(&mut is, from).expect("read");
        if let Some(bytes) = places.1.get(&content.offset) {
            let from = usize::try_from(from).expect("short");
            should.copy_from_slice(&bytes[from..from + length]);
        } else if let Some(place) = places.0.get(&content.offset) {
            device.read_exact_at(&mut should, place + from).expect("read");
        }
        assert!(is == should, "{}", at.display());
    }
}

/// What the tar lacks: sockets, names that mean a removal, and holes, which it holds as zeros.
const SOCKET: &str = "socket";
const MARKER: &str = "file whose own name begins .wh.";
const HOLES: &str = "sparse file (holes kept)";
/// What means a removal to an overlay.
const REMOVAL: &str = "character device 0:0";

/// A real tree, kept as the tar that orlop makes of it, and shown from that tar.
#[test]
fn a_tar_is_shown_without_being_unpacked() {
    const PROOF: &str = "erofs: the kernel shows a tar by its index";
    if !is_offered(PROOF) {
        return;
    }
    let scratch = testkit::scratch();
    let root = scratch.path("tree");
    let features = torture::make(&root, torture::Power::Root);
    let (tree, tar) = packed(&root);
    let device = scratch.file("tar", &tar);
    let limits = Limits::default();
    let mut reader = Reader::new(Cursor::new(tar), &limits);
    let mut places = Places::default();
    while let Some(entry) = reader.next_entry().expect("read") {
        let begin = reader.offset();
        if matches!(entry.kind, Kind::File { size } if size > 0) {
            places.0.insert(begin, reader.seek_over().expect("passed over").expect("in one piece"));
        }
    }
    let shown = Shown::of(&scratch, &tree, &device, &places);
    let losses = torture::compare(&features, &dump(&root), &dump(&shown.0));
    assert_eq!(torture::lost_features(&losses), [SOCKET, MARKER, HOLES], "{losses:?}");
    let seen = check(&tree, &shown, &File::open(&device).expect("opened"), &places);
    proof::ran(PROOF, seen);
}

/// A real tree whose contents are files of their own, which an overlay puts in their places.
#[test]
fn contents_are_shown_from_files_of_their_own() {
    const PROOF: &str = "erofs: an overlay shows contents that are files of their own";
    if !is_offered(PROOF) {
        return;
    }
    let scratch = testkit::scratch();
    let root = scratch.path("tree");
    let features = torture::make(&root, torture::Power::Root);
    let (tree, tar) = packed(&root);
    let objects = Objects { folder: scratch.folder("objects"), tar };
    for (_, id) in tree.walk() {
        if let InodeKind::File(content) = &tree.inode(id).kind {
            objects.keep(content);
        }
    }
    let image = scratch.path("image");
    erofs::write(&tree, &[], &objects, &mut File::create(&image).expect("an image")).expect("written");
    let names = Shown(scratch.folder("names"));
    Mount::erofs(&image, &[]).expect("mounted").attach(&names.0).expect("attached");
    let (upper, work) = (scratch.folder("upper"), scratch.folder("work"));
    let overlay =
        Overlay { lower: &[&names.0], data: &[&objects.folder], upper: None, flavour: Flavour::Trusted };
    let shown = Shown(scratch.folder("shown"));
    Mount::overlay(&overlay).expect("mounted").attach(&shown.0).expect("attached");
    let losses = torture::compare(&features, &dump(&root), &dump(&shown.0));
    assert_eq!(torture::lost_features(&losses), [SOCKET, MARKER, HOLES, REMOVAL], "{losses:?}");
    drop(shown);

    let shown = Shown(scratch.folder("written"));
    let writable = Overlay { upper: Some((&upper, &work)), ..overlay };
    Mount::overlay(&writable).expect("mounted").attach(&shown.0).expect("attached");
    let (_, id) = tree.walk().find(|(_, id)| is_large(&tree, *id)).expect("a file");
    let InodeKind::File(content) = &tree.inode(id).kind else { unreachable!("it was asked for") };
    let (path, _) = tree.walk().find(|(_, other)| *other == id).expect("it has a name");
    let at = shown.0.join(std::ffi::OsStr::from_bytes(path.as_bytes()));
    let before = fs::read(objects.path(content)).expect("read");
    fs::write(&at, "changed").expect("written");
    assert_eq!(fs::read(&at).expect("read"), b"changed");
    assert!(fs::read(objects.path(content)).expect("read") == before, "an object never changes");
    proof::ran(PROOF, features.len());
}

fn is_large(tree: &Tree, id: InodeId) -> bool {
    matches!(tree.inode(id).kind, InodeKind::File(content) if content.size > 4096)
}

/// Contents as files, by their digests; the tar that they are from.
struct Objects {
    folder: PathBuf,
    tar: Vec<u8>,
}

impl Objects {
    fn bytes(&self, content: &Content) -> Vec<u8> {
        let limits = Limits::default();
        let at = usize::try_from(content.offset).expect("in memory");
        let mut reader = Reader::new(Cursor::new(&self.tar[at..]), &limits);
        reader.next_entry().expect("read").expect("an entry");
        let mut bytes = Vec::new();
        while let Some(chunk) = reader.next_chunk().expect("read") {
            match chunk {
                Chunk::Data(data) => bytes.extend(data),
                Chunk::Hole(length) => bytes.resize(bytes.len() + usize::try_from(length).expect("short"), 0),
            }
        }
        bytes
    }

    /// Where the content is beneath the folder.
    fn name(&self, content: &Content) -> String {
        let digest = Digest::of(Algorithm::Sha256, &self.bytes(content)).to_string();
        let hex = digest.strip_prefix("sha256:").expect("an algorithm").to_owned();
        format!("/{}/{}", &hex[..2], &hex[2..])
    }

    fn path(&self, content: &Content) -> PathBuf {
        self.folder.join(&self.name(content)[1..])
    }

    fn keep(&self, content: &Content) {
        let path = self.path(content);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, self.bytes(content)).expect("written");
    }
}

impl Describe for Objects {
    fn place(&self, _: &Content) -> Result<Place<'_>> {
        Ok(Place::Nowhere)
    }

    fn attributes<'i>(&self, inode: &'i Inode) -> Result<Cow<'i, Xattrs>> {
        let name = match &inode.kind {
            InodeKind::File(content) if content.size > 0 => Some(self.name(content)),
            _ => None,
        };
        let data = name.as_ref().map(String::as_bytes);
        Ok(Cow::Owned(overlay::attributes(&inode.meta.xattrs, Flavour::Trusted, data)))
    }
}

/// Trees of everything at random, with contents anywhere in a device.
#[test]
fn random_trees_are_shown_as_they_are() {
    const PROOF: &str = "erofs: the kernel shows random trees";
    if !is_offered(PROOF) {
        return;
    }
    let trees = if testkit::full() { 200 } else { 20 };
    let scratch = testkit::scratch();
    let device = scratch.path("device");
    let bytes: Vec<u8> =
        (0..1_u32 << 18).flat_map(|it| it.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(&device, &bytes).expect("written");
    let mut cases = 0;
    for seed in 1..=trees {
        let mut places = Places::default();
        let tree = random_tree(seed, bytes.len() as u64, &mut places);
        let shown = Shown::of(&scratch, &tree, &device, &places);
        cases += check(&tree, &shown, &File::open(&device).expect("opened"), &places);
    }
    proof::ran(PROOF, cases);
}

const HUGE: u64 = 5 << 30;

#[test]
fn many_names_in_one_folder_and_files_beyond_four_gigabytes() {
    const PROOF: &str = "erofs: the kernel shows large folders and files";
    if !is_offered(PROOF) {
        return;
    }
    let scratch = testkit::scratch();
    let device = scratch.path("device");
    let mut file = File::options().read(true).write(true).create_new(true).open(&device).expect("a device");
    file.seek(SeekFrom::Start(HUGE + BLOCK - 4)).expect("a hole");
    std::io::Write::write_all(&mut file, b"end!").expect("written");
    let names =
        (0..100_000).map(|it| entry(format!("many/{it:0>24}").as_bytes(), Kind::Fifo, Meta::default()));
    let file_of = |name: &str, size| entry(name.as_bytes(), Kind::File { size }, Meta::default());
    let first = [
        entry(b"", Kind::Directory, Meta::default()),
        entry(b"many", Kind::Directory, Meta::default()),
        file_of("huge", HUGE),
        file_of("hole", HUGE << 10),
    ];
    let tree = stacked(first.into_iter().chain(names));
    let places = Places(HashMap::from([(2 * BLOCK, BLOCK)]), HashMap::new());
    let shown = Shown::of(&scratch, &tree, &device, &places);
    let seen = check(&tree, &shown, &file, &places);
    let mut end = Vec::new();
    let mut huge = File::open(shown.0.join("huge")).expect("opened");
    huge.seek(SeekFrom::End(-4)).expect("found");
    huge.read_to_end(&mut end).expect("read");
    assert_eq!(end, b"end!");
    assert!(fs::symlink_metadata(shown.0.join("many/absent")).is_err());
    proof::ran(PROOF, seen);
}

#[test]
fn what_the_format_cannot_hold_is_refused() {
    let refused = |meta: Meta, at: Option<u64>| {
        let root = entry(b"", Kind::Directory, Meta::default());
        let tree = stacked([root, entry(b"f", Kind::File { size: 1 }, meta)]);
        let places = Places(at.map(|at| (BLOCK, at)).into_iter().collect(), HashMap::new());
        erofs::write(&tree, &[1 << 20], &places, &mut Vec::new()).is_err()
    };
    let with = |name: &[u8], length: usize| Meta {
        xattrs: [(name.into(), vec![0; length].into())].into(),
        ..Meta::default()
    };
    assert!(!refused(with(b"user.a", 65_535), Some(512)));
    for name in [&b"system.other"[..], b"user.", b"other", b"system.posix_acl_accessx"] {
        assert!(refused(with(name, 1), None), "{}", name.escape_ascii());
    }
    assert!(refused(with(&[b"user.", &[b'n'; 256][..]].concat(), 1), None));
    assert!(refused(with(b"user.a", 65_536), None));
    assert!(refused(Meta::default(), Some(511)), "within a block");
    assert!(refused(Meta::default(), Some(1 << 41)), "beyond 2 TiB");
    let tree = stacked([
        entry(b"", Kind::Directory, Meta::default()),
        entry(b"f", Kind::File { size: 3 }, Meta::default()),
    ]);
    let held = |bytes: &[u8]| {
        let places = Places(HashMap::new(), HashMap::from([(BLOCK, bytes.to_vec())]));
        erofs::write(&tree, &[], &places, &mut Vec::new())
    };
    assert!(held(b"abc").is_ok());
    assert!(held(b"ab").is_err(), "another size");
}
