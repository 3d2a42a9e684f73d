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

use crate::diff::{self, Change, Difference, Field};
use crate::error::Error;
use crate::hashed::Hashed;
use orlop_fs::lock::Share;
use orlop_fs::scan::Unrepresentable;
use orlop_fs::track::{self, Compare, Compared, Hash, Renew, Stray, Strays, Trust};
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
    /// What becomes of names that an image cannot hold; to [`revert`] they are always additions.
    pub strays: Strays,
}

impl Default for Look {
    fn default() -> Self {
        let strays = Strays::LeftOut(Unrepresentable::Refuse);
        Self { trust: Trust::Facts, masks: Vec::new(), strays }
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
            strays: look.strays,
            journal,
            now: track::clock(root),
            limits: cx.limits,
            observer: cx.observer,
            cancel: cx.cancel,
        };
        Ok(track::compare(root, snapshot, &how)?)
    }
}

/// The changes as those between two images are told, and among them what no image can hold, where that counts as added.
pub fn changes(compared: &Compared) -> Vec<Difference> {
    let (older, newer) = (hashed(compared, &compared.older), hashed(compared, &compared.newer));
    let changes = diff::trees(&older, &newer).into_iter();
    let strays = compared.strays.iter().map(|stray| added(&compared.older, stray));
    let mut changes: Vec<Difference> =
        changes.map(|difference| Difference { layers: (None, None), ..difference }).chain(strays).collect();
    // Each of both is sorted. What had the place of a stray comes first of the two, and is said by the other.
    changes.sort_by(|one, other| one.path.components().cmp(other.path.components()));
    changes.dedup_by(|stray, gone| {
        let is_one = stray.path == gone.path;
        if is_one {
            std::mem::swap(stray, gone);
        }
        is_one
    });
    changes
}

/// What no image can hold was added, or took the place of another file.
fn added(older: &Tree, Stray { path, kind }: &Stray) -> Difference {
    let instead_of = path.components().try_fold(older.root(), |at, name| older.child(at, name));
    let change = instead_of.map_or(Change::Added, |id| {
        let (before, after) = (diff::kind_name(older.inode(id)), kind.word());
        Change::Changed(vec![Field { name: "type".into(), before: before.into(), after: after.into() }])
    });
    Difference { path: path.clone(), change, layers: (None, None) }
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
