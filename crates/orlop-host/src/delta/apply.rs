//! A delta and the files of the older tree give the layer.

use super::older::Place;
use super::operation::{Operation, Operations};
use crate::error::Error;
use orlop_layer::{Error as LayerError, TreePath};
use orlop_spec::{Cancel, Fault, Limits};
use std::collections::BTreeSet;
use std::io::{Read, Write};

/// Bytes that are held at once.
const PIECE: usize = 64 << 10;

/// The files of an older tree.
pub trait Sources: Sync {
    /// Where the content of the regular file at `path` is. No link is followed.
    fn find(&self, path: &TreePath) -> Option<Place>;

    /// Fills `out` with bytes of a content, from byte `at` of it on; they are all there.
    fn read(&self, place: Place, at: u64, out: &mut [u8]) -> Result<(), Error>;
}

/// Writes the layer that `delta` describes. The caller proves it by its diff id.
///
/// # Errors
/// Integrity where the delta is damaged, or asks for what the older tree does not hold; limit where it gives more than
/// `limits` allow.
pub fn apply(
    delta: impl Read + Send,
    sources: &dyn Sources,
    limits: &Limits,
    cancel: &Cancel,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut operations = Operations::open(delta, limits)?;
    let mut patch = Patch { sources, file: None, at: 0, left: limits.size, limits, cancel, out };
    while let Some(operation) = operations.next()? {
        patch.cancel.check().map_err(stopped)?;
        patch.take(operation, &mut operations)?;
    }
    Ok(())
}

/// The files that deltas read.
#[derive(Debug, Default)]
pub struct Paths {
    set: BTreeSet<TreePath>,
    /// What they take: their bytes, and so much for each.
    bytes: u64,
}

/// Bytes that a path takes beside its own.
const BESIDE: u64 = 32;

impl Paths {
    /// Whether a delta reads it.
    pub fn contains(&self, path: &TreePath) -> bool {
        self.set.contains(path)
    }

    /// Adds the files that one more delta reads. What is no delta is refused here, before anything of the older image is read.
    ///
    /// # Errors
    /// Limit where all paths together take more than documents may.
    pub fn add(&mut self, delta: impl Read + Send, limits: &Limits, cancel: &Cancel) -> Result<(), Error> {
        let mut operations = Operations::open(delta, limits)?;
        let mut skipped = vec![0; PIECE];
        while let Some(operation) = operations.next()? {
            cancel.check().map_err(stopped)?;
            match operation {
                Operation::Open(path) => self.insert(path, limits.documents)?,
                Operation::Data(count) | Operation::Add(count) => {
                    in_pieces(count, |length, _| operations.bytes(&mut skipped[..length]))?;
                }
                Operation::Copy(_) | Operation::Seek(_) => {}
            }
        }
        Ok(())
    }

    fn insert(&mut self, path: TreePath, limit: u64) -> Result<(), Error> {
        let takes = path.as_bytes().len() as u64 + BESIDE;
        if self.set.insert(path) {
            self.bytes += takes;
        }
        if self.bytes > limit {
            let what = "what the paths take that a delta reads";
            return Err(LayerError::Limit { what, limit }.into());
        }
        Ok(())
    }
}

/// A delta under way.
struct Patch<'a> {
    sources: &'a dyn Sources,
    file: Option<Place>,
    /// Where reading of the file is.
    at: u64,
    /// Bytes that may still be given.
    left: u64,
    limits: &'a Limits,
    cancel: &'a Cancel,
    out: &'a mut dyn Write,
}

impl Patch<'_> {
    fn take(&mut self, operation: Operation, from: &mut Operations<'_>) -> Result<(), Error> {
        match operation {
            Operation::Open(path) => {
                let place = self.sources.find(&path);
                self.file = Some(place.ok_or_else(|| Error::DeltaWants { path: path.to_string() })?);
                self.at = 0;
            }
            Operation::Seek(at) => {
                let file = self.file.ok_or_else(|| from.damaged("no file is open"))?;
                if at > file.size {
                    return Err(from.damaged("it reads behind the end of a file"));
                }
                self.at = at;
            }
            Operation::Data(count) => {
                let mut piece = self.room(count)?;
                in_pieces(count, |length, _| {
                    from.bytes(&mut piece[..length])?;
                    self.give(&piece[..length])
                })?;
            }
            Operation::Copy(count) => {
                let (file, at) = self.reserve(count, from)?;
                let mut piece = self.room(count)?;
                in_pieces(count, |length, done| {
                    self.sources.read(file, at + done, &mut piece[..length])?;
                    self.give(&piece[..length])
                })?;
            }
            Operation::Add(count) => {
                let (file, at) = self.reserve(count, from)?;
                let mut piece = self.room(count)?;
                let mut added = vec![0; piece.len()];
                in_pieces(count, |length, done| {
                    self.sources.read(file, at + done, &mut piece[..length])?;
                    from.bytes(&mut added[..length])?;
                    for (byte, more) in piece.iter_mut().zip(&added[..length]) {
                        *byte = byte.wrapping_add(*more);
                    }
                    self.give(&piece[..length])
                })?;
            }
        }
        Ok(())
    }

    /// The file that is open, and where its next `count` bytes begin; they are all there.
    fn reserve(&mut self, count: u64, from: &Operations<'_>) -> Result<(Place, u64), Error> {
        let file = self.file.ok_or_else(|| from.damaged("no file is open"))?;
        let at = self.at;
        if count > file.size - at {
            return Err(from.damaged("it reads behind the end of a file"));
        }
        self.at += count;
        Ok((file, at))
    }

    /// A piece to work in, where `count` more bytes are allowed.
    fn room(&mut self, count: u64) -> Result<Vec<u8>, Error> {
        let (what, limit) = ("the uncompressed size", self.limits.size);
        self.left = self.left.checked_sub(count).ok_or(LayerError::Limit { what, limit })?;
        Ok(vec![0; usize::try_from(count).unwrap_or(PIECE).min(PIECE)])
    }

    fn give(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.cancel.check().map_err(stopped)?;
        Ok(self.out.write_all(bytes).map_err(LayerError::Write)?)
    }
}

/// Calls `work` with the length of each piece of `count` bytes, and how many came before it.
fn in_pieces(count: u64, mut work: impl FnMut(usize, u64) -> Result<(), Error>) -> Result<(), Error> {
    let mut done = 0;
    while done < count {
        let length = usize::try_from(count - done).unwrap_or(PIECE).min(PIECE);
        work(length, done)?;
        done += length as u64;
    }
    Ok(())
}

fn stopped(cancelled: orlop_spec::Cancelled) -> Error {
    LayerError::Read(Fault::from(cancelled).into()).into()
}
