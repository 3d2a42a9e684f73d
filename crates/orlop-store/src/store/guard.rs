//! A folder whose files are relied on by touching them, and removed when nobody did for long enough.
//!
//! Invariant: whoever looks at a file, touches it or gives one its name shares the folder's `flock`; whoever removes
//! holds it alone, and looks at the age again under it. So what was touched is there afterwards, and what was removed is
//! gone for everybody who looks later. A lock is held for a few calls, never while bytes move.

use orlop_fs::lock::{Share, Wait};
use orlop_fs::{Dir, File, FileKind, Lock, Persist, Stat, Temp, random, temp};
use orlop_layer::Time;
use orlop_spec::port::Result;

/// So many names are removed under one lock: a few milliseconds at most.
const AT_ONCE: usize = 32;

/// Larger files are freed after the lock was given back.
const LARGE: u64 = 1 << 20;

/// A folder whose files are relied on, and swept by age.
#[derive(Debug)]
pub struct Shelf {
    folder: Dir,
}

/// How a file came to its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is the one that was placed.
    New,
    /// Another was quicker; that one was touched.
    Found(Stat),
}

/// What became of a name that is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It was removed.
    Removed,
    /// It was touched too late for that.
    Young,
    /// Somebody else had removed it.
    Missing,
}

impl Shelf {
    /// The folder, which is nobody else's.
    pub fn new(folder: Dir) -> Self {
        Self { folder }
    }

    /// The folder.
    pub fn folder(&self) -> &Dir {
        &self.folder
    }

    /// What is under a name, touched: it stays as long as the caller has a lease. `None` where there is nothing.
    pub fn rely_on(&self, name: impl AsRef<[u8]>) -> Result<Option<Stat>> {
        // Most new names need no lock for this.
        if self.folder.try_stat(&name)?.is_none() {
            return Ok(None);
        }
        let _shared = self.share()?;
        self.touch(name.as_ref())
    }

    /// Gives a whole file its name. [`Persist::New`] leaves the file of a quicker writer, which is relied on then.
    pub fn place(&self, temp: Temp<'_>, name: impl AsRef<[u8]>, how: Persist) -> Result<Placed> {
        let shared = self.share()?;
        match temp.persist_in(&self.folder, &name, how) {
            Ok(_) => Ok(Placed::New),
            Err(error) if error.is_exists() => match self.touch(name.as_ref())? {
                Some(stat) => Ok(Placed::Found(stat)),
                // Nobody removes while the lock is shared, so that whoever did knows no locks.
                None => Err(error.into()),
            },
            Err(error) => {
                drop(shared);
                Err(error.into())
            }
        }
    }

    /// Removes those of `names` that were last touched before `bound`; says of each what became of it.
    pub fn remove_older<N: AsRef<[u8]>>(
        &self,
        names: &[N],
        bound: Time,
        each: &mut dyn FnMut(&N, Gone),
    ) -> Result<()> {
        for some in names.chunks(AT_ONCE) {
            // Open, they are freed when they are closed, not when they lose their names.
            let mut large: Vec<File> =
                some.iter().filter_map(|name| self.open_large(name.as_ref())).collect();
            let mut folders = Vec::new();
            let alone = self.folder.lock(Share::Exclusive, Wait::Yes)?;
            let gone = some
                .iter()
                .map(|name| self.remove_if_older(name.as_ref(), bound, &mut folders))
                .collect::<Result<Vec<_>>>();
            drop(alone);
            large.clear();
            for folder in folders {
                match self.folder.remove_all(folder) {
                    // Files of subordinate ids go in a namespace that has them; until then they are litter.
                    Err(error) if error.is_denied() => {}
                    outcome => outcome?,
                }
            }
            some.iter().zip(gone?).for_each(|(name, gone)| each(name, gone));
        }
        Ok(())
    }

    /// Keeps others from removing, for as long as it takes to give a file a name and touch it.
    pub(super) fn share(&self) -> Result<Option<Lock>> {
        Ok(self.folder.lock(Share::Shared, Wait::Yes)?)
    }

    /// Under the lock.
    fn touch(&self, name: &[u8]) -> Result<Option<Stat>> {
        let Some(stat) = self.folder.try_stat(name)? else { return Ok(None) };
        self.folder.touch(name)?;
        Ok(Some(stat))
    }

    fn open_large(&self, name: &[u8]) -> Option<File> {
        let stat = self.folder.try_stat(name).ok()??;
        if stat.kind == FileKind::File && stat.size > LARGE { self.folder.open_file(name).ok() } else { None }
    }

