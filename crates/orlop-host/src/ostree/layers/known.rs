//! Layers that are here, by what they mean and which objects their files are.
//!
//! Invariant: no content is read. A blob counts as a layer where it was proven to be that layer when it came in.

use super::recipe::Files;
use crate::ostree::id::ObjectId;
use crate::ostree::repo::{Mode, Repo};
use orlop_layer::Error as LayerError;
use orlop_layer::tree::{Content, InodeKind, Tree};
use orlop_spec::digest::{AnyDigest, DiffId};
use orlop_spec::port::Result;
use orlop_spec::{Context, Fault};
use std::collections::BTreeMap;

/// Layers of an image that are here, by their numbers.
#[derive(Debug, Default)]
pub struct Known {
    trees: BTreeMap<u16, Tree>,
    files: BTreeMap<u16, Files>,
    entries: u64,
}

impl Known {
    /// Of the layers of an image, base first, those that a repository keeps: blobs, and what the config says they are.
    pub fn of(repo: &Repo, layers: &[(AnyDigest, DiffId)], cx: &Context<'_>) -> Result<Self> {
        let mut known = Self::default();
        for (number, (blob, expected)) in (0..).zip(layers) {
            if let Some(note) = repo.layer_note(blob)? {
                // What was proven by one algorithm says nothing about an id of another.
                if note.diff_id.0.algorithm() != expected.0.algorithm() {
                    continue;
                }
                check(&note.diff_id, expected)?;
                if repo.layer_files(&note.diff_id)?.is_some() {
                    known.add(repo, number, &note.diff_id, cx)?;
                }
            }
        }
        known.forget_what_differs(repo.mode());
        Ok(known)
    }

    /// All of some layers.
    pub(in super::super) fn all(repo: &Repo, layers: &[DiffId], cx: &Context<'_>) -> Result<Self> {
        let mut known = Self::default();
        for (number, diff_id) in (0..).zip(layers) {
            known.add(repo, number, diff_id, cx)?;
        }
        Ok(known)
    }

    fn add(&mut self, repo: &Repo, number: usize, diff_id: &DiffId, cx: &Context<'_>) -> Result<()> {
        cx.cancel.check()?;
        let limit = cx.limits.layers.min(usize::from(u16::MAX));
        let slot = u16::try_from(number).ok().filter(|_| number < limit);
        let slot = slot.ok_or(LayerError::Limit { what: "the number of layers", limit: limit as u64 })?;
        let (tree, files) = repo.layer_tree(diff_id, slot, cx.limits)?;
        self.entries = self.entries.saturating_add(tree.len());
        if self.entries > cx.limits.entries {
            let (what, limit) = ("the number of entries of all layers", cx.limits.entries);
            return Err(LayerError::Limit { what, limit }.into());
        }
        self.trees.insert(slot, tree);
        self.files.insert(slot, files);
        Ok(())
    }

    /// A repository of mode `bare-user-only` keeps the files of layers so that their owner can read them. Where that is
    /// not what they are, the layer is of no use for a tree that says what they are.
    fn forget_what_differs(&mut self, mode: Mode) {
        if mode == Mode::BareUserOnly {
            self.trees.retain(|_, tree| is_readable(tree));
            self.files.retain(|number, _| self.trees.contains_key(number));
        }
    }

    /// The trees, once; the objects of their files stay known.
    pub fn take_trees(&mut self) -> BTreeMap<u16, Tree> {
        std::mem::take(&mut self.trees)
    }

    /// The object of a file; `None` where it is of a layer that is not here.
    pub fn object(&self, content: &Content) -> Option<ObjectId> {
        self.files.get(&content.layer)?.get(content)
    }
}

/// That a blob holds the layer that a config names.
pub(in super::super) fn check(found: &DiffId, expected: &DiffId) -> Result<()> {
    if found.0.algorithm() == expected.0.algorithm() && found != expected {
        let (found, expected) = (Box::new(found.0), Box::new(expected.0));
        return Err(Fault::from(LayerError::WrongDiffId { found, expected }));
    }
    Ok(())
}

fn is_readable(tree: &Tree) -> bool {
    tree.walk().all(|(_, id)| {
        let inode = tree.inode(id);
        !matches!(inode.kind, InodeKind::File(_)) || inode.meta.mode & 0o400 != 0
    })
}
