//! Tracked folders: what was changed in an unpacked image becomes a layer on it, or is taken back.
//!
//! ```text
//! unpack --track ──► folder + snapshot (paths, facts, where each content came from, which image)
//! folder + snapshot ──compare──► changes ─┬─ repack ──► one layer on the image, by descriptors alone
//!                                         ├─ diff ────► told
//!                                         └─ revert ──► contents of the layers that hold them ──► folder
//! ```
//!
//! Invariants: no layer of the image is read by `repack` or `diff`, and by `revert` only those that hold what was changed.
//! What was not changed makes no layer and changes no digest. Whoever works with a folder has a lock on its snapshot.

mod about;
mod repack;
mod revert;

pub use about::About;
pub use repack::{Layer, Repack};
pub use revert::{Reverted, revert};

use crate::diff::{self, Difference};
use crate::error::Error;
use crate::hashed::Hashed;
use orlop_fs::lock::Share;
use orlop_fs::scan::Unrepresentable;
use orlop_fs::track::{self, Compare, Compared, Hash, Renew, Trust};
use orlop_fs::{Dir, snapshot};
use orlop_layer::TreePath;
use orlop_layer::tree::{Content, InodeKind, Tree};
use orlop_spec::port::Result;
use orlop_spec::{Algorithm, Context, Digest, Limits};
use std::path::Path;

/// A folder whose snapshot was found.
#[derive(Debug)]
pub struct Tracked {
    /// The folder, what it was, and where that is kept.
    pub folder: track::Tracked,
    /// The image that it came from.
    pub about: About,
}

/// How a folder is looked at.
#[derive(Clone, Debug)]
pub struct Look {
    /// What is believed of the snapshot.
    pub trust: Trust,
    /// Paths at and beneath which nothing counts as changed.
    pub masks: Vec<TreePath>,
    /// What to do with names that an image cannot hold.
    pub unrepresentable: Unrepresentable,
}

impl Default for Look {
    fn default() -> Self {
        Self { trust: Trust::Facts, masks: Vec::new(), unrepresentable: Unrepresentable::Refuse }
    }
}

impl Tracked {
    /// Finds the snapshot of a folder that the user named, a root filesystem or a bundle.
    ///
    /// # Errors
    /// Not found where it has none; integrity where the snapshot is damaged.
    pub fn open(path: &Path, share: Share, limits: &Limits) -> Result<Self> {
        let folder = track::Tracked::open(path, share, limits)?;
        let about = About::parse(&folder.snapshot.about)?;
        Ok(Self { folder, about })
    }

    /// What was changed.
    ///
    /// # Errors
    /// Where another folder has the place of the one that the snapshot is of, and facts are believed.
    pub fn compare(
        &self,
        cx: &Context<'_>,
        look: &Look,
        journal: Option<&Dir>,
        (hash, renew): (Hash, Renew),
    ) -> Result<Compared> {
        let track::Tracked { root, snapshot, .. } = &self.folder;
        if look.trust == Trust::Facts && !track::is_of(snapshot, &root.stat_self()?) {
            return Err(Error::OtherFolder(root.shown("")).into());
        }
        let how = Compare {
            trust: look.trust,
            hash,
            renew,
            masks: &look.masks,
            unrepresentable: look.unrepresentable,
            journal,
            now: track::clock(root),
            limits: cx.limits,
            observer: cx.observer,
            cancel: cx.cancel,
        };
        Ok(track::compare(root, snapshot, &how)?)
    }
}

/// The changes as those between two images are told.
pub fn changes(compared: &Compared) -> Vec<Difference> {
    diff::trees(&hashed(compared, &compared.older), &hashed(compared, &compared.newer))
        .into_iter()
        .map(|difference| Difference { layers: (None, None), ..difference })
        .collect()
}

fn hashed(compared: &Compared, tree: &Tree) -> Hashed {
    let files = tree.walk().filter_map(|(_, id)| match &tree.inode(id).kind {
        InodeKind::File(content) => Some(*content),
        _ => None,
    });
    let digest =
        |content: Content| Some(((content.layer, content.ordinal), digest_of(compared.sha256(&content)?)?));
    Hashed::known(tree.clone(), files.filter_map(digest).collect())
}

fn digest_of(sha256: [u8; 32]) -> Option<Digest> {
    Digest::from_bytes(Algorithm::Sha256, &sha256)
}

/// What a snapshot says of a content that is known to be in an image.
pub(crate) fn content(sha256: Option<&Digest>, content: &Content) -> snapshot::Content {
    let origin = snapshot::Origin { layer: content.layer, ordinal: content.ordinal };
    let sha256 = sha256.and_then(|digest| digest.bytes().try_into().ok());
    snapshot::Content { sha256, origin: Some(origin) }
}
