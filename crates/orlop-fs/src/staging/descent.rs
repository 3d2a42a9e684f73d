//! The order in which a tree is put together: each folder, what is in it, and the folder once more on leaving.

use orlop_layer::tree::{InodeId, Tree};

/// One step of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Into a folder, by its name.
    Enter(&'a [u8], InodeId),
    /// Something that is no folder.
    Leaf(&'a [u8], InodeId),
    /// Out of a folder, when all that it holds was passed. The top is left last, without having been entered.
    Leave(InodeId),
}

/// The way through everything beneath one folder.
pub(super) struct Descent<'a> {
    tree: &'a Tree,
    open: Vec<(InodeId, Children<'a>)>,
}

type Children<'a> = Box<dyn Iterator<Item = (&'a [u8], InodeId)> + 'a>;

impl<'a> Descent<'a> {
    pub(super) fn new(tree: &'a Tree, top: InodeId) -> Self {
        Self { tree, open: vec![(top, Box::new(tree.children(top)))] }
    }
}

impl<'a> Iterator for Descent<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        let (folder, children) = self.open.last_mut()?;
        let Some((name, id)) = children.next() else {
            let left = *folder;
            self.open.pop();
            return Some(Step::Leave(left));
        };
        if !self.tree.inode(id).is_directory() {
            return Some(Step::Leaf(name, id));
        }
        self.open.push((id, Box::new(self.tree.children(id))));
        Some(Step::Enter(name, id))
    }
}
