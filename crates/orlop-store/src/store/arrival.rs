//! A blob that comes in: read once, and filed on its way.
//!
//! ```text
//! what an earlier run left ──┐
//! origin ──► file ───────────┴──► reader
//! ```
//!
//! Invariant: the file holds what the reader was given, in the same order, and has no name of a blob before the reader
//! has proven it. What came before a connection broke stays for the next run; what is wrong goes.

use crate::blobs::Blobs;
use crate::part::{self, Part};
use orlop_fs::{File, Persist, Temp};
use orlop_layer::verified::Damaged;
use orlop_spec::port::{Origin, Result};
use orlop_spec::{Descriptor, Digest, Fault};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// How many pieces of a far blob wait to be read.
const AHEAD: usize = 16;

/// A blob on its way.
pub(super) struct Arrival<'a> {
    blobs: &'a Blobs,
    blob: &'a Descriptor,
    origin: &'a dyn Origin,
    place: Place<'a>,
}

enum Place<'a> {
    /// Found again by the next run.
    Part(Part<'a>),
    /// Gone with this one.
    Temp(Temp<'a>),
}

/// What is done with the bytes.
pub(super) type Consume<'c, T> = &'c mut dyn FnMut(&mut (dyn Read + Send)) -> Result<T>;

impl<'a> Arrival<'a> {
    pub(super) fn open(
        blobs: &'a Blobs,
        (blob, digest): (&'a Descriptor, &Digest),
        origin: &'a dyn Origin,
    ) -> Result<Self> {
        let folder = blobs.folder_for(digest)?;
        let part = if part::is_worth(blob, origin) { Part::open(folder, blob)? } else { None };
        let place = match part {
            Some(part) => Place::Part(part),
            None => Place::Temp(folder.create_temp()?),
        };
        Ok(Self { blobs, blob, origin, place })
    }

    /// The blob's bytes, as far as they came.
    pub(super) fn file(&self) -> &File {
        match &self.place {
            Place::Part(part) => part.file(),
            Place::Temp(temp) => temp.file(),
        }
    }

    /// Lets `consume` read the blob, and prove it.
    pub(super) fn read<T>(&self, consume: Consume<'_, T>) -> Result<T> {
        let known = self.file().size()?.min(self.blob.size);
        let is_wrong = |fault: &Fault| fault.downcast_ref::<Damaged>().is_some();
        let outcome = match self.read_from(known, consume) {
            // Perhaps only the old bytes were wrong.
            Err(fault) if is_wrong(&fault) && known > 0 => self.read_from(0, consume),
            outcome => outcome,
        };
        if let (Err(fault), Place::Part(part)) = (&outcome, &self.place)
            && is_wrong(fault)
        {
            part.remove();
        }
        outcome
    }

    fn read_from<T>(&self, known: u64, consume: Consume<'_, T>) -> Result<T> {
        self.file().set_len(known)?;
        if !self.origin.is_far() {
            let from = Source::Near(self.origin, None);
            return consume(&mut Filed { file: self.file(), known, at: 0, from });
        }
        let (pieces, source) = sync_channel(AHEAD);
        thread::scope(|threads| {
            if known < self.blob.size {
                threads.spawn(move || {
                    let poured =
                        self.origin.pour(known, &mut |bytes| match pieces.send(Ok(bytes.to_vec())) {
                            Ok(()) => Ok(ControlFlow::Continue(())),
                            Err(_) => Ok(ControlFlow::Break(())),
                        });
                    if let Err(fault) = poured {
                        pieces.send(Err(fault)).unwrap_or_default();
                    }
                });
            }
            let from = Source::Far(source, Vec::new(), 0);
            consume(&mut Filed { file: self.file(), known, at: 0, from })
        })
    }

    /// Keeps the blob, which was proven.
    pub(super) fn persist(self) -> Result<()> {
        let (name, blobs) = (self.blobs.name(self.blob), self.blobs);
        let how = if blobs.open(self.blob)?.is_some() { Persist::Replace } else { Persist::New };
        let persisted = match self.place {
            Place::Part(part) => part.persist(name, how),
            Place::Temp(temp) => temp.persist(name, how).map(drop),
        };
        match persisted {
            // What another run left under the name was proven as this was.
            Err(error) if !error.is_exists() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Keeps nothing.
    pub(super) fn discard(self) {
        if let Place::Part(part) = &self.place {
            part.remove();
        }
    }
}

/// Reads what is filed, then what comes, and files that.
struct Filed<'a> {
    file: &'a File,
    known: u64,
    at: u64,
    from: Source<'a>,
}

enum Source<'a> {
    /// Opened when it is needed.
    Near(&'a dyn Origin, Option<Box<dyn Read + Send + 'a>>),
    /// Pieces, and how much of the last one was read.
    Far(Receiver<Result<Vec<u8>>>, Vec<u8>, usize),
}

impl Source<'_> {
    fn read(&mut self, out: &mut [u8], at: u64) -> Result<usize> {
        match self {
            Self::Near(origin, reader) => {
                if reader.is_none() {
                    *reader = Some(origin.open(at)?);
                }
                let reader = reader.as_mut().expect("just opened");
                reader.read(out).map_err(|error| Fault::io("read a blob", error))
            }
            Self::Far(pieces, piece, done) => {
                if *done == piece.len() {
                    let Ok(next) = pieces.recv() else { return Ok(0) };
                    (*piece, *done) = (next?, 0);
                }
                let count = (&piece[*done..]).read(out).unwrap_or(0);
                *done += count;
                Ok(count)
            }
        }
    }
}

impl Read for Filed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = if self.at < self.known {
            let most = usize::try_from(self.known - self.at).unwrap_or(usize::MAX).min(out.len());
            self.file.read_at(&mut out[..most], self.at)?
        } else {
            let count = self.from.read(out, self.at)?;
            self.file.write_at(&out[..count], self.at)?;
            count
        };
        self.at += count as u64;
        Ok(count)
    }
}
