//! Entries as the bytes of a canonical tar, made when they are read.

use orlop_layer::tree::{self, Tree};
use orlop_layer::{Chunk, Entries, Entry, Error, Kind, tar};
use orlop_spec::Fault;
use std::io::{self, BufRead, Read};

/// Bytes that are made at once.
const PIECE: usize = 64 << 10;

/// A tar that is read while it is made.
pub(super) struct Stream<'a> {
    entries: Box<dyn Entries + Send + 'a>,
    /// Gone at the end.
    writer: Option<tar::Writer<Vec<u8>>>,
    ready: Vec<u8>,
    /// What of it was taken.
    at: usize,
    /// Zeros that were not written yet.
    hole: u64,
}

impl<'a> Stream<'a> {
    pub(super) fn new(entries: Box<dyn Entries + Send + 'a>) -> Self {
        let writer = Some(tar::Writer::new(Vec::with_capacity(2 * PIECE)));
        Self { entries, writer, ready: Vec::new(), at: 0, hole: 0 }
    }

    /// Makes the next piece; an empty one at the end.
    fn fill(&mut self) -> Result<(), Error> {
        (self.at, self.ready) = (0, std::mem::take(&mut self.ready));
        self.ready.clear();
        while let Some(mut writer) = self.writer.take() {
            if self.step(&mut writer)? {
                if writer.out().len() >= PIECE {
                    std::mem::swap(&mut self.ready, writer.out());
                    self.writer = Some(writer);
                    break;
                }
                self.writer = Some(writer);
            } else {
                self.ready = writer.finish()?;
            }
        }
        Ok(())
    }

    /// Writes one more entry, or piece of a content; tells whether there was one.
    fn step(&mut self, writer: &mut tar::Writer<Vec<u8>>) -> Result<bool, Error> {
        if self.hole > 0 {
            let length = self.hole.min(PIECE as u64);
            self.hole -= length;
            return writer.hole(length).map(|()| true);
        }
        match self.entries.next_chunk()? {
            Some(Chunk::Data(bytes)) => writer.data(bytes)?,
            Some(Chunk::Hole(length)) => self.hole = length,
            None => match self.entries.next_entry()? {
                Some(entry) => drop(writer.entry(&entry)?),
                None => return Ok(false),
            },
        }
        Ok(true)
    }
}

impl BufRead for Stream<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.ready.len() {
            self.fill().map_err(Fault::from)?;
        }
        Ok(&self.ready[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

/// The entries of a tree, with zeros as contents.
pub(super) struct Hollow<'a> {
    entries: tree::Entries<'a>,
    /// Zeros that the content of the last file lacks.
    size: u64,
}

impl<'a> Hollow<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self { entries: tree.entries(), size: 0 }
    }
}

impl Entries for Hollow<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        let Some((entry, _)) = self.entries.next() else { return Ok(None) };
        self.size = if let Kind::File { size } = entry.kind { size } else { 0 };
        Ok(Some(entry))
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        let size = std::mem::take(&mut self.size);
        Ok((size > 0).then_some(Chunk::Hole(size)))
    }
}
