//! The list of a layer, as bytes.
//!
//! ```text
//! 0       16   "orlop layer 1", a line feed, two zeros
//! 16      …    zstd frames of 4 MiB of records each
//! n − 32  32   sha256 of all bytes before
//! ```
//!
//! Invariant: nothing of a list is understood before its sha256 was proven, and what is understood is in bounds: no
//! number of it decides how much memory is taken. The same layer has the same records, however it came in.

use super::objects::Object;
use crate::blobs::FileOrigin;
use crate::error::Error;
use crate::take::{TO_THE_END, hash_range};
use orlop_fs::File;
use orlop_layer::codec::{Blocks, Codec, decoder};
use orlop_spec::diagnose::kind_of_io;
use orlop_spec::digest::{Algorithm, DiffId, Digest, Hasher};
use orlop_spec::media_type::Compression;
use orlop_spec::port::Result;
use orlop_spec::{Fault, Kind, Limits};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::PathBuf;

/// Contents of at most so many bytes stay in the list.
pub(super) const SHORT: usize = 64;

/// How every version begins.
const FAMILY: &[u8] = b"orlop layer ";
const UNDERSTOOD: &str = "orlop layer 1";
const START: [u8; 16] = *b"orlop layer 1\n\0\0";
const PROOF: usize = 32;

/// Literal bytes are cut here, so that the records do not depend on how the bytes came.
const LITERAL: usize = 64 << 10;

/// The window of a zstd frame: a frame has no more bytes.
const WINDOW: u64 = 4 << 20;

const TAG_END: u8 = 0;
const TAG_LITERAL: u8 = 1;
const TAG_SHORT: u8 = 2;
const TAG_OBJECT: u8 = 3;
/// Added where the layer holds parts of a content.
const IN_PARTS: u8 = 16;

/// A part of a content: where it begins, and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl Part {
    /// The bytes of a content; `None` where it is shorter.
    pub(super) fn of(self, content: &[u8]) -> Option<&[u8]> {
        let (start, length) = (usize::try_from(self.offset).ok()?, usize::try_from(self.length).ok()?);
        content.get(start..)?.get(..length)
    }
}

/// Where the content of a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// In the list itself.
    Short(Box<[u8]>),
    /// Among the objects.
    Object(Object),
}

impl Held {
    /// Longer contents are objects.
    pub const SHORT: u64 = SHORT as u64;

    /// Bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Short(bytes) => bytes.len() as u64,
            Self::Object(object) => object.size,
        }
    }
}

