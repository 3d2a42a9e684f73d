//! The two trees of a comparison: what was changed, as it was and as it is.

use super::Known;
use crate::Result;
use crate::error::Error;
use crate::snapshot::RecordId;
use orlop_layer::tree::{Builder, Tree};
use orlop_layer::{Entry, Kind, Meta, TreePath};
use orlop_spec::Limits;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// Which tree.
const OLDER: u16 = 0;
const NEWER: u16 = 1;

/// Both trees, and what is known about contents.
pub(super) struct Sides {
    pub(super) older: Side<RecordId>,
    pub(super) newer: Side<(u64, u64)>,
    pub(super) known: Known,
    /// Paths of the older tree, where it was asked to keep them.
    older_paths: HashSet<TreePath>,
}

/// One tree; `K` tells inodes apart.
pub(super) struct Side<K> {
    builder: Builder,
    /// Where an inode with several names has its first.
    first: HashMap<K, TreePath>,
}

impl Sides {
    pub(super) fn new(limits: &Limits) -> Self {
        let known = Known::default();
        let older_paths = HashSet::new();
        Self { older: Side::new(OLDER, limits), newer: Side::new(NEWER, limits), known, older_paths }
    }

    pub(super) fn note_older(&mut self, path: &TreePath) {
        self.older_paths.insert(path.clone());
    }

    pub(super) fn is_in_older(&self, path: &TreePath) -> bool {
        self.older_paths.contains(path)
    }

    /// Both as trees of whole root filesystems.
    pub(super) fn finish(self) -> Result<(Tree, Tree, Known)> {
        Ok((self.older.finish()?, self.newer.finish()?, self.known))
    }
}

impl<K: Eq + Hash> Side<K> {
    fn new(layer: u16, limits: &Limits) -> Self {
        Self { builder: Builder::new(layer, limits), first: HashMap::new() }
    }

    /// Adds a name. One with a `key` is one of several of its inode: those after the first become links to it.
    pub(super) fn add(
        &mut self,
        path: &TreePath,
        (meta, kind): (Meta, Kind),
        ordinal: u32,
        key: Option<K>,
    ) -> Result<()> {
        let first = key.as_ref().and_then(|key| self.first.get(key));
        let kind = first.map_or(kind, |first| Kind::HardLink { target: first.clone() });
        let entry = Entry { path: path.clone(), meta, kind };
        self.builder.add(ordinal, 0, &entry).map_err(Error::Entries)?;
        if let Some(key) = key {
            self.first.entry(key).or_insert_with(|| path.clone());
        }
        Ok(())
    }

    /// The first name of an inode, where it has one here.
    pub(super) fn first(&self, key: &K) -> Option<&TreePath> {
        self.first.get(key)
    }

    fn finish(self) -> Result<Tree> {
        Tree::default().stack(self.builder.finish()).map_err(Error::Entries)
    }
}
