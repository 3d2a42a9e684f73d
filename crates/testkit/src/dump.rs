//! Everything that the kernel says about a tree, as a value that can be compared.
//!
//! Reads with plain system calls on paths, as no part of orlop does.

use orlop_spec::{Algorithm, Digest};
use rustix::fs::{SeekFrom, lgetxattr, llistxattr, seek};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// A tree: paths below its root (which is `.`) to what lies there.
pub type Dump = BTreeMap<Vec<u8>, Node>;

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The kind, and what belongs to it alone.
    pub kind: Kind,
    /// The twelve bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Seconds and nanoseconds since 1970.
    pub mtime: (i64, i64),
    /// Extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Size and digest of a file; `None` for what is no file or may not be read.
    pub content: Option<(u64, Digest)>,
    /// Bytes of a file that are not holes.
    pub stored: u64,
    /// The first name, in byte order, of the same inode: equal for hard links.
    pub link: Vec<u8>,
}

/// The kind of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A character device.
    CharDevice(u64),
    /// A block device.
    BlockDevice(u64),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// One thing about a node that can be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// Kind, link target, device numbers.
    Kind,
    /// The twelve bits.
    Mode,
    /// Owner and group.
    Owner,
    /// Modification time to the nanosecond.
    Time,
    /// Extended attributes, names and values.
    Xattrs,
    /// Size and bytes.
    Content,
    /// That holes stay holes.
    Holes,
    /// Which names are one inode.
    Links,
}

impl Aspect {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Kind,
        Self::Mode,
        Self::Owner,
        Self::Time,
        Self::Xattrs,
        Self::Content,
        Self::Holes,
        Self::Links,
    ];
}

/// What two trees do not share.
#[derive(Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub path: Vec<u8>,
    /// In what; `None` when one tree has nothing there.
    pub aspect: Option<Aspect>,
    /// Both sides, for eyes.
    pub what: String,
}

impl fmt::Debug for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path.escape_ascii(), self.what)
    }
}

/// Reads the whole tree below `root`.
pub fn dump(root: &Path) -> Dump {
    let mut walk = Walk { dump: Dump::new(), names: HashMap::new() };
    walk.node(root, b".");
    let links = walk.names;
    for (inode, mut names) in links {
        names.sort_unstable();
        for name in &names {
            let node = walk.dump.get_mut(name).unwrap_or_else(|| panic!("{inode:?} was dumped"));
            node.link.clone_from(&names[0]);
        }
    }
    walk.dump
}

struct Walk {
    dump: Dump,
    names: HashMap<(u64, u64), Vec<Vec<u8>>>,
}

impl Walk {
    fn node(&mut self, path: &Path, name: &[u8]) {
        let meta = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.names.entry((meta.dev(), meta.ino())).or_default().push(name.to_vec());
        self.dump.insert(name.to_vec(), node(path, &meta));
        if meta.is_dir() {
            self.children(path, name);
        }
    }

    fn children(&mut self, folder: &Path, name: &[u8]) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let child = entry.expect("a folder is listed").file_name();
            let below = match name {
                b"." => child.as_bytes().to_vec(),
                name => [name, b"/", child.as_bytes()].concat(),
            };
            self.node(&folder.join(&child), &below);
        }
    }
}

fn node(path: &Path, meta: &Metadata) -> Node {
    let kind = kind(path, meta);
    let file = if kind == Kind::File { File::open(path).ok() } else { None };
    Node {
        mode: meta.mode() & 0o7777,
        owner: (meta.uid(), meta.gid()),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        xattrs: xattrs(path),
        stored: file.as_ref().map_or(0, |file| stored(file, meta.size())),
        content: file.map(|file| (meta.size(), digest(file))),
        kind,
        link: Vec::new(),
    }
}

fn kind(path: &Path, meta: &Metadata) -> Kind {
    let kind = meta.file_type();
    match () {
        () if kind.is_file() => Kind::File,
        () if kind.is_dir() => Kind::Directory,
        () if kind.is_symlink() => {
            Kind::Symlink(fs::read_link(path).expect("a link").into_os_string().into_vec())
        }
        () if kind.is_char_device() => Kind::CharDevice(meta.rdev()),
        () if kind.is_block_device() => Kind::BlockDevice(meta.rdev()),
        () if kind.is_fifo() => Kind::Fifo,
        () => Kind::Socket,
    }
}

