//! A manifest as the snapshot of a folder, which changes are told by.

use super::facts::{Facts, Stamp, has_xattrs};
use super::{Mtree, MtreeError};
use crate::Error;
use crate::umoci::UmociError;
use orlop_fs::FileKind;
use orlop_fs::owner::Owner;
use orlop_fs::snapshot::{self, Content, Groups, Snapshot, What};
use orlop_spec::Limits;

impl Mtree {
    /// The snapshot of the folder that the manifest is about, in which owners were treated so. Sockets are no part of it.
    ///
    /// # Errors
    /// Where a line does not say what it is about, or a limit is passed.
    pub fn snapshot(&self, owner: Owner, limits: &Limits) -> Result<Snapshot, Error> {
        let mut snapshot = Snapshot::new(owner, Groups::Unknown);
        for (path, facts) in &self.entries {
            if facts.kind == Some(FileKind::Socket) {
                continue;
            }
            let what = what(facts).ok_or_else(|| UmociError::from(MtreeError::Kindless(path.to_string())))?;
            let known = known(facts, &what);
            let name = path.components().next_back().unwrap_or_default();
            let depth = path.components().count();
            let xattrs = facts.kind.is_some_and(has_xattrs).then_some(&facts.xattrs);
            snapshot.push((depth, name), known, xattrs, what, limits)?;
        }
        Ok(snapshot)
    }
}

/// What a line is about; `None` where it does not say.
fn what(facts: &Facts) -> Option<What> {
    Some(match facts.kind? {
        FileKind::File => What::File(Content { sha256: facts.sha256, origin: None }),
        FileKind::Directory => What::Directory,
        FileKind::Symlink => What::Symlink(facts.target.clone()?),
        FileKind::CharDevice => What::CharDevice(None),
        FileKind::BlockDevice => What::BlockDevice(None),
        FileKind::Fifo => What::Fifo,
        FileKind::Socket => return None,
    })
}

/// Sizes of folders and how many folders are in them are not facts of a tree.
fn known(facts: &Facts, what: &What) -> snapshot::Facts {
    let is_folder = *what == What::Directory;
    snapshot::Facts {
        mode: facts.mode,
        uid: facts.uid,
        gid: facts.gid,
        mtime: facts.time.map(|time| match time {
            Stamp::Seconds(seconds) => snapshot::Stamp::Seconds(seconds),
            Stamp::Exact(time) => snapshot::Stamp::Exact(time),
        }),
        size: facts.size.filter(|_| matches!(what, What::File(_))),
        links: facts.links.filter(|_| !is_folder),
        ..snapshot::Facts::default()
    }
}
