//! What a tree holds, folder by folder, each named by its digest in the one above (`docs/formats/manifest.md`).
//!
//! ```text
//! head, record of the root ──► digest of the manifest
//!              │ sha256
//!              ▼
//!           listing of the root: records of files, links, …, folders
//!                                                              │ sha256
//!                                                              ▼  listing of the folder: …
//! ```
//!
//! Invariant: nodes stand in the order of the listings, so a folder's names are neighbours, sorted bytewise, and come
//! after the folder. Times are no part of it. What was parsed was proven against the digest at its end.

mod parse;
mod record;

use crate::entry::{Device, Meta, Xattrs};
use crate::path::TreePath;
use crate::tree::{Content, Inode, InodeId, InodeKind, Tree};
use orlop_spec::{Algorithm, ChainId, Digest, Hasher};
use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;

/// How every manifest of this version begins.
const MAGIC: &[u8; 17] = b"orlop manifest 1\n";

/// A sha256.
type Sha256 = [u8; 32];

/// A name of a manifest. Numbers of different manifests have nothing to do with each other, but that equal manifests
/// have equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// Its place among all nodes, from 0: parents come before children, siblings are neighbours.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    name: Range<usize>,
    parent: NodeId,
    /// The twelve bits of the mode; 0 of a symbolic link and of a further name.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Extended attributes.
    pub xattrs: Xattrs,
    /// What it is.
    pub what: What,
}

/// What a name leads to, but for its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A regular file.
    File {
        /// Bytes of the content, holes included.
        size: u64,
        /// The sha256 of the content.
        sha256: Sha256,
    },
    /// A folder.
    Directory(Listing),
    /// A symbolic link, and its target.
    Symlink(Box<[u8]>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// A further name of what another node has, whose path comes first.
    Link(NodeId),
}

/// What is in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    first: u32,
    count: u32,
    sha256: Sha256,
}

/// The manifest of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeManifest {
    chain: Option<ChainId>,
    nodes: Vec<Node>,
    /// The names, one behind the other.
    names: Vec<u8>,
    digest: Digest,
}

impl TreeManifest {
    /// The manifest of a stacked tree, made of layers that have this chain id; `content` gives the sha256 of a file's
    /// bytes, holes read as zeros.
    ///
    /// # Panics
    /// Where the tree is not stacked, or a digest is no sha256.
    pub fn of<E>(
        tree: &Tree,
        chain: Option<ChainId>,
        mut content: impl FnMut(&Content) -> Result<Digest, E>,
    ) -> Result<Self, E> {
        let digest = Digest::of(Algorithm::Sha256, b"");
        let mut manifest = Self { chain, nodes: Vec::new(), names: Vec::new(), digest };
        let inodes = manifest.name_all(tree);
        let links = first_names(tree, &inodes, &manifest);
        for (index, id) in inodes.iter().enumerate() {
            let first = links.get(id).copied().filter(|first| first.index() != index);
            let inode = tree.inode(*id);
            match first {
                Some(first) => manifest.nodes[index].what = What::Link(first),
                None => manifest.describe(index, inode, &mut content)?,
            }
        }
        manifest.seal();
        Ok(manifest)
    }

    /// The manifest of the same tree with other attributes.
    #[must_use]
    pub fn with_attributes(&self, attributes: impl Fn(&Node) -> Xattrs) -> Self {
        let mut other = self.clone();
        for node in other.nodes.iter_mut().filter(|node| !matches!(node.what, What::Link(_))) {
            node.xattrs = attributes(node);
        }
        other.seal();
        other
    }

    /// The digest that names all of it.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The chain id of the layers; `None` where there are none.
    pub fn chain(&self) -> Option<&ChainId> {
        self.chain.as_ref()
    }

