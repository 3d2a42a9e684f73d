//! An OCI layout whose files come from elsewhere, for example from a web server that knows nothing of images.
//!
//! ```text
//! oci-layout, index.json     asked for once, when it is opened
//! blobs/ALGORITHM/ENCODED    asked for by name
//! ```
//!
//! Invariant: nothing but these three is ever asked for, and no name comes from a text that was not parsed.

use super::{INDEX, MARKER, MARKER_LIMIT, check_marker};
use crate::error::Error;
use crate::index_file::IndexFile;
use crate::{catalog, reach};
use orlop_spec::port::{Catalog, Name, Origin, Result, Selector, Source};
use orlop_spec::{AnyDigest, Descriptor, Diagnose as _, Fault, Limits};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Gives the file of a name beneath the layout. That it is missing shows when it is opened.
pub type Files<'a> = dyn Fn(&str) -> Box<dyn Origin + 'a> + Send + Sync + 'a;

/// An OCI layout whose files come from elsewhere. It cannot be changed.
pub struct FarLayout<'a> {
    place: PathBuf,
    files: Box<Files<'a>>,
    limits: Limits,
    bytes: Vec<u8>,
    index: IndexFile,
}

impl<'a> FarLayout<'a> {
    /// Opens a layout; `place` is what messages call it.
    pub fn open(place: impl Into<PathBuf>, files: Box<Files<'a>>, limits: &Limits) -> Result<Self> {
        let place = place.into();
        check_marker(&place, &read(&place, &files, MARKER, MARKER_LIMIT)?)?;
        let bytes = read(&place, &files, INDEX, limits.document)?;
        let damaged = |source| Error::Damaged { file: place.join(INDEX), source };
        let index = IndexFile::parse(&bytes).map_err(damaged)?;
        Ok(Self { place, files, limits: limits.clone(), bytes, index })
    }
}

fn read(place: &Path, files: &Files<'_>, name: &'static str, limit: u64) -> Result<Vec<u8>> {
    let origin = files(name);
    let reader = match origin.open(0) {
        Err(fault) if fault.is_absence() => {
            return Err(Error::Incomplete { place: place.into(), what: "OCI layout", missing: name }.into());
        }
        outcome => outcome?,
    };
    let mut bytes = Vec::new();
    let file = place.join(name);
    let read = reader.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| Fault::io(format!("read {}", file.display()), error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::LongFile { file, limit }.into());
    }
    Ok(bytes)
}

impl Source for FarLayout<'_> {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let selector = self.index.readable(&self.place, selector)?;
        catalog::resolve(&self.place, self, &self.limits, self.index.entries(), &selector)
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        let name = format!("blobs/{}/{}", blob.digest.algorithm_name(), blob.digest.encoded());
        let path = self.place.join(&name);
        Ok(Box::new(FarBlob { file: (self.files)(&name), digest: blob.digest.clone(), path }))
    }

    fn is_far(&self) -> bool {
        true
    }
}

impl Catalog for FarLayout<'_> {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        Ok(self.index.entries().to_vec())
    }

    fn listing(&self) -> Result<Option<Vec<u8>>> {
        Ok(Some(self.bytes.clone()))
    }

    fn unreadable(&self) -> Result<Vec<Fault>> {
        Ok(self.index.unreadable(&self.place))
    }

    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        let roots = self.index.entries().iter().map(|(_, root)| root.clone());
        reach::referrers(self, &self.limits, roots, digest)
    }
}

/// A blob; what is not there is missing from the layout, whoever says so.
struct FarBlob<'a> {
    file: Box<dyn Origin + 'a>,
    digest: AnyDigest,
    path: PathBuf,
}

impl Origin for FarBlob<'_> {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        let missing = || Error::BlobMissing { digest: self.digest.clone(), path: self.path.clone() };
        self.file.open(at).map_err(|fault| if fault.is_absence() { missing().into() } else { fault })
    }

    fn is_far(&self) -> bool {
        true
    }
}
