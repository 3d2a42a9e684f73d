//! What layers mean: trees of names over an arena of inodes.
//!
//! Invariant: every name leads to a live inode, every folder but the root has one name, and the hard links of a
//! file are several names of one inode. No operation recurses: depth is data here, and data may be hostile.
//!
//! A tree has one of two forms:
//!
//! ```text
//! of a layer   Builder::finish, Tree::diff    folders may be implied or hide what lies below, whiteouts and links to
//!                                             lower layers are inodes of their own
//! stacked      Tree::default, Tree::stack     what a root file system holds: none of these is left
//! ```
//!
//! The rules by which one becomes the other are in `docs/decisions/0005-merge-engine.md`.

mod arena;
mod both;
mod builder;
mod children;
mod compose;
mod diff;
mod dirlinks;
mod id;
mod listing;
mod parts;
mod shown;
mod stack;
mod trail;
mod walk;
mod without;

pub use builder::Builder;
pub use listing::Entries;
pub use shown::WHITEOUT;
pub use trail::Looped;
pub use walk::Walk;

use crate::entry::{Device, Meta};
use crate::error::Error;
use crate::path::TreePath;
use arena::Folder;
use orlop_spec::Limits;

/// An inode of one tree. Numbers of different trees have nothing to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(u32);

/// What a name leads to.
#[derive(Clone, Debug)]
pub struct Inode {
    /// Owner, mode, time, attributes. Of a whiteout or a link below: nothing.
    pub meta: Meta,
    /// What it is.
    pub kind: InodeKind,
    names: u32,
    folder: u32,
}

/// What an inode is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum InodeKind {
    /// A regular file.
    File(Content),
    /// A folder; its children are in the tree.
    Directory {
        /// Whether the layer holds an entry for it. Always explicit in a stacked tree.
        presence: Presence,
        /// What becomes of the lower folder's children. Always merge in a stacked tree.
        lower: Lower,
    },
    /// A symbolic link; the target as it was spelled.
    Symlink(Box<[u8]>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// The name is removed from the layers below. Never in a stacked tree.
    Whiteout,
    /// A hard link to what the layers below hold at the path. Never in a stacked tree.
    LinkBelow(TreePath),
}

/// Whether a layer holds an entry for a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// It does: the attributes are the layer's.
    Explicit,
    /// It holds something beneath only: the attributes stay those of the lower folder. Where there is none and
    /// the layer has but whiteouts beneath, neither will there be one.
    Implied,
}

/// What becomes of what a lower folder of the same path holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lower {
    /// It stays.
    Merge,
    /// It is removed (an opaque folder).
    Hide,
    /// It is removed, and so is the lower folder, or what else has its name (a whiteout).
    Replace,
}

/// Where the bytes of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content {
    /// Which layer of the stack.
    pub layer: u16,
    /// Which entry of that layer, counted from 0.
    pub ordinal: u32,
    /// Where the entry begins in the uncompressed layer.
    pub offset: u64,
    /// Bytes of the content, holes included.
    pub size: u64,
}

/// What a layer or a stack of layers means.
#[derive(Clone, Debug)]
pub struct Tree {
    inodes: Vec<Inode>,
    folders: Vec<Folder>,
    spare: Spare,
    /// Names, the root included.
    names: u64,
    form: Form,
    bounds: Bounds,
    /// Bytes of links that were followed for the layer under way.
    followed: u64,
}

/// Slots that hold nothing.
#[derive(Clone, Debug, Default)]
struct Spare {
    inodes: Vec<InodeId>,
    folders: Vec<u32>,
    /// Freed in the operation under way: no slot changes its meaning while somebody may still know its number.
    fresh: Vec<InodeId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Layer,
    Stacked,
}

/// The part of the limits that a tree keeps to.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    entries: u64,
    depth: u32,
    path: u32,
}

impl Bounds {
    /// Numbers of inodes and depths fit 32 bits with room to spare.
    const MOST: u32 = 1 << 30;

    fn new(limits: &Limits) -> Self {
        let clamp = |limit: usize| u32::try_from(limit).unwrap_or(Self::MOST).min(Self::MOST);
        Self {
            entries: limits.entries.min(Self::MOST.into()),
            depth: clamp(limits.depth),
            path: clamp(limits.path),
        }
    }
}

impl Tree {
    const ROOT: InodeId = InodeId(0);

    /// The root folder.
    pub fn root(&self) -> InodeId {
        Self::ROOT
    }

