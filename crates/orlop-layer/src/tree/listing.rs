//! A tree as the entries of a layer.
//!
//! Law: a [`Builder`](super::Builder) that takes the entries of a layer's tree gives an equal tree.

use super::children::Iter;
use super::{Content, Inode, InodeId, InodeKind, Lower, Presence, Tree};
use crate::entry::{Entry, Kind, Meta, Xattrs};
use crate::path::TreePath;
use std::collections::HashMap;

/// The entries of a tree in the order of a tar: a folder before what it holds, whiteouts before their siblings
/// (image-spec, `layer.md`, "Whiteouts"), siblings sorted bytewise, a hard link after the name it is a link to.
/// Each file comes with where its content is.
#[derive(Debug)]
pub struct Entries<'a> {
    tree: &'a Tree,
    root: Option<InodeId>,
    open: Vec<Open<'a>>,
    /// The first path of inodes with several names.
    first: HashMap<InodeId, TreePath>,
}

#[derive(Debug)]
struct Open<'a> {
    path: TreePath,
    opaque: bool,
    whiteouts: Iter<'a>,
    rest: Iter<'a>,
}

/// What is said of a name: that it goes, or what is there. A folder in the place of what is below is said by both.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Gone,
    There,
}

impl Tree {
    /// The tree as the entries of a layer.
    pub fn entries(&self) -> Entries<'_> {
        Entries { tree: self, root: Some(Self::ROOT), open: Vec::new(), first: HashMap::new() }
    }
}

impl Entries<'_> {
    fn advance(&mut self) -> Option<(TreePath, InodeId, Said)> {
        if let Some(root) = self.root.take() {
            return Some((TreePath::root(), root, Said::There));
        }
        let kind = |id| &self.tree.inode(id).kind;
        let goes =
            |id| matches!(kind(id), InodeKind::Whiteout | InodeKind::Directory { lower: Lower::Replace, .. });
        loop {
            let open = self.open.last_mut()?;
            if let Some((name, id)) = open.whiteouts.by_ref().find(|(_, id)| goes(*id)) {
                return Some((open.path.join(name), id, Said::Gone));
            }
            match open.rest.by_ref().find(|(_, id)| *kind(*id) != InodeKind::Whiteout) {
                Some((name, id)) => return Some((open.path.join(name), id, Said::There)),
                None => drop(self.open.pop()),
            }
        }
    }

    /// Goes on below `path`, if a folder is there.
    fn enter(&mut self, path: &TreePath, id: InodeId) {
        if let InodeKind::Directory { lower, .. } = self.tree.inode(id).kind {
            let names = self.tree.names_of(id);
            let opaque = lower == Lower::Hide;
            self.open.push(Open { path: path.clone(), opaque, whiteouts: names.clone(), rest: names });
        }
    }

    fn entry(&mut self, path: TreePath, id: InodeId) -> Option<(Entry, Option<Content>)> {
        let inode = self.tree.inode(id);
        if inode.names > 1
            && let Some(first) = self.first.get(&id)
        {
            let kind = Kind::HardLink { target: first.clone() };
            // All names of a file share its attributes, and the first has told them.
            let meta = Meta { xattrs: Xattrs::new(), ..inode.meta.clone() };
            return Some((Entry { path, meta, kind }, None));
        }
        if inode.names > 1 {
            self.first.insert(id, path.clone());
        }
        let kind = kind(inode)?;
        let content = if let InodeKind::File(content) = &inode.kind { Some(*content) } else { None };
        Some((Entry { path, meta: inode.meta.clone(), kind }, content))
    }

    fn opaque(&mut self) -> Option<Entry> {
        let open = self.open.last_mut()?;
        let opaque = std::mem::take(&mut open.opaque);
        opaque.then(|| Entry { path: open.path.clone(), meta: Meta::default(), kind: Kind::Opaque })
    }
}

impl Iterator for Entries<'_> {
    type Item = (Entry, Option<Content>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.opaque() {
                return Some((entry, None));
            }
            let (path, id, said) = self.advance()?;
            if said == Said::Gone {
                return Some((Entry { path, meta: Meta::default(), kind: Kind::Whiteout }, None));
            }
            self.enter(&path, id);
            if let Some(entry) = self.entry(path, id) {
                return Some(entry);
            }
        }
    }
}

/// What an entry says about an inode; nothing about a folder that is only implied.
fn kind(inode: &Inode) -> Option<Kind> {
    Some(match &inode.kind {
        InodeKind::Directory { presence: Presence::Implied, .. } => return None,
        InodeKind::Directory { presence: Presence::Explicit, .. } => Kind::Directory,
        InodeKind::File(content) => Kind::File { size: content.size },
        InodeKind::Symlink(target) => Kind::Symlink { target: target.clone() },
        InodeKind::CharDevice(device) => Kind::CharDevice(*device),
        InodeKind::BlockDevice(device) => Kind::BlockDevice(*device),
        InodeKind::Fifo => Kind::Fifo,
        InodeKind::Whiteout => Kind::Whiteout,
        InodeKind::LinkBelow(target) => Kind::HardLink { target: target.clone() },
    })
}