    /// Under the lock. A folder only loses its name; what it holds is removed later.
    fn remove_if_older(&self, name: &[u8], bound: Time, folders: &mut Vec<Vec<u8>>) -> Result<Gone> {
        match self.folder.try_stat(name)? {
            None => Ok(Gone::Missing),
            Some(stat) if stat.mtime >= bound => Ok(Gone::Young),
            Some(stat) if stat.kind == FileKind::Directory => {
                let aside = random::name(temp::PREFIX);
                self.folder.rename_new(name, &self.folder, &aside)?;
                folders.push(aside);
                Ok(Gone::Removed)
            }
            Some(_) => {
                self.folder.remove_file(name)?;
                Ok(Gone::Removed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Scratch;

    const PAST: Time = Time { seconds: 1_000, nanoseconds: 0 };
    const FUTURE: Time = Time { seconds: 1 << 40, nanoseconds: 0 };

    fn shelf(scratch: &Scratch) -> Shelf {
        Shelf::new(Dir::open(scratch.folder("shelf")).expect("a folder"))
    }

    fn temp<'a>(shelf: &'a Shelf, bytes: &[u8]) -> Temp<'a> {
        let temp = shelf.folder().create_temp().expect("made");
        temp.file().write_at(bytes, 0).expect("written");
        temp
    }

    fn removed(shelf: &Shelf, names: &[&str], bound: Time) -> Vec<Gone> {
        let mut gone = Vec::new();
        shelf.remove_older(names, bound, &mut |_, what| gone.push(what)).expect("removed");
        gone
    }

    #[test]
    fn a_touched_name_is_young() {
        let scratch = testkit::scratch();
        let shelf = shelf(&scratch);
        let path = scratch.file("shelf/a", "a");
        let past = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        std::fs::File::options().write(true).open(path).expect("there").set_modified(past).expect("set");
        let found = shelf.rely_on("a").expect("looked").expect("there");
        assert_eq!(found.mtime, Time { seconds: 1, nanoseconds: 0 }, "what was found, before it was touched");
        assert_eq!(removed(&shelf, &["a"], PAST), [Gone::Young]);
        assert_eq!(shelf.rely_on("b").expect("looked"), None);
    }

    #[test]
    fn a_name_touched_at_the_bound_stays() {
        let scratch = testkit::scratch();
        let shelf = shelf(&scratch);
        scratch.file("shelf/a", "a");
        let touched = shelf.folder().stat("a").expect("there").mtime;
        assert_eq!(removed(&shelf, &["a"], touched), [Gone::Young]);
        assert_eq!(removed(&shelf, &["a", "a"], FUTURE), [Gone::Removed, Gone::Missing]);
    }

    #[test]
    fn a_quicker_writer_is_found_and_relied_on() {
        let scratch = testkit::scratch();
        let shelf = shelf(&scratch);
        let place = |bytes, how| shelf.place(temp(&shelf, bytes), "a", how).expect("placed");
        assert_eq!(place(b"first", Persist::New), Placed::New);
        assert!(matches!(place(b"2nd", Persist::New), Placed::Found(stat) if stat.size == 5));
        assert_eq!(place(b"2nd", Persist::Replace), Placed::New);
        assert_eq!(std::fs::read(scratch.path("shelf/a")).expect("there"), b"2nd");
    }

    #[test]
    fn folders_go_with_all_that_they_hold_and_leave_nothing() {
        let scratch = testkit::scratch();
        let shelf = shelf(&scratch);
        scratch.folder("shelf/tree/x");
        scratch.file("shelf/tree/x/y", "deep");
        scratch.file("shelf/large", vec![1; 2 << 20]);
        assert_eq!(removed(&shelf, &["tree", "large"], FUTURE), [Gone::Removed, Gone::Removed]);
        assert!(shelf.folder().is_empty().expect("a folder"));
    }

    #[test]
    fn whoever_relies_waits_for_whoever_removes() {
        let scratch = testkit::scratch();
        let shelf = shelf(&scratch);
        scratch.file("shelf/a", "a");
        let alone = shelf.folder().lock(Share::Exclusive, Wait::Yes).expect("locked");
        std::thread::scope(|scope| {
            let relies = scope.spawn(|| shelf.rely_on("a").expect("looked"));
            std::thread::sleep(std::time::Duration::from_millis(30));
            assert!(!relies.is_finished(), "it waits");
            shelf.folder().remove_file("a").expect("removed");
            drop(alone);
            assert_eq!(relies.join().expect("done"), None, "and does not rely on what is gone");
        });
    }
}
