//! A folder of blobs, each under its digest.
//!
//! ```text
//! layout   ROOT/blobs/ALGORITHM/ENCODED
//! shared   ROOT/ALGORITHM/ENCODED
//! flat     ROOT/HEX, and ROOT/HEX.manifest.json for documents
//! ```
//!
//! Invariant: a name in such a folder stands for whole, proven content from the moment it appears. Bytes that
//! are not what was named never get a name.

use crate::error::{Error, is_unreadable};
use crate::part::{self, Part};
use crate::take::{self, GoOn, TO_THE_END, Writing, Written};
use orlop_fs::copy::Cheap;
use orlop_fs::{Dir, File, FileKind, Persist, Temp};
use orlop_layer::verified::Damaged;
use orlop_spec::digest::Algorithm;
use orlop_spec::port::{BlobWriter, Hints, LocalFile, Origin, Put, Result};
use orlop_spec::{AnyDigest, Descriptor, Digest, Fault, Kind};
use std::borrow::Borrow;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// How blobs lie below the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As in a layout.
    Layout,
    /// As in a folder that layouts share.
    Shared,
    /// As in skopeo's `dir:`.
    Flat,
}

/// A folder of blobs.
#[derive(Debug)]
pub(crate) struct Blobs {
    root: Dir,
    shape: Shape,
    /// One for each algorithm, opened when it is needed.
    folders: [OnceLock<Dir>; Algorithm::ALL.len()],
    /// What was put or found held, and so must be durable before a name is published.
    touched: Mutex<Vec<Descriptor>>,
    /// Whether something is left that the next run goes on with.
    broke_off: AtomicBool,
}

/// What is under a digest's name.
enum Held {
    Nothing,
    Whole,
    /// Of another size or content.
    Damaged,
}

impl Blobs {
    pub(crate) fn new(root: Dir, shape: Shape) -> Self {
        Self {
            root,
            shape,
            folders: Default::default(),
            touched: Mutex::default(),
            broke_off: AtomicBool::new(false),
        }
    }

    pub(crate) fn root(&self) -> &Dir {
        &self.root
    }

    /// The folders below the root that lead to blobs of an algorithm.
    fn folders(&self, algorithm: &str) -> Vec<String> {
        match self.shape {
            Shape::Layout => vec!["blobs".into(), algorithm.into()],
            Shape::Shared => vec![algorithm.into()],
            Shape::Flat => Vec::new(),
        }
    }

    /// The blob's name in its folder.
    pub(crate) fn name(&self, blob: &Descriptor) -> String {
        let digest = &blob.digest;
        match self.shape {
            Shape::Flat if digest.known().is_err() => digest.to_string(),
            Shape::Flat if blob.media_type.is_document() => digest.encoded() + ".manifest.json",
            _ => digest.encoded(),
        }
    }

    fn beneath_root(&self, blob: &Descriptor) -> String {
        let mut parts = self.folders(blob.digest.algorithm_name());
        parts.push(self.name(blob));
        parts.join("/")
    }

    /// Where a blob is, or would be. For messages.
    pub(crate) fn path(&self, blob: &Descriptor) -> PathBuf {
        self.root.path().join(self.beneath_root(blob))
    }

