//! Every file of a store, read by several threads.

use super::super::Store;
use super::super::format::{BLOBS, FORMS, LAYERS, OBJECTS};
use super::super::layer::Held;
use super::{Item, Seen, Wrong};
use crate::error::{is_damaged, is_unreadable};
use crate::take::hash_range;
use orlop_fs::{Dir, FileKind, temp};
use orlop_spec::digest::{AnyDigest, DiffId, Digest};
use orlop_spec::port::Result;
use orlop_spec::{Cancel, Context, Diagnose as _, Event, Fault};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

const PHASE: &str = "check";

/// What one thread takes at a time.
enum Piece {
    /// One of the 256 folders of contents.
    Contents(Box<[u8]>),
    Blob(AnyDigest),
    Form(Digest),
    Layer(DiffId),
}

/// Reads everything but names.
pub(super) fn of(store: &Store, cx: &Context<'_>) -> Result<Seen> {
    let pieces = pieces(store)?;
    let (next, seen) = (AtomicUsize::new(0), Mutex::<Seen>::default());
    cx.observer.event(Event::Started { phase: PHASE, item: shown(store), total: None });
    thread::scope(|threads| {
        let work = || -> Result<()> {
            let mut own = Seen::default();
            while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                cx.cancel.check()?;
                let before = own.bytes;
                own.look_at(store, piece, cx.cancel).or_else(|fault| own.unless_unreadable(piece, fault))?;
                cx.observer.event(Event::Advanced { item: shown(store), bytes: own.bytes - before });
            }
            seen.lock().unwrap_or_else(PoisonError::into_inner).add(own);
            Ok(())
        };
        let others: Vec<_> = (1..cx.workers.get()).map(|_| threads.spawn(work)).collect();
        let own = work();
        let outcomes = others.into_iter().map(|it| it.join().expect("looking does not panic"));
        outcomes.fold(own, Result::and)
    })?;
    cx.observer.event(Event::Finished { item: shown(store) });
    Ok(seen.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn shown(store: &Store) -> String {
    store.path().display().to_string()
}

/// Large ones first, so that no thread is left with one at the end.
fn pieces(store: &Store) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    for digest in digests(store, BLOBS)? {
        pieces.push(Piece::Blob(digest));
    }
    for digest in digests(store, LAYERS)?.iter().filter_map(known) {
        pieces.push(Piece::Layer(DiffId(digest)));
    }
    for digest in digests(store, FORMS)?.iter().filter_map(known) {
        pieces.push(Piece::Form(digest));
    }
    let folders = store.root.open_dir(OBJECTS)?.list()?;
    pieces.extend(folders.into_iter().filter(|name| name.len() == 2).map(Piece::Contents));
    Ok(pieces)
}

fn known(digest: &AnyDigest) -> Option<Digest> {
    digest.known().ok().copied()
}

/// What files of a part are called by; others are nobody's.
fn digests(store: &Store, part: &str) -> Result<Vec<AnyDigest>> {
    let part = store.root.open_dir(part)?;
    let mut digests = Vec::new();
    for algorithm in part.list()? {
        let is_folder = |stat: orlop_fs::Stat| stat.kind == FileKind::Directory;
        if temp::is_temp_name(&algorithm) || !part.try_stat(&algorithm)?.is_some_and(is_folder) {
            continue;
        }
        let names = part.open_dir(&algorithm)?.list()?;
        digests.extend(names.iter().filter_map(|name| digest(&algorithm, name)));
    }
    Ok(digests)
}

fn digest(algorithm: &[u8], hex: &[u8]) -> Option<AnyDigest> {
    std::str::from_utf8(&[algorithm, b":", hex].concat()).ok()?.parse().ok()
}

impl Seen {
    fn look_at(&mut self, store: &Store, piece: &Piece, cancel: &Cancel) -> Result<()> {
        match piece {
            Piece::Blob(digest) => self.blob(store, digest, cancel),
            Piece::Form(digest) => self.form(store, digest),
            Piece::Layer(diff_id) => self.layer(store, diff_id),
            Piece::Contents(folder) => self.contents(store, folder, cancel),
        }
    }

