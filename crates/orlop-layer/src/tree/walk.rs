//! Every path of a tree, in order.

use super::{InodeId, Tree, children};
use crate::path::TreePath;

/// Every path and its inode: depth first, sorted, the root first.
#[derive(Debug)]
pub struct Walk<'a> {
    tree: &'a Tree,
    root: Option<InodeId>,
    open: Vec<(TreePath, children::Iter<'a>)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self { tree, root: Some(tree.root()), open: Vec::new() }
    }

    fn open(&mut self, path: &TreePath, id: InodeId) {
        if let Some(folder) = self.tree.folder(id) {
            self.open.push((path.clone(), folder.children.iter()));
        }
    }

    fn step(&mut self) -> Option<(TreePath, InodeId)> {
        if let Some(root) = self.root.take() {
            return Some((TreePath::root(), root));
        }
        loop {
            let (parent, names) = self.open.last_mut()?;
            match names.next() {
                Some((name, id)) => return Some((parent.join(name), id)),
                None => drop(self.open.pop()),
            }
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = (TreePath, InodeId);

    fn next(&mut self) -> Option<Self::Item> {
        let (path, id) = self.step()?;
        self.open(&path, id);
        Some((path, id))
    }
}