    /// How many names there are, the root included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.nodes.len() <= 1
    }

    /// The root folder.
    pub fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// Every node, in order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        ids(0..self.nodes.len())
    }

    /// A node of this manifest.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The node itself, or that of which it is a further name.
    pub fn first(&self, id: NodeId) -> NodeId {
        match self.node(id).what {
            What::Link(first) => first,
            _ => id,
        }
    }

    /// The last component of a node's path; empty for the root.
    pub fn name(&self, id: NodeId) -> &[u8] {
        &self.names[self.node(id).name.clone()]
    }

    /// What a folder holds, sorted bytewise by name; nothing for what is no folder.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + use<> {
        match self.node(id).what {
            What::Directory(Listing { first, count, .. }) => ids(first as usize..(first + count) as usize),
            _ => ids(0..0),
        }
    }

    /// What a folder holds under one name.
    pub fn child(&self, id: NodeId, name: &[u8]) -> Option<NodeId> {
        let What::Directory(Listing { first, count, .. }) = self.node(id).what else { return None };
        let (mut low, mut high) = (first, first + count);
        while low < high {
            let middle = low.midpoint(high);
            match self.name(NodeId(middle)).cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(NodeId(middle)),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The path of a node.
    pub fn path(&self, id: NodeId) -> TreePath {
        let mut names = Vec::new();
        let mut at = id;
        while at != self.root() {
            names.push(self.name(at));
            at = self.node(at).parent;
        }
        names.iter().rev().fold(TreePath::root(), |path, name| path.join(name))
    }

    /// Writes it.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.head())?;
        for id in self.ids().filter(|id| matches!(self.node(*id).what, What::Directory(_))) {
            out.write_all(&self.listing(id))?;
        }
        out.write_all(self.digest.bytes())
    }

    /// Makes a node for each name, level by level; gives the inode of each.
    fn name_all(&mut self, tree: &Tree) -> Vec<InodeId> {
        let mut inodes = vec![tree.root()];
        self.push(b"", self.root());
        let mut at = 0;
        while let Some(folder) = inodes.get(at).copied() {
            let first = count(inodes.len());
            for (name, id) in tree.children(folder) {
                self.push(name, NodeId(count(at)));
                inodes.push(id);
            }
            if tree.inode(folder).is_directory() {
                let listing = Listing { first, count: count(inodes.len()) - first, sha256: [0; 32] };
                self.nodes[at].what = What::Directory(listing);
            }
            at += 1;
        }
        inodes
    }

    fn push(&mut self, name: &[u8], parent: NodeId) {
        let start = self.names.len();
        self.names.extend_from_slice(name);
        let name = start..self.names.len();
        let what = What::Fifo;
        self.nodes.push(Node { name, parent, mode: 0, uid: 0, gid: 0, xattrs: Xattrs::new(), what });
    }

    fn describe<E>(
        &mut self,
        index: usize,
        inode: &Inode,
        content: &mut impl FnMut(&Content) -> Result<Digest, E>,
    ) -> Result<(), E> {
        let Meta { mode, uid, gid, xattrs, .. } = &inode.meta;
        let node = &mut self.nodes[index];
        (node.mode, node.uid, node.gid) = (*mode, *uid, *gid);
        node.xattrs.clone_from(xattrs);
        match &inode.kind {
            InodeKind::Directory { .. } => {}
            InodeKind::File(file) => {
                let sha256 = content(file)?.bytes().try_into().expect("contents are named by sha256");
                node.what = What::File { size: file.size, sha256 };
            }
            InodeKind::Symlink(target) => {
                node.mode = 0;
                node.what = What::Symlink(target.clone());
            }
            InodeKind::CharDevice(device) => node.what = What::CharDevice(*device),
            InodeKind::BlockDevice(device) => node.what = What::BlockDevice(*device),
            InodeKind::Fifo => node.what = What::Fifo,
            InodeKind::Whiteout | InodeKind::LinkBelow(_) => panic!("a manifest is of a stacked tree"),
        }
        Ok(())
    }

    /// Learns the digests, those of the deepest folders first.
    fn seal(&mut self) {
        for index in (0..self.nodes.len()).rev() {
            if matches!(self.nodes[index].what, What::Directory(_)) {
                let sha256 = sha256(&self.listing(NodeId(count(index))));
                if let What::Directory(listing) = &mut self.nodes[index].what {
                    listing.sha256 = sha256;
                }
            }
        }
        self.digest = Digest::of(Algorithm::Sha256, &self.head());
    }

    /// Everything up to the end of the root's record.
    fn head(&self) -> Vec<u8> {
        let mut head = MAGIC.to_vec();
        let chain = self.chain.map_or_else(String::new, |chain| chain.to_string());
        record::bytes(&mut head, chain.as_bytes());
        record::record(self, self.root(), &mut head);
        head
    }

    fn listing(&self, folder: NodeId) -> Vec<u8> {
        let mut listing = Vec::new();
        for id in self.children(folder) {
            record::record(self, id, &mut listing);
        }
        listing
    }
}

/// The first node of each inode that has several names, by the order of the walk.
fn first_names(tree: &Tree, inodes: &[InodeId], manifest: &TreeManifest) -> HashMap<InodeId, NodeId> {
    let mut first: HashMap<InodeId, NodeId> = HashMap::new();
    let mut open = vec![manifest.root()];
    while let Some(node) = open.pop() {
        let id = inodes[node.index()];
        if tree.names(id) > 1 {
            first.entry(id).or_insert(node);
        }
        let below = open.len();
        open.extend(manifest.children(node));
        open[below..].reverse();
    }
    first
}

fn ids(range: Range<usize>) -> impl Iterator<Item = NodeId> + use<> {
    range.map(|index| NodeId(count(index)))
}

/// Trees count names, and bytes of them, in 32 bits.
fn count(number: usize) -> u32 {
    u32::try_from(number).expect("a tree has fewer names")
}

fn sha256(bytes: &[u8]) -> Sha256 {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(bytes);
    hasher.finish().bytes().try_into().expect("it has 32 bytes")
}
