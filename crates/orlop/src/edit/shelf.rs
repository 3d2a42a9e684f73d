//! A shelf: what one step wrote and a later one may read, before any of it goes to the target.
//!
//! ```text
//! a file without a name:   extent │ extent │ extent │ …      of blobs that may be written side by side
//! in memory:               digest → extents; documents
//! ```
//!
//! Invariant: nothing is proven here. Whoever reads a blob proves it.

use crate::error::Error;
use orlop_fs::{Dir, File};
use orlop_spec::media_type::Role;
use orlop_spec::port::{BlobWriter, Catalog, Hints, Name, Origin, Put, Result, Seen, Selector, Sink, Source};
use orlop_spec::{AnyDigest, Descriptor, Fault};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Blobs that wait.
#[derive(Debug)]
pub(crate) struct Shelf {
    file: File,
    /// Where the next extent begins.
    next: AtomicU64,
    blobs: Mutex<HashMap<AnyDigest, Held>>,
}

#[derive(Clone, Debug)]
enum Held {
    Spooled(Arc<[Extent]>),
    Document(Arc<[u8]>),
}

/// Bytes of a blob that lie together.
#[derive(Clone, Copy, Debug)]
struct Extent {
    at: u64,
    size: u64,
}

impl Shelf {
    /// An empty one; the file is in `tmpdir`.
    pub(crate) fn open(tmpdir: &Path) -> Result<Self> {
        let file = Dir::open(tmpdir)?.spool()?;
        Ok(Self { file, next: AtomicU64::new(0), blobs: Mutex::default() })
    }

    fn hold(&self, blob: &Descriptor, held: Held) {
        self.blobs.lock().expect("no holder panics").insert(blob.digest.clone(), held);
    }
}

impl Source for Shelf {
    fn resolve(&self, _: &Selector) -> Result<Vec<Descriptor>> {
        Err(Error::Nameless.into())
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        let held = self.blobs.lock().expect("no holder panics").get(&blob.digest).cloned();
        match held {
            Some(Held::Spooled(extents)) => Ok(Box::new(Spooled { file: &self.file, extents })),
            Some(Held::Document(bytes)) => Ok(Box::new(bytes.to_vec())),
            None => Err(Error::NoEntry { digest: blob.digest.clone() }.into()),
        }
    }
}

impl Catalog for Shelf {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        Ok(Vec::new())
    }

    fn referrers(&self, _: &AnyDigest) -> Result<Vec<Descriptor>> {
        Ok(Vec::new())
    }
}

/// Layers that are somewhere already stay there; documents are kept.
impl Sink for &Shelf {
    fn put(&self, blob: &Descriptor, origin: &dyn Origin, _: &Hints) -> Result<Put> {
        if matches!(blob.media_type.role(), Role::Layer(_)) {
            return Ok(Put::Held);
        }
        let mut bytes = Vec::new();
        let read = origin.open(0)?.take(blob.size).read_to_end(&mut bytes);
        read.map_err(|error| Fault::io(format!("read {}", blob.digest), error))?;
        self.hold(blob, Held::Document(bytes.into()));
        Ok(Put::Copied)
    }

    fn begin(&self, _: &Hints) -> Result<Box<dyn BlobWriter + '_>> {
        Ok(Box::new(Shelving { shelf: self, extents: Vec::new() }))
    }

    fn finish_if(self: Box<Self>, _: &[(Name, Descriptor)], _: &[Seen]) -> Result<()> {
        Ok(())
    }
}

/// A blob that is being written.
struct Shelving<'a> {
    shelf: &'a Shelf,
    extents: Vec<Extent>,
}

impl Write for Shelving<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = bytes.len() as u64;
        let at = self.shelf.next.fetch_add(size, Ordering::Relaxed);
        self.shelf.file.write_at(bytes, at).map_err(Fault::from)?;
        match self.extents.last_mut() {
            Some(last) if last.at + last.size == at => last.size += size,
            _ => self.extents.push(Extent { at, size }),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for Shelving<'_> {
    fn commit(self: Box<Self>, blob: &Descriptor) -> Result<()> {
        self.shelf.hold(blob, Held::Spooled(self.extents.into()));
        Ok(())
    }
}

/// The bytes of a blob.
struct Spooled<'a> {
    file: &'a File,
    extents: Arc<[Extent]>,
}

impl Origin for Spooled<'_> {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        let mut skip = at;
        let mut left = Vec::with_capacity(self.extents.len());
        for extent in self.extents.iter() {
            let gone = skip.min(extent.size);
            skip -= gone;
            left.push(Extent { at: extent.at + gone, size: extent.size - gone });
        }
        left.reverse();
        Ok(Box::new(Reading { file: self.file, left }))
    }
}

/// What is left of a blob, the last extent first.
struct Reading<'a> {
    file: &'a File,
    left: Vec<Extent>,
}

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(extent) = self.left.last_mut() {
            let most = usize::try_from(extent.size).unwrap_or(usize::MAX).min(buffer.len());
            if extent.size == 0 {
                self.left.pop();
                continue;
            }
            let count = self.file.read_at(&mut buffer[..most], extent.at).map_err(Fault::from)?;
            extent.at += count as u64;
            extent.size -= count as u64;
            return Ok(count);
        }
        Ok(0)
    }
}
