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
use super::list::{self, DIALECT, SHORT};
use super::objects::{Incoming, Object, Objects};
use crate::error::{Error, is_damaged, is_unreadable};
use orlop_fs::{File, Persist, Temp};
use orlop_layer::list::{Contents, Intake, Reader, Recorder, Writer};
use orlop_layer::{Decode, Decoded, Entry, Verified, decode};
use orlop_spec::digest::{Algorithm, DiffId, Hasher};
use orlop_spec::port::Result;
use orlop_spec::{Cancel, Diagnose as _, Fault};
use std::io::{self, Read};

pub use orlop_layer::list::{Export, Held};

/// Contents of more bytes are objects.
pub const LONGEST_HELD: u64 = SHORT as u64;

impl Store {
    /// Takes a layer in one pass. Another that is at the same does no harm; contents that are there are not written.
    pub fn import<R: Read + Send>(&self, blob: &mut Verified<R>, how: &Decode<'_>) -> Result<Decoded> {
        let list = Writer::new(self.layers.create_temp()?, &DIALECT).map_err(failed)?;
        let mut recorder =
            Recorder::new(list, Filing { incoming: self.objects().begin(), cancel: how.cancel });
        let decoded = decode(blob, how, &mut recorder)?;
        let (list, _) = recorder.into_parts();
        let list = list.finish(decoded.size, &decoded.diff_id).map_err(failed)?;
        self.publish(list, &decoded.diff_id)?;
        Ok(decoded)
    }

    /// The uncompressed layer. Its bytes are proven as they pass: who must see none that are damaged reads to the end
    /// first.
    pub fn export<'a>(&'a self, diff_id: &DiffId, cancel: &'a Cancel) -> Result<Export<'a>> {
        Ok(Export::new(self.objects(), self.list(diff_id)?, *diff_id, cancel))
    }

    /// Where the contents of a layer's files are: the ordinal of the entry, and the content, for all files that are
    /// not empty, in their order.
    pub fn contents(&self, diff_id: &DiffId, see: &mut dyn FnMut(u32, &Held) -> Result<()>) -> Result<()> {
        self.list(diff_id)?.contents(see).map(drop)
    }

    /// The bytes of a layer, uncompressed.
    pub(super) fn size(&self, diff_id: &DiffId, cancel: &Cancel) -> Result<u64> {
        self.list(diff_id)?.contents(&mut |_, _| Ok(cancel.check()?))
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
            Err(fault) if is_damaged(&fault) || is_unreadable(&fault) => Persist::Replace,
            Err(fault) => return Err(fault),
        };
        shelf.place(list, diff_id.0.hex(), how)?;
        shelf.folder().sync()?;
        Ok(self.layers.sync()?)
    }

    pub(super) fn list(&self, diff_id: &DiffId) -> Result<Reader> {
        let opened = self
            .layers
            .open_dir(diff_id.0.algorithm().name())
            .and_then(|folder| folder.open_file(diff_id.0.hex()));
        match opened {
            Ok(file) => list::open(file),
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

/// Files what a layer holds.
struct Filing<'a> {
    incoming: Incoming<'a>,
    cancel: &'a Cancel,
}

impl Intake for Filing<'_> {
    fn begin(&mut self, _: u32, _: &Entry) -> Result<()> {
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.incoming.data(bytes)
    }

    fn hole(&mut self, length: u64) -> Result<()> {
        self.incoming.hole(length, self.cancel)
    }

    fn end(&mut self) -> Result<Held> {
        let held = match self.incoming.short(SHORT) {
            Some(bytes) => Held::Short(bytes.into()),
            None => Held::Object(self.incoming.keep()?),
        };
        self.incoming.clear();
        Ok(held)
    }
}

impl Contents for Objects {
    fn open<'s>(&'s self, object: &Object) -> Result<Box<dyn Read + Send + 's>> {
        let hasher = Some(Hasher::new(Algorithm::Sha256));
        Ok(Box::new(Proven {
            objects: self,
            file: Objects::open(self, object)?,
            object: *object,
            hasher,
            at: 0,
        }))
    }
}

/// A content that is proven by its last byte.
struct Proven<'a> {
    objects: &'a Objects,
    file: File,
    object: Object,
    hasher: Option<Hasher>,
    /// How far it was read.
    at: u64,
}

impl Proven<'_> {
    fn damaged(&self) -> io::Error {
        Fault::from(self.objects.damaged(&self.object)).into()
    }
}

impl Read for Proven<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.object.size - self.at).unwrap_or(usize::MAX).min(out.len());
        if self.at < self.object.size {
            let count = self.file.read_at(&mut out[..left], self.at)?;
            if count == 0 && left > 0 {
                return Err(self.damaged());
            }
            self.hasher.as_mut().expect("the end has not come").update(&out[..count]);
            self.at += count as u64;
            return Ok(count);
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != self.object.digest => Err(self.damaged()),
            _ => Ok(0),
        }
    }
}
