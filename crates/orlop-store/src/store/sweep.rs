//! Removing what nobody relies on, while others work.
//!
//! ```text
//! now ─► leases ─► names, mounts, containers ─► what they reach
//!                                                    │
//!        documents, forms, lists, trees ─────────────┴─► not reached, and old: removed
//!        lists that are there by then ──► their contents
//!                                                    │
//!        contents ───────────────────────────────────┴─► in no list, and old: removed
//! ```
//!
//! Invariant: old is what was last touched before the sweep began and before the oldest run that lives did, less the
//! grace; and age is looked at again under the lock of the folder. A run has its lease before it touches anything, and
//! its name before it gives the lease back; leases are read before names. So whatever a run relies on is young, or
//! reached. Whoever relies on a list relies on its contents by that: a list that is there when lists are read keeps them,
//! and one that is not is written anew, contents first.
//!
//! No lock is held for more than a few removals.

use super::guard::{Gone, Shelf};
use super::layer::Held;
use super::lease;
use super::reached::Reached;
use super::{Store, format};
use crate::layout::before;
use orlop_fs::lock::{Share, Wait};
use orlop_fs::{Dir, FileKind, Stat, temp};
use orlop_layer::Time;
use orlop_spec::digest::{Algorithm, DiffId, Digest};
use orlop_spec::port::{Heap, Result, Sweep, Swept};
use orlop_spec::{AnyDigest, Diagnose as _};
use std::collections::HashSet;
use std::time::Duration;

/// So many names are looked at before those of them that are old are removed.
const AT_ONCE: usize = 1024;

/// Where killed writers may have left something.
const PARTS: [&str; 7] = [
    format::BLOBS,
    format::FORMS,
    format::LAYERS,
    format::LEASES,
    format::NAMES,
    format::OBJECTS,
    format::TREES,
];

/// Before all times: nothing is older.
const NEVER: Time = Time::from_seconds(i64::MIN);

impl Store {
    /// Removes what is old and not reached.
    pub(super) fn sweep_beside(&self, grace: Duration, mode: Sweep) -> Result<Swept> {
        let bound = before(self.bound(mode)?, grace);
        if mode == Sweep::Remove {
            // Mounts that are gone use nothing.
            self.mounted()?;
        }
        let reached = Reached::by(self)?;
        let mut broom = Broom { store: self, mode, bound, swept: Swept::default() };
        broom.blobs(&reached)?;
        broom.forms(&reached)?;
        let gone = broom.lists(&reached)?;
        broom.trees(&reached)?;
        broom.contents(&gone)?;
        broom.litter()?;
        Ok(broom.swept)
    }

    /// What was touched before this was touched before any run that lives began, and before now.
    fn bound(&self, mode: Sweep) -> Result<Time> {
        let leases = self.root.open_dir(format::LEASES)?;
        let now = || leases.create_temp()?.file().stat();
        let began = now()?.mtime;
        let living = lease::living(&leases, mode)?;
        // A lease from the future: the clock was set back, and ages tell nothing while that run lives.
        if living.newest.is_some_and(|newest| newest > began) && living.newest > Some(now()?.mtime) {
            return Ok(NEVER);
        }
        Ok(living.oldest.map_or(began, |oldest| oldest.min(began)))
    }
}

/// A name that is not reached, and was old when it was looked at.
struct Old {
    name: Box<[u8]>,
    bytes: u64,
}

impl AsRef<[u8]> for Old {
    fn as_ref(&self) -> &[u8] {
        &self.name
    }
}

struct Broom<'a> {
    store: &'a Store,
    mode: Sweep,
    bound: Time,
    swept: Swept,
}

