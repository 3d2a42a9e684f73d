//! An OCI layout in a folder (`docs/formats/layout.md`; image-spec, `image-layout.md`).
//!
//! ```text
//! DIR/oci-layout     its flock guards index.json
//! DIR/index.json     names → roots, replaced whole by rename
//! DIR/blobs/…        content, see `blobs`
//! ```
//!
//! Invariant: whoever reads without a lock sees the old names or the new ones, and every blob that has a name is
//! whole. Writers share a flock on DIR; a sweep holds it alone.

mod afar;
mod keep;
mod write;

pub use afar::{FarLayout, Files};
pub(crate) use keep::before;
pub use write::LayoutSink;

use crate::blobs::{Blobs, FileOrigin, Shape};
use crate::error::Error;
use crate::index_file::IndexFile;
use crate::{catalog, reach};
use orlop_fs::{Dir, File, FileKind};
use orlop_layer::Time;
use orlop_spec::document::DocumentError;
use orlop_spec::port::{Catalog, LocalFile, Name, Origin, Result, Selector, Source};
use orlop_spec::{AnyDigest, Descriptor, Fault, Limits, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

pub(crate) const MARKER: &str = "oci-layout";
pub(crate) const INDEX: &str = "index.json";
pub(crate) const BLOBS: &str = "blobs";
/// What orlop writes into `oci-layout`.
pub(crate) const MARKER_CONTENT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The marker is an object with one short member; more is not read.
const MARKER_LIMIT: u64 = 64 << 10;

/// Longer than a write of a few kilobytes takes.
const A_WRITE: Duration = Duration::from_millis(20);

/// What a layout is opened with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A second folder of blobs, `DIR/ALGORITHM/ENCODED`: where a blob is looked for that the layout lacks, and
    /// where new ones go.
    pub shared_blobs: Option<PathBuf>,
    /// What documents may cost.
    pub limits: Limits,
    /// The present time, by which a sweep tells how old a blob is. The default is 1970: then nothing is old.
    pub now: Time,
}

/// An OCI layout in a folder.
#[derive(Debug)]
pub struct Layout {
    blobs: Blobs,
    shared: Option<Blobs>,
    limits: Limits,
    now: Time,
}

