//! Writing an archive: blobs as they come, names last.

use super::input::Options;
use super::standing::{self, Standing};
use crate::blobs::FileOrigin;
use crate::docker_archive;
use crate::error::Error;
use crate::index_file::{self, IndexFile};
use crate::layout::{INDEX, MARKER, MARKER_CONTENT};
use crate::take;
use orlop_fs::{Dir, File, FileKind, Temp};
use orlop_layer::codec::Codec;
use orlop_layer::encode::{Encode, recompress};
use orlop_layer::tar::{Order, Writer};
use orlop_layer::{Entry, Kind, Meta, TreePath};
use orlop_spec::digest::{Algorithm, Hasher};
use orlop_spec::media_type::Compression;
use orlop_spec::port::{BlobWriter, Hints, Name, Origin, Put, Rest, Result, Seen, Sink};
use orlop_spec::{AnyDigest, Descriptor, Fault};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io::{self, BufWriter, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

const BUFFER: usize = 256 << 10;

/// Which archive is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// An OCI layout in a tar.
    Oci,
    /// The same, and `manifest.json`.
    Docker,
}

/// Writes an archive. Dropped without [`Sink::finish`], a file stays as it was, and a stream ends without names.
pub struct ArchiveSink {
    form: Form,
    place: PathBuf,
    options: Options,
    output: Mutex<Output>,
}

impl std::fmt::Debug for ArchiveSink {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "ArchiveSink({})", self.place.display())
    }
}

struct Output {
    tar: Writer<BufWriter<Target>>,
    held: Held,
    folders: HashSet<TreePath>,
    /// A member was begun and could not be ended: nothing can follow it.
    given_up: bool,
}

/// What the archive holds so far.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) sizes: HashMap<AnyDigest, u64>,
    /// Manifests and indexes, which tell what names mean to docker.
    pub(crate) documents: HashMap<AnyDigest, Vec<u8>>,
}

/// Where the bytes go.
enum Target {
    File {
        folder: Dir,
        temp: Temp<'static>,
        name: Vec<u8>,
    },
    /// Compressed when it is whole.
    Wrapped {
        plain: File,
        codec: Codec,
        folder: Dir,
        name: Vec<u8>,
    },
    Stream(Box<dyn Write + Send>),
}

impl Target {
    /// A file in the place of `name`, in the wrapping that is asked for.
    fn file(path: &Path, wrapping: Compression, options: &Options) -> Result<Self> {
        let (folder, name) = replaceable(path)?;
        let codec = match wrapping {
            Compression::None => {
                let temp = Temp::beside(folder.try_clone()?, &name)?;
                return Ok(Self::File { folder, temp, name });
            }
            Compression::Gzip => Codec::GZIP,
            Compression::Zstd => Codec::ZSTD,
        };
        Ok(Self::Wrapped { plain: options.spool()?, codec, folder, name })
    }

    /// Lets the archive appear, where it has a name, if what stands there is what was seen.
    fn end(self, seen: &Standing<'_>) -> Result<()> {
        match self {
            Self::Stream(mut stream) => stream.flush().map_err(|error| Fault::io("write the archive", error)),
            Self::File { folder, temp, name } => appear(&folder, temp, &name, seen),
            Self::Wrapped { plain, codec, folder, name } => {
                let mut temp = Temp::beside(folder.try_clone()?, &name)?;
                compress(FileOrigin::whole(plain).into_reader(0), codec, seen.options, &mut temp)?;
                appear(&folder, temp, &name, seen)
            }
        }
    }
}

fn appear(folder: &Dir, temp: Temp<'_>, name: &[u8], seen: &Standing<'_>) -> Result<()> {
    temp.file().sync_data()?;
    let held = standing::hold(folder, name, seen)?;
    if let Err(error) = temp.persist(name, held.how()) {
        if error.is_exists() {
            // There was nothing to hold, and somebody made it since.
            standing::hold(folder, name, seen)?;
        }
        return Err(error.into());
    }
    Ok(folder.sync()?)
}

fn compress(mut plain: impl Read, codec: Codec, options: &Options, to: &mut dyn Write) -> Result<()> {
    let how = Encode {
        codec,
        algorithm: Algorithm::default(),
        workers: NonZeroUsize::MIN,
        limits: &options.limits,
        cancel: options.cancel(),
        progress: &|_| {},
    };
    recompress(&mut plain, &how, to)?;
    Ok(())
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File { temp, .. } => temp.write(bytes),
            Self::Wrapped { plain, .. } => plain.write(bytes),
            Self::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File { temp, .. } => temp.flush(),
            Self::Wrapped { plain, .. } => plain.flush(),
            Self::Stream(stream) => stream.flush(),
        }
    }
}

