//! Reads a list whose bytes are proven first: they are read twice.

use super::{Dialect, Held, IN_PARTS, LITERAL, Object, PROOF, Part};
use super::{TAG_END, TAG_LITERAL, TAG_OBJECT, TAG_SHORT, Wrong};
use crate::codec::decoder;
use orlop_spec::diagnose::kind_of_io;
use orlop_spec::digest::{Algorithm, DiffId, Digest, Hasher};
use orlop_spec::media_type::Compression;
use orlop_spec::port::Result;
use orlop_spec::{Fault, Kind, Limits};
use std::io::{self, BufReader, ErrorKind, Read};

/// The window of a zstd frame: a frame has no more bytes.
const WINDOW: u64 = 4 << 20;

/// Bytes that are hashed at once.
const STEP: usize = 256 << 10;

/// The bytes of a list.
pub trait Input {
    /// How many there are.
    fn size(&self) -> Result<u64>;

    /// Reads all of them; may be called again.
    fn open(&self) -> Result<Box<dyn Read + Send>>;
}

/// Names the list that is not understood.
pub type Blame = Box<dyn Fn(Wrong) -> Fault + Send + Sync>;

/// What a list says next.
#[derive(Debug, PartialEq, Eq)]
pub enum Record {
    /// So many literal bytes, by [`Reader::literal`].
    Literal(u32),
    /// The content of an entry.
    Content {
        /// Which entry.
        ordinal: u32,
        /// Where its content is.
        held: Held,
        /// How many parts of it the layer holds, by [`Reader::part`]; all of it without.
        parts: Option<u32>,
    },
    /// The layer is whole.
    End {
        /// Its bytes.
        size: u64,
        /// Which it is.
        diff_id: DiffId,
    },
}

/// Reads a list.
pub struct Reader {
    blame: Blame,
    short: usize,
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
    /// Proves a list, and reads it.
    pub fn open(input: &dyn Input, dialect: &Dialect, blame: Blame) -> Result<Self> {
        let body = prove(input, dialect, &blame)?;
        let mut bytes = input.open()?;
        bytes.read_exact(&mut [0; 16]).map_err(failed)?;
        let limits = Limits { window: WINDOW, ..Limits::default() };
        let records = decoder(Compression::Zstd, bytes.take(body), &limits);
        let records = BufReader::with_capacity(LITERAL, records);
        Ok(Self { blame, short: dialect.short, records, ordinal: 0, parts: Parts::default() })
    }

    /// The next record; what the one before it announced must be read.
    pub fn record(&mut self) -> Result<Record> {
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
    pub fn literal(&mut self, out: &mut [u8]) -> Result<()> {
        self.exact(out)
    }

    /// Leaves out the literal bytes of the record that came last.
    pub fn pass_over(&mut self, length: u32) -> Result<()> {
        let passed = io::copy(&mut (&mut self.records).take(length.into()), &mut io::sink());
        match passed {
            Ok(count) if count == u64::from(length) => Ok(()),
            Ok(_) => Err(self.failed(ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// The next part of the content that came last.
    pub fn part(&mut self) -> Result<Part> {
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

    /// Where the contents are: the ordinal of the entry, and the content, for all files that are not empty, in their
    /// order. Gives the bytes of the layer.
    pub fn contents(mut self, see: &mut dyn FnMut(u32, &Held) -> Result<()>) -> Result<u64> {
        loop {
            match self.record()? {
                Record::Literal(length) => self.pass_over(length)?,
                Record::Content { ordinal, held, parts } => {
                    see(ordinal, &held)?;
                    for _ in 0..parts.unwrap_or(0) {
                        self.part()?;
                    }
                }
                Record::End { size, .. } => return Ok(size),
            }
        }
    }

    /// The error for a list that says what cannot be.
    pub fn damaged(&self, what: &'static str) -> Fault {
        (self.blame)(Wrong::Damaged(what))
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
        if length == 0 || length > self.short {
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
            Some(digest) if size > self.short as u64 => Ok(Held::Object(Object { digest, size })),
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

    /// What the decoder says of the bytes is about this list; what the disk says is not.
    fn failed(&self, error: io::Error) -> Fault {
        match (error.kind(), kind_of_io(&error)) {
            (ErrorKind::UnexpectedEof, _) => self.damaged("it ends early"),
            (_, Kind::Integrity | Kind::Limit) => self.damaged("its compressed bytes are broken"),
            _ => failed(error),
        }
    }
}

/// How many bytes the records have, compressed, in a list that is whole and of this dialect.
fn prove(input: &dyn Input, dialect: &Dialect, blame: &Blame) -> Result<u64> {
    let size = input.size()?;
    let framing = (dialect.start.len() + PROOF) as u64;
    let body = size.checked_sub(framing).ok_or_else(|| blame(Wrong::Damaged("it is too short")))?;
    let another = || blame(Wrong::Damaged("its sha256 is another"));
    let missing = |error: io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => another(),
        _ => failed(error),
    };
    let (mut bytes, mut start, mut proof) = (input.open()?, [0; 16], [0; PROOF]);
    bytes.read_exact(&mut start).map_err(missing)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(&start);
    hash(&mut hasher, &mut (&mut bytes).take(body)).map_err(failed)?;
    bytes.read_exact(&mut proof).map_err(missing)?;
    // A place that proves its files does so where they end.
    let ends = bytes.read(&mut [0]).map_err(failed)? == 0;
    if hasher.finish().bytes() != proof || !ends {
        return Err(another());
    }
    if start == dialect.start {
        return Ok(body);
    }
    if !start.starts_with(dialect.family.as_bytes()) {
        return Err(blame(Wrong::Damaged("it does not begin as one")));
    }
    let found = String::from_utf8_lossy(&start).trim_end_matches(['\0', '\n']).to_owned();
    Err(blame(Wrong::Version(found)))
}

fn hash(hasher: &mut Hasher, bytes: &mut dyn Read) -> io::Result<()> {
    let mut buffer = vec![0; STEP];
    loop {
        match bytes.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn failed(error: io::Error) -> Fault {
    Fault::io("read the list of a layer", error)
}