/// Writes a list.
pub(super) struct Writer<W> {
    out: Blocks<Hashing<W>>,
    literal: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        let mut out = Hashing { out, hasher: Hasher::new(Algorithm::Sha256) };
        out.write_all(&START)?;
        Ok(Self { out: Blocks::new(Codec::ZSTD, out), literal: Vec::with_capacity(LITERAL) })
    }

    /// Bytes that are content of no file.
    pub(super) fn literal(&mut self, mut bytes: &[u8]) -> io::Result<()> {
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
    pub(super) fn content(&mut self, ordinal: u32, held: &Held, parts: Option<&[Part]>) -> io::Result<()> {
        self.end_literal()?;
        let parted = if parts.is_some() { IN_PARTS } else { 0 };
        match held {
            Held::Short(bytes) => {
                let length = u8::try_from(bytes.len()).map_err(|_| ErrorKind::InvalidInput)?;
                self.out.write_all(&[TAG_SHORT + parted])?;
                self.out.write_all(&ordinal.to_le_bytes())?;
                self.out.write_all(&[length])?;
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
    pub(super) fn finish(mut self, size: u64, diff_id: &DiffId) -> io::Result<W> {
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

/// What a list says next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// So many literal bytes, by [`Reader::literal`].
    Literal(u32),
    /// The content of an entry.
    Content {
        ordinal: u32,
        held: Held,
        /// How many parts of it the layer holds, by [`Reader::part`]; all of it without.
        parts: Option<u32>,
    },
    /// The layer is whole.
    End { size: u64, diff_id: DiffId },
}

/// Reads a list.
pub(super) struct Reader {
    file: PathBuf,
    records: BufReader<Box<dyn Read + Send>>,
    /// The least that the next content may have.
    ordinal: u64,
    /// What is left of the parts of the content that came last.
    parts: Parts,
}

/// How much of a content a layer holds.
#[derive(Clone, Copy)]
enum Extent {
    Whole,
    Parts,
}

/// Bounds of parts.
#[derive(Default)]
struct Parts {
    left: u32,
    /// Where the next may begin.
    from: u64,
    size: u64,
}

impl Reader {
    /// Reads a list whose bytes are proven first.
    pub(super) fn open(file: File) -> Result<Self> {
        let shown = PathBuf::from(file.shown().to_string());
        let damaged = |what| Error::ListDamaged { file: shown.clone(), what };
        let size = file.size()?;
        let body =
            size.checked_sub((START.len() + PROOF) as u64).ok_or_else(|| damaged("it is too short"))?;
        let (mut start, mut proof) = ([0; START.len()], [0; PROOF]);
        file.read_at(&mut start, 0)?;
        file.read_at(&mut proof, size - PROOF as u64)?;
        let hash = hash_range(&file, 0, size - PROOF as u64, Algorithm::Sha256, TO_THE_END)?;
        if hash.bytes() != proof {
            return Err(damaged("its sha256 is another").into());
        }
        if start != START {
            let found = String::from_utf8_lossy(&start).trim_end_matches(['\0', '\n']).to_owned();
            if !start.starts_with(FAMILY) {
                return Err(damaged("it does not begin as one").into());
            }
            return Err(Error::UnknownVersion { file: shown, found, understood: UNDERSTOOD }.into());
        }
        let limits = Limits { window: WINDOW, ..Limits::default() };
        let body = FileOrigin::range(file, START.len() as u64, body).into_reader(0);
        let records = BufReader::with_capacity(LITERAL, decoder(Compression::Zstd, body, &limits));
        Ok(Self { file: shown, records, ordinal: 0, parts: Parts::default() })
    }

    /// The next record; what the one before it announced must be read.
    pub(super) fn record(&mut self) -> Result<Record> {
        let tag = self.byte()?;
        match tag {
            TAG_LITERAL => match self.u32()? {
                length @ 1..=0x1_0000 => Ok(Record::Literal(length)),
                _ => Err(self.damaged("a run of literal bytes is empty or too long")),
            },
            TAG_SHORT | TAG_OBJECT => self.content(tag, Extent::Whole),
            _ if [TAG_SHORT + IN_PARTS, TAG_OBJECT + IN_PARTS].contains(&tag) => {
                self.content(tag - IN_PARTS, Extent::Parts)
            }
            TAG_END => self.end(),
            _ => Err(self.damaged("a record is of no known kind")),
        }
    }

    /// Literal bytes of the record that came last.
    pub(super) fn literal(&mut self, out: &mut [u8]) -> Result<()> {
        self.exact(out)
    }

    /// Leaves out the literal bytes of the record that came last.
    pub(super) fn pass_over(&mut self, length: u32) -> Result<()> {
        let passed = io::copy(&mut (&mut self.records).take(length.into()), &mut io::sink());
        match passed {
            Ok(count) if count == u64::from(length) => Ok(()),
            Ok(_) => Err(self.failed(ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// The next part of the content that came last.
    pub(super) fn part(&mut self) -> Result<Part> {
        let (offset, length) = (self.u64()?, self.u64()?);
        let end = offset.checked_add(length).filter(|end| *end <= self.parts.size);
        match (end, self.parts.left.checked_sub(1)) {
            (Some(end), Some(left)) if length > 0 && offset >= self.parts.from => {
                self.parts = Parts { left, from: end, size: self.parts.size };
                Ok(Part { offset, length })
            }
            _ => Err(self.damaged("a part is empty, out of order or outside of its content")),
        }
    }

    pub(super) fn damaged(&self, what: &'static str) -> Fault {
        Error::ListDamaged { file: self.file.clone(), what }.into()
    }

    fn content(&mut self, tag: u8, extent: Extent) -> Result<Record> {
        let ordinal = self.u32()?;
        if u64::from(ordinal) < self.ordinal {
            return Err(self.damaged("contents are out of order"));
        }
        self.ordinal = u64::from(ordinal) + 1;
        let held = if tag == TAG_SHORT { self.short()? } else { self.object()? };
        let parts = match extent {
            Extent::Whole => None,
            Extent::Parts => Some(self.u32()?),
        };
        self.parts = Parts { left: parts.unwrap_or(0), from: 0, size: held.size() };
        Ok(Record::Content { ordinal, held, parts })
    }

    fn short(&mut self) -> Result<Held> {
        let length = usize::from(self.byte()?);
        if !(1..=SHORT).contains(&length) {
            return Err(self.damaged("a short content is empty or too long"));
        }
        let mut bytes = vec![0; length];
        self.exact(&mut bytes)?;
        Ok(Held::Short(bytes.into()))
    }

    fn object(&mut self) -> Result<Held> {
        let size = self.u64()?;
        let mut hash = [0; 32];
        self.exact(&mut hash)?;
        match Digest::from_bytes(Algorithm::Sha256, &hash) {
            Some(digest) if size > SHORT as u64 => Ok(Held::Object(Object { digest, size })),
            _ => Err(self.damaged("a content of few bytes is not in the list")),
        }
    }

    fn end(&mut self) -> Result<Record> {
        let size = self.u64()?;
        let mut text = vec![0; usize::from(self.byte()?)];
        self.exact(&mut text)?;
        let digest = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
        let digest = digest.ok_or_else(|| self.damaged("it names no layer"))?;
        match self.records.read(&mut [0]) {
            Ok(0) => Ok(Record::End { size, diff_id: DiffId(digest) }),
            Ok(_) => Err(self.damaged("it goes on after its end")),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.exact(&mut byte)?;
        Ok(byte[0])
    }

    fn u32(&mut self) -> Result<u32> {
        let mut bytes = [0; 4];
        self.exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn exact(&mut self, out: &mut [u8]) -> Result<()> {
        self.records.read_exact(out).map_err(|error| self.failed(error))
    }

    /// What the decoder says of the bytes is about this file; what the disk says is not.
    fn failed(&self, error: io::Error) -> Fault {
        match (error.kind(), kind_of_io(&error)) {
            (ErrorKind::UnexpectedEof, _) => self.damaged("it ends early"),
            (_, Kind::Integrity | Kind::Limit) => self.damaged("its compressed bytes are broken"),
            _ => Fault::io("read the list of a layer", error),
        }
    }
}