impl ArchiveSink {
    /// A new archive at a path; one that is there is replaced at the end.
    pub(crate) fn at_path(path: &Path, form: Form, wrapping: Compression, options: &Options) -> Result<Self> {
        Self::new(Target::file(path, wrapping, options)?, path, form, options)
    }

    /// A new archive on a stream.
    pub(crate) fn to_stream(stream: Box<dyn Write + Send>, form: Form, options: &Options) -> Result<Self> {
        Self::new(Target::Stream(stream), Path::new("-"), form, options)
    }

    fn new(target: Target, place: &Path, form: Form, options: &Options) -> Result<Self> {
        let tar = Writer::in_order(BufWriter::with_capacity(BUFFER, target), Order::Callers);
        let held = Held::default();
        let mut output = Output { tar, held, folders: HashSet::new(), given_up: false };
        output.file(MARKER, MARKER_CONTENT)?;
        Ok(Self { form, place: place.into(), options: options.clone(), output: Mutex::new(output) })
    }

    fn output(&self) -> Result<MutexGuard<'_, Output>> {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if output.given_up {
            return Err(Error::GivenUp { place: self.place.clone() }.into());
        }
        Ok(output)
    }

    /// Ends the archive with an `index.json` that exists, as it is.
    pub(crate) fn finish_with(self, index: &IndexFile, seen: &[Seen]) -> Result<()> {
        let listed: Vec<_> = index.entries().to_vec();
        self.end(&listed, &index.print(), seen)
    }

    fn end(self, roots: &[(Name, Descriptor)], index: &[u8], seen: &[Seen]) -> Result<()> {
        drop(self.output()?);
        let mut output = self.output.into_inner().unwrap_or_else(PoisonError::into_inner);
        output.file(INDEX, index)?;
        if self.form == Form::Docker {
            let list = docker_archive::write::list(roots, &output.held)?;
            output.file(docker_archive::LIST, &list)?;
        }
        let standing = Standing { seen, form: self.form, path: &self.place, options: &self.options };
        let failed = |error| Fault::io(format!("write {}", self.place.display()), error);
        let buffered = output.tar.finish()?;
        buffered.into_inner().map_err(|error| failed(error.into_error()))?.end(&standing)
    }
}

/// The folder and name of a file that may be replaced or made: behind links, and never a device or a pipe.
pub fn replaceable(path: &Path) -> Result<(Dir, Vec<u8>)> {
    let path = behind_links(path)?;
    let Some(name) = path.file_name() else { return Err(not_a_file(&path)) };
    let folder = Dir::open(path.parent().unwrap_or(Path::new("")))?;
    let name = name.as_encoded_bytes().to_vec();
    if folder.try_stat(&name)?.is_some_and(|stat| stat.kind != FileKind::File) {
        return Err(not_a_file(&path));
    }
    Ok((folder, name))
}

/// A name that stands for a file, or for nothing yet, at the end of symbolic links: the link stays.
fn behind_links(path: &Path) -> Result<PathBuf> {
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { break };
        let folder = Dir::open(parent)?;
        match folder.try_stat(name.as_encoded_bytes())? {
            Some(stat) if stat.kind == FileKind::Symlink => {
                let target = folder.read_link(name.as_encoded_bytes())?;
                path = parent.join(OsStr::from_bytes(&target));
            }
            _ => return Ok(path),
        }
    }
    Err(not_a_file(&path))
}

fn not_a_file(path: &Path) -> Fault {
    Error::Occupied { path: path.into(), what: "archive" }.into()
}

impl Output {
    /// A small member.
    fn file(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.member(name, content.len() as u64)?;
        Ok(self.tar.data(content)?)
    }

    fn member(&mut self, name: &str, size: u64) -> Result<()> {
        let path = TreePath::parse(name.as_bytes()).map_err(orlop_layer::Error::from)?;
        if let Some((folder, _)) = path.split() {
            self.folder(&folder)?;
        }
        let meta = Meta { mode: 0o644, ..Meta::default() };
        self.tar.entry(&Entry { path, meta, kind: Kind::File { size } })?;
        Ok(())
    }

