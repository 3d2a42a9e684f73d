//! A merged tree, written as folders of OSTree. Its files are there already: no content is read.
//!
//! Invariant: what the folders name is what the tree holds, but for what OSTree cannot hold, and all of that is told.

use super::claim::Root;
use super::flavour::Flavour;
use super::id::{Kind, ObjectId};
use super::object::DirTree;
use super::repo::{RepoError, Transaction};
use crate::error::Error;
use orlop_layer::tree::{Content, InodeId, InodeKind, Tree};
use orlop_layer::{Meta, TreePath};
use orlop_spec::{Context, Event};

/// The id of a file by where its content came from; `None` where that is not known, which is an error.
pub type FileIds<'a> = &'a dyn Fn(&Content) -> Option<ObjectId>;

/// Writes the folders and links of a merged tree.
pub fn write_tree(
    cx: &Context<'_>,
    transaction: &Transaction<'_>,
    tree: &Tree,
    files: FileIds<'_>,
    flavour: Flavour,
) -> Result<Root, Error> {
    let writing = Writing { cx, transaction, tree, files, flavour };
    let mut open = vec![writing.open(None, TreePath::root(), tree.root())];
    loop {
        let frame = open.last_mut().expect("the root is left last");
        if let Some((name, id)) = frame.rest.next() {
            if let Some(below) = writing.put(frame, name, id)? {
                open.push(below);
            }
            continue;
        }
        let frame = open.pop().expect("there is one");
        let root = writing.close(&frame)?;
        match (open.last_mut(), frame.name) {
            (Some(parent), Some(name)) => parent.folder.folders.push((name, root.tree, root.meta)),
            _ => return Ok(root),
        }
    }
}

struct Writing<'a> {
    cx: &'a Context<'a>,
    transaction: &'a Transaction<'a>,
    tree: &'a Tree,
    files: FileIds<'a>,
    flavour: Flavour,
}

/// A folder under way.
struct Frame<'a> {
    /// Nothing for the root.
    name: Option<Box<str>>,
    path: TreePath,
    id: InodeId,
    rest: Box<dyn Iterator<Item = (&'a [u8], InodeId)> + 'a>,
    folder: DirTree,
}

impl<'a> Writing<'a> {
    fn open(&self, name: Option<Box<str>>, path: TreePath, id: InodeId) -> Frame<'a> {
        Frame { name, path, id, rest: Box::new(self.tree.children(id)), folder: DirTree::default() }
    }

    fn close(&self, frame: &Frame<'_>) -> Result<Root, Error> {
        self.cx.cancel.check().map_err(RepoError::from)?;
        let meta = self.flavour.folder(&self.tree.inode(frame.id).meta);
        Ok(Root {
            tree: self.transaction.put(Kind::DirTree, &frame.folder.to_bytes())?,
            meta: self.transaction.put(Kind::DirMeta, &meta.to_bytes())?,
        })
    }

    /// Puts one name into a folder; gives the folder that it leads to.
    fn put(&self, frame: &mut Frame<'_>, name: &[u8], id: InodeId) -> Result<Option<Frame<'a>>, Error> {
        let path = frame.path.join(name);
        let Ok(name) = std::str::from_utf8(name) else {
            self.lose("name", &path, "OSTree holds names in UTF-8 alone");
            return Ok(None);
        };
        let inode = self.tree.inode(id);
        let file = match &inode.kind {
            InodeKind::Directory { .. } => return Ok(Some(self.open(Some(name.into()), path, id))),
            InodeKind::File(content) => Some((self.files)(content).ok_or_else(|| {
                let what = "its content was not kept";
                orlop_layer::Error::Entry { path: path.to_string(), what }
            })?),
            InodeKind::Symlink(target) => self.link(&path, &inode.meta, target)?,
            InodeKind::CharDevice(_) | InodeKind::BlockDevice(_) => {
                self.lose("device", &path, "OSTree holds no devices")
            }
            InodeKind::Fifo => self.lose("fifo", &path, "OSTree holds no named pipes"),
            InodeKind::Whiteout | InodeKind::LinkBelow(_) => {
                unreachable!("a stacked tree holds neither whiteouts nor links to what is below")
            }
        };
        frame.folder.files.extend(file.map(|file| (name.into(), file)));
        Ok(None)
    }

    fn link(&self, path: &TreePath, meta: &Meta, target: &[u8]) -> Result<Option<ObjectId>, Error> {
        match std::str::from_utf8(target) {
            Ok(target) => self.transaction.link(&self.flavour.link(meta, target)).map(Some),
            Err(_) => Ok(self.lose("link", path, "OSTree holds targets of links in UTF-8 alone")),
        }
    }

    fn lose(&self, what: &str, path: &TreePath, why: &str) -> Option<ObjectId> {
        self.cx.observer.event(Event::Lost { what: what.into(), path: path.to_string(), why: why.into() });
        None
    }
}
