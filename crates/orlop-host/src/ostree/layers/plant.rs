//! Folders of a tree as objects, where the objects of its files are there.
//!
//! Invariant: a name or a thing that OSTree cannot hold is left out; the list of its layer has it.

use crate::error::Error;
use crate::ostree::flavour::Flavour;
use crate::ostree::id::{Kind, ObjectId};
use crate::ostree::object::{DirTree, FileHeader};
use crate::ostree::repo::{Mode, Transaction};
use orlop_layer::Meta;
use orlop_layer::tree::{Content, InodeId, InodeKind, Tree};

/// The header of a file, as a repository of this mode can hold it: one of mode `bare-user-only` must be able to read it.
pub(in super::super) fn header(mode: Mode, meta: &Meta) -> FileHeader {
    let mut header = Flavour::EXACT.fitting(mode).file(meta);
    if mode == Mode::BareUserOnly {
        header.mode |= 0o400;
    }
    header
}

/// Puts every folder of a tree; gives the dirtree and the dirmeta of the root. `object` tells where contents are.
pub(in super::super) fn plant(
    transaction: &Transaction<'_>,
    tree: &Tree,
    object: &dyn Fn(&Content) -> Option<ObjectId>,
) -> Result<(ObjectId, ObjectId), Error> {
    let planting =
        Planting { transaction, flavour: Flavour::EXACT.fitting(transaction.repo().mode()), tree, object };
    let mut open = vec![Open::new(tree, tree.root(), "")];
    loop {
        let last = open.last_mut().expect("the root ends the loop");
        if let Some((name, id)) = last.left.pop() {
            match planting.child(id)? {
                Child::Folder => open.push(Open::new(tree, id, name)),
                Child::File(object) => last.made.files.push((name.into(), object)),
                Child::Nothing => {}
            }
            continue;
        }
        let Open { name, id, mut made, .. } = open.pop().expect("there is one");
        made.files.sort();
        made.folders.sort();
        let (dirtree, meta) = planting.folder(id, &made)?;
        match open.last_mut() {
            Some(above) => above.made.folders.push((name.into(), dirtree, meta)),
            None => return Ok((dirtree, meta)),
        }
    }
}

/// A folder under way.
struct Open<'t> {
    name: &'t str,
    id: InodeId,
    left: Vec<(&'t str, InodeId)>,
    made: DirTree,
}

impl<'t> Open<'t> {
    fn new(tree: &'t Tree, id: InodeId, name: &'t str) -> Self {
        let names = tree.children(id).filter_map(|(name, id)| Some((std::str::from_utf8(name).ok()?, id)));
        Self { name, id, left: names.collect(), made: DirTree::default() }
    }
}

enum Child {
    Folder,
    File(ObjectId),
    Nothing,
}

struct Planting<'p> {
    transaction: &'p Transaction<'p>,
    flavour: Flavour,
    tree: &'p Tree,
    object: &'p dyn Fn(&Content) -> Option<ObjectId>,
}

impl Planting<'_> {
    fn child(&self, id: InodeId) -> Result<Child, Error> {
        let inode = self.tree.inode(id);
        Ok(match &inode.kind {
            InodeKind::Directory { .. } => Child::Folder,
            InodeKind::File(content) => (self.object)(content).map_or(Child::Nothing, Child::File),
            InodeKind::Symlink(target) => match std::str::from_utf8(target) {
                Ok(target) => Child::File(self.transaction.link(&self.flavour.link(&inode.meta, target))?),
                Err(_) => Child::Nothing,
            },
            _ => Child::Nothing,
        })
    }

    fn folder(&self, id: InodeId, made: &DirTree) -> Result<(ObjectId, ObjectId), Error> {
        let meta = self.flavour.folder(&self.tree.inode(id).meta);
        let meta = self.transaction.put(Kind::DirMeta, &meta.to_bytes())?;
        Ok((self.transaction.put(Kind::DirTree, &made.to_bytes())?, meta))
    }
}
