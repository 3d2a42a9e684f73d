//! A layer on top of others whose folders do not replace links to folders.

use super::trail::Last;
use super::{InodeId, InodeKind, Lower, Presence, Tree};
use crate::error::Error;
use crate::path::TreePath;

impl Tree {
    /// As [`Tree::stack`], but where the layer has a folder and this tree a link to one, the link stays: what the layer has in
    /// the folder goes where the link leads, and the folder there keeps its attributes. The specification has it otherwise.
    ///
    /// # Errors
    /// As of [`Tree::stack`].
    pub fn stack_through_links(self, mut upper: Self) -> Result<Self, Error> {
        let mut lower = if self.form == super::Form::Layer { Self::default().stack(self)? } else { self };
        lower.followed = 0;
        let folders: Vec<(TreePath, InodeId)> =
            upper.walk().filter(|(path, id)| !path.is_root() && upper.is_said(*id)).collect();
        for (path, id) in folders {
            if lower.links_to_a_folder(&path)? {
                upper.inodes[id.0 as usize].kind =
                    InodeKind::Directory { presence: Presence::Implied, lower: Lower::Merge };
            }
        }
        lower.stack(upper)
    }

    /// Whether an inode is a folder that the layer has an entry for, and lets shine through what is below.
    fn is_said(&self, id: InodeId) -> bool {
        let said = InodeKind::Directory { presence: Presence::Explicit, lower: Lower::Merge };
        self.inode(id).kind == said
    }

    fn links_to_a_folder(&mut self, path: &TreePath) -> Result<bool, Error> {
        let here = self.attempt(Self::ROOT, path.as_bytes(), Last::Keep)?;
        let here = here.ok().and_then(|trace| trace.inode(self)).map(|id| &self.inode(id).kind);
        if !matches!(here, Some(InodeKind::Symlink(_))) {
            return Ok(false);
        }
        let there = self.attempt(Self::ROOT, path.as_bytes(), Last::Follow)?;
        Ok(there.is_ok_and(|trace| trace.left.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, Kind, Meta};
    use crate::tree::Builder;
    use orlop_spec::Limits;

    fn layer(entries: &[(&str, Kind)]) -> Tree {
        let mut tree = Builder::new(0, &Limits::default());
        for (ordinal, (path, kind)) in (0..).zip(entries) {
            let path = TreePath::parse(path.as_bytes()).expect("plain");
            let meta = Meta { mode: 0o755, ..Meta::default() };
            tree.add(ordinal, 0, &Entry { path, meta, kind: kind.clone() }).expect("fits");
        }
        tree.finish()
    }

    fn link(target: &str) -> Kind {
        Kind::Symlink { target: target.as_bytes().into() }
    }

    fn paths(tree: &Tree) -> Vec<String> {
        tree.walk().map(|(path, _)| path.to_string()).collect()
    }

    #[test]
    fn a_folder_goes_through_a_link_to_a_folder_only_where_that_is_asked_for() {
        let below =
            || layer(&[("usr", Kind::Directory), ("usr/lib", Kind::Directory), ("lib", link("usr/lib"))]);
        let above = || layer(&[("lib", Kind::Directory), ("lib/f", Kind::File { size: 0 })]);
        let through = below().stack_through_links(above()).expect("stacks");
        assert_eq!(paths(&through), ["/", "lib", "usr", "usr/lib", "usr/lib/f"]);
        assert_eq!(paths(&below().stack(above()).expect("stacks")), ["/", "lib", "lib/f", "usr", "usr/lib"]);
    }

    #[test]
    fn a_link_to_anything_else_is_replaced() {
        for target in ["nowhere", "file", "loop", "lib"] {
            let below =
                layer(&[("file", Kind::File { size: 0 }), ("lib", link(target)), ("loop", link("loop"))]);
            let above = layer(&[("lib", Kind::Directory), ("lib/f", Kind::File { size: 0 })]);
            let through = below.stack_through_links(above).expect("stacks");
            assert_eq!(paths(&through), ["/", "file", "lib", "lib/f", "loop"], "{target}");
        }
    }
}
