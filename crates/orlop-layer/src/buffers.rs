//! Buffers between the steps of a pipeline: pooled, counted, lent without a copy.
//!
//! Invariant: a stream of shared [`Buffer`]s allocates no more than the queues can hold at once; a piece goes back to
//! its pool when the last step lets go of it.

use orlop_spec::{Cancel, Fault};
use std::io::{self, BufRead, Read};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Pieces that wait between two steps.
pub(crate) const QUEUE: usize = 8;

/// Where empty buffers come from.
pub(crate) struct Pool {
    size: usize,
    home: Sender<Box<[u8]>>,
    spare: Receiver<Box<[u8]>>,
}

/// Bytes that go home when they are dropped.
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    length: usize,
    home: Sender<Box<[u8]>>,
}

impl Pool {
    /// A pool of buffers of `size` bytes.
    pub(crate) fn new(size: usize) -> Self {
        let (home, spare) = channel();
        Self { size, home, spare }
    }

    /// An empty buffer.
    pub(crate) fn empty(&self) -> Buffer {
        let bytes = self.spare.try_recv().unwrap_or_else(|_| vec![0; self.size].into());
        Buffer { bytes, length: 0, home: self.home.clone() }
    }

    /// A piece of what `fill` writes into an empty buffer; `None` where it writes nothing.
    pub(crate) fn piece<E>(
        &self,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Option<Arc<Buffer>>, E> {
        let mut buffer = self.empty();
        buffer.length = fill(&mut buffer.bytes)?;
        Ok((buffer.length > 0).then(|| Arc::new(buffer)))
    }
}

impl Buffer {
    /// Takes as many bytes as there is room for.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.bytes.len() - self.length);
        self.bytes[self.length..self.length + count].copy_from_slice(&bytes[..count]);
        self.length += count;
        count
    }

    /// Reads into the room that is left.
    pub(crate) fn fill(&mut self, input: &mut impl Read) -> io::Result<usize> {
        let count = input.read(&mut self.bytes[self.length..])?;
        self.length += count;
        Ok(count)
    }

    /// Whether there is no room left.
    pub(crate) fn is_full(&self) -> bool {
        self.length == self.bytes.len()
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // Where the pool is gone, the memory is freed.
        drop(self.home.send(std::mem::take(&mut self.bytes)));
    }
}

/// Reads the pieces that another step sends. The sender tells by other means whether the end is a good one.
pub(crate) struct Pieces<'a> {
    queue: Receiver<Arc<Buffer>>,
    piece: Option<Arc<Buffer>>,
    at: usize,
    cancel: &'a Cancel,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(queue: Receiver<Arc<Buffer>>, cancel: &'a Cancel) -> Self {
        Self { queue, piece: None, at: 0, cancel }
    }
}

impl BufRead for Pieces<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.as_ref().is_none_or(|piece| piece.len() == self.at) {
            self.cancel.check().map_err(Fault::from)?;
            self.piece = None;
            self.at = 0;
            self.piece = self.queue.recv().ok();
        }
        Ok(self.piece.as_ref().map_or(&[], |piece| &piece[self.at..]))
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}
