//! A layer as a folder of files, with its whiteouts as files again: what can be looked at without a lower layer.
//!
//! ```text
//! whiteout of d/x               d/.wh.x, an empty file
//! d hides what is below         d/.wh..wh..opq
//! d replaces what is below      .wh.d beside d
//! ```
//!
//! Invariant: the names are those of markers in a tar, so tools that know them stack such folders as layers.

use super::{Content, Form, Inode, InodeId, InodeKind, Lower, Presence, Tree};
use crate::entry::Meta;
use crate::error::Error;
use crate::whiteout;

/// The ordinal of files that stand for whiteouts: no layer has so many entries.
pub const WHITEOUT: u32 = u32::MAX;

impl Tree {
    /// A stacked tree of what this layer holds. Hard links to files of layers below are left out.
    pub fn shown(&self) -> Result<Self, Error> {
        let mut shown = Self::empty(Form::Stacked, self.bounds);
        let mut folders = vec![(Self::ROOT, Self::ROOT)];
        shown.describe_as(Self::ROOT, self.inode(Self::ROOT));
        while let Some((from, to)) = folders.pop() {
            if self.lower(from) == Some(Lower::Hide) {
                shown.mark(to, whiteout::print_opaque().into())?;
            }
            for (name, id) in self.children(from) {
                let inode = self.inode(id);
                if inode.kind == InodeKind::Whiteout || self.lower(id) == Some(Lower::Replace) {
                    shown.mark(to, whiteout::print(name).into())?;
                }
                if let Some(copy) = shown.copy(to, name, inode)?.filter(|_| inode.is_directory()) {
                    shown.describe_as(copy, inode);
                    folders.push((id, copy));
                }
            }
        }
        Ok(shown)
    }

    fn lower(&self, id: InodeId) -> Option<Lower> {
        match self.inode(id).kind {
            InodeKind::Directory { lower, .. } => Some(lower),
            _ => None,
        }
    }

    /// The same thing under a name of this tree, where it is one by itself.
    fn copy(&mut self, folder: InodeId, name: &[u8], inode: &Inode) -> Result<Option<InodeId>, Error> {
        let copy = match inode.kind {
            InodeKind::Whiteout | InodeKind::LinkBelow(_) => return Ok(None),
            InodeKind::Directory { .. } => Inode::fresh(),
            _ => Inode::new(inode.meta.clone(), inode.kind.clone()),
        };
        let id = self.create(copy);
        self.bind(folder, name.into(), id)?;
        Ok(Some(id))
    }

    /// What the layer says of a folder, where it says something.
    fn describe_as(&mut self, id: InodeId, folder: &Inode) {
        if let InodeKind::Directory { presence: Presence::Explicit, .. } = folder.kind {
            self.inode_mut(id).meta = folder.meta.clone();
        }
    }

    fn mark(&mut self, folder: InodeId, name: Box<[u8]>) -> Result<(), Error> {
        let content = Content { layer: 0, ordinal: WHITEOUT, offset: 0, size: 0 };
        let meta = Meta { mode: 0o644, ..Meta::default() };
        let id = self.create(Inode::new(meta, InodeKind::File(content)));
        self.bind(folder, name, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Device, Entry, Kind};
    use crate::path::TreePath;
    use crate::tree::Builder;
    use orlop_spec::Limits;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text.as_bytes()).expect("a plain path")
    }

    fn shown(entries: &[(&str, Kind)]) -> Tree {
        let mut builder = Builder::new(0, &Limits::default());
        for (ordinal, (name, kind)) in (0..).zip(entries) {
            let meta = Meta { mode: 0o700, ..Meta::default() };
            let entry = Entry { path: path(name), meta, kind: kind.clone() };
            builder.add(ordinal, 0, &entry).expect(name);
        }
        builder.finish().shown().expect("fits")
    }

    fn names(tree: &Tree) -> Vec<String> {
        tree.walk().map(|(path, _)| path.to_string()).collect()
    }

    #[test]
    fn whiteouts_are_files_with_the_names_of_their_markers() {
        let file = Kind::File { size: 1 };
        let tree = shown(&[
            ("d", Kind::Directory),
            ("d", Kind::Opaque),
            ("d/x", file.clone()),
            ("e/gone", Kind::Whiteout),
            ("l", Kind::Symlink { target: b"d/x"[..].into() }),
            ("n", Kind::CharDevice(Device::default())),
            ("h", Kind::HardLink { target: path("below") }),
            ("again", file.clone()),
            ("again", file),
        ]);
        assert_eq!(names(&tree), ["/", "again", "d", "d/.wh..wh..opq", "d/x", "e", "e/.wh.gone", "l", "n"]);
        let inode = |path: &[u8]| tree.inode(tree.locate(path).expect("there")).clone();
        assert!(matches!(inode(b"again").kind, InodeKind::File(Content { ordinal: 8, size: 1, .. })));
        assert!(matches!(inode(b"e/.wh.gone").kind, InodeKind::File(Content { ordinal: WHITEOUT, .. })));
        assert_eq!((inode(b"d").meta.mode, inode(b"e").meta.mode), (0o700, 0o755));
    }

    #[test]
    fn a_folder_in_the_place_of_another_has_a_whiteout_beside_it() {
        let tree = shown(&[("d", Kind::Whiteout), ("d/new", Kind::File { size: 1 })]);
        assert_eq!(names(&tree), ["/", ".wh.d", "d", "d/new"]);
    }

    #[test]
    fn a_root_that_hides_everything_says_so() {
        let tree = shown(&[("", Kind::Opaque), ("", Kind::Directory), ("a", Kind::File { size: 1 })]);
        assert_eq!(names(&tree), ["/", ".wh..wh..opq", "a"]);
        assert_eq!(tree.inode(tree.root()).meta.mode, 0o700);
    }
}
