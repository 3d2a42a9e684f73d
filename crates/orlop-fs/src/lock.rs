//! Locks between processes: `flock` on a folder or a file, held as long as the guard lives, and given back by
//! the kernel when its holder dies.

use crate::Result;
use crate::error::{Error, Shown};
use crate::file::File;
use crate::seam::{self, Glance};
use orlop_spec::Cancelled;
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Whether others may hold the lock as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// With others that share.
    Shared,
    /// Alone.
    Exclusive,
}

/// Whether to wait for the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// As long as it takes.
    Yes,
    /// Not at all.
    No,
}

/// A lock that is held; dropping it gives it back.
#[derive(Debug)]
pub struct Lock {
    /// The lock belongs to this open file, so nothing else may share it.
    _handle: OwnedFd,
}

/// Locks a handle that was opened for this alone. Only a signal that asks to stop interrupts the wait.
pub(crate) fn lock(handle: OwnedFd, shown: Shown, share: Share, wait: Wait) -> Result<Option<Lock>> {
    match take(&handle, &shown, share, wait) {
        Ok(()) => Ok(Some(Lock { _handle: handle })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(Errno::INTR) => Err(Error::Cancelled(Cancelled)),
        Err(error) => Err(Error::io("lock", shown, error)),
    }
}

/// Whoever decides on steps decides also when it is worth asking again.
fn take(handle: &OwnedFd, shown: &Shown, share: Share, wait: Wait) -> rustix::io::Result<()> {
    seam::glance(Glance::Lock, shown.as_bytes(), b"")?;
    if !seam::is_watched() {
        return flock(handle, operation(share, wait));
    }
    loop {
        match flock(handle, operation(share, Wait::No)) {
            Err(Errno::WOULDBLOCK) if wait == Wait::Yes => seam::glance(Glance::Wait, shown.as_bytes(), b"")?,
            taken => return taken,
        }
    }
}

/// Locks a file of one's own alone, for as long as it is open.
pub fn hold(file: &File) -> Result<()> {
    flock(file, operation(Share::Exclusive, Wait::Yes)).map_err(|error| file.failed("lock", error))
}

fn operation(share: Share, wait: Wait) -> FlockOperation {
    match (share, wait) {
        (Share::Shared, Wait::Yes) => FlockOperation::LockShared,
        (Share::Exclusive, Wait::Yes) => FlockOperation::LockExclusive,
        (Share::Shared, Wait::No) => FlockOperation::NonBlockingLockShared,
        (Share::Exclusive, Wait::No) => FlockOperation::NonBlockingLockExclusive,
    }
}
