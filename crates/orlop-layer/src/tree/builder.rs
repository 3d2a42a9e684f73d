//! One layer's entries, made into the tree of what the layer changes.
//!
//! Invariant: the order of a layer's whiteouts among its entries does not matter (image-spec, `layer.md`: they
//! apply to lower layers only); among the other entries the last one of a path wins.

use super::trail::Last;
use super::{Bounds, Content, Form, Inode, InodeId, InodeKind, Lower, Presence, Tree, arena::within};
use crate::entry::{Entry, Kind, Meta};
use crate::error::Error;
use crate::path::TreePath;
use crate::whiteout;
use orlop_spec::Limits;

/// Takes the entries of one layer in their order.
#[derive(Debug)]
pub struct Builder {
    tree: Tree,
    layer: u16,
    recent: Recent,
}

/// The folder of the entry before: most entries lie in the same. Forgotten when a path may have changed its meaning.
#[derive(Debug)]
struct Recent {
    path: Vec<u8>,
    folder: InodeId,
}

impl Default for Recent {
    fn default() -> Self {
        Self { path: Vec::new(), folder: Tree::ROOT }
    }
}

impl Builder {
    /// A builder of the `layer`th layer of an image, the base being 0.
    pub fn new(layer: u16, limits: &Limits) -> Self {
        let tree = Tree::empty(Form::Layer, Bounds::new(limits));
        Self { tree, layer, recent: Recent::default() }
    }

    /// Takes the next entry: the `ordinal`th of the layer, which begins at `offset` of the uncompressed bytes.
    /// An entry that is refused changes nothing.
    pub fn add(&mut self, ordinal: u32, offset: u64, entry: &Entry) -> Result<(), Error> {
        if whiteout::holds_reserved(&entry.path) {
            return Err(whiteout::reserved(&entry.path));
        }
        let (parent, name) = match entry.path.as_bytes() {
            b"" => return self.root(entry),
            path => split(path),
        };
        let content = |size| Content { layer: self.layer, ordinal, offset, size };
        let kind = match &entry.kind {
            Kind::Opaque => return self.opaque(&entry.path),
            Kind::Directory => return self.directory(parent, name, &entry.meta),
            Kind::Whiteout => return self.whiteout(parent, name),
            Kind::HardLink { target } => return self.link(parent, name, target),
            Kind::File { size } => InodeKind::File(content(*size)),
            Kind::Symlink { target } => InodeKind::Symlink(self.admitted(target)?),
            Kind::CharDevice(device) => InodeKind::CharDevice(*device),
            Kind::BlockDevice(device) => InodeKind::BlockDevice(*device),
            Kind::Fifo => InodeKind::Fifo,
        };
        let folder = self.parent(parent)?;
        self.set(folder, name, Inode::new(entry.meta.clone(), kind))
    }

    /// How many paths the tree holds by now, the root included.
    pub(crate) fn len(&self) -> u64 {
        self.tree.len()
    }

    /// The layer's tree.
    pub fn finish(mut self) -> Tree {
        self.tree.reclaim();
        self.tree
    }

    /// The root may change its attributes and hide what is below; it stays a folder.
    fn root(&mut self, entry: &Entry) -> Result<(), Error> {
        match entry.kind {
            Kind::Directory => self.describe(Tree::ROOT, &entry.meta),
            Kind::Opaque => self.hide(Tree::ROOT),
            _ => return Err(Error::Entry { path: "/".into(), what: "the root can only be a folder" }),
        }
        Ok(())
    }

    /// A folder keeps what the layer put into it before; in the place of anything else, it hides what was below.
    fn directory(&mut self, parent: &[u8], name: &[u8], meta: &Meta) -> Result<(), Error> {
        let folder = self.parent(parent)?;
        let lower = match self.tree.child(folder, name) {
            Some(id) if self.tree.inode(id).is_directory() => {
                self.describe(id, meta);
                return Ok(());
            }
            Some(_) => Lower::Replace,
            None => Lower::Merge,
        };
        self.set(folder, name, Inode::directory(meta.clone(), Presence::Explicit, lower))
    }

