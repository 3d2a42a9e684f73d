//! How bytes come into a file: linked, shared, copied in the kernel, or streamed; proven in every case.

use orlop_fs::copy::{self, Cheap};
use orlop_fs::{Dir, File, Temp};
use orlop_layer::Verified;
use orlop_layer::verified::{Damage, Damaged};
use orlop_spec::digest::{Algorithm, Hasher};
use orlop_spec::document::DocumentError;
use orlop_spec::port::{Hints, LocalFile, Put, Result, Transfer};
use orlop_spec::{AnyDigest, Descriptor, Digest, Fault};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// One step of hashing or copying.
const STEP: usize = 256 << 10;
/// One step of a copy in the kernel, which the hash follows.
const STRIDE: u64 = 8 << 20;
/// Below this a thread costs more than it saves.
const SMALL: u64 = 1 << 20;

/// Asked once per step; an error ends the work.
pub(crate) type GoOn<'a> = &'a (dyn Fn() -> Result<()> + Sync);

/// For work that nobody may stop.
pub(crate) const TO_THE_END: GoOn<'static> = &|| Ok(());

/// Proves that a file is the blob.
pub(crate) fn prove(file: &File, blob: &Descriptor, go_on: GoOn<'_>) -> Result<()> {
    check_size(file.size()?, blob)?;
    check_digest(hash(file, blob, go_on)?, blob)
}

/// Gives the file itself a further name, where that was asked for and is possible.
pub(crate) fn link(
    local: &LocalFile,
    blob: &Descriptor,
    hints: &Hints,
    (folder, name): (&Dir, &str),
    go_on: GoOn<'_>,
) -> Result<Cheap> {
    if hints.transfer != Transfer::Link || !local.whole {
        return Ok(Cheap::NotHere);
    }
    prove(&own_handle(local)?, blob, go_on)?;
    match copy::link(&local.file, folder, name) {
        Err(error) if error.is_exists() => Ok(Cheap::NotHere),
        outcome => Ok(outcome?),
    }
}

/// Copies a part of a local file into `to`, which is empty. The copy is hashed as far as it has come, on a thread
/// of its own: it is in memory then, and what is proven is what is kept, whatever becomes of the source.
pub(crate) fn copy(local: &LocalFile, blob: &Descriptor, to: &File, go_on: GoOn<'_>) -> Result<Put> {
    check_size(local.size, blob)?;
    let from = own_handle(local)?;
    if blob.size < SMALL {
        let put = move_range(local, &from, to, &|_| go_on())?;
        check_digest(hash(to, blob, go_on)?, blob)?;
        return Ok(put);
    }
    thread::scope(|threads| {
        let (copied, progress) = mpsc::channel();
        let hashed = threads.spawn(move || hash_behind(to, blob, &progress, go_on));
        let put = move_range(local, &from, to, &|end| {
            copied.send(end).unwrap_or_default();
            go_on()
        });
        drop(copied);
        let hashed = hashed.join().expect("hashing does not panic");
        let put = put?;
        check_digest(hashed?, blob)?;
        Ok(put)
    })
}

/// Copies what a reader gives, proving it on its way.
pub(crate) fn stream(mut from: impl Read, blob: &Descriptor, to: &mut dyn Write) -> Result<()> {
    let failed = |error| Fault::io(format!("copy {}", blob.digest), error);
    match &blob.digest {
        AnyDigest::Known(_) => {
            pump(&mut Verified::new(from, blob)?, to).map_err(failed)?;
        }
        AnyDigest::Other(_) => {
            let mut bounded = from.by_ref().take(blob.size.saturating_add(1));
            check_size(pump(&mut bounded, to).map_err(failed)?, blob)?;
        }
    }
    Ok(())
}

