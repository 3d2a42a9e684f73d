//! An OCI layout in a tar (`docs/formats/oci-archive.md`).
//!
//! ```text
//! oci-layout │ blobs/ │ blobs/sha256/ │ blobs/sha256/HEX … │ index.json │ end
//! ```
//!
//! Invariant: `index.json` is the last member that orlop writes, so an archive that was cut is no archive; a file
//! is replaced whole or not at all, and who changes one replaces the one that it read.

mod input;
pub(crate) mod members;
pub(crate) mod sink;
mod standing;

pub use input::Options;
pub use sink::{ArchiveSink, replaceable};

pub(crate) use input::{Input, open as open_input, unwrap as unwrap_input};

use crate::catalog;
use crate::docker_archive::{DockerArchive, LIST};
use crate::error::Error;
use crate::index_file::IndexFile;
use crate::layout::{INDEX, MARKER};
use crate::reach::{self, Damage};
use members::Members;
use orlop_fs::File;
use orlop_spec::media_type::{Compression, MediaType};
use orlop_spec::port::{
    Catalog, Hints, Keeper, Name, Origin, Result, Seen, Selector, Sink as _, Source, Sweep, Swept,
};
use orlop_spec::{AnyDigest, Descriptor, Fault};
use sink::{Form, blob_name};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An archive of a form that was found.
#[derive(Debug)]
pub enum Archive {
    /// A layout in a tar.
    Oci(OciArchive),
    /// What `docker save` writes.
    Docker(DockerArchive),
    /// Neither: a tar of files, if it is one at all; from its start, and plain.
    Other(File),
}

/// Opens an archive of whatever form; one pass over its members tells.
pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Archive> {
    let path = path.as_ref();
    found(open_input(path, options)?, path, Some(path), options)
}

/// Reads an archive of whatever form from a stream into a file without a name; `place` is what messages call it.
pub fn read(stream: impl Read + Send, place: &Path, options: &Options) -> Result<Archive> {
    found(unwrap_input(stream, options)?, place, None, options)
}

fn found(input: Input, place: &Path, path: Option<&Path>, options: &Options) -> Result<Archive> {
    let members = Members::scan(input, place, &options.limits)?;
    // Today's Docker archive is an OCI archive too, and only the first knows all its names.
    if members.find(LIST)?.is_some() {
        return Ok(Archive::Docker(DockerArchive::from_members(members, path, options)?));
    }
    if members.find(MARKER)?.is_some() && members.find(INDEX)?.is_some() {
        let content = Content::of(members, options)?;
        return Ok(Archive::Oci(OciArchive::new(content, path.map(Into::into), options)));
    }
    Ok(Archive::Other(members.into_file()?))
}

/// An OCI archive, open for reading; its names may be changed where it is a file.
#[derive(Debug)]
pub struct OciArchive {
    options: Options,
    /// Where it is; nowhere for a stream.
    path: Option<PathBuf>,
    /// Replaced when the archive is written anew.
    content: Mutex<Arc<Content>>,
}

#[derive(Debug)]
struct Content {
    members: Members,
    index: IndexFile,
}

impl OciArchive {
    /// Opens an archive that exists, plain or compressed.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self> {
        let path = path.as_ref();
        let content = Content::read(open_input(path, options)?, path, options)?;
        Ok(Self::new(content, Some(path.into()), options))
    }

    /// Reads an archive from a stream, plain or compressed, into a file without a name.
    pub fn read(stream: impl Read + Send, options: &Options) -> Result<Self> {
        let content = Content::read(unwrap_input(stream, options)?, Path::new("-"), options)?;
        Ok(Self::new(content, None, options))
    }

    /// A new archive at a path.
    pub fn create(path: impl AsRef<Path>, options: &Options) -> Result<ArchiveSink> {
        ArchiveSink::at_path(path.as_ref(), Form::Oci, Compression::None, options)
    }

    /// A new archive on a stream.
    pub fn write(stream: Box<dyn Write + Send>, options: &Options) -> Result<ArchiveSink> {
        ArchiveSink::to_stream(stream, Form::Oci, options)
    }

    fn new(content: Content, path: Option<PathBuf>, options: &Options) -> Self {
        Self { options: options.clone(), path, content: Mutex::new(Arc::new(content)) }
    }

    fn content(&self) -> Arc<Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes the archive anew, in what it came in, with another index and the blobs that are wanted, in their order.
    fn rewrite(&self, index: &IndexFile, wanted: &dyn Fn(&AnyDigest) -> bool) -> Result<()> {
        let old = self.content();
        let Some(path) = &self.path else {
            return Err(Error::NotKept { place: old.members.place().into() }.into());
        };
        let sink = ArchiveSink::at_path(path, Form::Oci, old.members.wrapping(), &self.options)?;
        let seen = Seen::all(old.index.entries());
        for (digest, size) in old.members.blobs() {
            if wanted(&digest) {
                let blob = Descriptor::new(MediaType::new(""), digest, size);
                sink.put(&blob, &*self.origin(&blob)?, &Hints::default())?;
            }
        }
        sink.finish_with(index, &seen)?;
        let new = Content::read(open_input(path, &self.options)?, path, &self.options)?;
        *self.content.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(())
    }

    fn change<T>(&self, change: impl FnOnce(&mut IndexFile) -> Result<T, Error>) -> Result<T> {
        let mut index = self.content().index.clone();
        let outcome = change(&mut index)?;
        self.rewrite(&index, &|_| true)?;
        Ok(outcome)
    }
}