    /// A folder comes before the first thing in it.
    fn folder(&mut self, path: &TreePath) -> Result<()> {
        let Some((parent, _)) = path.split() else { return Ok(()) };
        if self.folders.insert(path.clone()) {
            self.folder(&parent)?;
            let meta = Meta { mode: 0o755, ..Meta::default() };
            self.tar.entry(&Entry { path: path.clone(), meta, kind: Kind::Directory })?;
        }
        Ok(())
    }

    /// A blob as the next member, proven on its way.
    fn blob(&mut self, blob: &Descriptor, origin: &dyn Origin, options: &Options) -> Result<Put> {
        if self.held.sizes.contains_key(&blob.digest) {
            return Ok(Put::Held);
        }
        let reader = options.watched(origin.open(0)?);
        self.given_up = true;
        self.member(&blob_name(&blob.digest), blob.size)?;
        let mut kept = Vec::new();
        let is_kept = blob.media_type.is_document() && blob.size <= options.limits.document;
        take::stream(reader, blob, &mut Tee { tar: &mut self.tar, kept: is_kept.then_some(&mut kept) })?;
        self.given_up = false;
        self.held.sizes.insert(blob.digest.clone(), blob.size);
        if is_kept {
            self.held.documents.insert(blob.digest.clone(), kept);
        }
        Ok(Put::Copied)
    }
}

/// Name of a blob's member.
pub(crate) fn blob_name(digest: &AnyDigest) -> String {
    format!("blobs/{}/{}", digest.algorithm_name(), digest.encoded())
}

/// Content on its way into the archive; that of documents is kept as well.
struct Tee<'a> {
    tar: &'a mut Writer<BufWriter<Target>>,
    kept: Option<&'a mut Vec<u8>>,
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tar.data(bytes)?;
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for ArchiveSink {
    fn rest(&self) -> Rest {
        Rest::Goes
    }

    fn put(&self, blob: &Descriptor, origin: &dyn Origin, _: &Hints) -> Result<Put> {
        self.output()?.blob(blob, origin, &self.options)
    }

    fn begin(&self, hints: &Hints) -> Result<Box<dyn BlobWriter + '_>> {
        let spool = self.options.spool()?;
        let hasher = Hasher::new(hints.algorithm);
        Ok(Box::new(Spooled { sink: self, spool, size: 0, hasher, algorithm: hints.algorithm }))
    }

    /// The order of arrival decides the bytes.
    fn lanes(&self) -> usize {
        1
    }

    fn overlooked(&self, name: &Name, root: &Descriptor) -> Option<&'static str> {
        match self.form {
            Form::Oci => index_file::overlooked(name, root),
            Form::Docker => None,
        }
    }

    fn finish_if(self: Box<Self>, roots: &[(Name, Descriptor)], seen: &[Seen]) -> Result<()> {
        for (_, root) in roots {
            if !self.output()?.held.sizes.contains_key(&root.digest) {
                let path = self.place.join(blob_name(&root.digest));
                return Err(Error::BlobMissing { digest: root.digest.clone(), path }.into());
            }
        }
        match self.form {
            Form::Oci => {
                let mut index = IndexFile::new();
                index.publish(roots)?;
                self.finish_with(&index, seen)
            }
            Form::Docker => {
                let index = docker_archive::write::index(roots)?;
                self.end(roots, &index, seen)
            }
        }
    }
}

/// A blob whose size and digest are learned at its end: a member must know them first.
struct Spooled<'a> {
    sink: &'a ArchiveSink,
    spool: File,
    size: u64,
    hasher: Hasher,
    algorithm: Algorithm,
}

impl Write for Spooled<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.spool.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for Spooled<'_> {
    /// What is wrong is found before the member begins, so that the archive is not lost by it.
    fn commit(self: Box<Self>, blob: &Descriptor) -> Result<()> {
        let Self { sink, spool, size, hasher, algorithm } = *self;
        take::check_size(size, blob)?;
        match &blob.digest {
            AnyDigest::Known(digest) if digest.algorithm() == algorithm => {
                take::check_digest(Some(hasher.finish()), blob)?;
            }
            _ => take::prove(&spool, blob, take::TO_THE_END)?,
        }
        sink.put(blob, &FileOrigin::whole(spool), &Hints::default()).map(drop)
    }
}
