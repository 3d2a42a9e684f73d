//! Writes a list.

use super::{Dialect, Held, IN_PARTS, LITERAL, Part, TAG_END, TAG_LITERAL, TAG_OBJECT, TAG_SHORT};
use crate::codec::{Blocks, Codec};
use orlop_spec::digest::{Algorithm, DiffId, Hasher};
use std::io::{self, ErrorKind, Write};

/// Writes a list.
pub struct Writer<W> {
    out: Blocks<Hashing<W>>,
    literal: Vec<u8>,
    short: usize,
}

impl<W: Write> Writer<W> {
    /// Begins a list.
    pub fn new(out: W, dialect: &Dialect) -> io::Result<Self> {
        let mut out = Hashing { out, hasher: Hasher::new(Algorithm::Sha256) };
        out.write_all(&dialect.start)?;
        let out = Blocks::new(Codec::ZSTD, out);
        Ok(Self { out, literal: Vec::with_capacity(LITERAL), short: dialect.short })
    }

    /// Bytes that are content of no file.
    pub fn literal(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(LITERAL - self.literal.len()));
            self.literal.extend_from_slice(now);
            if self.literal.len() == LITERAL {
                self.end_literal()?;
            }
            bytes = later;
        }
        Ok(())
    }

    /// The content of an entry; `parts` where the layer does not hold all of it.
    pub fn content(&mut self, ordinal: u32, held: &Held, parts: Option<&[Part]>) -> io::Result<()> {
        self.end_literal()?;
        let parted = if parts.is_some() { IN_PARTS } else { 0 };
        match held {
            Held::Short(bytes) => {
                let length = u8::try_from(bytes.len()).ok().filter(|_| bytes.len() <= self.short);
                self.out.write_all(&[TAG_SHORT + parted])?;
                self.out.write_all(&ordinal.to_le_bytes())?;
                self.out.write_all(&[length.ok_or(ErrorKind::InvalidInput)?])?;
                self.out.write_all(bytes)?;
            }
            Held::Object(object) => {
                self.out.write_all(&[TAG_OBJECT + parted])?;
                self.out.write_all(&ordinal.to_le_bytes())?;
                self.out.write_all(&object.size.to_le_bytes())?;
                self.out.write_all(object.digest.bytes())?;
            }
        }
        parts.map_or(Ok(()), |parts| self.parts(parts))
    }

    fn parts(&mut self, parts: &[Part]) -> io::Result<()> {
        let count = u32::try_from(parts.len()).map_err(|_| ErrorKind::InvalidInput)?;
        self.out.write_all(&count.to_le_bytes())?;
        for part in parts {
            self.out.write_all(&part.offset.to_le_bytes())?;
            self.out.write_all(&part.length.to_le_bytes())?;
        }
        Ok(())
    }

    fn end_literal(&mut self) -> io::Result<()> {
        if self.literal.is_empty() {
            return Ok(());
        }
        let length = u32::try_from(self.literal.len()).map_err(|_| ErrorKind::InvalidInput)?;
        self.out.write_all(&[TAG_LITERAL])?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&self.literal)?;
        self.literal.clear();
        Ok(())
    }

    /// Says which layer it was, and proves the list.
    pub fn finish(mut self, size: u64, diff_id: &DiffId) -> io::Result<W> {
        self.end_literal()?;
        let text = diff_id.to_string();
        let length = u8::try_from(text.len()).map_err(|_| ErrorKind::InvalidInput)?;
        self.out.write_all(&[TAG_END])?;
        self.out.write_all(&size.to_le_bytes())?;
        self.out.write_all(&[length])?;
        self.out.write_all(text.as_bytes())?;
        let Hashing { mut out, hasher } = self.out.finish()?;
        out.write_all(hasher.finish().bytes())?;
        Ok(out)
    }
}

/// Hashes what is written.
struct Hashing<W> {
    out: W,
    hasher: Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