    /// A whiteout of what the layer itself holds hides what lies below that.
    fn whiteout(&mut self, parent: &[u8], name: &[u8]) -> Result<(), Error> {
        let Some(folder) = self.marked(parent)? else { return Ok(()) };
        let Some(id) = self.tree.child(folder, name) else {
            return self.set(folder, name, Inode::new(Meta::default(), InodeKind::Whiteout));
        };
        if let InodeKind::Directory { lower, .. } = &mut self.tree.inode_mut(id).kind {
            *lower = Lower::Replace;
        }
        Ok(())
    }

    fn opaque(&mut self, path: &TreePath) -> Result<(), Error> {
        if let Some(folder) = self.marked(path.as_bytes())? {
            self.hide(folder);
        }
        Ok(())
    }

    /// The folder in which a marker stands. None where the layer has something else there: what lay below is gone with the
    /// folder that it replaces. umoci 0.4.7 writes such markers.
    fn marked(&mut self, path: &[u8]) -> Result<Option<InodeId>, Error> {
        let trace = self.tree.follow(Tree::ROOT, path, Last::Follow)?;
        let found = trace.left.first().and_then(|name| self.tree.child(trace.folder, name));
        match found.map(|id| &self.tree.inode(id).kind) {
            None | Some(InodeKind::Whiteout) => self.parent(path).map(Some),
            Some(_) => Ok(None),
        }
    }

    /// A link to what the layer holds is another name of it; to what it does not hold, it waits for the layers
    /// below. The last component of the target is never followed.
    fn link(&mut self, parent: &[u8], name: &[u8], target: &TreePath) -> Result<(), Error> {
        let trace = self.tree.follow(Tree::ROOT, target.as_bytes(), Last::Keep)?;
        let found = trace.inode(&self.tree).filter(|id| self.tree.inode(*id).kind != InodeKind::Whiteout);
        if found.is_some_and(|id| self.tree.inode(id).is_directory()) {
            return Err(super::linked_folder(target));
        }
        let path = TreePath::parse(&trace.path())?;
        let above = self.tree.follow(Tree::ROOT, parent, Last::Follow)?;
        if TreePath::parse(&above.path())?.join(name) == path {
            return Err(Error::Entry { path: path.to_string(), what: "is a hard link to itself" });
        }
        let folder = self.parent(parent)?;
        if let Some(id) = found {
            return self.bind(folder, name, id);
        }
        self.set(folder, name, Inode::new(Meta::default(), InodeKind::LinkBelow(path)))
    }

    fn describe(&mut self, id: InodeId, meta: &Meta) {
        let inode = self.tree.inode_mut(id);
        inode.meta.clone_from(meta);
        if let InodeKind::Directory { presence, .. } = &mut inode.kind {
            *presence = Presence::Explicit;
        }
    }

    fn hide(&mut self, id: InodeId) {
        if let InodeKind::Directory { lower: lower @ Lower::Merge, .. } = &mut self.tree.inode_mut(id).kind {
            *lower = Lower::Hide;
        }
    }

    fn set(&mut self, folder: InodeId, name: &[u8], inode: Inode) -> Result<(), Error> {
        let id = self.tree.create(inode);
        self.bind(folder, name, id)
    }

    fn bind(&mut self, folder: InodeId, name: &[u8], id: InodeId) -> Result<(), Error> {
        let is_link = matches!(self.tree.inode(id).kind, InodeKind::Symlink(_));
        if is_link || self.tree.child(folder, name).is_some() {
            self.recent = Recent::default();
        }
        self.tree.bind(folder, name.into(), id)
    }

    /// The folder of a path, links of this layer followed; implied where the layer has no entry for it.
    fn parent(&mut self, path: &[u8]) -> Result<InodeId, Error> {
        if self.recent.path != path {
            let folder = self.tree.enter(Tree::ROOT, path)?;
            self.recent = Recent { path: path.into(), folder };
        }
        Ok(self.recent.folder)
    }

    fn admitted(&self, target: &[u8]) -> Result<Box<[u8]>, Error> {
        let limit = self.tree.bounds.path;
        within("the length of a link's target", target.len() as u64, limit.into())?;
        Ok(target.into())
    }
}

/// Parent and last component of a path that is not the root's.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}
