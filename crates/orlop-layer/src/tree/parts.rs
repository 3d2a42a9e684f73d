//! A layer as several layers.
//!
//! Law: `base.stack(layer)` is `base` with all of its parts on it, for every layer that [`Tree::compose`] gives.
//!
//! ```text
//! part 1   all whiteouts and folders that hide what is below │ d, d/a, d/b
//! part 2                                                     │ d, d/c, e, e/a = e/b
//! ```
//!
//! The parts follow each other in the order of the layer's paths. Each holds the folders on the way to what it holds, as
//! the layer describes them; and all names of a file are in one part.

use super::{Form, Inode, InodeId, InodeKind, Lower, Presence, Tree};
use crate::entry::Meta;
use crate::error::Error;
use crate::path::TreePath;
use std::collections::HashMap;

/// Bytes of a header and of the unit that contents are filled up to, in a tar.
const RECORD: u64 = 512;

impl Tree {
    /// This layer in parts of at most `most` bytes of tar each; a file that is larger is a part of its own. A layer that
    /// fits is one part.
    pub fn parts(&self, most: u64) -> Result<Vec<Self>, Error> {
        let mut parts = Parts { layer: self, most, done: Vec::new(), filled: 0, shared: HashMap::new() };
        parts.done.push(Self::empty(Form::Layer, self.bounds));
        parts.describe(0, Self::ROOT, Self::ROOT);
        parts.removals()?;
        for (path, id) in self.walk().skip(1) {
            parts.put(&path, id)?;
        }
        Ok(parts.done)
    }

    /// About how many bytes of tar the entries are, as parts are measured.
    pub fn weight(&self) -> u64 {
        let live = self.inodes.iter().filter(|inode| inode.names > 0);
        live.fold(0, |sum, inode| sum.saturating_add(RECORD + size(&inode.kind)))
    }
}

struct Parts<'a> {
    layer: &'a Tree,
    most: u64,
    done: Vec<Tree>,
    /// Bytes of the last part.
    filled: u64,
    /// Where files with several names went.
    shared: HashMap<InodeId, (usize, InodeId)>,
}

impl Parts<'_> {
    /// What is removed goes before anything comes.
    fn removals(&mut self) -> Result<(), Error> {
        for (path, id) in self.layer.walk().skip(1) {
            match self.layer.inode(id).kind {
                InodeKind::Whiteout => {
                    let (folder, name) = self.place(0, &path)?;
                    self.bind(0, folder, &name, Inode::new(Meta::default(), InodeKind::Whiteout))?;
                }
                InodeKind::Directory { lower: Lower::Hide | Lower::Replace, .. } => {
                    self.folder(0, &path)?;
                }
                _ => continue,
            }
            self.filled += RECORD;
        }
        Ok(())
    }

    fn put(&mut self, path: &TreePath, id: InodeId) -> Result<(), Error> {
        let inode = self.layer.inode(id);
        if inode.kind == InodeKind::Whiteout {
            return Ok(());
        }
        if let Some((part, copy)) = self.shared.get(&id).copied() {
            let (folder, name) = self.place(part, path)?;
            return self.done[part].bind(folder, name, copy);
        }
        let part = self.part_for(RECORD.saturating_add(size(&inode.kind)));
        if inode.is_directory() {
            return self.folder(part, path).map(drop);
        }
        let (folder, name) = self.place(part, path)?;
        let copy = self.bind(part, folder, &name, Inode::new(inode.meta.clone(), inode.kind.clone()))?;
        if inode.names > 1 {
            self.shared.insert(id, (part, copy));
        }
        Ok(())
    }

    /// The last part, or a new one where the last has no room left.
    fn part_for(&mut self, size: u64) -> usize {
        if self.filled > 0 && self.filled.saturating_add(size) > self.most {
            self.done.push(Tree::empty(Form::Layer, self.layer.bounds));
            self.filled = 0;
            self.describe(self.done.len() - 1, Tree::ROOT, Tree::ROOT);
        }
        self.filled = self.filled.saturating_add(size);
        self.done.len() - 1
    }

    /// Where the name of a path goes.
    fn place(&mut self, part: usize, path: &TreePath) -> Result<(InodeId, Box<[u8]>), Error> {
        let (above, name) = path.split().expect("a path below the root");
        Ok((self.folder(part, &above)?, name.into()))
    }

    /// A folder of the layer in a part, with those above it.
    fn folder(&mut self, part: usize, path: &TreePath) -> Result<InodeId, Error> {
        let (mut from, mut to) = (Tree::ROOT, Tree::ROOT);
        for name in path.components() {
            from = self.layer.child(from, name).expect("a folder of the layer");
            to = if let Some(there) = self.done[part].child(to, name) {
                there
            } else {
                let made = self.bind(part, to, name, Inode::implied(Lower::Merge))?;
                self.describe(part, from, made);
                made
            };
        }
        Ok(to)
    }

    /// A folder of a part is as the layer has it, but that what is below is removed once, by the first part.
    fn describe(&mut self, part: usize, from: InodeId, to: InodeId) {
        let folder = self.layer.inode(from);
        let InodeKind::Directory { presence, lower } = folder.kind else { return };
        let lower = if part == 0 { lower } else { Lower::Merge };
        let copy = self.done[part].inode_mut(to);
        if presence == Presence::Explicit {
            copy.meta.clone_from(&folder.meta);
        }
        copy.kind = InodeKind::Directory { presence, lower };
    }

    fn bind(&mut self, part: usize, folder: InodeId, name: &[u8], inode: Inode) -> Result<InodeId, Error> {
        let tree = &mut self.done[part];
        let id = tree.create(inode);
        tree.bind(folder, name.into(), id)?;
        Ok(id)
    }
}

/// Bytes of a content in a tar.
fn size(kind: &InodeKind) -> u64 {
    match kind {
        InodeKind::File(content) => content.size.saturating_add(RECORD - 1) / RECORD * RECORD,
        _ => 0,
    }
}
