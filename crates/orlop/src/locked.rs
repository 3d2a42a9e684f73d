//! A place whose names mean what a lock file says, whatever they mean there by now.
//!
//! ```text
//! name ──lock file──► digest ──place──► bytes, proven
//! ```
//!
//! Invariant: no name is looked up at the place. What is named by digest needs no lock; what the file does not list is
//! refused.

use crate::error::Error;
use crate::lock::LockFile;
use orlop_spec::port::{Catalog, Name, Origin, Result, Selector, Source, Unpacked};
use orlop_spec::reference::{Reference, Transport};
use orlop_spec::{AnyDigest, Descriptor};
use std::sync::Arc;

/// A place, and what its names mean.
pub(crate) struct Locked<'a> {
    pub(crate) place: Box<dyn Catalog + 'a>,
    /// The place as a reference names it.
    pub(crate) transport: Transport,
    pub(crate) file: Arc<LockFile>,
}

impl Locked<'_> {
    fn unlisted(&self, selector: Selector) -> Error {
        let reference = Reference { selector, ..Reference::new(self.transport.clone()) };
        Error::NotLocked { reference: reference.to_string().into(), file: self.file.shown.clone() }
    }
}

impl Source for Locked<'_> {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        if let Selector::Digest(_) = selector {
            return self.place.resolve(selector);
        }
        let reference = Reference { selector: selector.clone(), ..Reference::new(self.transport.clone()) };
        let root = self.file.lock.get(&reference);
        Ok(vec![root.ok_or_else(|| self.unlisted(selector.clone()))?])
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        self.place.origin(blob)
    }

    fn gives(&self, blob: &Descriptor) -> Result<()> {
        self.place.gives(blob)
    }

    fn unpacked(&self, layer: &Descriptor) -> Result<Option<Box<dyn Unpacked + '_>>> {
        self.place.unpacked(layer)
    }

    fn is_far(&self) -> bool {
        self.place.is_far()
    }
}

impl Catalog for Locked<'_> {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        let tags = self.file.lock.tags(&self.transport).into_iter();
        Ok(tags.map(|(tag, root)| (Name::Tag(tag), root)).collect())
    }

    /// A place of which nothing is locked is no empty place: who makes another one like it would empty that.
    fn list(&self) -> Result<Vec<(Name, Option<Descriptor>)>> {
        let names = self.names()?;
        if names.is_empty() {
            return Err(self.unlisted(Selector::Only).into());
        }
        Ok(names.into_iter().map(|(name, root)| (name, Some(root))).collect())
    }

    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        self.place.referrers(digest)
    }
}
