//! Where the snapshot of a folder is kept, and who works with it.
//!
//! ```text
//! DIR/orlop.snapshot  DIR/rootfs     of a bundle: beside what only we write
//! .NAME.orlop-snapshot  NAME/        of a root filesystem: beside it, because in it everything is content
//! ```
//!
//! Invariant: the snapshot beside a folder comes first, so that nothing in a root filesystem can pose as one. Whoever has a
//! lock has it on the file that has the name.

use crate::error::Error;
use crate::lock::{Lock, Share, Wait};
use crate::snapshot::Snapshot;
use crate::stat::{FileKind, Stat};
use crate::temp::{self, Persist, Temp};
use crate::{Dir, Result, call, staging};
use orlop_layer::Time;
use orlop_spec::Limits;
use std::io::Write as _;
use std::path::Path;

/// The snapshot of a bundle.
pub const IN_BUNDLE: &str = "orlop.snapshot";
/// The root filesystem of a bundle.
const ROOTFS: &str = "rootfs";
/// Bytes of a snapshot that are read: twice what a tree of ten million names takes.
const LARGEST: u64 = 2 << 30;

/// Where a snapshot is, or is to be.
#[derive(Debug)]
pub struct Place {
    folder: Dir,
    name: Vec<u8>,
}

/// A folder whose snapshot was found.
#[derive(Debug)]
pub struct Tracked {
    /// The root filesystem.
    pub root: Dir,
    /// What it was.
    pub snapshot: Snapshot,
    /// Where that is kept.
    pub place: Place,
    _lock: Lock,
}

impl Tracked {
    /// Finds the snapshot of a folder that the user named: a root filesystem, or a bundle. Waits for whoever works with it.
    ///
    /// # Errors
    /// Where it has none, or one that is not as it was written.
    pub fn open(path: &Path, share: Share, limits: &Limits) -> Result<Self> {
        let outer = Dir::open(path)?;
        let beside = Place::beside(path).ok().filter(Place::is_there);
        let (place, root) = match beside {
            Some(place) => (place, outer),
            None => in_bundle(outer)?,
        };
        let lock = place.lock(share)?;
        let snapshot = Snapshot::read(&mut place.folder.open_file(&place.name)?, LARGEST, limits)?;
        Ok(Self { root, snapshot, place, _lock: lock })
    }
}

fn in_bundle(outer: Dir) -> Result<(Place, Dir)> {
    let is_file = outer.try_stat(IN_BUNDLE)?.is_some_and(|stat| stat.kind == FileKind::File);
    if !is_file {
        return Err(Error::NotTracked(outer.shown("")));
    }
    let root = outer.open_dir(ROOTFS)?;
    Ok((Place { folder: outer, name: IN_BUNDLE.into() }, root))
}

impl Place {
    /// Beside a folder that the user named, which need not be there yet.
    pub fn beside(path: &Path) -> Result<Self> {
        let (folder, name) = staging::place(path)?;
        Ok(Self { folder, name: [&temp::prefix_beside(&name)[..], b"snapshot"].concat() })
    }

    fn is_there(&self) -> bool {
        self.folder.stat(&self.name).is_ok_and(|stat| stat.kind == FileKind::File)
    }

    /// Whether a snapshot could be written.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn check(&self) -> Result<()> {
        if self.folder.is_writable() {
            Ok(())
        } else {
            Err(Error::NoPlaceForSnapshot(self.folder.shown(&self.name)))
        }
    }

    /// Locks the snapshot that has the name: one that was replaced while this waited is not it.
    fn lock(&self, share: Share) -> Result<Lock> {
        loop {
            let before = self.folder.stat(&self.name)?;
            let lock = self.folder.lock_file(&self.name, share, Wait::Yes)?;
            if let (Some(lock), true) = (lock, self.folder.stat(&self.name)?.is_same_file(&before)) {
                return Ok(lock);
            }
        }
    }

    /// Puts a snapshot there, in one step, and on the disk.
    pub fn write(&self, snapshot: &Snapshot) -> Result<()> {
        let mut temp = Temp::beside(self.folder.try_clone()?, &self.name)?;
        temp.file().set_mode(0o600)?;
        temp.write_all(&snapshot.to_bytes())
            .map_err(|error| Error::io("write", self.folder.shown(&self.name), error))?;
        temp.file().sync_data()?;
        temp.persist(&self.name, Persist::Replace)?;
        // Whoever goes on with the folder goes on from here, and not from what was before.
        self.folder.sync()
    }
}

/// The time by the clock of the file system that `folder` is on, where it can be asked for without a trace.
pub fn clock(folder: &Dir) -> Option<Time> {
    let file = call::create_unnamed(folder, 0o600).ok()?;
    rustix::fs::fstat(&file).ok().map(|stat| Stat::from(stat).mtime)
}
