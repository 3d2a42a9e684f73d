//! An image that encapsulates a commit becomes that commit, or a new one over it.
//!
//! ```text
//! layers of the commit ──decode──► contents, staged; objects ──► its tree ──compared with what the layers show──┐
//! layers above it ──────decode──► contents, staged; trees in the names of the commit ──stacked over that────────┴──► root
//! ```
//!
//! Invariant: the layers of the commit are told by a label, and mean nothing but the objects in them. Layers above are
//! decoded once the commit is known: what they mean depends on it.

use crate::image::Image;
use crate::layers::{self, Sum};
use orlop_host::Error as HostError;
use orlop_host::ostree::carried::{self, Carried};
use orlop_host::ostree::claim::{Difference, Identity, Root};
use orlop_host::ostree::encapsulated::LAST_LAYER;
use orlop_host::ostree::encapsulated::above::{Above, Found};
use orlop_host::ostree::encapsulated::base::Base;
use orlop_host::ostree::encapsulated::gather::Gathering;
use orlop_host::ostree::flavour::Flavour;
use orlop_host::ostree::id::{Kind, ObjectId};
use orlop_host::ostree::import::{self, Ids};
use orlop_host::ostree::repo::Transaction;
use orlop_host::ostree::write_tree::write_tree;
use orlop_layer::tree::{InodeKind, Tree};
use orlop_spec::Context;
use orlop_spec::descriptor::Annotations;
use orlop_spec::port::Result;
use std::collections::HashSet;

/// How many layers of an image are those of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encapsulated {
    layers: u16,
}

/// What the layers became.
pub struct Taken {
    /// The commit that is in them.
    pub commit: Carried,
    /// The root of all layers.
    pub root: Root,
    /// Layers that are not of the commit.
    pub above: usize,
    /// Whether the commit is in the repository, beneath those layers.
    pub is_kept: bool,
}

impl Encapsulated {
    /// Whether the labels say where the layers of a commit end, and the image has that layer.
    pub fn find(image: &Image<'_>, labels: &Annotations) -> Option<Self> {
        let last = labels.get(LAST_LAYER)?;
        let diff_ids = &image.config().rootfs.diff_ids;
        let at = diff_ids.iter().position(|diff_id| *diff_id.to_string() == **last)?;
        Some(Self { layers: u16::try_from(at + 1).ok()? })
    }

    /// Takes all layers.
    pub fn take(
        self,
        cx: &Context<'_>,
        image: &Image<'_>,
        labels: &Annotations,
        (transaction, flavour): (&Transaction<'_>, Flavour),
    ) -> Result<Taken> {
        let all = u16::try_from(image.layers()?.len()).unwrap_or(u16::MAX);
        let sum = Sum::new(cx);
        let ((mut base, found), ids) = import::take(cx, transaction, flavour, |arrivals| {
            let gathering = Gathering::new(cx.cancel, flavour);
            let own = (0..self.layers).collect();
            let opened = layers::open_those(cx, "import", image, own, &sum, &|number, decode| {
                decode(&mut gathering.layer(number, arrivals.layer(number)))
            })?;
            let trees = opened.into_iter().flatten().map(|(tree, _)| tree);
            let said = labels.get(carried::COMMIT).map(|said| &**said);
            let base = Base::new(cx, gathering.into_objects(), said)?;
            base.check_shown(&layers::stack(trees)?).map_err(HostError::from)?;
            let above = Above::new(&base, cx);
            if self.layers < all {
                let others = (self.layers..all).collect();
                layers::open_those(cx, "import", image, others, &sum, &|number, decode| {
                    decode(&mut above.layer(number, arrivals.layer(number)))
                })?;
            }
            let found = above.into_found();
            Ok((base, found))
        })?;
        base.prove(&ids, flavour).map_err(HostError::from)?;
        let merging = Merging { cx, transaction, flavour, ids: &ids };
        Ok(merging.merge(&mut base, found, usize::from(all - self.layers))?)
    }
}

impl Taken {
    /// Whether this is the commit, or what it is instead.
    pub fn identity(&self) -> Identity {
        let id = self.commit.commit.id();
        if self.above > 0 {
            return Identity::Differs { id, difference: Difference::Above { layers: self.above } };
        }
        Identity::of(self.commit.clone(), self.root)
    }

    /// The commit before a new one over it.
    pub fn parent(&self) -> Option<ObjectId> {
        (self.above > 0 && self.is_kept).then(|| self.commit.commit.id())
    }
}

struct Merging<'a> {
    cx: &'a Context<'a>,
    transaction: &'a Transaction<'a>,
    flavour: Flavour,
    ids: &'a Ids,
}

impl Merging<'_> {
    fn merge(&self, base: &mut Base, found: Found, above: usize) -> Result<Taken, HostError> {
        let mut winners = HashSet::new();
        let root = self.write(base, base.tree(), &mut winners)?;
        let commit = base.carried();
        let is_whole = (root.tree, root.meta) == (commit.commit.tree, commit.commit.meta);
        let mut taken = Taken { commit, root, above, is_kept: false };
        if above > 0 {
            if is_whole {
                taken.keep(self.transaction)?;
            } else {
                // Nothing leads to what the repository cannot hold as it is.
                winners.clear();
            }
            let tree = found.stack(self.cx, base)?;
            taken.root = self.write(base, &tree, &mut winners)?;
        }
        self.ids.forget_all_but(self.transaction, &winners)?;
        Ok(taken)
    }

    fn write(&self, base: &Base, tree: &Tree, winners: &mut HashSet<ObjectId>) -> Result<Root, HostError> {
        let files = tree.walk().filter_map(|(_, id)| match &tree.inode(id).kind {
            InodeKind::File(content) => base.file(self.ids, content),
            _ => None,
        });
        winners.extend(files);
        write_tree(self.cx, self.transaction, tree, &|content| base.file(self.ids, content), self.flavour)
    }
}

impl Taken {
    /// Keeps the commit beneath a new one.
    fn keep(&mut self, transaction: &Transaction<'_>) -> Result<(), HostError> {
        let Carried { commit, detached } = &self.commit;
        let id = transaction.put(Kind::Commit, &commit.to_bytes())?;
        if let Some(detached) = detached {
            transaction.detached(&id, &detached.to_bytes())?;
        }
        self.is_kept = true;
        Ok(())
    }
}