    /// Opens a blob, where it is there. Links are followed, but not out of the root: only the folder of an algorithm may
    /// be a link that leads out.
    pub(crate) fn open(&self, blob: &Descriptor) -> Result<Option<File>> {
        let opened = match self.root.open_beneath(self.beneath_root(blob)) {
            Err(error @ orlop_fs::Error::Escapes { .. }) => match self.folder_beyond(blob)? {
                Some(folder) => folder.open_beneath(self.name(blob)),
                None => Err(error),
            },
            opened => opened,
        };
        match opened {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Where the link leads that stands for the folder of an algorithm, if one does: so LXC shares blobs among layouts.
    /// Read through, never written or swept through: what is read is proven, but the folder is not the layout's.
    fn folder_beyond(&self, blob: &Descriptor) -> Result<Option<Dir>> {
        let folders = self.folders(blob.digest.algorithm_name());
        let [blobs, algorithm] = folders.as_slice() else { return Ok(None) };
        let is_link = self.root.open_dir(blobs)?.stat(algorithm)?.kind == FileKind::Symlink;
        Ok(is_link.then(|| Dir::open(self.root.path().join(blobs).join(algorithm))).transpose()?)
    }

    /// Takes a blob as `hints` say.
    pub(crate) fn put(&self, blob: &Descriptor, origin: &dyn Origin, hints: &Hints) -> Result<Put> {
        let put = match &blob.digest {
            AnyDigest::Known(digest) => self.put_in(self.folder(digest.algorithm())?, blob, origin, hints),
            AnyDigest::Other(_) => {
                let folder = self.make_folder(blob.digest.algorithm_name())?;
                self.put_in(&folder, blob, origin, hints)
            }
        }?;
        self.touch(blob);
        Ok(put)
    }

    /// What would become of a blob, by its name and size alone.
    pub(crate) fn foresee(&self, blob: &Descriptor) -> Result<Put> {
        match self.open(blob)? {
            Some(file) if file.size()? == blob.size => Ok(Put::Held),
            _ => Ok(Put::Copied),
        }
    }

    fn put_in(&self, folder: &Dir, blob: &Descriptor, origin: &dyn Origin, hints: &Hints) -> Result<Put> {
        let go_on = || origin.check();
        let how = match self.held(blob, &go_on)? {
            Held::Whole => return Ok(Put::Held),
            Held::Nothing => Persist::New,
            Held::Damaged => Persist::Replace,
        };
        let local = origin.local();
        if let (Some(local), Persist::New) = (&local, how)
            && take::link(local, blob, hints, (folder, &self.name(blob)), &go_on)? == Cheap::Done
        {
            return Ok(Put::Linked);
        }
        if local.is_none()
            && part::is_worth(blob, origin)
            && let Some(part) = Part::open(folder, blob)?
        {
            part.fill(blob, origin).inspect_err(|fault| self.note_break(fault))?;
            return self.named(part.persist(self.name(blob), how), blob, &go_on).map(|()| Put::Copied);
        }
        let mut temp = folder.create_temp()?;
        let put = match &local {
            Some(local) => take::copy(local, blob, temp.file(), &go_on)?,
            None => take::stream(origin.open(0)?, blob, &mut temp).map(|()| Put::Copied)?,
        };
        self.persist(temp, blob, how, &go_on)?;
        Ok(put)
    }

    /// Whether the blob is there. It is read and proven: a size that fits proves nothing.
    fn held(&self, blob: &Descriptor, go_on: GoOn<'_>) -> Result<Held> {
        let proven = match self.open(blob) {
            Ok(None) => return Ok(Held::Nothing),
            Ok(Some(file)) => take::prove(&file, blob, go_on),
            Err(fault) => Err(fault),
        };
        match proven {
            Ok(()) => Ok(Held::Whole),
            Err(fault) if fault.downcast_ref::<Damaged>().is_some() || is_unreadable(&fault) => {
                Ok(Held::Damaged)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Gives a proven file its name. Where another writer was quicker, what it left must be as good.
    fn persist(&self, temp: Temp<'_>, blob: &Descriptor, how: Persist, go_on: GoOn<'_>) -> Result<()> {
        self.named(temp.persist(self.name(blob), how).map(drop), blob, go_on)
    }

    fn named(&self, persisted: orlop_fs::Result<()>, blob: &Descriptor, go_on: GoOn<'_>) -> Result<()> {
        match persisted {
            Ok(()) => Ok(()),
            Err(error) if error.is_exists() => self.prove_held(blob, go_on),
            Err(error) => Err(error.into()),
        }
    }

    fn prove_held(&self, blob: &Descriptor, go_on: GoOn<'_>) -> Result<()> {
        match self.open(blob)? {
            Some(file) => take::prove(&file, blob, go_on),
            None => Err(self.missing(blob).into()),
        }
    }

    /// The error for a blob that is not there.
    pub(crate) fn missing(&self, blob: &Descriptor) -> Error {
        Error::BlobMissing { digest: blob.digest.clone(), path: self.path(blob) }
    }

    /// Begins a blob whose digest is not known yet.
    pub(crate) fn begin(&self, hints: &Hints) -> Result<Box<dyn BlobWriter + '_>> {
        let temp = self.folder(hints.algorithm)?.create_temp()?;
        Ok(Box::new(Begun { blobs: self, writing: Writing::new(temp, hints.algorithm) }))
    }

    /// The folder of blobs of an algorithm, made where it is missing.
    pub(crate) fn folder_for(&self, digest: &Digest) -> Result<&Dir> {
        self.folder(digest.algorithm())
    }

    fn folder(&self, algorithm: Algorithm) -> Result<&Dir> {
        let slot = &self.folders[algorithm as usize];
        if slot.get().is_none() {
            // Where two threads are here, the handle of one is as good as that of the other.
            slot.set(self.make_folder(algorithm.name())?).ok();
        }
        Ok(slot.get().expect("just set"))
    }

    fn make_folder(&self, algorithm: &str) -> Result<Dir> {
        let mut folder = self.root.try_clone()?;
        for name in self.folders(algorithm) {
            folder = folder.make_or_open_dir(name, 0o777)?;
        }
        Ok(folder)
    }

    /// A network that broke off, and a user who stopped, come again.
    fn note_break(&self, fault: &Fault) {
        if matches!(fault.kind(), Kind::Unreachable | Kind::Interrupted) {
            self.broke_off.store(true, Ordering::Relaxed);
        }
    }

    /// Whether something is left that the next run goes on with.
    pub(crate) fn broke_off(&self) -> bool {
        self.broke_off.load(Ordering::Relaxed)
    }

    fn touch(&self, blob: &Descriptor) {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).push(blob.clone());
    }

    /// Forces all that was put to the disk, contents and names: few files one by one, many by one call for the
    /// whole file system. A blob that was held is among them: who wrote it may not have come to this yet.
    pub(crate) fn sync(&self) -> Result<()> {
        const FEW: usize = 16;
        let touched = std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner));
        if touched.len() > FEW {
            return Ok(self.root.sync_fs()?);
        }
        for blob in &touched {
            if let Some(file) = self.open(blob)? {
                file.sync_data()?;
            }
        }
        for blob in &touched {
            self.sync_folders(blob)?;
        }
        Ok(())
    }

    fn sync_folders(&self, blob: &Descriptor) -> Result<()> {
        let mut folder = self.root.try_clone()?;
        folder.sync()?;
        for name in self.folders(blob.digest.algorithm_name()) {
            folder = folder.open_dir(name)?;
            folder.sync()?;
        }
        Ok(())
    }
}

/// A blob on its way.
struct Begun<'a> {
    blobs: &'a Blobs,
    writing: Writing<'a>,
}