/// The extended attributes, those of a symbolic link itself included. `security.selinux` is the host's policy,
/// not the tree's.
pub fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut list = vec![0; 1 << 16];
    let Ok(length) = llistxattr(path, &mut list[..]) else { return BTreeMap::new() };
    let names = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.filter(|name| !is_of_the_file_system(name)).map(|name| (name.to_vec(), xattr(path, name))).collect()
}

/// Whether an attribute says where a tree lies and not what it is: a label of the host, an ACL in the form in which xfs keeps it.
fn is_of_the_file_system(name: &[u8]) -> bool {
    name == b"security.selinux" || name.starts_with(b"trusted.SGI_ACL_")
}

fn xattr(path: &Path, name: &[u8]) -> Vec<u8> {
    let mut value = vec![0; 1 << 16];
    let length = lgetxattr(path, OsStr::from_bytes(name), &mut value[..]).unwrap_or(0);
    value.truncate(length);
    value
}

fn digest(mut file: File) -> Digest {
    let mut hasher = orlop_spec::Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer).expect("an open file is read") {
            0 => return hasher.finish(),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn stored(file: &File, size: u64) -> u64 {
    let (mut at, mut sum) = (0, 0);
    while let Ok(start) = seek(file, SeekFrom::Data(at)) {
        at = seek(file, SeekFrom::Hole(start)).unwrap_or(size);
        sum += at - start;
    }
    seek(file, SeekFrom::Start(0)).expect("a file has a beginning");
    sum
}

/// Every difference in every aspect but those in `without`.
pub fn differences(before: &Dump, after: &Dump, without: &[Aspect]) -> Vec<Difference> {
    let mut found = Vec::new();
    for (path, old) in before {
        match after.get(path) {
            None => found.push(Difference { path: path.clone(), aspect: None, what: "is missing".into() }),
            Some(new) => {
                let aspects = Aspect::ALL.into_iter().filter(|aspect| !without.contains(aspect));
                found.extend(aspects.filter_map(|aspect| differs(path, old, new, aspect)));
            }
        }
    }
    for path in after.keys().filter(|path| !before.contains_key(*path)) {
        found.push(Difference { path: path.clone(), aspect: None, what: "was not there before".into() });
    }
    found
}

/// The difference of two nodes in one aspect.
pub fn differs(path: &[u8], old: &Node, new: &Node, aspect: Aspect) -> Option<Difference> {
    let what = match aspect {
        Aspect::Kind => changed("kind", &old.kind, &new.kind),
        Aspect::Mode => changed("mode", &format!("{:o}", old.mode), &format!("{:o}", new.mode)),
        Aspect::Owner => changed("owner", &old.owner, &new.owner),
        Aspect::Time => changed("time", &old.mtime, &new.mtime),
        Aspect::Xattrs => changed("xattrs", &shown(&old.xattrs), &shown(&new.xattrs)),
        Aspect::Content => changed("content", &old.content, &new.content),
        Aspect::Holes => holes_lost(old, new),
        Aspect::Links => changed("same file as", &text(&old.link), &text(&new.link)),
    };
    what.map(|what| Difference { path: path.to_vec(), aspect: Some(aspect), what })
}

fn changed<T: fmt::Debug>(name: &str, old: &T, new: &T) -> Option<String> {
    let (old, new) = (format!("{old:?}"), format!("{new:?}"));
    (old != new).then(|| format!("{name} was {old}, is {new}"))
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn shown(xattrs: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<String> {
    xattrs.iter().map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii())).collect()
}

/// Block sizes differ between file systems: a hole is lost when much more is stored than was.
fn holes_lost(old: &Node, new: &Node) -> Option<String> {
    let most = old.stored * 2 + (64 << 10);
    (new.stored > most).then(|| format!("{} bytes were stored, now {}", old.stored, new.stored))
}