impl Content {
    fn read(input: Input, place: &Path, options: &Options) -> Result<Self> {
        Self::of(Members::scan(input, place, &options.limits)?, options)
    }

    fn of(members: Members, options: &Options) -> Result<Self> {
        let place = members.place().to_owned();
        let incomplete = |missing| Error::Incomplete { place: place.clone(), what: "OCI archive", missing };
        let limit = options.limits.document;
        members.read(MARKER, limit)?.ok_or_else(|| incomplete(MARKER))?;
        let bytes = members.read(INDEX, limit)?.ok_or_else(|| incomplete(INDEX))?;
        let damaged = |source| Error::Damaged { file: place.join(INDEX), source };
        let index = IndexFile::parse(&bytes).map_err(damaged)?;
        Ok(Self { members, index })
    }

    fn roots(&self) -> impl Iterator<Item = Descriptor> {
        self.index.entries().iter().map(|(_, root)| root.clone())
    }
}

impl Source for OciArchive {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let content = self.content();
        let place = content.members.place();
        let selector = content.index.readable(place, selector)?;
        catalog::resolve(place, self, &self.options.limits, content.index.entries(), &selector)
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        Ok(Box::new(self.content().members.blob(&blob.digest)?))
    }
}

impl Catalog for OciArchive {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        Ok(self.content().index.entries().to_vec())
    }

    fn listing(&self) -> Result<Option<Vec<u8>>> {
        self.content().members.read(INDEX, self.options.limits.document)
    }

    fn unreadable(&self) -> Result<Vec<Fault>> {
        let content = self.content();
        Ok(content.index.unreadable(content.members.place()))
    }

    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        reach::referrers(self, &self.options.limits, self.content().roots(), digest)
    }
}

impl Keeper for OciArchive {
    fn assign(&self, name: &Name, root: &Descriptor) -> Result<()> {
        self.origin(root)?;
        self.change(|index| index.publish(&[(name.clone(), root.clone())]))
    }

    fn forget(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let place = self.content().members.place().to_owned();
        self.change(|index| index.forget(&place, selector))
    }

    /// An archive has no writer at work, so nothing in it is too young.
    fn sweep(&self, _: Duration, mode: Sweep) -> Result<Swept> {
        let content = self.content();
        let limits = &self.options.limits;
        content.index.all_readable(content.members.place())?;
        let kept: BTreeSet<AnyDigest> =
            reach::reach(self, limits, content.roots(), Damage::Refuse, &mut |_, _| ())?;
        let removed: Vec<_> =
            content.members.blobs().into_iter().filter(|(digest, _)| !kept.contains(digest)).collect();
        if mode == Sweep::Remove && !removed.is_empty() {
            self.rewrite(&content.index, &|digest| kept.contains(digest))?;
        }
        Ok(Swept { removed, ..Swept::default() })
    }
}

impl Members {
    /// The blob of a digest, where the archive has it.
    pub(crate) fn blob(&self, digest: &AnyDigest) -> Result<crate::blobs::FileOrigin> {
        let name = blob_name(digest);
        let missing = || Error::BlobMissing { digest: digest.clone(), path: self.place().join(&name) };
        let range = self.find(&name)?.ok_or_else(missing)?;
        self.origin(range)
    }

    /// Every blob of the archive, in its order.
    pub(crate) fn blobs(&self) -> Vec<(AnyDigest, u64)> {
        let blob = |name: &str| {
            let digest: AnyDigest = name.strip_prefix("blobs/")?.replacen('/', ":", 1).parse().ok()?;
            let range = self.find(name).ok()??;
            Some((range.at, digest, range.size))
        };
        let mut blobs: Vec<_> = self.names().filter_map(blob).collect();
        blobs.sort_unstable();
        blobs.into_iter().map(|(_, digest, size)| (digest, size)).collect()
    }
}
