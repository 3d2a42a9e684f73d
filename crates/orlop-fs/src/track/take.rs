//! The snapshot of a folder that was just made of a tree.

use super::{Sha256, scan_options};
use crate::owner::Owner;
use crate::scan::walk::{Found, Walk};
use crate::snapshot::{Content, Facts, Groups, Origin, RecordId, Snapshot, What};
use crate::stat::FileKind;
use crate::{Dir, Result};
use orlop_layer::tree::{InodeId, InodeKind, Tree};
use orlop_layer::{Time, tree};
use orlop_spec::{Cancel, Limits};
use std::collections::HashMap;

/// What a snapshot is taken with.
#[derive(Clone, Copy)]
pub struct Take<'a> {
    /// What was done about owners.
    pub owner: Owner,
    /// The tree that the folder was made of.
    pub tree: &'a Tree,
    /// The digests of its contents, where they are known.
    pub sha256: &'a dyn Fn(&tree::Content) -> Option<Sha256>,
    /// A time before the look, by the clock of the file system.
    pub now: Option<Time>,
    /// Where lent modes are written down.
    pub journal: Option<&'a Dir>,
    /// What trees may be.
    pub limits: &'a Limits,
    /// Looked at for each name.
    pub cancel: &'a Cancel,
}

/// Takes the snapshot of `folder`, which nobody has changed yet.
pub fn take(folder: &Dir, how: &Take<'_>) -> Result<Snapshot> {
    let mut walk = Walk::new(folder, &scan_options(how.journal, how.cancel))?;
    let mut snapshot = Snapshot::new(how.owner, Groups::Known);
    snapshot.now = how.now;
    let mut names = Names::default();
    let mut branch: Vec<Option<InodeId>> = Vec::new();
    while let Some(found) = walk.next()? {
        how.cancel.check()?;
        let depth = found.path.components().count();
        branch.truncate(depth);
        let id = match branch.last() {
            None => Some(how.tree.root()),
            Some(folder) => folder.and_then(|folder| how.tree.child(folder, found.name())),
        };
        branch.push(id);
        if found.stat.kind == FileKind::Socket {
            continue;
        }
        let at = (depth, found.name());
        if let Some(first) = names.first(&found) {
            snapshot.push(at, Facts::default(), None, What::Link(first), how.limits)?;
        } else {
            let what = what(&walk, &found, content(how, id))?;
            let xattrs = walk.xattrs(&found)?;
            let id = snapshot.push(at, Facts::of(&found.stat), Some(&xattrs), what, how.limits)?;
            names.note(&found, id);
        }
        if found.stat.kind == FileKind::Directory && !found.path.is_root() {
            walk.enter(&found)?;
        }
    }
    Ok(snapshot)
}

/// What is known of the content that an inode of the tree has.
fn content(how: &Take<'_>, id: Option<InodeId>) -> Content {
    match id.map(|id| &how.tree.inode(id).kind) {
        Some(InodeKind::File(content)) => {
            let origin = Origin { layer: content.layer, ordinal: content.ordinal };
            Content { sha256: (how.sha256)(content), origin: Some(origin) }
        }
        _ => Content::default(),
    }
}

/// What a name leads to; of files, what is known of their content.
pub(super) fn what(walk: &Walk, found: &Found, content: Content) -> Result<What> {
    Ok(match found.stat.kind {
        FileKind::File | FileKind::Socket => What::File(content),
        FileKind::Directory => What::Directory,
        FileKind::Symlink => What::Symlink(walk.read_link(found)?),
        FileKind::CharDevice => What::CharDevice(Some(found.stat.device)),
        FileKind::BlockDevice => What::BlockDevice(Some(found.stat.device)),
        FileKind::Fifo => What::Fifo,
    })
}

/// The first names of files that have several.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<(u64, u64), RecordId>);

impl Names {
    /// The first name of what is found, where this is a further one.
    pub(super) fn first(&self, found: &Found) -> Option<RecordId> {
        if !has_names(found) {
            return None;
        }
        self.0.get(&(found.stat.dev, found.stat.ino)).copied()
    }

    pub(super) fn note(&mut self, found: &Found, id: RecordId) {
        if has_names(found) {
            self.0.insert((found.stat.dev, found.stat.ino), id);
        }
    }
}

/// Whether a file has several names, here or elsewhere.
pub(super) fn has_names(found: &Found) -> bool {
    found.stat.kind != FileKind::Directory && found.stat.links > 1
}
