//! A layer with zeros in the place of contents, which nobody reads for it.
//!
//! Invariant: the tree of it is the tree of the layer. The one reader of tars sees the literal bytes as they are, and
//! zeros in the place of contents, which it passes over; so an entry has the same ordinal, offset and size.

use super::{Held, Reader, Record};
use orlop_spec::digest::DiffId;
use orlop_spec::port::Result;
use std::io::{self, BufRead, Read};

/// Is told where the content of an entry is.
pub type See<'a> = Box<dyn FnMut(u32, &Held) -> Result<()> + 'a>;

/// The uncompressed layer with zeros for contents.
pub struct Hollow<'a> {
    list: Reader,
    diff_id: DiffId,
    see: See<'a>,
    literal: Vec<u8>,
    /// How much of it was taken.
    at: usize,
    /// Bytes of a content that are to be given.
    zeros: u64,
    given: u64,
    ended: bool,
}

impl<'a> Hollow<'a> {
    /// The layer `diff_id`, whose list this is.
    pub fn new(list: Reader, diff_id: DiffId, see: See<'a>) -> Self {
        Self { list, diff_id, see, literal: Vec::new(), at: 0, zeros: 0, given: 0, ended: false }
    }

    /// Takes the next record.
    fn next(&mut self) -> Result<()> {
        match self.list.record()? {
            Record::Literal(length) => {
                self.literal.resize(length as usize, 0);
                self.at = 0;
                self.list.literal(&mut self.literal)?;
            }
            Record::Content { ordinal, held, parts } => {
                (self.see)(ordinal, &held)?;
                self.zeros = match parts {
                    None => held.size(),
                    Some(count) => self.parts(count)?,
                };
            }
            Record::End { size, diff_id } if size == self.given && diff_id == self.diff_id => {
                self.ended = true;
            }
            Record::End { .. } => return Err(self.list.damaged("it is of another layer")),
        }
        Ok(())
    }

    /// How much the layer holds of a content.
    fn parts(&mut self, count: u32) -> Result<u64> {
        let mut stored = 0;
        for _ in 0..count {
            // Parts ascend within the content, so their sum is at most its size.
            stored += self.list.part()?.length;
        }
        Ok(stored)
    }
}

impl BufRead for Hollow<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        while self.at == self.literal.len() && self.zeros == 0 && !self.ended {
            self.next()?;
        }
        if self.at < self.literal.len() {
            return Ok(&self.literal[self.at..]);
        }
        let count = usize::try_from(self.zeros).unwrap_or(ZEROS.len()).min(ZEROS.len());
        Ok(&ZEROS[..count])
    }

    fn consume(&mut self, count: usize) {
        if self.at < self.literal.len() {
            self.at += count;
        } else {
            self.zeros -= count as u64;
        }
        self.given += count as u64;
    }
}

impl Read for Hollow<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}
