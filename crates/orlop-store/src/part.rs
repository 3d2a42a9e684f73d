//! Blobs that come over a network, and may break off: what came is kept for the next run.
//!
//! ```text
//! .orlop-tmp-part-HEX     bytes from 0 on, not proven; locked by whoever writes it
//! ```
//!
//! Invariants: a part gets the blob's name only after every byte was hashed, those of earlier runs included; two
//! writers never share a part. A part that nobody goes on with is litter, which a sweep removes.

use crate::take::{self, check_digest};
use orlop_fs::lock::{Share, Wait};
use orlop_fs::{Dir, File, Lock, Persist, temp};
use orlop_layer::verified::Damaged;
use orlop_spec::digest::{Algorithm, Hasher};
use orlop_spec::port::{Origin, Result};
use orlop_spec::{AnyDigest, Descriptor, Fault};
use std::ops::ControlFlow;

/// Smaller blobs are fetched anew in the time that a part costs.
const SMALL: u64 = 1 << 20;

/// Whether a part would be worth its name.
pub(crate) fn is_worth(blob: &Descriptor, origin: &dyn Origin) -> bool {
    origin.is_far() && blob.size >= SMALL
}

/// A blob on its way.
pub(crate) struct Part<'a> {
    folder: &'a Dir,
    name: String,
    algorithm: Algorithm,
    file: File,
    _alone: Lock,
}

impl<'a> Part<'a> {
    /// Opens the part of a blob, or makes one; `None` while somebody else writes it.
    pub(crate) fn open(folder: &'a Dir, blob: &Descriptor) -> Result<Option<Self>> {
        let AnyDigest::Known(digest) = blob.digest else { return Ok(None) };
        let name = format!("{}part-{}", temp::PREFIX, blob.digest.encoded());
        let file = match folder.create_file(&name, 0o666) {
            Err(error) if error.is_exists() => folder.open_file_for_writing(&name),
            created => created,
        };
        let (file, alone) = match (file, folder.lock_file(&name, Share::Exclusive, Wait::No)) {
            (Ok(file), Ok(Some(alone))) => (file, alone),
            (Err(error), _) | (_, Err(error)) if !error.is_not_found() => return Err(error.into()),
            _ => return Ok(None),
        };
        // Its writer may have ended it between the two steps; then the name is gone, or is another file's.
        let (opened, named) = (file.stat()?, folder.try_stat(&name)?);
        let is_same = named.is_some_and(|named| (named.dev, named.ino) == (opened.dev, opened.ino));
        Ok(is_same.then_some(Self { folder, name, algorithm: digest.algorithm(), file, _alone: alone }))
    }

    /// Fetches what is missing and proves the whole. What came before a connection broke stays for the next run;
    /// what is wrong goes.
    pub(crate) fn fill(&self, blob: &Descriptor, origin: &dyn Origin) -> Result<()> {
        let known = self.file.size()?;
        let filled = self.fetch(blob, origin, known);
        let is_wrong = |fault: &Fault| fault.downcast_ref::<Damaged>().is_some();
        match filled {
            // Perhaps only the old bytes were wrong.
            Err(fault) if is_wrong(&fault) && known > 0 => self.fetch(blob, origin, 0),
            other => other,
        }
        .inspect_err(|fault| {
            if is_wrong(fault) {
                self.folder.remove_file(&self.name).ok();
            }
        })
    }

    /// Its bytes, as far as they came.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Removes it: nobody shall go on with it.
    pub(crate) fn remove(&self) {
        self.folder.remove_file(&self.name).ok();
    }

    /// Gives the part, which is whole and proven, its name.
    pub(crate) fn persist(self, name: String, how: Persist) -> orlop_fs::Result<()> {
        let persisted = match how {
            Persist::New => self.folder.rename_new(&self.name, self.folder, name),
            Persist::Replace => self.folder.rename(&self.name, self.folder, name),
        };
        persisted.inspect_err(|_| drop(self.folder.remove_file(&self.name)))
    }

    fn fetch(&self, blob: &Descriptor, origin: &dyn Origin, known: u64) -> Result<()> {
        let mut hasher = Hasher::new(self.algorithm);
        let mut done = if known <= blob.size { known } else { 0 };
        take::read_range(&self.file, 0, done, &mut |_, bytes| {
            hasher.update(bytes);
            origin.check()
        })?;
        self.file.set_len(done)?;
        if done < blob.size {
            done = self.append(blob, origin, done, &mut hasher)?;
        }
        take::check_size(done, blob)?;
        check_digest(Some(hasher.finish()), blob)
    }

    /// Reads on from `done`, one byte further than the blob goes.
    fn append(
        &self,
        blob: &Descriptor,
        origin: &dyn Origin,
        mut done: u64,
        hasher: &mut Hasher,
    ) -> Result<u64> {
        origin.pour(done, &mut |bytes| {
            let most = usize::try_from(blob.size - done + 1).unwrap_or(usize::MAX).min(bytes.len());
            self.file.write_at(&bytes[..most], done)?;
            hasher.update(&bytes[..most]);
            done += most as u64;
            Ok(if done > blob.size { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(done)
    }
}
