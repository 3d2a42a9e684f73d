//! A tree without some of what it holds.

use super::trail::Last;
use super::{InodeKind, Tree};
use crate::path::TreePath;

impl Tree {
    /// Takes a path away, and all that lies beneath it. Links on the way are followed inside the tree; one at its end is
    /// taken itself. Other names of a file stay. Whiteouts of a layer stay too: they hold nothing. Tells whether anything
    /// was there.
    pub fn remove(&mut self, path: &TreePath) -> bool {
        let Some((above, name)) = path.split() else { return false };
        let Ok(trace) = self.trace(Self::ROOT, above.as_bytes(), Last::Follow) else { return false };
        let is_there = trace.left.is_empty()
            && self
                .child(trace.folder, name)
                .is_some_and(|id| !matches!(self.inode(id).kind, InodeKind::Whiteout));
        if is_there {
            self.unbind(trace.folder, name);
            self.reclaim();
        }
        is_there
    }
}
