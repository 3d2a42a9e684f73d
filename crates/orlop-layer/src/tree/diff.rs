//! The layer between two trees (image-spec, `layer.md`, "Change Types").
//!
//! Law: `a.stack(a.diff(&b)) == b` for stacked trees.
//!
//! Written so that every engine reads it alike: removals are explicit whiteouts, never opaque folders; a folder
//! on the way to a change is there with its attributes; hard links never reach into a lower layer: when one
//! name of a file changes, all its names are written.

use super::both::{Both, Kin, Step};
use super::{Content, Form, Inode, InodeId, InodeKind, Lower, Presence, Tree};
use crate::entry::Meta;
use std::collections::HashMap;

impl Tree {
    /// The layer that turns this tree into `newer`. Both are trees of one numbering of layers: contents are
    /// equal when they come from the same entry of the same layer.
    #[must_use]
    pub fn diff(&self, newer: &Self) -> Self {
        self.diff_by(newer, &mut |old, new| old == new)
    }

    /// As [`Tree::diff`], for trees from different places: `same` tells whether two contents are equal. It is
    /// asked only where everything else about two files agrees.
    #[must_use]
    pub fn diff_by(&self, newer: &Self, same: &mut dyn FnMut(&Content, &Content) -> bool) -> Self {
        let layer = Self::empty(Form::Layer, newer.bounds);
        let kin = Kin::new(self, newer);
        let mut diff = Diff { older: self, newer, same, kin, layer, moved: HashMap::new(), open: Vec::new() };
        diff.root();
        for step in Both::new(self, newer) {
            diff.step(&step);
        }
        diff.layer
    }
}

struct Diff<'a> {
    older: &'a Tree,
    newer: &'a Tree,
    same: &'a mut dyn FnMut(&Content, &Content) -> bool,
    kin: Kin,
    layer: Tree,
    /// From inodes of the newer tree with several names to those of the layer.
    moved: HashMap<InodeId, InodeId>,
    open: Vec<Open<'a>>,
}

/// A folder of the newer tree under way, and the layer's where it is needed.
struct Open<'a> {
    name: &'a [u8],
    newer: InodeId,
    layer: Option<InodeId>,
}

impl<'a> Diff<'a> {
    fn root(&mut self) {
        if self.older.inode(Tree::ROOT).meta != self.newer.inode(Tree::ROOT).meta {
            *self.layer.inode_mut(Tree::ROOT) = Inode { names: 1, folder: 0, ..self.explicit(Tree::ROOT) };
        }
        self.open.push(Open { name: b"", newer: Tree::ROOT, layer: Some(Tree::ROOT) });
    }

    fn step(&mut self, step: &Step<'a>) {
        self.open.truncate(step.depth);
        match (step.older, step.newer) {
            (_, Some(newer)) if self.newer.inode(newer).is_directory() => self.directory(step, newer),
            (_, Some(newer)) if !self.is_kept(step.older, newer) => self.leaf(step.name, newer),
            (_, Some(_)) | (None, None) => {}
            (Some(_), None) => {
                let whiteout = self.layer.create(Inode::new(Meta::default(), InodeKind::Whiteout));
                self.bind(step.name, whiteout);
            }
        }
    }

    fn directory(&mut self, step: &Step<'a>, newer: InodeId) {
        let older = step.older.map(|id| self.older.inode(id)).filter(|inode| inode.is_directory());
        let kept = older.is_some_and(|inode| inode.meta == self.newer.inode(newer).meta);
        self.open.push(Open { name: step.name, newer, layer: None });
        if !kept {
            self.needed();
        }
    }

    fn leaf(&mut self, name: &[u8], newer: InodeId) {
        let inode = self.newer.inode(newer);
        let id = match self.moved.get(&newer) {
            Some(moved) => *moved,
            None => self.layer.create(inode.clone()),
        };
        if inode.names > 1 {
            self.moved.insert(newer, id);
        }
        self.bind(name, id);
    }

    /// Whether a name leads to what it led to before.
    fn is_kept(&mut self, older: Option<InodeId>, newer: InodeId) -> bool {
        let Some(older) = older else { return false };
        let (old, new) = (self.older.inode(older), self.newer.inode(newer));
        self.kin.holds((self.older, older), (self.newer, newer))
            && old.meta == new.meta
            && match (&old.kind, &new.kind) {
                (InodeKind::File(old), InodeKind::File(new)) => old.size == new.size && (self.same)(old, new),
                (old, new) => old == new,
            }
    }

    fn bind(&mut self, name: &[u8], id: InodeId) {
        let folder = self.needed();
        self.layer.bind(folder, name.into(), id).expect(FITS);
    }

    /// The layer's folder for the newer tree's innermost one under way.
    fn needed(&mut self) -> InodeId {
        let missing = self.open.iter().rposition(|open| open.layer.is_some()).map_or(0, |last| last + 1);
        for index in missing..self.open.len() {
            let above = self.open[index - 1].layer.unwrap_or(Tree::ROOT);
            let id = self.layer.create(self.explicit(self.open[index].newer));
            self.layer.bind(above, self.open[index].name.into(), id).expect(FITS);
            self.open[index].layer = Some(id);
        }
        self.open.last().and_then(|open| open.layer).unwrap_or(Tree::ROOT)
    }

    fn explicit(&self, newer: InodeId) -> Inode {
        Inode::directory(self.newer.inode(newer).meta.clone(), Presence::Explicit, Lower::Merge)
    }
}

const FITS: &str = "a layer's paths are those of the trees it lies between";