    /// An inode of this tree.
    ///
    /// # Panics
    /// May panic when `id` is of another tree.
    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.0 as usize]
    }

    /// How many names lead to an inode: its hard link count, but that a folder has one.
    pub fn names(&self, id: InodeId) -> u32 {
        self.inode(id).names
    }

    /// How many paths the tree holds, the root included.
    pub fn len(&self) -> u64 {
        self.names
    }

    /// Whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.names <= 1
    }

    /// What a folder holds, sorted bytewise by name; nothing for an inode that is no folder.
    pub fn children(&self, id: InodeId) -> impl Iterator<Item = (&[u8], InodeId)> {
        self.names_of(id)
    }

    /// What a folder holds under one name.
    pub fn child(&self, id: InodeId, name: &[u8]) -> Option<InodeId> {
        self.folder(id)?.children.get(name)
    }

    /// Every path and its inode: depth first, siblings sorted bytewise by name, the root first.
    pub fn walk(&self) -> Walk<'_> {
        Walk::new(self)
    }

    /// What a path leads to, links followed as if this tree were the root file system: absolute targets begin
    /// at its root, `..` stops there, and more than 40 links are an error.
    pub fn resolve(&self, path: &[u8]) -> Result<Option<InodeId>, Looped> {
        Ok(self.trace(Self::ROOT, path, trail::Last::Follow)?.inode(self))
    }

    /// What a path leads to when its last component is not followed: a link that stands there is the answer.
    pub fn locate(&self, path: &[u8]) -> Option<InodeId> {
        self.trace(Self::ROOT, path, trail::Last::Keep).ok()?.inode(self)
    }
}

impl Inode {
    fn new(meta: Meta, kind: InodeKind) -> Self {
        Self { meta, kind, names: 0, folder: u32::MAX }
    }

    /// A folder that no entry describes, and that nothing lies below: 0755, owned by root.
    fn fresh() -> Self {
        Self::directory(Meta { mode: 0o755, ..Meta::default() }, Presence::Explicit, Lower::Merge)
    }

    /// A folder that a layer does not describe.
    fn implied(lower: Lower) -> Self {
        Self::directory(Self::fresh().meta, Presence::Implied, lower)
    }

    fn directory(meta: Meta, presence: Presence, lower: Lower) -> Self {
        Self::new(meta, InodeKind::Directory { presence, lower })
    }

    /// Whether this is a folder.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, InodeKind::Directory { .. })
    }
}

fn linked_folder(target: &TreePath) -> Error {
    Error::Entry { path: target.to_string(), what: "is a folder, and the layer makes a hard link to it" }
}

/// The root file system that no layer has touched.
impl Default for Tree {
    fn default() -> Self {
        Self::empty(Form::Stacked, Bounds::new(&Limits::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, Kind};

    fn path(text: &str) -> TreePath {
        TreePath::parse(text.as_bytes()).expect("a plain path")
    }

    fn layer(number: u16, entries: &[(&str, Kind)]) -> Tree {
        let mut builder = Builder::new(number, &Limits::default());
        for (ordinal, (name, kind)) in (0..).zip(entries) {
            let entry = Entry { path: path(name), meta: Meta::default(), kind: kind.clone() };
            builder.add(ordinal, 0, &entry).expect(name);
        }
        builder.finish()
    }

    fn names(tree: &Tree) -> Vec<String> {
        tree.walk().map(|(path, _)| path.to_string()).collect()
    }

    const FILE: Kind = Kind::File { size: 1 };

    #[test]
    fn a_layer_on_a_layer_is_a_root_file_system() {
        let lower = layer(0, &[("a", FILE), ("d/x", FILE), ("d/y", FILE)]);
        let upper = layer(1, &[("d/x", Kind::Whiteout), ("b", Kind::HardLink { target: path("a") })]);
        let tree = lower.stack(upper).expect("fits");
        assert_eq!(names(&tree), ["/", "a", "b", "d", "d/y"]);
        assert_eq!(tree.locate(b"a"), tree.locate(b"b"));
        assert_eq!(tree.names(tree.locate(b"a").expect("there")), 2);
        assert_eq!(tree.len(), 5);
    }

    #[test]
    fn links_are_followed_inside_the_root() {
        let link = |target: &str| Kind::Symlink { target: target.as_bytes().into() };
        let tree = layer(
            0,
            &[("usr/lib/x", FILE), ("lib", link("/../usr/./lib")), ("usr/up", link("..")), ("o", link("o"))],
        );
        let tree = Tree::default().stack(tree).expect("fits");
        let resolve = |path: &[u8]| tree.resolve(path).expect("no loop");
        assert_eq!(resolve(b"lib/x"), tree.locate(b"usr/lib/x"));
        assert_eq!(resolve(b"/usr/up/usr/up/lib//x"), tree.locate(b"usr/lib/x"));
        assert_eq!(resolve(b"usr/up"), Some(tree.root()));
        assert!(matches!(tree.inode(tree.locate(b"lib").expect("there")).kind, InodeKind::Symlink(_)));
        assert!(tree.resolve(b"o").is_err());
        assert_eq!(resolve(b"nothing"), None);
    }
}
