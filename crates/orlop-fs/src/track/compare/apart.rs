//! Names that take no part in the two trees: what counts as unchanged whatever it is, and what no tree can hold.
//!
//! Invariant: of what is masked or mounted over nothing is opened, listed or lent a permission, whether or not an image could
//! hold it.

use super::super::{Stray, Strays};
use super::{Comparison, Folder};
use crate::error::Error;
use crate::loss::LossKind;
use crate::scan::Unrepresentable;
use crate::scan::walk::Found;
use crate::snapshot::RecordId;
use crate::stat::FileKind;
use crate::{Result, call};
use orlop_layer::{Error as LayerError, Xattrs, whiteout};
use orlop_spec::Event;

impl Comparison<'_> {
    /// Whether a name is masked, or is the place of a mount.
    pub(super) fn is_spared(&self, found: &Found, record: Option<RecordId>) -> bool {
        if found.path.is_root() {
            return false;
        }
        if self.how.masks.contains(&found.path) {
            return true;
        }
        let is_mount = self.is_mount(found, record);
        if is_mount {
            let (path, is_folder) = (&found.path, found.stat.kind == FileKind::Directory);
            let text = if is_folder {
                format!("another file system is mounted at {path}: what is beneath counts as unchanged")
            } else {
                format!("something is mounted over {path}: it counts as unchanged")
            };
            self.how.observer.event(Event::Warned(text));
        }
        is_mount
    }

    /// Whether something is mounted over a name. The kernel is not asked about the very file that the snapshot is of. Where
    /// it does not say, the device does; of folders it always does, because a part of the file system that has one of its
    /// own, such as a subvolume, is another one. Files may have one of their own in an overlay.
    fn is_mount(&self, found: &Found, record: Option<RecordId>) -> bool {
        let is_elsewhere = found.stat.dev != self.root.dev;
        let asked = || call::is_mounted_over(self.walk.here(), found.name());
        if found.stat.kind == FileKind::Directory {
            return is_elsewhere || asked().unwrap_or(false);
        }
        let is_of_record = record.is_some_and(|record| {
            let facts = &self.snapshot.record(self.snapshot.first(record)).facts;
            (facts.ino, facts.ctime) == (Some(found.stat.ino), Some(found.stat.ctime))
        });
        (is_elsewhere || !is_of_record) && asked().unwrap_or(is_elsewhere)
    }

    /// Whether an image cannot have a name.
    pub(super) fn is_stray(&self, found: &Found) -> bool {
        if found.path.is_root() {
            return false;
        }
        found.stat.kind == FileKind::Socket
            || whiteout::is_reserved(found.name())
            || self.branch.last().is_some_and(|folder| folder.is_stray)
    }

    /// A name that an image cannot have.
    pub(super) fn stray(&mut self, found: &Found) -> Result<()> {
        match self.how.strays {
            Strays::Added => self.added_stray(found),
            Strays::LeftOut(unrepresentable) => {
                self.leave_out(found, unrepresentable);
                Ok(())
            }
        }
    }

    fn leave_out(&mut self, found: &Found, unrepresentable: Unrepresentable) {
        let (path, observer) = (found.path.as_bytes(), self.how.observer);
        if found.stat.kind == FileKind::Socket {
            self.losses.add(LossKind::Socket, path, "no image can hold a socket", observer);
            return;
        }
        match unrepresentable {
            Unrepresentable::Refuse => self.refused.push(found.path.clone()),
            Unrepresentable::Skip => {
                let why = "in an image this name means a removal";
                self.losses.add(LossKind::Name, path, why, observer);
            }
        }
    }

    /// Both trees get the folders above, because those get their times back when it is taken away.
    fn added_stray(&mut self, found: &Found) -> Result<()> {
        self.tell_folders()?;
        self.check_limits(found)?;
        let path = found.path.clone();
        self.strays.push(Stray { path: path.clone(), kind: found.stat.kind });
        if found.stat.kind == FileKind::Directory {
            self.walk.enter(found)?;
            let newer = self.view(&found.stat, Xattrs::new());
            // It is in no tree, so nobody need put it there.
            let (is_told, is_stray) = (true, true);
            self.branch.push(Folder { path, older: None, newer, rest: 0..0, is_told, is_stray });
        }
        Ok(())
    }

    /// The limits of trees hold for what is in none, too.
    fn check_limits(&self, found: &Found) -> Result<()> {
        let (limits, path) = (self.how.limits, &found.path);
        for (what, count, limit) in [
            ("the number of entries", self.strays.len() as u64 + 1, limits.entries),
            ("the depth of a folder", path.components().count() as u64, limits.depth as u64),
            ("the length of a path", path.as_bytes().len() as u64, limits.path as u64),
        ] {
            if count > limit {
                return Err(Error::Entries(LayerError::Limit { what, limit }));
            }
        }
        Ok(())
    }
}
