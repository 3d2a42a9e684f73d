//! Layers in and out of a store.
//!
//! Invariant: what comes out is what came in, to the bit, or an error that names what is missing or damaged. A layer
//! is in the store when its list has its name, and all that the list refers to is on the disk by then.
//!
//! ```text
//! blob ──► decode ──┬─ literal bytes ──────────────────► list ──┐
//!                   └─ contents ──► sha256 ──► objects ── digest ┴──► layers/sha256/DIFF-ID ──► uncompressed layer
//! ```

use super::Store;
use super::guard::Shelf;
use super::list::{self, Part, Record, SHORT};
use super::objects::{Incoming, Object, Objects};
use crate::error::Error;
use orlop_fs::{File, Persist, Temp};
use orlop_layer::{Decode, Decoded, Entry, Kind, Verified, Visit, decode};
use orlop_spec::digest::{Algorithm, DiffId, Hasher};
use orlop_spec::port::Result;
use orlop_spec::{Cancel, Diagnose as _, Fault};
use std::io::{self, Read};

/// Bytes that are read at once where they are not given to anybody.
const STEP: usize = 64 << 10;

pub use super::list::Held;

impl Store {
    /// Takes a layer in one pass. Another that is at the same does no harm; contents that are there are not written.
    pub fn import<R: Read + Send>(&self, blob: &mut Verified<R>, how: &Decode<'_>) -> Result<Decoded> {
        let list = list::Writer::new(self.layers.create_temp()?).map_err(failed)?;
        let mut recorder = Recorder::new(list, self.objects().begin(), how.cancel);
        let decoded = decode(blob, how, &mut recorder)?;
        let list = recorder.list.finish(decoded.size, &decoded.diff_id).map_err(failed)?;
        self.publish(list, &decoded.diff_id)?;
        Ok(decoded)
    }

    /// The uncompressed layer. Its bytes are proven as they pass: who must see none that are damaged reads to the end
    /// first.
    pub fn export<'a>(&'a self, diff_id: &DiffId, cancel: &'a Cancel) -> Result<Export<'a>> {
        let list = self.list(diff_id)?;
        Ok(Export { objects: self.objects(), list, diff_id: *diff_id, cancel, at: At::Between, given: 0 })
    }

    /// Where the contents of a layer's files are: the ordinal of the entry, and the content, for all files that are
    /// not empty, in their order.
    pub fn contents(&self, diff_id: &DiffId, see: &mut dyn FnMut(u32, &Held) -> Result<()>) -> Result<()> {
        let mut list = self.list(diff_id)?;
        loop {
            match list.record()? {
                Record::Literal(length) => list.pass_over(length)?,
                Record::Content { ordinal, held, parts } => {
                    see(ordinal, &held)?;
                    for _ in 0..parts.unwrap_or(0) {
                        list.part()?;
                    }
                }
                Record::End { .. } => return Ok(()),
            }
        }
    }

    /// Objects and list reach the disk before the list has its name. One that is there says the same, if it is whole.
    fn publish(&self, list: Temp<'_>, diff_id: &DiffId) -> Result<()> {
        list.file().set_mode(0o444)?;
        let shelf = Shelf::new(self.layers.make_or_open_dir(diff_id.0.algorithm().name(), 0o777)?);
        self.objects().sync()?;
        let how = match self.list(diff_id) {
            Ok(_) if shelf.rely_on(diff_id.0.hex())?.is_some() => return Ok(()),
            // It was swept away between the two looks.
            Ok(_) => Persist::New,
            Err(fault) if fault.is_absence() => Persist::New,
            Err(fault) if matches!(fault.downcast_ref(), Some(Error::ListDamaged { .. })) => Persist::Replace,
            Err(fault) => return Err(fault),
        };
        shelf.place(list, diff_id.0.hex(), how)?;
        shelf.folder().sync()?;
        Ok(self.layers.sync()?)
    }

