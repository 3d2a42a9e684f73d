//! Takes a layer apart while it is decoded.

use super::{Held, Part, Writer};
use crate::decode::Visit;
use crate::entry::{Entry, Kind};
use crate::error::Error;
use orlop_spec::Fault;
use orlop_spec::port::Result;
use std::io::{self, Write};

/// Takes the contents of a layer's files, one behind the other.
pub trait Intake {
    /// The entry of a file comes, and then its content, unless it is empty.
    fn begin(&mut self, ordinal: u32, entry: &Entry) -> Result<()>;

    /// The next bytes of the content.
    fn data(&mut self, bytes: &[u8]) -> Result<()>;

    /// So many zeros of it.
    fn hole(&mut self, length: u64) -> Result<()>;

    /// The content is whole. Not asked for an empty one.
    fn end(&mut self) -> Result<Held>;
}

/// Writes the list while a layer is decoded.
pub struct Recorder<W, I> {
    list: Writer<W>,
    intake: I,
    /// Of the file that came last.
    ordinal: u32,
    size: u64,
    /// Bytes of it that came.
    at: u64,
    /// What the layer holds of it.
    parts: Vec<Part>,
}

impl<W: Write, I: Intake> Recorder<W, I> {
    /// Writes `list`, and hands contents to `intake`.
    pub fn new(list: Writer<W>, intake: I) -> Self {
        Self { list, intake, ordinal: 0, size: 0, at: 0, parts: Vec::new() }
    }

    /// List and intake, when the layer was decoded.
    pub fn into_parts(self) -> (Writer<W>, I) {
        (self.list, self.intake)
    }

    fn entry(&mut self, ordinal: u32, entry: &Entry) -> Result<()> {
        let Kind::File { size } = entry.kind else { return Ok(()) };
        (self.ordinal, self.size, self.at) = (ordinal, size, 0);
        self.parts.clear();
        self.intake.begin(ordinal, entry)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        let (offset, length) = (self.at, bytes.len() as u64);
        match self.parts.last_mut().filter(|part| part.offset + part.length == offset) {
            Some(part) => part.length += length,
            None => self.parts.push(Part { offset, length }),
        }
        self.intake.data(bytes)?;
        self.end_content(length)
    }

    fn hole(&mut self, length: u64) -> Result<()> {
        self.intake.hole(length)?;
        self.end_content(length)
    }

    /// The record of a content stands where its last byte does: literal bytes may follow before the next entry.
    fn end_content(&mut self, more: u64) -> Result<()> {
        self.at += more;
        if self.at < self.size {
            return Ok(());
        }
        let held = self.intake.end()?;
        let whole = [Part { offset: 0, length: self.size }];
        let parts = (self.parts != whole).then_some(&self.parts[..]);
        self.list.content(self.ordinal, &held, parts).map_err(failed)
    }
}

impl<W: Write, I: Intake> Visit for Recorder<W, I> {
    fn entry(&mut self, ordinal: u32, _: u64, entry: &Entry) -> Result<(), Error> {
        Recorder::entry(self, ordinal, entry).map_err(into_write)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Error> {
        Recorder::data(self, bytes).map_err(into_write)
    }

    fn hole(&mut self, length: u64) -> Result<(), Error> {
        Recorder::hole(self, length).map_err(into_write)
    }

    fn end(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn wants_literals(&self) -> bool {
        true
    }

    fn literal(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.list.literal(bytes).map_err(Error::Write)
    }
}

fn failed(error: io::Error) -> Fault {
    Fault::io("write the list of a layer", error)
}

fn into_write(fault: Fault) -> Error {
    Error::Write(fault.into())
}
