//! Locks between processes: `flock` on a folder or a file, held as long as the guard lives, and given back by
//! the kernel when its holder dies.

use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, Result};

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

/// Locks a handle that was opened for this alone.
pub(crate) fn lock(handle: OwnedFd, share: Share, wait: Wait) -> Result<Option<Lock>> {
    let operation = match (share, wait) {
        (Share::Shared, Wait::Yes) => FlockOperation::LockShared,
        (Share::Exclusive, Wait::Yes) => FlockOperation::LockExclusive,
        (Share::Shared, Wait::No) => FlockOperation::NonBlockingLockShared,
        (Share::Exclusive, Wait::No) => FlockOperation::NonBlockingLockExclusive,
    };
    loop {
        match flock(&handle, operation) {
            Ok(()) => return Ok(Some(Lock { _handle: handle })),
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}