impl Layout {
    /// Opens a layout that exists.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self> {
        let shared = match &options.shared_blobs {
            Some(path) => Some(Dir::open(path)?),
            None => None,
        };
        let folder = match Dir::open(&path) {
            Err(source) if source.is_not_found() => {
                return Err(Error::NoLayout { place: path.as_ref().into(), source }.into());
            }
            opened => opened?,
        };
        let layout = Self::at(folder, shared, options);
        layout.check_form()?;
        Ok(layout)
    }

    /// Opens a layout to write into it; makes it where there is none.
    pub fn create(path: impl AsRef<Path>, options: &Options) -> Result<LayoutSink> {
        LayoutSink::create(path.as_ref(), options)
    }

    /// Whether a folder looks like a layout, for finding out what a path without a transport is.
    pub fn is_at(folder: &Dir) -> bool {
        let is_file = |name| matches!(folder.try_stat(name), Ok(Some(stat)) if stat.kind == FileKind::File);
        is_file(MARKER) && is_file(INDEX)
    }

    /// Where the layout is.
    pub fn path(&self) -> &Path {
        self.folder().path()
    }

    fn at(folder: Dir, shared: Option<Dir>, options: &Options) -> Self {
        Self {
            blobs: Blobs::new(folder, Shape::Layout),
            shared: shared.map(|folder| Blobs::new(folder, Shape::Shared)),
            limits: options.limits.clone(),
            now: options.now,
        }
    }

    fn folder(&self) -> &Dir {
        self.blobs.root()
    }

    /// The three things that make a layout (image-spec, `image-layout.md`, "Content").
    fn check_form(&self) -> Result<()> {
        self.check_marker()?;
        self.read_index()?;
        match self.folder().try_stat(BLOBS)? {
            Some(_) => Ok(()),
            None => Err(self.incomplete(BLOBS).into()),
        }
    }

    fn check_marker(&self) -> Result<()> {
        check_marker(self.path(), &self.read_file(MARKER, MARKER_LIMIT)?)
    }

    fn read_index(&self) -> Result<IndexFile> {
        Ok(self.read_index_and_bytes()?.1)
    }

    /// Reads `index.json`. Other tools write it in place, so that a part of it may be seen: what cannot be read
    /// is damaged only if it stays so.
    fn read_index_and_bytes(&self) -> Result<(Vec<u8>, IndexFile)> {
        let mut bytes = self.read_file(INDEX, self.limits.document)?;
        loop {
            let source = match IndexFile::parse(&bytes) {
                Ok(index) => return Ok((bytes, index)),
                Err(source) => source,
            };
            thread::sleep(A_WRITE);
            let again = self.read_file(INDEX, self.limits.document)?;
            if again == bytes {
                return Err(self.damaged(INDEX, source).into());
            }
            bytes = again;
        }
    }

    fn read_file(&self, name: &'static str, limit: u64) -> Result<Vec<u8>> {
        match self.folder().open_file(name) {
            Ok(mut file) => Ok(file.read_to_limit(limit)?),
            Err(error) if error.is_not_found() => Err(self.incomplete(name).into()),
            Err(error) => Err(error.into()),
        }
    }

    fn incomplete(&self, missing: &'static str) -> Error {
        Error::Incomplete { place: self.path().into(), what: "OCI layout", missing }
    }

    fn damaged(&self, name: &str, source: DocumentError) -> Error {
        Error::Damaged { file: self.path().join(name), source }
    }

    fn open_blob(&self, blob: &Descriptor) -> Result<File> {
        for blobs in std::iter::once(&self.blobs).chain(&self.shared) {
            if let Some(file) = blobs.open(blob)? {
                return Ok(file);
            }
        }
        Err(self.blobs.missing(blob).into())
    }
}

/// The marker says a version that is understood.
fn check_marker(place: &Path, bytes: &[u8]) -> Result<()> {
    let damaged = |source: DocumentError| Error::Damaged { file: place.join(MARKER), source };
    let value = json::value(bytes).map_err(|source| damaged(source.into()))?;
    let version = value.get("imageLayoutVersion").and_then(|version| version.as_str());
    match version {
        Some(version) if version.starts_with("1.") => Ok(()),
        found => Err(Error::UnknownVersion {
            file: place.join(MARKER),
            found: found.unwrap_or("of no version").into(),
            understood: "version 1.x of the image layout",
        }
        .into()),
    }
}

impl Source for Layout {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let index = self.read_index()?;
        let selector = index.readable(self.path(), selector)?;
        catalog::resolve(self.path(), self, &self.limits, index.entries(), &selector)
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        Ok(Box::new(BlobOrigin { layout: self, blob: blob.clone() }))
    }
}

impl Catalog for Layout {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        Ok(self.read_index()?.entries().to_vec())
    }

    fn listing(&self) -> Result<Option<Vec<u8>>> {
        Ok(Some(self.read_index_and_bytes()?.0))
    }

    fn unreadable(&self) -> Result<Vec<Fault>> {
        Ok(self.read_index()?.unreadable(self.path()))
    }

    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        let index = self.read_index()?;
        let roots = index.entries().iter().map(|(_, root)| root.clone());
        reach::referrers(self, &self.limits, roots, digest)
    }
}

/// A blob of the layout or of the shared folder; looked for when it is opened.
struct BlobOrigin<'a> {
    layout: &'a Layout,
    blob: Descriptor,
}

impl Origin for BlobOrigin<'_> {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(FileOrigin::whole(self.layout.open_blob(&self.blob)?).into_reader(at)))
    }

    fn local(&self) -> Option<LocalFile> {
        FileOrigin::whole(self.layout.open_blob(&self.blob).ok()?).local()
    }
}
