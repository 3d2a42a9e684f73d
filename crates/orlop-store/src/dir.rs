//! One image exploded into a folder, as `skopeo copy … dir:DIR` writes it (`docs/formats/dir.md`).
//!
//! ```text
//! DIR/version             marks the form; written first
//! DIR/manifest.json       the root; appears last, by rename
//! DIR/HEX.manifest.json   manifests that the root names
//! DIR/HEX                 configs and layers
//! ```
//!
//! Invariant: while there is a `manifest.json`, everything that it needs is there.

mod write;

pub use write::ExplodedSink;

use crate::blobs::{Blobs, FileOrigin, Shape};
use crate::error::Error;
use crate::{catalog, reach};
use orlop_fs::Dir;
use orlop_spec::document::DocumentError;
use orlop_spec::media_type::MediaType;
use orlop_spec::port::{Catalog, Name, Origin, Result, Selector, Source};
use orlop_spec::{Algorithm, AnyDigest, Descriptor, Digest, Limits, json};
use std::path::Path;
use std::sync::Arc;

pub(crate) const VERSION: &str = "version";
const VERSION_CONTENT: &str = "Directory Transport Version: 1.1\n";
const UNDERSTOOD: &str = "Directory Transport Version: 1.";
pub(crate) const ROOT: &str = "manifest.json";

/// An exploded image, open for reading.
#[derive(Debug)]
pub struct Exploded {
    blobs: Blobs,
    entries: [(Name, Descriptor); 1],
    root: Arc<[u8]>,
    limits: Limits,
}

impl Exploded {
    /// Opens an image that exists.
    pub fn open(path: impl AsRef<Path>, limits: &Limits) -> Result<Self> {
        let folder = Dir::open(path)?;
        check_version(&folder)?;
        let bytes: Arc<[u8]> = read(&folder, ROOT, limits.document)?.into();
        let damaged = |source: DocumentError| Error::Damaged { file: folder.path().join(ROOT), source };
        let media_type = media_type(&bytes).map_err(damaged)?;
        let root = Descriptor::new(media_type, Digest::of(Algorithm::Sha256, &bytes), bytes.len() as u64);
        let entries = [(Name::Untagged, root)];
        let blobs = Blobs::new(folder, Shape::Flat);
        Ok(Self { blobs, entries, root: bytes, limits: limits.clone() })
    }

    /// A new image at a path; one that is there is replaced.
    pub fn create(path: impl AsRef<Path>, limits: &Limits) -> Result<ExplodedSink> {
        ExplodedSink::create(path.as_ref(), limits)
    }

    /// Whether a folder looks like an exploded image, for finding out what a path without a transport is.
    pub fn is_at(folder: &Dir) -> bool {
        check_version(folder).is_ok()
    }

    fn place(&self) -> &Path {
        self.blobs.root().path()
    }

    fn root(&self) -> &Descriptor {
        &self.entries[0].1
    }

    /// The root has no digest in its name, so it may be asked for by any.
    fn is_root(&self, blob: &Descriptor) -> bool {
        blob.size == self.root().size
            && matches!(&blob.digest, AnyDigest::Known(digest) if Digest::of(digest.algorithm(), &self.root) == *digest)
    }
}

impl Source for Exploded {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        catalog::resolve(self.place(), self, &self.limits, &self.entries, selector)
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        match self.blobs.open(blob)? {
            Some(file) => Ok(Box::new(FileOrigin::whole(file))),
            None if self.is_root(blob) => Ok(Box::new(self.root.to_vec())),
            None => Err(self.blobs.missing(blob).into()),
        }
    }
}

impl Catalog for Exploded {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        Ok(self.entries.to_vec())
    }

    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        reach::referrers(self, &self.limits, std::iter::once(self.root().clone()), digest)
    }
}

/// What the root says that it is; where it says nothing, what its shape says.
fn media_type(bytes: &[u8]) -> Result<MediaType, DocumentError> {
    let value = json::value(bytes)?;
    let says = value.get("mediaType").and_then(|says| says.as_str()).map(MediaType::new);
    let unknown = || DocumentError::Field {
        field: "mediaType",
        found: String::new(),
        law: "a document says what it is, or has the members of a manifest or an index",
    };
    says.or_else(|| reach::media_type_of(bytes)).ok_or_else(unknown)
}

fn check_version(folder: &Dir) -> Result<()> {
    let bytes = read(folder, VERSION, 1 << 10)?;
    let text = String::from_utf8_lossy(&bytes);
    if text.starts_with(UNDERSTOOD) {
        return Ok(());
    }
    let file = folder.path().join(VERSION);
    Err(Error::UnknownVersion { file, found: text.trim_end().into(), understood: "version 1.x of dir:" }
        .into())
}

fn read(folder: &Dir, name: &'static str, limit: u64) -> Result<Vec<u8>> {
    match folder.open_file(name) {
        Ok(mut file) => Ok(file.read_to_limit(limit)?),
        Err(error) if error.is_not_found() => Err(Error::Incomplete {
            place: folder.path().into(),
            what: "exploded image (dir:)",
            missing: name,
        }
        .into()),
        Err(error) => Err(error.into()),
    }
}
