//! The body of an answer, read as it is asked for.
//!
//! ```text
//! chunked:  SIZE [;…] ⏎ DATA ⏎  …  0 ⏎ trailers ⏎
//! ```
//!
//! Invariant: it ends without an error only where its framing says that it is whole; then, and only then, the
//! connection goes back to the pool.

use super::connection::Connection;
use super::head::Framing;
use super::watch::Watch;
use crate::error::Error;
use crate::pool::Slot;
use orlop_spec::Fault;
use std::io::{self, ErrorKind, Read};

/// The longest line between chunks, and the most bytes of trailers.
const LONGEST_LINE: usize = 8 << 10;

/// A body that is being received.
pub(crate) struct Incoming<'x> {
    connection: Option<Connection>,
    state: State,
    watch: Watch<'x>,
    /// Where the connection goes when the body is whole; nowhere, where it ends with the body.
    slot: Option<Slot<'x>>,
    got: u64,
    of: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes are to come.
    Length(u64),
    /// The size of a chunk is to come.
    Size,
    /// So many bytes of a chunk are to come.
    Chunk(u64),
    /// The line end after a chunk is to come.
    ChunkEnd,
    /// Trailers are to come, so many bytes of them at most.
    Trailers(usize),
    /// Whatever comes.
    UntilEnd,
    /// It is whole.
    Whole,
    /// It failed, and will not come back.
    Failed,
}

impl<'x> Incoming<'x> {
    pub(crate) fn new(
        connection: Connection,
        framing: Framing,
        watch: Watch<'x>,
        slot: Option<Slot<'x>>,
    ) -> Self {
        let (state, of) = match framing {
            Framing::Length(size) => (State::Length(size), Some(size)),
            Framing::Chunked => (State::Size, None),
            Framing::UntilEnd => (State::UntilEnd, None),
        };
        let mut incoming = Self { connection: Some(connection), state, watch, slot, got: 0, of };
        if state == State::Length(0) {
            incoming.end();
        }
        incoming
    }

    fn end(&mut self) {
        self.state = State::Whole;
        if let (Some(connection), Some(slot)) = (self.connection.take(), self.slot.take()) {
            slot.give_back(connection);
        }
    }

    fn step(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.state {
                State::Whole => return Ok(0),
                State::Failed => return Err(self.truncated()),
                State::Length(left) => {
                    let count = self.part(buffer, left)?;
                    self.state = State::Length(left - count as u64);
                    if left == count as u64 {
                        self.end();
                    }
                    return Ok(count);
                }
                State::UntilEnd => {
                    let count = self.pull(buffer)?;
                    if count == 0 {
                        self.end();
                    }
                    return Ok(count);
                }
                State::Chunk(left) => {
                    let count = self.part(buffer, left)?;
                    let left = left - count as u64;
                    self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                    return Ok(count);
                }
                State::Size => {
                    let line = self.line()?;
                    self.state = match size_of(&line).ok_or_else(|| self.malformed())? {
                        0 => State::Trailers(LONGEST_LINE),
                        size => State::Chunk(size),
                    };
                }
                State::ChunkEnd => {
                    if !self.line()?.is_empty() {
                        return Err(self.malformed());
                    }
                    self.state = State::Size;
                }
                State::Trailers(left) => match self.line()?.len() {
                    0 => self.end(),
                    size => {
                        let left = left.checked_sub(size).ok_or_else(|| self.malformed())?;
                        self.state = State::Trailers(left);
                    }
                },
            }
        }
    }

    /// Some of the bytes that must come.
    fn part(&mut self, buffer: &mut [u8], left: u64) -> io::Result<usize> {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        match self.pull(&mut buffer[..most])? {
            0 => Err(self.truncated()),
            count => Ok(count),
        }
    }

    fn pull(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(connection) = &mut self.connection else { return Err(ErrorKind::NotConnected.into()) };
        match connection.read(buffer, &mut self.watch) {
            // TLS that ends without saying so (RFC 9112, section 9.8).
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(self.truncated()),
            outcome => outcome,
        }
    }

    /// A line without its end.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let Some(connection) = &mut self.connection else { return Err(ErrorKind::NotConnected.into()) };
            let ahead = connection.ahead();
            if let Some(end) = ahead.iter().position(|byte| *byte == b'\n') {
                let line = ahead[..end].strip_suffix(b"\r").unwrap_or(&ahead[..end]).to_vec();
                connection.take(end + 1);
                return Ok(line);
            }
            if ahead.len() > LONGEST_LINE {
                return Err(self.malformed());
            }
            if connection.fill(&mut self.watch)? == 0 {
                return Err(self.truncated());
            }
        }
    }

    fn truncated(&self) -> io::Error {
        let address = self.watch.address().clone();
        Fault::from(Error::Truncated { address, got: self.got, of: self.of }).into()
    }

    fn malformed(&self) -> io::Error {
        let address = self.watch.address().clone();
        Fault::from(Error::NoHttp { address, what: "its chunks are malformed" }).into()
    }
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        match self.step(buffer) {
            Ok(count) => {
                self.got += count as u64;
                Ok(count)
            }
            Err(error) => {
                self.state = State::Failed;
                self.connection = None;
                Err(self.watch.fault(error).into())
            }
        }
    }
}

/// What nobody read of a short body is no reason to lose the connection.
impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        let (State::Length(left), Some(connection)) = (self.state, &mut self.connection) else { return };
        if let Some(left) = usize::try_from(left).ok().filter(|left| *left == connection.ahead().len()) {
            connection.take(left);
            self.end();
        }
    }
}

/// RFC 9112, section 7.1; extensions are passed over.
fn size_of(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    let is_hex = !digits.is_empty() && digits.len() <= 16 && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_hex)?;
    u64::from_str_radix(digits, 16).ok()
}