    fn blob(&mut self, store: &Store, digest: &AnyDigest, cancel: &Cancel) -> Result<()> {
        let folder = store.root.open_dir(BLOBS)?.open_dir(digest.algorithm_name())?;
        let (size, is_whole) = match digest {
            AnyDigest::Known(known) => {
                let Some(proven) = self.is_whole(&folder, digest.encoded().as_bytes(), known, cancel)? else {
                    return Ok(());
                };
                proven
            }
            AnyDigest::Other(_) => {
                self.unproven += 1;
                (folder.stat(digest.encoded())?.size, true)
            }
        };
        if is_whole {
            self.blobs.insert(digest.clone(), size);
        } else {
            self.note_damage(Item::Blob(digest.clone()));
        }
        Ok(())
    }

    fn note_damage(&mut self, item: Item) {
        self.damaged.insert(item, Wrong::Damaged);
    }

    /// One file that the disk does not give is a finding, and not the end of the look.
    fn unless_unreadable(&mut self, piece: &Piece, fault: Fault) -> Result<()> {
        let item = match piece {
            Piece::Blob(digest) => Item::Blob(digest.clone()),
            Piece::Form(digest) => Item::Form(*digest),
            Piece::Layer(diff_id) => Item::Layer(*diff_id),
            // Where a whole folder cannot be read, nobody knows what it held.
            Piece::Contents(_) => return Err(fault),
        };
        self.unless_unreadable_item(item, fault)
    }

    fn unless_unreadable_item(&mut self, item: Item, fault: Fault) -> Result<()> {
        if !is_unreadable(&fault) {
            return Err(fault);
        }
        self.files += 1;
        self.damaged.insert(item, Wrong::Unreadable);
        Ok(())
    }

    fn form(&mut self, store: &Store, digest: &Digest) -> Result<()> {
        match store.forms().get(digest) {
            Ok(Some(form)) => drop(self.forms.insert(*digest, form)),
            Ok(None) => return Ok(()),
            Err(fault) if is_damaged(&fault) => self.note_damage(Item::Form(*digest)),
            Err(fault) => return Err(fault),
        }
        self.files += 1;
        Ok(())
    }

    fn layer(&mut self, store: &Store, diff_id: &DiffId) -> Result<()> {
        let mut wanted = Vec::new();
        let read = store.contents(diff_id, &mut |_, held| {
            if let Held::Object(object) = held {
                wanted.push(object.digest);
            }
            Ok(())
        });
        match read {
            Ok(()) => {
                self.layers.insert(*diff_id);
                self.wanted.extend(wanted);
            }
            Err(fault) if fault.is_absence() => return Ok(()),
            Err(fault) if is_damaged(&fault) => self.note_damage(Item::Layer(*diff_id)),
            Err(fault) => return Err(fault),
        }
        self.files += 1;
        Ok(())
    }

    fn contents(&mut self, store: &Store, folder: &[u8], cancel: &Cancel) -> Result<()> {
        let shard = store.root.open_dir(OBJECTS)?.open_dir(folder)?;
        for name in shard.list()?.iter().filter(|name| !temp::is_temp_name(name)) {
            let Some(AnyDigest::Known(digest)) = digest(b"sha256", &[folder, name].concat()) else {
                continue;
            };
            match self.is_whole(&shard, name, &digest, cancel) {
                Ok(Some((_, true))) => drop(self.objects.insert(digest)),
                Ok(Some((_, false))) => self.note_damage(Item::Object(digest)),
                Ok(None) => {}
                Err(fault) => self.unless_unreadable_item(Item::Object(digest), fault)?,
            }
        }
        Ok(())
    }

    /// Bytes of a file, and whether they have the digest; nothing where the file is gone.
    fn is_whole(
        &mut self,
        folder: &Dir,
        name: &[u8],
        digest: &Digest,
        cancel: &Cancel,
    ) -> Result<Option<(u64, bool)>> {
        let file = match folder.open_file(name) {
            Err(error) if error.is_not_found() => return Ok(None),
            opened => opened?,
        };
        let size = file.size()?;
        let found = hash_range(&file, 0, size, digest.algorithm(), &|| Ok(cancel.check()?))?;
        self.files += 1;
        self.bytes += size;
        Ok(Some((size, found == *digest)))
    }

    fn add(&mut self, other: Self) {
        self.blobs.extend(other.blobs);
        self.forms.extend(other.forms);
        self.layers.extend(other.layers);
        self.objects.extend(other.objects);
        self.wanted.extend(other.wanted);
        self.damaged.extend(other.damaged);
        self.files += other.files;
        self.bytes += other.bytes;
        self.unproven += other.unproven;
    }
}