/// Bytes from a reader to a writer, in steps that suit both hashing and writing.
fn pump(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<u64> {
    let mut buffer = vec![0; STEP];
    let mut total = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                to.write_all(&buffer[..count])?;
                total += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Moves the range, and tells how far the copy has come after each step.
fn move_range(local: &LocalFile, from: &File, to: &File, copied: &dyn Fn(u64) -> Result<()>) -> Result<Put> {
    if local.whole && copy::reflink(local.file.as_fd(), to)? == Cheap::Done {
        copied(local.size)?;
        return Ok(Put::Linked);
    }
    let mut done = 0;
    while done < local.size {
        let step = STRIDE.min(local.size - done);
        match copy::copy_range(local.file.as_fd(), local.at + done, to, done, step)? {
            Some(0) => break,
            Some(count) => done += count,
            None => {
                copy_by_hand(from, local, to, copied)?;
                break;
            }
        }
        copied(done)?;
    }
    // A source that became shorter while it was read fails the proof.
    Ok(Put::Copied)
}

fn copy_by_hand(from: &File, local: &LocalFile, to: &File, copied: &dyn Fn(u64) -> Result<()>) -> Result<()> {
    read_range(from, local.at, local.size, &mut |at, bytes| {
        to.write_at(bytes, at)?;
        copied(at + bytes.len() as u64)
    })
}

/// The digest of a whole file; `None` for an algorithm that proves nothing.
fn hash(file: &File, blob: &Descriptor, go_on: GoOn<'_>) -> Result<Option<Digest>> {
    match &blob.digest {
        AnyDigest::Known(expected) => {
            hash_range(file, 0, file.size()?, expected.algorithm(), go_on).map(Some)
        }
        AnyDigest::Other(_) => Ok(None),
    }
}

/// The digest of a file that is still being written, never reading past what `progress` says.
fn hash_behind(
    file: &File,
    blob: &Descriptor,
    progress: &Receiver<u64>,
    go_on: GoOn<'_>,
) -> Result<Option<Digest>> {
    let AnyDigest::Known(expected) = &blob.digest else { return Ok(None) };
    let mut hasher = Hasher::new(expected.algorithm());
    let mut done = 0;
    for end in progress {
        read_range(file, done, end - done, &mut |_, bytes| {
            hasher.update(bytes);
            go_on()
        })?;
        done = end;
    }
    Ok(Some(hasher.finish()))
}

/// The digest of a part of a file.
pub(crate) fn hash_range(
    file: &File,
    at: u64,
    size: u64,
    algorithm: Algorithm,
    go_on: GoOn<'_>,
) -> Result<Digest> {
    let mut hasher = Hasher::new(algorithm);
    read_range(file, at, size, &mut |_, bytes| {
        hasher.update(bytes);
        go_on()
    })?;
    Ok(hasher.finish())
}

/// Shows the bytes of a range in steps, each with its place in the range; fewer where the file ends early.
pub(crate) fn read_range(
    file: &File,
    at: u64,
    size: u64,
    take: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut buffer = vec![0; STEP];
    let mut done = 0;
    while done < size {
        let step = usize::try_from(size - done).unwrap_or(STEP).min(STEP);
        let count = file.read_at(&mut buffer[..step], at + done)?;
        if count == 0 {
            break;
        }
        take(done, &buffer[..count])?;
        done += count as u64;
    }
    Ok(())
}

fn own_handle(local: &LocalFile) -> Result<File> {
    let handle = local.file.try_clone().map_err(|error| Fault::io("open the blob", error))?;
    Ok(File::from_handle(handle, "the blob"))
}

/// A blob that is written by somebody who learns its digest at its end.
pub(crate) struct Writing<'a> {
    temp: Temp<'a>,
    size: u64,
    hasher: Hasher,
    algorithm: Algorithm,
}

/// Whether what was written is known to be the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Its digest was compared.
    Proven,
    /// Its digest is of another algorithm than the one that was hashed by.
    Unproven,
}

impl<'a> Writing<'a> {
    pub(crate) fn new(temp: Temp<'a>, algorithm: Algorithm) -> Self {
        Self { temp, size: 0, hasher: Hasher::new(algorithm), algorithm }
    }

    /// Ends the blob, which must be what `blob` says as far as that can be told.
    pub(crate) fn end(self, blob: &Descriptor) -> Result<(Temp<'a>, Written)> {
        let Self { temp, size, hasher, algorithm } = self;
        if !matches!(&blob.digest, AnyDigest::Known(digest) if digest.algorithm() == algorithm) {
            return Ok((temp, Written::Unproven));
        }
        check_size(size, blob)?;
        check_digest(Some(hasher.finish()), blob)?;
        Ok((temp, Written::Proven))
    }
}

impl Write for Writing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.temp.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A size that is not the blob's is found before anything is hashed (image-spec, `descriptor.md`).
pub(crate) fn check_size(found: u64, blob: &Descriptor) -> Result<()> {
    if found == blob.size {
        return Ok(());
    }
    let AnyDigest::Known(digest) = blob.digest else {
        return Err(DocumentError::WrongSize { found, expected: Box::new(blob.clone()) }.into());
    };
    let damage = if found < blob.size { Damage::Short { found } } else { Damage::Long };
    Err(Fault::new(Damaged { blob: digest, size: blob.size, damage }))
}

pub(crate) fn check_digest(found: Option<Digest>, blob: &Descriptor) -> Result<()> {
    match (found, &blob.digest) {
        (Some(found), AnyDigest::Known(expected)) if found != *expected => {
            let damage = Damage::Digest { found: Box::new(found) };
            Err(Fault::new(Damaged { blob: *expected, size: blob.size, damage }))
        }
        _ => Ok(()),
    }
}
