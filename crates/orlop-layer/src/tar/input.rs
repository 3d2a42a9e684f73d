//! The stream below the reader: counts bytes, and lends them out of the caller's buffer without a copy.

use super::BLOCK;
use super::header::Block;
use crate::error::Error;
use std::io::{BufRead, ErrorKind, Seek};

pub(super) struct Input<R> {
    inner: R,
    offset: u64,
    /// Bytes that were lent out and are gone with the next call.
    lent: usize,
}

impl<R: BufRead> Input<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, offset: 0, lent: 0 }
    }

    /// Where the next byte lies.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next block; `None` where the stream ends before it.
    pub(super) fn block(&mut self) -> Result<Option<Block>, Error> {
        if self.fill()?.is_empty() {
            return Ok(None);
        }
        let mut block = [0; BLOCK];
        self.exact(&mut block, "the archive ends inside a header")?;
        Ok(Some(block))
    }

    /// Fills `out`.
    pub(super) fn exact(&mut self, mut out: &mut [u8], what: &'static str) -> Result<(), Error> {
        while !out.is_empty() {
            let piece = self.piece(out.len() as u64, what)?;
            let (head, rest) = out.split_at_mut(piece.len());
            head.copy_from_slice(piece);
            out = rest;
        }
        Ok(())
    }

    /// At least one and at most `most` bytes, still in the buffer below.
    pub(super) fn piece(&mut self, most: u64, what: &'static str) -> Result<&[u8], Error> {
        let offset = self.offset;
        let there = self.fill()?.len();
        if there == 0 {
            return Err(Error::Tar { offset, what });
        }
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(there);
        self.lent = count;
        self.offset += count as u64;
        let bytes = self.inner.fill_buf().map_err(Error::Read)?;
        Ok(&bytes[..count])
    }

    /// Passes over `count` bytes.
    pub(super) fn skip(&mut self, mut count: u64, what: &'static str) -> Result<(), Error> {
        while count > 0 {
            count -= self.piece(count, what)?.len() as u64;
        }
        Ok(())
    }

    /// Passes over `count` bytes, or to the end where that comes before.
    pub(super) fn skip_up_to(&mut self, mut count: u64) -> Result<(), Error> {
        while count > 0 && !self.fill()?.is_empty() {
            count -= self.piece(count, "")?.len() as u64;
        }
        Ok(())
    }

    /// Reads to the end, so that everything below has seen every byte; at most `limit` of them. Where the first byte
    /// lies that is not zero.
    pub(super) fn drain(&mut self, limit: u64) -> Result<Option<u64>, Error> {
        let (start, mut found) = (self.offset, None);
        while self.offset - start <= limit {
            let offset = self.offset;
            let piece = self.fill()?;
            let count = piece.len();
            if count == 0 {
                return Ok(found);
            }
            if found.is_none() {
                found = piece.iter().position(|byte| *byte != 0).map(|at| offset + at as u64);
            }
            self.lent = count;
            self.offset += count as u64;
        }
        Err(Error::Limit { what: "what follows the end of the archive", limit })
    }

    /// Passes over `count` bytes, which may lie beyond the end.
    pub(super) fn seek(&mut self, count: u64) -> Result<(), Error>
    where
        R: Seek,
    {
        self.inner.consume(std::mem::take(&mut self.lent));
        let by = i64::try_from(count)
            .map_err(|_| Error::Tar { offset: self.offset, what: "a size is too large" })?;
        self.inner.seek_relative(by).map_err(Error::Read)?;
        self.offset += count;
        Ok(())
    }

    fn fill(&mut self) -> Result<&[u8], Error> {
        self.inner.consume(std::mem::take(&mut self.lent));
        while let Err(error) = self.inner.fill_buf() {
            if error.kind() != ErrorKind::Interrupted {
                return Err(Error::Read(error));
            }
        }
        self.inner.fill_buf().map_err(Error::Read)
    }
}
