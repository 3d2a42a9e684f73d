//! A connection and what was read from it ahead of need.

use super::stream::Stream;
use super::watch::Watch;
use std::io;

/// What is read at once when nobody gave a buffer.
const CHUNK: usize = 16 << 10;

/// A connection to a site, or to a proxy that passes on what is asked in the clear.
pub(crate) struct Connection {
    stream: Stream,
    way: Way,
    /// Bytes that were read and not taken; those before `taken` are gone.
    ahead: Vec<u8>,
    taken: usize,
}

/// How the other side is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is the site itself, or a tunnel to it.
    Direct,
    /// It is a proxy: it wants whole addresses, and may want a credential.
    Proxied(Option<String>),
}

impl Connection {
    pub(crate) fn new(stream: Stream, way: Way) -> Self {
        Self { stream, way, ahead: Vec::new(), taken: 0 }
    }

    pub(crate) fn way(&self) -> &Way {
        &self.way
    }

    pub(crate) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// The stream alone, where nothing was read ahead.
    pub(crate) fn into_stream(self) -> Option<Stream> {
        self.ahead().is_empty().then_some(self.stream)
    }

    /// What was read and not taken.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.ahead[self.taken..]
    }

    /// Takes what was read.
    pub(crate) fn take(&mut self, count: usize) {
        self.taken += count;
        if self.taken >= self.ahead.len() {
            self.ahead.clear();
            self.taken = 0;
        }
    }

    /// Reads more ahead; 0 at the end.
    pub(crate) fn fill(&mut self, watch: &mut Watch<'_>) -> io::Result<usize> {
        self.grow(|stream, space| stream.read(space, watch))
    }

    /// Reads more ahead if something is there; `None` where nothing is.
    pub(crate) fn fill_now(&mut self) -> io::Result<Option<usize>> {
        let mut is_there = true;
        let count = self.grow(|stream, space| {
            let count = stream.read_now(space)?;
            is_there = count.is_some();
            Ok(count.unwrap_or_default())
        })?;
        Ok(is_there.then_some(count))
    }

    /// Reads, what is ahead first; 0 at the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8], watch: &mut Watch<'_>) -> io::Result<usize> {
        if self.ahead().is_empty() && buffer.len() >= CHUNK {
            return self.stream.read(buffer, watch);
        }
        if self.ahead().is_empty() && self.fill(watch)? == 0 {
            return Ok(0);
        }
        let count = buffer.len().min(self.ahead().len());
        buffer[..count].copy_from_slice(&self.ahead()[..count]);
        self.take(count);
        Ok(count)
    }

    /// Whether it can carry another request: nothing is left of the answer before, and the other side is there.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.ahead().is_empty() && self.stream.is_quiet()
    }

    fn grow(&mut self, read: impl FnOnce(&mut Stream, &mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        self.ahead.drain(..self.taken);
        self.taken = 0;
        let end = self.ahead.len();
        self.ahead.resize(end + CHUNK, 0);
        let outcome = read(&mut self.stream, &mut self.ahead[end..]);
        self.ahead.truncate(end + *outcome.as_ref().unwrap_or(&0));
        outcome
    }
}
