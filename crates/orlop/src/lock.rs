//! `lock`: notes which digests names stand for, in a file that later commands obey (`docs/formats/lock.md`).
//!
//! ```text
//! references ──resolve, a few at once──► lock ──print──► a file without a name ──rename──► FILE
//! ```
//!
//! Invariant: a lock is changed as a whole or not at all: one reference that cannot be resolved leaves it as it was.

use crate::copy::in_parallel;
use crate::error::Error;
use crate::transport::{self, Opened, Outside};
use orlop_fs::error::Shown;
use orlop_fs::{File, Persist, Temp};
use orlop_spec::lock::{LARGEST, Lock};
use orlop_spec::port::Result;
use orlop_spec::reference::Reference;
use orlop_spec::{Context, Descriptor};
use std::path::Path;
use std::sync::Mutex;

/// A lock, and where it was read.
#[derive(Clone, Debug)]
pub struct LockFile {
    /// The file, for messages.
    pub shown: Shown,
    /// What it says.
    pub lock: Lock,
}

/// A reference that was looked up.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The reference.
    pub reference: Reference,
    /// What it stands for.
    pub root: Descriptor,
    /// What it stood for, where the lock knew it.
    pub before: Option<Descriptor>,
}

impl Entry {
    /// Whether it stands for something else than before, or is new.
    pub fn is_news(&self) -> bool {
        self.before.as_ref().is_none_or(|before| before.digest != self.root.digest)
    }
}

/// How many references are looked up at once.
const LANES: usize = 6;

/// Looks all references up, and notes what they stand for.
pub fn lock(
    cx: &Context<'_>,
    lock: &mut Lock,
    references: &[Reference],
    outside: &Outside<'_>,
) -> Result<Vec<Entry>> {
    let mut changed = lock.clone();
    let slots: Vec<Mutex<Option<Descriptor>>> = references.iter().map(|_| Mutex::default()).collect();
    let work: Vec<_> = references.iter().zip(&slots).collect();
    in_parallel(LANES, &work, |(reference, slot)| {
        cx.cancel.check()?;
        *slot.lock().expect("no holder panics") = Some(root(reference, outside)?);
        Ok(())
    })?;
    let roots = slots.into_iter().filter_map(|slot| slot.into_inner().expect("no holder panics"));
    let entries: Result<Vec<_>> = references
        .iter()
        .zip(roots)
        .map(|(reference, root)| {
            let before = changed.set(reference, &root)?;
            Ok(Entry { reference: reference.clone(), root, before })
        })
        .collect();
    let entries = entries?;
    *lock = changed;
    Ok(entries)
}

/// What a reference stands for, where that is one image.
fn root(reference: &Reference, outside: &Outside<'_>) -> Result<Descriptor> {
    let Opened::Blobs(place) = transport::open(reference, outside)? else { return Err(NO_NAMES.into()) };
    let [root] = <[Descriptor; 1]>::try_from(place.resolve(&reference.selector)?).map_err(|_| SEVERAL)?;
    Ok(root)
}

const NO_NAMES: Error = Error::Unfit {
    what: "files have no name that could be locked",
    hint: "a file of the web is pinned where it is read, with --sha256 HEX",
};

const SEVERAL: Error = Error::Unfit {
    what: "several images bear that tag, and a lock names one",
    hint: "name one of them by its digest: it cannot move, and needs no lock",
};

/// Reads a lock file.
pub fn read(path: &Path) -> Result<LockFile> {
    let mut file = File::open(path)?;
    let (bytes, shown) = (file.read_to_limit(LARGEST)?, file.shown().clone());
    match Lock::parse(&bytes) {
        Ok(lock) => Ok(LockFile { shown, lock }),
        Err(source) => Err(Error::BadLock { file: shown, source }.into()),
    }
}

/// Writes a lock file in one step; one that was there keeps its mode.
pub fn write(path: &Path, lock: &Lock) -> Result<()> {
    let (folder, name) = orlop_store::archive::replaceable(path)?;
    let temp = Temp::beside(folder.try_clone()?, &name)?;
    temp.file().write_at(lock.to_string().as_bytes(), 0)?;
    if let Some(old) = folder.try_stat(&name)? {
        temp.file().set_mode(old.mode)?;
    }
    temp.file().sync_data()?;
    temp.persist(name, Persist::Replace)?;
    Ok(folder.sync()?)
}