    pub(super) fn list(&self, diff_id: &DiffId) -> Result<list::Reader> {
        let opened = self
            .layers
            .open_dir(diff_id.0.algorithm().name())
            .and_then(|folder| folder.open_file(diff_id.0.hex()));
        match opened {
            Ok(file) => list::Reader::open(file),
            Err(error) if error.is_not_found() => Err(self.no_such(diff_id).into()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn no_such(&self, diff_id: &DiffId) -> Error {
        Error::NoSuchLayer { diff_id: Box::new(*diff_id), place: self.layers.path().to_owned() }
    }
}

fn failed(error: io::Error) -> Fault {
    Fault::io("write the list of a layer", error)
}

type Seen = std::result::Result<(), orlop_layer::Error>;

/// Writes the list while a layer is decoded.
struct Recorder<'a> {
    list: list::Writer<Temp<'a>>,
    incoming: Incoming<'a>,
    /// Of the file that came last.
    ordinal: u32,
    size: u64,
    /// What the layer holds of it.
    parts: Vec<Part>,
    cancel: &'a Cancel,
}

impl<'a> Recorder<'a> {
    fn new(list: list::Writer<Temp<'a>>, incoming: Incoming<'a>, cancel: &'a Cancel) -> Self {
        Self { list, incoming, ordinal: 0, size: 0, parts: Vec::new(), cancel }
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        let (offset, length) = (self.incoming.size(), bytes.len() as u64);
        match self.parts.last_mut().filter(|part| part.offset + part.length == offset) {
            Some(part) => part.length += length,
            None => self.parts.push(Part { offset, length }),
        }
        self.incoming.data(bytes)?;
        self.end_content()
    }

    fn hole(&mut self, length: u64) -> Result<()> {
        self.incoming.hole(length, self.cancel)?;
        self.end_content()
    }

    /// The record of a content stands where its last byte does: literal bytes may follow before the next entry.
    fn end_content(&mut self) -> Result<()> {
        if self.incoming.size() < self.size {
            return Ok(());
        }
        let held = match self.incoming.short(SHORT) {
            Some(bytes) => Held::Short(bytes.into()),
            None => Held::Object(self.incoming.keep()?),
        };
        let whole = [Part { offset: 0, length: self.size }];
        let parts = (self.parts != whole).then_some(&self.parts[..]);
        self.list.content(self.ordinal, &held, parts).map_err(failed)?;
        self.incoming.clear();
        Ok(())
    }
}

impl Visit for Recorder<'_> {
    fn entry(&mut self, ordinal: u32, _: u64, entry: &Entry) -> Seen {
        if let Kind::File { size } = entry.kind {
            (self.ordinal, self.size) = (ordinal, size);
            self.parts.clear();
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Seen {
        Recorder::data(self, bytes).map_err(into_write)
    }

    fn hole(&mut self, length: u64) -> Seen {
        Recorder::hole(self, length).map_err(into_write)
    }

    fn end(&mut self) -> Seen {
        Ok(())
    }

    fn wants_literals(&self) -> bool {
        true
    }

    fn literal(&mut self, bytes: &[u8]) -> Seen {
        self.list.literal(bytes).map_err(orlop_layer::Error::Write)
    }
}

fn into_write(fault: Fault) -> orlop_layer::Error {
    orlop_layer::Error::Write(fault.into())
}

/// The uncompressed bytes of a layer.
pub struct Export<'a> {
    objects: &'a Objects,
    list: list::Reader,
    diff_id: DiffId,
    cancel: &'a Cancel,
    at: At,
    given: u64,
}

/// Where an export is.
enum At {
    Between,
    /// So many literal bytes are left.
    Literal(usize),
    /// Bytes of a short content, and how many were given.
    Short(Vec<u8>, usize),
    Object(Box<Opened>),
    End,
}

impl Export<'_> {
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
                if let Some(count) = opened.some(&mut self.list, out, self.cancel, self.objects)? {
                    return Ok(count);
                }
                if let At::Object(opened) = std::mem::replace(&mut self.at, At::Between) {
                    opened.prove(self.objects, self.cancel)?;
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
                At::Object(Box::new(Opened::new(self.objects.open(&object)?, object, parts)))
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
struct Opened {
    file: File,
    object: Object,
    hasher: Hasher,
    /// How far it was read.
    at: u64,
    /// What is left of the part under way.
    part: Part,
    /// Parts that follow.
    parts: u32,
}

impl Opened {
    fn new(file: File, object: Object, parts: Option<u32>) -> Self {
        let length = if parts.is_none() { object.size } else { 0 };
        let (part, parts) = (Part { offset: 0, length }, parts.unwrap_or(0));
        Self { file, object, hasher: Hasher::new(Algorithm::Sha256), at: 0, part, parts }
    }

    /// Bytes that the layer holds; `None` behind the last.
    fn some(
        &mut self,
        list: &mut list::Reader,
        out: &mut [u8],
        cancel: &Cancel,
        objects: &Objects,
    ) -> Result<Option<usize>> {
        if self.part.length == 0 {
            if self.parts == 0 {
                return Ok(None);
            }
            self.parts -= 1;
            self.part = list.part()?;
        }
        self.pass_over(self.part.offset, cancel, objects)?;
        let most = usize::try_from(self.part.length).unwrap_or(out.len()).min(out.len());
        let count = self.read(&mut out[..most], objects)?;
        self.part = Part { offset: self.at, length: self.part.length - count as u64 };
        Ok(Some(count))
    }

    /// Reads up to a byte that the layer holds: what lies before is part of the proof.
    fn pass_over(&mut self, to: u64, cancel: &Cancel, objects: &Objects) -> Result<()> {
        if self.at == to {
            return Ok(());
        }
        let mut buffer = vec![0; STEP];
        while self.at < to {
            cancel.check().map_err(Fault::from)?;
            let step = usize::try_from(to - self.at).unwrap_or(STEP).min(STEP);
            self.read(&mut buffer[..step], objects)?;
        }
        Ok(())
    }

    fn read(&mut self, out: &mut [u8], objects: &Objects) -> Result<usize> {
        let count = self.file.read_at(out, self.at)?;
        if count == 0 {
            return Err(objects.damaged(&self.object).into());
        }
        self.hasher.update(&out[..count]);
        self.at += count as u64;
        Ok(count)
    }

    /// The rest, and the digest of all.
    fn prove(mut self, objects: &Objects, cancel: &Cancel) -> Result<()> {
        self.pass_over(self.object.size, cancel, objects)?;
        if self.hasher.finish() != self.object.digest {
            return Err(objects.damaged(&self.object).into());
        }
        Ok(())
    }
}
