//! The uncompressed bytes of a layer, out of its list and the contents.

use super::{Held, Object, Part, Reader, Record};
use orlop_spec::digest::DiffId;
use orlop_spec::port::Result;
use orlop_spec::{Cancel, Fault};
use std::io::{self, ErrorKind, Read};

/// Bytes that are read at once where they are not given to anybody.
const STEP: usize = 64 << 10;

/// Where the contents of layers are.
pub trait Contents: Sync {
    /// Reads a content from its first byte to its last. The end is reached only where it is what was named.
    fn open<'s>(&'s self, object: &Object) -> Result<Box<dyn Read + Send + 's>>;
}

/// The uncompressed bytes of a layer. Its contents are proven as they pass: who must see none that are damaged reads to
/// the end first.
pub struct Export<'a> {
    contents: &'a dyn Contents,
    list: Reader,
    diff_id: DiffId,
    cancel: &'a Cancel,
    at: At<'a>,
    given: u64,
}

/// Where an export is.
enum At<'a> {
    Between,
    /// So many literal bytes are left.
    Literal(usize),
    /// Bytes of a short content, and how many were given.
    Short(Vec<u8>, usize),
    Object(Box<Opened<'a>>),
    End,
}

impl<'a> Export<'a> {
    /// The layer `diff_id`, whose list this is.
    pub fn new(contents: &'a dyn Contents, list: Reader, diff_id: DiffId, cancel: &'a Cancel) -> Self {
        Self { contents, list, diff_id, cancel, at: At::Between, given: 0 }
    }

    /// Some bytes; none where the next step is another.
    fn some(&mut self, out: &mut [u8]) -> Result<usize> {
        match &mut self.at {
            At::Between => self.next().map(|()| 0),
            At::Literal(left) => {
                let count = out.len().min(*left);
                self.list.literal(&mut out[..count])?;
                *left -= count;
                if *left == 0 {
                    self.at = At::Between;
                }
                Ok(count)
            }
            At::Short(bytes, given) => {
                let count = (&bytes[*given..]).read(out).unwrap_or(0);
                *given += count;
                if *given == bytes.len() {
                    self.at = At::Between;
                }
                Ok(count)
            }
            At::Object(opened) => {
                if let Some(count) = opened.some(&mut self.list, out, self.cancel)? {
                    return Ok(count);
                }
                if let At::Object(opened) = std::mem::replace(&mut self.at, At::Between) {
                    opened.prove(self.cancel)?;
                }
                Ok(0)
            }
            At::End => Ok(0),
        }
    }

    fn next(&mut self) -> Result<()> {
        self.at = match self.list.record()? {
            Record::Literal(length) => At::Literal(length as usize),
            Record::Content { held: Held::Short(bytes), parts, .. } => {
                At::Short(self.short(&bytes, parts)?, 0)
            }
            Record::Content { held: Held::Object(object), parts, .. } => {
                At::Object(Box::new(Opened::new(self.contents.open(&object)?, &object, parts)))
            }
            Record::End { size, diff_id } if size == self.given && diff_id == self.diff_id => At::End,
            Record::End { .. } => return Err(self.list.damaged("it is of another layer")),
        };
        Ok(())
    }

    /// What the layer holds of a short content.
    fn short(&mut self, bytes: &[u8], parts: Option<u32>) -> Result<Vec<u8>> {
        let Some(count) = parts else { return Ok(bytes.to_vec()) };
        let mut held = Vec::new();
        for _ in 0..count {
            let part = self.list.part()?;
            held.extend_from_slice(part.of(bytes).unwrap_or_default());
        }
        Ok(held)
    }
}

impl Read for Export<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !out.is_empty() && !matches!(self.at, At::End) {
            let count = self.some(out)?;
            self.given += count as u64;
            if count > 0 {
                return Ok(count);
            }
        }
        Ok(0)
    }
}

/// A content that is read from its first byte to its last, and given where the layer holds it.
struct Opened<'a> {
    content: Box<dyn Read + Send + 'a>,
    size: u64,
    /// How far it was read.
    at: u64,
    /// What is left of the part under way.
    part: Part,
    /// Parts that follow.
    parts: u32,
}

impl<'a> Opened<'a> {
    fn new(content: Box<dyn Read + Send + 'a>, object: &Object, parts: Option<u32>) -> Self {
        let length = if parts.is_none() { object.size } else { 0 };
        let (part, parts) = (Part { offset: 0, length }, parts.unwrap_or(0));
        Self { content, size: object.size, at: 0, part, parts }
    }

    /// Bytes that the layer holds; `None` behind the last.
    fn some(&mut self, list: &mut Reader, out: &mut [u8], cancel: &Cancel) -> Result<Option<usize>> {
        if self.part.length == 0 {
            if self.parts == 0 {
                return Ok(None);
            }
            self.parts -= 1;
            self.part = list.part()?;
        }
        self.pass_over(self.part.offset, cancel)?;
        let most = usize::try_from(self.part.length).unwrap_or(out.len()).min(out.len());
        let count = self.read(&mut out[..most])?;
        self.part = Part { offset: self.at, length: self.part.length - count as u64 };
        Ok(Some(count))
    }

    /// Reads up to a byte that the layer holds: what lies before is part of the proof.
    fn pass_over(&mut self, to: u64, cancel: &Cancel) -> Result<()> {
        if self.at == to {
            return Ok(());
        }
        let mut buffer = vec![0; STEP];
        while self.at < to {
            cancel.check().map_err(Fault::from)?;
            let step = usize::try_from(to - self.at).unwrap_or(STEP).min(STEP);
            self.read(&mut buffer[..step])?;
        }
        Ok(())
    }

    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let count = self.content.read(out).map_err(failed)?;
        if count == 0 {
            return Err(failed(ErrorKind::UnexpectedEof.into()));
        }
        self.at += count as u64;
        Ok(count)
    }

    /// The rest, and what the place says at its end.
    fn prove(mut self, cancel: &Cancel) -> Result<()> {
        self.pass_over(self.size, cancel)?;
        match self.content.read(&mut [0]).map_err(failed)? {
            0 => Ok(()),
            _ => Err(failed(ErrorKind::InvalidData.into())),
        }
    }
}

fn failed(error: io::Error) -> Fault {
    Fault::io("read a content of the layer", error)
}