impl Write for Begun<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writing.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writing.flush()
    }
}

impl BlobWriter for Begun<'_> {
    fn commit(self: Box<Self>, blob: &Descriptor) -> Result<()> {
        let Self { blobs, writing } = *self;
        let (temp, written) = writing.end(blob)?;
        if written == Written::Unproven {
            let spooled = FileOrigin::whole(temp.file().try_clone()?);
            return blobs.put(blob, &spooled, &Hints::default()).map(drop);
        }
        blobs.touch(blob);
        match blobs.held(blob, TO_THE_END)? {
            Held::Whole => Ok(()),
            Held::Nothing => blobs.persist(temp, blob, Persist::New, TO_THE_END),
            Held::Damaged => blobs.persist(temp, blob, Persist::Replace, TO_THE_END),
        }
    }
}

/// A range of an open file as an origin.
#[derive(Debug)]
pub(crate) struct FileOrigin {
    file: File,
    at: u64,
    size: Option<u64>,
}

impl FileOrigin {
    /// All of the file.
    pub(crate) fn whole(file: File) -> Self {
        Self { file, at: 0, size: None }
    }

    /// `size` bytes of the file, beginning at `at`.
    pub(crate) fn range(file: File, at: u64, size: u64) -> Self {
        Self { file, at, size: Some(size) }
    }

    /// Reads from byte `at` of the range on.
    pub(crate) fn into_reader(self, at: u64) -> RangeReader<File> {
        let end = self.end();
        RangeReader { file: self.file, at: self.at.saturating_add(at), end }
    }

    fn end(&self) -> u64 {
        self.size.map_or(u64::MAX, |size| self.at.saturating_add(size))
    }
}

impl Origin for FileOrigin {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(RangeReader { file: &self.file, at: self.at.saturating_add(at), end: self.end() }))
    }

    fn local(&self) -> Option<LocalFile> {
        let size = self.size.map_or_else(|| self.file.size(), Ok).ok()?;
        let file: OwnedFd = self.file.try_clone().ok()?.into();
        Some(LocalFile { file, at: self.at, size, whole: self.size.is_none() })
    }
}

/// Reads a range by position, so that readers of one file do not disturb each other.
pub(crate) struct RangeReader<F> {
    file: F,
    at: u64,
    end: u64,
}

impl<F: Borrow<File>> Read for RangeReader<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        let count = self.file.borrow().read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
