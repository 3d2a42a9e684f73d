//! Leases: what was touched since the oldest of them began is nobody's to remove.
//!
//! ```text
//! leases/XXXXXXXXXXXX     empty; its time says when the run began; locked alone as long as the run lives
//! ```
//!
//! Invariant: a lease has its name only while it is locked, and its time is older than the name. So whoever lists the
//! leases sees a run, or comes before all that the run touches. The kernel gives the lock of a killed run back, and the
//! next sweep removes the file.

use crate::error::Error;
use orlop_fs::lock::{self, Share, Wait};
use orlop_fs::{Dir, File, Persist, random, temp};
use orlop_layer::Time;
use orlop_spec::port::{Result, Sweep};

/// A run that relies on what is in the store. Dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    folder: Dir,
    name: Vec<u8>,
    /// Holds the lock.
    _file: File,
}

impl Lease {
    /// Begins a lease in the folder of leases. `None` where the store may only be read: nobody sweeps there with the
    /// caller's rights, and whoever has other rights is not kept from it.
    ///
    /// # Errors
    /// [`Error::FarStore`] and [`Error::NoLocks`] where the file system cannot do what leases need.
    pub fn begin(leases: &Dir) -> Result<Option<Self>> {
        if let Some(kind) = leases.far_file_system()? {
            return Err(Error::FarStore { place: leases.path().into(), kind }.into());
        }
        loop {
            let temp = match leases.create_temp() {
                Err(error) if error.is_denied() || error.is_read_only() => return Ok(None),
                created => created?,
            };
            lock::hold(temp.file()).map_err(|error| without_locks(leases, error))?;
            let name = random::name("");
            match temp.persist(&name, Persist::New) {
                // Without nameless files, a sweep may have taken it for one that was left, before it was locked.
                Err(error) if error.is_not_found() => {}
                file => return Ok(Some(Self { folder: leases.try_clone()?, name, _file: file? })),
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // One that stays is not locked any more, and the next sweep removes it.
        self.folder.remove_file(&self.name).ok();
    }
}

fn without_locks(leases: &Dir, error: orlop_fs::Error) -> orlop_spec::Fault {
    match error {
        error if error.is_unsupported() => {
            Error::NoLocks { place: leases.path().into(), source: error }.into()
        }
        error => error.into(),
    }
}

/// When leases that live began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Living {
    pub(super) oldest: Option<Time>,
    pub(super) newest: Option<Time>,
}

/// Looks at all leases. Those of dead runs are removed, if `mode` says so.
pub(super) fn living(leases: &Dir, mode: Sweep) -> Result<Living> {
    let mut living = Living::default();
    for name in leases.list()?.iter().filter(|name| !temp::is_temp_name(name)) {
        // One that ended since it was listed has its name by now, and names are read later.
        let Some(stat) = leases.try_stat(name)? else { continue };
        match leases.lock_file(name, Share::Shared, Wait::No) {
            Ok(None) => {
                living.oldest = living.oldest.into_iter().chain([stat.mtime]).min();
                living.newest = living.newest.max(Some(stat.mtime));
            }
            Ok(Some(_dead)) if mode == Sweep::Remove => remove(leases, name)?,
            Ok(Some(_)) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(living)
}

fn remove(leases: &Dir, name: &[u8]) -> Result<()> {
    match leases.remove_file(name) {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Scratch;

    fn leases(scratch: &Scratch) -> Dir {
        Dir::open(scratch.folder("leases")).expect("a folder")
    }

    fn begun(leases: &Dir) -> Lease {
        Lease::begin(leases).expect("a file system with locks").expect("a folder that can be written")
    }

    fn oldest_of(leases: &Dir) -> Option<Time> {
        living(leases, Sweep::Remove).expect("read").oldest
    }

    #[test]
    fn the_oldest_living_lease_counts_and_ends_without_a_trace() {
        let scratch = testkit::scratch();
        let leases = leases(&scratch);
        assert_eq!(oldest_of(&leases), None);
        let first = begun(&leases);
        let began = oldest_of(&leases).expect("it lives");
        std::thread::sleep(std::time::Duration::from_millis(20));
        let second = begun(&leases);
        assert_eq!(oldest_of(&leases), Some(began));
        drop(first);
        assert!(oldest_of(&leases).expect("the second lives") > began);
        drop(second);
        assert!(leases.is_empty().expect("a folder"));
    }

    #[test]
    fn a_dead_lease_is_removed_and_a_dry_run_leaves_it() {
        let scratch = testkit::scratch();
        let leases = leases(&scratch);
        scratch.file("leases/dead", "");
        assert_eq!(living(&leases, Sweep::DryRun).expect("read"), Living::default());
        assert!(!leases.is_empty().expect("a folder"));
        assert_eq!(oldest_of(&leases), None);
        assert!(leases.is_empty().expect("a folder"));
    }

    #[test]
    fn a_lease_is_locked_before_it_has_its_name() {
        let scratch = testkit::scratch();
        let leases = leases(&scratch);
        std::thread::scope(|scope| {
            let runs: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..100).for_each(|_| drop(begun(&leases))))).collect();
            while !runs.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                for name in leases.list().expect("a folder") {
                    let found = leases.lock_file(&name, Share::Shared, Wait::No);
                    // Whoever drops a lease removes its name first.
                    let is_free = matches!(&found, Ok(Some(_)));
                    assert!(!is_free || leases.try_stat(&name).expect("looked").is_none(), "it looks dead");
                }
            }
        });
    }
}