impl Broom<'_> {
    fn blobs(&mut self, reached: &Reached) -> Result<()> {
        for algorithm in self.algorithms(format::BLOBS)? {
            let names = algorithm.names(|digest| !reached.blobs.contains(digest))?;
            for old in self.clear(&algorithm.shelf, names)? {
                let digest = algorithm.digest(&old.name).expect("it was parsed when it was listed");
                self.swept.removed.push((digest, old.bytes));
            }
        }
        Ok(())
    }

    fn forms(&mut self, reached: &Reached) -> Result<()> {
        let mut heap = Heap::new("forms");
        for algorithm in self.algorithms(format::FORMS)? {
            let names = algorithm.names(|digest| !reached.blobs.contains(digest))?;
            heap.extend(self.clear(&algorithm.shelf, names)?.iter().map(|old| old.bytes));
        }
        self.note(heap);
        Ok(())
    }

    /// Says which lists are gone, or would be.
    fn lists(&mut self, reached: &Reached) -> Result<HashSet<DiffId>> {
        let (mut heap, mut gone) = (Heap::new("layers"), HashSet::new());
        for algorithm in self.algorithms(format::LAYERS)? {
            let is_free =
                |digest: &AnyDigest| diff_id(digest).is_some_and(|it| !reached.layers.contains(&it));
            for old in self.clear(&algorithm.shelf, algorithm.names(is_free)?)? {
                heap.extend([old.bytes]);
                gone.extend(algorithm.digest(&old.name).as_ref().and_then(diff_id));
            }
        }
        self.note(heap);
        Ok(gone)
    }

    fn trees(&mut self, reached: &Reached) -> Result<()> {
        let Some(shelf) = shelf_in(&self.store.root, format::TREES)? else { return Ok(()) };
        let mut names = shelf.folder().list()?;
        names.retain(|name| !temp::is_temp_name(name) && !reached.has_tree(name));
        let mut heap = Heap::new("trees");
        heap.extend(self.clear(&shelf, names)?.iter().map(|old| old.bytes));
        self.note(heap);
        Ok(())
    }

    /// Contents that no list has. Lists come first: what a list has that comes later was touched for it.
    fn contents(&mut self, gone: &HashSet<DiffId>) -> Result<()> {
        let kept = self.in_lists(gone)?;
        let mut heap = Heap::new("contents");
        let objects = self.store.root.open_dir(format::OBJECTS)?;
        for folder in objects.list()? {
            let Some(shelf) = shelf_in(&objects, &folder)? else { continue };
            let mut names = shelf.folder().list()?;
            names.retain(|name| hash(&folder, name).is_some_and(|hash| !kept.contains(&hash)));
            heap.extend(self.clear(&shelf, names)?.iter().map(|old| old.bytes));
        }
        self.note(heap);
        Ok(())
    }

    fn in_lists(&self, gone: &HashSet<DiffId>) -> Result<HashSet<[u8; 32]>> {
        let mut kept = HashSet::new();
        for algorithm in self.algorithms(format::LAYERS)? {
            for name in algorithm.names(|digest| diff_id(digest).is_some_and(|it| !gone.contains(&it)))? {
                let list =
                    algorithm.digest(&name).as_ref().and_then(diff_id).expect("it was filtered by that");
                let seen = self.store.contents(&list, &mut |_, held| {
                    if let Held::Object(object) = held {
                        kept.extend(<[u8; 32]>::try_from(object.digest.bytes()));
                    }
                    Ok(())
                });
                // Another sweep may have removed the list; contents that it had are nobody's then.
                seen.or_else(|fault| if fault.is_absence() { Ok(()) } else { Err(fault) })?;
            }
        }
        Ok(kept)
    }

    /// Removes those of `names` that are old, and tells which are gone, or would be.
    fn clear(&mut self, shelf: &Shelf, names: Vec<Box<[u8]>>) -> Result<Vec<Old>> {
        let mut gone = Vec::new();
        let mut names = names.into_iter().peekable();
        while names.peek().is_some() {
            let mut old = Vec::new();
            for name in names.by_ref().take(AT_ONCE) {
                match shelf.folder().try_stat(&name)? {
                    Some(stat) if stat.mtime < self.bound => {
                        let bytes = occupied(shelf.folder(), &name, &stat)?;
                        old.push(Old { name, bytes });
                    }
                    Some(_) => self.swept.young += 1,
                    None => {}
                }
            }
            gone.append(&mut self.remove(shelf, old)?);
        }
        Ok(gone)
    }

    fn remove(&mut self, shelf: &Shelf, mut old: Vec<Old>) -> Result<Vec<Old>> {
        if self.mode == Sweep::DryRun {
            return Ok(old);
        }
        let mut outcomes = Vec::with_capacity(old.len());
        shelf.remove_older(&old, self.bound, &mut |_, gone| outcomes.push(gone))?;
        self.swept.young += outcomes.iter().filter(|gone| **gone == Gone::Young).count();
        let mut outcomes = outcomes.into_iter();
        old.retain(|_| outcomes.next() == Some(Gone::Removed));
        Ok(old)
    }

    /// What killed writers left. Folders of mounts and containers are for whoever knows what is mounted there.
    fn litter(&mut self) -> Result<()> {
        let root = self.store.root.try_clone()?;
        for part in PARTS {
            let Some(shelf) = shelf_in(&root, part)? else { continue };
            if part != format::TREES {
                for name in shelf.folder().list()? {
                    if let Some(shelf) = shelf_in(shelf.folder(), &name)? {
                        self.litter_in(&shelf)?;
                    }
                }
            }
            self.litter_in(&shelf)?;
        }
        self.litter_in(&Shelf::new(root))
    }

    fn litter_in(&mut self, shelf: &Shelf) -> Result<()> {
        let mut litter = Vec::new();
        for name in shelf.folder().list()?.into_iter().filter(|name| temp::is_temp_name(name)) {
            let Some(stat) = shelf.folder().try_stat(&name)? else { continue };
            if stat.mtime < self.bound && is_left(shelf.folder(), &name, &stat)? {
                litter.push(Old { name, bytes: stat.size });
            }
        }
        self.swept.litter += self.remove(shelf, litter)?.len();
        Ok(())
    }

    fn algorithms(&self, part: &'static str) -> Result<Vec<AlgorithmFolder>> {
        let Some(shelf) = shelf_in(&self.store.root, part)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for name in shelf.folder().list()? {
            found.extend(shelf_in(shelf.folder(), &name)?.map(|shelf| AlgorithmFolder { name, shelf }));
        }
        Ok(found)
    }

    fn note(&mut self, heap: Heap) {
        if heap.count > 0 {
            self.swept.heaps.push(heap);
        }
    }
}

