//! Locks between processes, held as long as the guard lives, and given back by the kernel when its holder dies: `flock` on
//! a folder or a file, and, where other programs lock so, a lock of the whole of a file that belongs to the open file
//! (`F_OFD_SETLK`). The two kinds know nothing of each other.

use crate::Result;
use crate::error::{Error, Shown};
use crate::file::File;
use crate::seam::{self, Glance};
use crate::sys;
use orlop_spec::Cancelled;
use rustix::fd::{AsFd as _, OwnedFd};
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
    let taken = take(&shown, wait, |wait| flock(&handle, operation(share, wait)));
    held(taken, handle, shown)
}

/// As [`lock`], by a lock of all bytes of the file, which a handle for writing was opened for.
pub(crate) fn lock_bytes(handle: OwnedFd, shown: Shown, share: Share, wait: Wait) -> Result<Option<Lock>> {
    let taken = take(&shown, wait, |wait| sys::lock_bytes(handle.as_fd(), share, wait));
    held(taken, handle, shown)
}

fn held(taken: rustix::io::Result<()>, handle: OwnedFd, shown: Shown) -> Result<Option<Lock>> {
    match taken {
        Ok(()) => Ok(Some(Lock { _handle: handle })),
        // `EAGAIN`, which is the same number.
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(Errno::INTR) => Err(Error::Cancelled(Cancelled)),
        Err(error) => Err(Error::lock(shown, error)),
    }
}

/// Whoever decides on steps decides also when it is worth asking again.
fn take(shown: &Shown, wait: Wait, ask: impl Fn(Wait) -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    seam::glance(Glance::Lock, shown.as_bytes(), b"")?;
    if !seam::is_watched() {
        return ask(wait);
    }
    loop {
        match ask(Wait::No) {
            Err(Errno::WOULDBLOCK) if wait == Wait::Yes => seam::glance(Glance::Wait, shown.as_bytes(), b"")?,
            taken => return taken,
        }
    }
}

/// Locks a file of one's own alone, for as long as it is open.
pub fn hold(file: &File) -> Result<()> {
    flock(file, operation(Share::Exclusive, Wait::Yes))
        .map_err(|error| Error::lock(file.shown().clone(), error))
}

fn operation(share: Share, wait: Wait) -> FlockOperation {
    match (share, wait) {
        (Share::Shared, Wait::Yes) => FlockOperation::LockShared,
        (Share::Exclusive, Wait::Yes) => FlockOperation::LockExclusive,
        (Share::Shared, Wait::No) => FlockOperation::NonBlockingLockShared,
        (Share::Exclusive, Wait::No) => FlockOperation::NonBlockingLockExclusive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dir;
    use orlop_spec::Diagnose as _;

    #[test]
    fn a_file_system_without_locks_is_told_as_such_and_a_lock_that_is_refused_is_not() {
        for code in [Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOSYS] {
            let error = Error::lock("a/b", code);
            assert!(error.is_unsupported() && error.to_string().contains("a/b"), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("disk of this machine")));
        }
        let denied = Error::lock("a/b", Errno::ACCESS);
        assert!(denied.is_denied() && !denied.is_unsupported());
    }

    #[test]
    fn locks_of_bytes_exclude_each_other_and_end_with_their_guard() {
        let scratch = testkit::scratch();
        let folder = Dir::open(scratch.folder("repo")).expect("a folder");
        let ask = |share| folder.lock_bytes(".lock", share, Wait::No).expect("asked");
        let (one, two) = (ask(Share::Shared), ask(Share::Shared));
        assert!(one.is_some() && two.is_some() && ask(Share::Exclusive).is_none());
        drop((one, two));
        let alone = ask(Share::Exclusive);
        assert!(alone.is_some() && ask(Share::Shared).is_none());
        assert!(
            folder.lock_file(".lock", Share::Exclusive, Wait::No).expect("asked").is_some(),
            "the other kind"
        );
    }
}
