//! A place of which one blob is not as it was, until it is mended.

use orlop_spec::port::{Catalog, Name, Origin, Result, Selector, Source};
use orlop_spec::{AnyDigest, Descriptor, Diagnose, Fault, Kind};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::suites::memory::Memory;

/// What became of the blob.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ails {
    /// It is another one.
    Damaged,
    /// It is shorter.
    Cut,
    /// It is not there, which shows when it is opened.
    Missing,
    /// It cannot be opened.
    Unreadable,
}

/// The place; clones are one place.
#[derive(Clone)]
pub(crate) struct Ailing {
    memory: Memory,
    which: AnyDigest,
    how: Ails,
    is_mended: Arc<AtomicBool>,
}

impl Ailing {
    /// What `memory` holds, but for one blob.
    pub(crate) fn new(memory: &Memory, which: &Descriptor, how: Ails) -> Self {
        Self { memory: memory.clone(), which: which.digest.clone(), how, is_mended: Arc::default() }
    }

    /// From now on the blob is as it was.
    pub(crate) fn mend(&self) {
        self.is_mended.store(true, Ordering::SeqCst);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("it is gone")]
struct Gone;

impl Diagnose for Gone {
    fn kind(&self) -> Kind {
        Kind::NotFound
    }
}

/// What cannot be opened.
struct Shut(Ails);

impl Origin for Shut {
    fn open(&self, _: u64) -> Result<Box<dyn Read + Send + '_>> {
        match self.0 {
            Ails::Missing => Err(Fault::new(Gone)),
            _ => Err(Fault::io("open", io::ErrorKind::PermissionDenied.into())),
        }
    }
}

impl Source for Ailing {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        self.memory.resolve(selector)
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        if blob.digest != self.which || self.is_mended.load(Ordering::SeqCst) {
            return self.memory.origin(blob);
        }
        let mut bytes = Vec::new();
        let read = self.memory.origin(blob)?.open(0)?.read_to_end(&mut bytes);
        read.map_err(|error| Fault::io("read", error))?;
        match self.how {
            Ails::Damaged => bytes[0] ^= 1,
            Ails::Cut => drop(bytes.pop()),
            Ails::Missing | Ails::Unreadable => return Ok(Box::new(Shut(self.how))),
        }
        Ok(Box::new(bytes))
    }
}

impl Catalog for Ailing {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        self.memory.names()
    }

    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        self.memory.referrers(digest)
    }
}