fn shelf_in(folder: &Dir, name: impl AsRef<[u8]>) -> Result<Option<Shelf>> {
    match folder.try_stat(&name)? {
        Some(stat) if stat.kind == FileKind::Directory => Ok(Some(Shelf::new(folder.open_dir(name)?))),
        _ => Ok(None),
    }
}

/// A folder of files that are called by digests of one algorithm.
struct AlgorithmFolder {
    name: Box<[u8]>,
    shelf: Shelf,
}

impl AlgorithmFolder {
    /// The names that are digests and pass; others are nobody's to remove.
    fn names(&self, is_meant: impl Fn(&AnyDigest) -> bool) -> Result<Vec<Box<[u8]>>> {
        let mut names = self.shelf.folder().list()?;
        names.retain(|name| self.digest(name).is_some_and(|digest| is_meant(&digest)));
        Ok(names)
    }

    fn digest(&self, name: &[u8]) -> Option<AnyDigest> {
        let text = [&self.name, b":".as_slice(), name].concat();
        std::str::from_utf8(&text).ok()?.parse().ok()
    }
}

fn diff_id(digest: &AnyDigest) -> Option<DiffId> {
    digest.known().ok().map(|digest| DiffId(*digest))
}

/// The sha256 that folder and name of an object spell.
fn hash(folder: &[u8], name: &[u8]) -> Option<[u8; 32]> {
    let hex = [folder, name].concat();
    let text = std::str::from_utf8(&hex).ok()?;
    let digest: Digest = format!("{}:{text}", Algorithm::Sha256.name()).parse().ok()?;
    digest.bytes().try_into().ok()
}

/// Bytes of a file; what a folder occupies, whose files may be sparse.
fn occupied(folder: &Dir, name: &[u8], stat: &Stat) -> Result<u64> {
    if stat.kind != FileKind::Directory {
        return Ok(stat.size);
    }
    let mut bytes = 0_u64;
    let mut folders = vec![folder.open_dir(name)?];
    while let Some(folder) = folders.pop() {
        for name in folder.list()? {
            match folder.try_stat(&name)? {
                Some(stat) if stat.kind == FileKind::Directory => folders.push(folder.open_dir(&name)?),
                found => bytes = bytes.saturating_add(found.map_or(0, |stat| stat.allocated)),
            }
        }
    }
    Ok(bytes)
}

/// Whether nobody writes a temporary file: a part of a blob is locked, and may be older than the run that goes on with it.
fn is_left(folder: &Dir, name: &[u8], stat: &Stat) -> Result<bool> {
    if stat.kind != FileKind::File {
        return Ok(true);
    }
    match folder.lock_file(name, Share::Exclusive, Wait::No) {
        Err(error) if error.is_not_found() => Ok(false),
        lock => Ok(lock?.is_some()),
    }
}
