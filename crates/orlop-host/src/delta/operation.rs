//! Operations: their bytes, written and read.
//!
//! Invariant: a reader holds no more than one path at once, whatever a delta says. A writer opens and seeks only where that
//! is needed, and joins what can be one operation.

use super::MAGIC;
use crate::error::Error;
use orlop_layer::codec::{self, Frame};
use orlop_layer::{Error as LayerError, TreePath};
use orlop_spec::Limits;
use orlop_spec::media_type::Compression;
use std::io::{self, Read, Write};

const DATA: u8 = 0;
const OPEN: u8 = 1;
const COPY: u8 = 2;
const ADD: u8 = 3;
const SEEK: u8 = 4;

/// Bytes of one data operation, at most: so much is held until it is written.
const MOST_DATA: usize = 1 << 20;

/// What is to be done next. The bytes of `Data` and `Add` are still to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Data(u64),
    Open(TreePath),
    Copy(u64),
    Add(u64),
    Seek(u64),
}

/// Reads operations.
pub(super) struct Operations<'a> {
    stream: Box<dyn Read + Send + 'a>,
    /// Bytes of the operations that were read.
    at: u64,
    longest: usize,
}

impl<'a> Operations<'a> {
    pub(super) fn open(mut delta: impl Read + Send + 'a, limits: &Limits) -> Result<Self, Error> {
        let mut start = [0; MAGIC.len()];
        match delta.read_exact(&mut start) {
            Ok(()) if start == MAGIC => {}
            Ok(()) => return Err(Error::NotADelta),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Error::NotADelta),
            Err(error) => return Err(unread(error)),
        }
        let stream = codec::decoder(Compression::Zstd, delta, limits);
        let stream = Box::new(io::BufReader::with_capacity(64 << 10, stream));
        Ok(Self { stream, at: 0, longest: limits.path })
    }

    /// The next operation; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Operation>, Error> {
        let Some(code) = self.first()? else { return Ok(None) };
        let number = self.number()?;
        Ok(Some(match code {
            DATA => Operation::Data(number),
            OPEN => Operation::Open(self.path(number)?),
            COPY => Operation::Copy(number),
            ADD => Operation::Add(number),
            SEEK => Operation::Seek(number),
            _ => return Err(self.damaged("an operation of a kind that is not known")),
        }))
    }

    /// The next bytes of an operation that has some.
    pub(super) fn bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        match self.stream.read_exact(out) {
            Ok(()) => {
                self.at += out.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged("it ends inside an operation"))
            }
            Err(error) => Err(unread(error)),
        }
    }

    pub(super) fn damaged(&self, what: &'static str) -> Error {
        Error::BadDelta { at: self.at, what }
    }

    fn first(&mut self) -> Result<Option<u8>, Error> {
        let mut byte = [0];
        loop {
            match self.stream.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => {
                    self.at += 1;
                    return Ok(Some(byte[0]));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unread(error)),
            }
        }
    }

    /// Seven bits in each byte, the lowest first; the highest bit says that another byte follows.
    fn number(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let mut byte = [0];
            self.bytes(&mut byte)?;
            let bits = u64::from(byte[0] & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte[0] < 0x80 {
                return Ok(number);
            }
        }
        Err(self.damaged("a number that 64 bits do not hold"))
    }

    fn path(&mut self, length: u64) -> Result<TreePath, Error> {
        let limit = self.longest as u64;
        let length = usize::try_from(length).ok().filter(|length| *length <= self.longest);
        let length = length.ok_or(LayerError::Limit { what: "the length of a path", limit })?;
        let mut spelled = vec![0; length];
        self.bytes(&mut spelled)?;
        Ok(TreePath::parse(&spelled).map_err(LayerError::from)?)
    }
}

/// Writes operations.
pub(super) struct Script<W> {
    out: Frame<W>,
    opened: Option<TreePath>,
    /// Where reading is, once what waits was done.
    at: u64,
    waiting: Waiting,
}

/// What may still grow.
enum Waiting {
    Data(Vec<u8>),
    Copy(u64),
}

impl<W: Write> Script<W> {
    pub(super) fn new(level: u8, mut out: W) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        Ok(Self { out: Frame::new(level, out), opened: None, at: 0, waiting: Waiting::Copy(0) })
    }

    /// These bytes stand in the layer.
    pub(super) fn data(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if !matches!(&self.waiting, Waiting::Data(held) if held.len() < MOST_DATA) {
                self.flush()?;
                self.waiting = Waiting::Data(Vec::new());
            }
            if let Waiting::Data(held) = &mut self.waiting {
                let count = bytes.len().min(MOST_DATA - held.len());
                held.extend_from_slice(&bytes[..count]);
                bytes = &bytes[count..];
            }
        }
        Ok(())
    }

    /// So many bytes of a file, from byte `from` on.
    pub(super) fn copy(&mut self, path: &TreePath, from: u64, length: u64) -> io::Result<()> {
        let goes_on = matches!(self.waiting, Waiting::Copy(1..)) && self.is_at(path, from);
        if !goes_on {
            self.go(path, from)?;
            self.waiting = Waiting::Copy(0);
        }
        if let Waiting::Copy(count) = &mut self.waiting {
            *count += length;
            self.at += length;
        }
        Ok(())
    }

    /// These bytes, added to as many of a file from byte `from` on.
    pub(super) fn add(&mut self, path: &TreePath, from: u64, differences: &[u8]) -> io::Result<()> {
        self.go(path, from)?;
        self.operation(ADD, differences.len() as u64)?;
        self.at += differences.len() as u64;
        self.out.write_all(differences)
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        self.out.finish()
    }

    fn is_at(&self, path: &TreePath, at: u64) -> bool {
        self.at == at && self.opened.as_ref() == Some(path)
    }

    /// Ends what waits, and makes reading go on at a place.
    fn go(&mut self, path: &TreePath, at: u64) -> io::Result<()> {
        self.flush()?;
        if self.opened.as_ref() != Some(path) {
            self.operation(OPEN, path.as_bytes().len() as u64)?;
            self.out.write_all(path.as_bytes())?;
            self.opened = Some(path.clone());
            self.at = 0;
        }
        if self.at != at {
            self.operation(SEEK, at)?;
            self.at = at;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.waiting, Waiting::Copy(0)) {
            Waiting::Copy(0) => Ok(()),
            Waiting::Copy(count) => self.operation(COPY, count),
            Waiting::Data(bytes) => {
                self.operation(DATA, bytes.len() as u64)?;
                self.out.write_all(&bytes)
            }
        }
    }

    fn operation(&mut self, code: u8, mut number: u64) -> io::Result<()> {
        let mut bytes = vec![code];
        while number >= 0x80 {
            bytes.push(low_bits(number) | 0x80);
            number >>= 7;
        }
        bytes.push(low_bits(number));
        self.out.write_all(&bytes)
    }
}

fn low_bits(number: u64) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

fn unread(error: io::Error) -> Error {
    Error::Layer(LayerError::Read(error))
}
