//! The names of one folder.

use super::InodeId;
use std::collections::{BTreeMap, btree_map};

/// Names and what they lead to, sorted bytewise.
#[derive(Clone, Debug, Default)]
pub(super) struct Children(BTreeMap<Box<[u8]>, InodeId>);

impl Children {
    pub(super) fn get(&self, name: &[u8]) -> Option<InodeId> {
        self.0.get(name).copied()
    }

    /// Sets a name; gives what it led to before.
    pub(super) fn insert(&mut self, name: Box<[u8]>, id: InodeId) -> Option<InodeId> {
        self.0.insert(name, id)
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<InodeId> {
        self.0.remove(name)
    }

    pub(super) fn iter(&self) -> Iter<'_> {
        Iter(self.0.iter())
    }

    pub(super) fn into_names(self) -> IntoNames {
        IntoNames(self.0.into_iter())
    }
}

/// Borrowed names in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Iter<'a>(btree_map::Iter<'a, Box<[u8]>, InodeId>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], InodeId);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, id)| (&**name, *id))
    }
}

/// Owned names in order.
pub(super) struct IntoNames(btree_map::IntoIter<Box<[u8]>, InodeId>);

impl Iterator for IntoNames {
    type Item = (Box<[u8]>, InodeId);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
