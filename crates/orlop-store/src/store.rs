//! A store: images kept once, for many processes at a time.
//!
//! Invariant: whatever is under a name is whole. Contents get theirs before the list that refers to them, lists and
//! blobs before the document that names them, and all is on the disk before a name says so. No step needs the whole
//! store for itself.
//!
//! ```text
//! ROOT/format                     which form this is
//! ROOT/names/NAME                 what a name stands for
//! ROOT/blobs/ALGORITHM/HEX        documents, and layers that cannot be rebuilt
//! ROOT/forms/ALGORITHM/HEX        which layer a blob is, and how it is rebuilt
//! ROOT/leases/RANDOM              runs that rely on what is here
//! ROOT/layers/ALGORITHM/DIFF-ID   a layer as a list of literal bytes and contents
//! ROOT/objects/6c/3c…             contents of files by their sha256
//! ```
//!
//! `docs/formats/store.md` draws the bytes; `docs/decisions/0012-the-store.md` says why.

mod arrival;
pub mod form;
mod format;
pub mod fsck;
pub mod guard;
pub mod layer;
pub mod lease;
mod list;
pub mod look;
pub mod manifest;
pub mod mounts;
pub mod names;
pub mod objects;
mod place;
mod reached;
pub mod roots;
mod sealed;
mod sink;
mod sweep;
pub mod tree;
mod unpacked;
pub mod usage;
pub mod view;

pub use sink::StoreSink;

use crate::blobs::{Blobs, Shape};
use crate::error::Error;
use form::{Form, Forms, How, KeepBlobs};
use guard::Shelf;
use lease::Lease;
use names::Names;
use objects::Objects;
use orlop_fs::Dir;
use orlop_spec::digest::{AnyDigest, DiffId};
use orlop_spec::port::Result;
use orlop_spec::{Descriptor, Limits};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::OnceLock;

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// What documents and layers may cost.
    pub limits: Limits,
    /// How many threads may make a blob again.
    pub workers: NonZeroUsize,
    /// Which blobs of layers stay when they come in.
    pub keep_blobs: KeepBlobs,
}

impl Default for Options {
    fn default() -> Self {
        Self { limits: Limits::default(), workers: NonZeroUsize::MIN, keep_blobs: KeepBlobs::default() }
    }
}

/// A store, open.
#[derive(Debug)]
pub struct Store {
    root: Dir,
    blobs: Blobs,
    forms: Forms,
    layers: Dir,
    objects: Objects,
    names: Names,
    limits: Limits,
    workers: NonZeroUsize,
    keep_blobs: KeepBlobs,
    /// Begun before anything is relied on; nothing where the store can only be read.
    lease: OnceLock<Option<Lease>>,
}

impl Store {
    /// Opens a store that exists.
    ///
    /// # Errors
    /// [`Error::NoStore`] where there is none; [`Error::UnknownVersion`] where it is of a newer form.
    pub fn open(root: impl AsRef<Path>, options: &Options) -> Result<Self> {
        let root = match Dir::open(&root) {
            Err(error) if error.is_not_found() => {
                return Err(Error::NoStore { place: root.as_ref().into() }.into());
            }
            opened => opened?,
        };
        format::check(&root)?;
        Self::at(root, options)
    }

    /// Opens a store, if there is one.
    pub fn open_if_any(root: impl AsRef<Path>, options: &Options) -> Result<Option<Self>> {
        match Self::open(root, options) {
            Err(fault) if matches!(fault.downcast_ref(), Some(Error::NoStore { .. })) => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Opens the store in a folder, and makes it where there is none.
    pub fn create(root: impl AsRef<Path>, options: &Options) -> Result<Self> {
        let root = Dir::create_all(root)?;
        format::make(&root)?;
        Self::at(root, options)
    }

    fn at(root: Dir, options: &Options) -> Result<Self> {
        let limits = options.limits.clone();
        Ok(Self {
            blobs: Blobs::new(root.try_clone()?, Shape::Layout),
            forms: Forms::new(root.open_dir(format::FORMS)?),
            layers: root.open_dir(format::LAYERS)?,
            objects: Objects::new(root.open_dir(format::OBJECTS)?),
            names: Names::new(root.open_dir(format::NAMES)?, limits.clone()),
            limits,
            workers: options.workers,
            keep_blobs: options.keep_blobs,
            lease: OnceLock::new(),
            root,
        })
    }

    /// Where the store is.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// The folder.
    pub fn root(&self) -> &Dir {
        &self.root
    }

    /// What is known about names.
    pub fn records(&self) -> &Names {
        &self.names
    }

    /// What blobs of layers are.
    pub fn forms(&self) -> &Forms {
        &self.forms
    }

    /// The contents of files.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Begins to rely on what is in the store, for longer than it is open. `None` where it may only be read.
    pub fn lease(&self) -> Result<Option<Lease>> {
        Lease::begin(&self.root.open_dir(format::LEASES)?)
    }

    /// Begins to rely on what is here: what is touched from now on is not swept away while this store is open.
    pub fn hold(&self) -> Result<()> {
        if self.lease.get().is_none() {
            // Of two threads that begin one, one gives its own back before anything was touched under it.
            self.lease.set(self.lease()?).ok();
        }
        Ok(())
    }

    /// Whether a layer is here to the bit, in whatever form, and its blob where that is to be kept; then it can be relied on.
    fn holds_layer(&self, blob: &Descriptor) -> Result<bool> {
        let is_kept = || Ok(self.touch(format::BLOBS, &blob.digest)? == Some(blob.size));
        match self.form(&blob.digest)? {
            None => is_kept(),
            Some(Form { size, .. }) if size != blob.size => Ok(false),
            Some(Form { diff_id, how, .. }) => {
                let is_enough = match how {
                    How::Made(_) => self.keep_blobs != KeepBlobs::All,
                    How::Kept => false,
                    How::Gone => self.keep_blobs == KeepBlobs::Nothing,
                };
                Ok(self.touch_layer(&diff_id)? && (is_enough || is_kept()?))
            }
        }
    }

    /// Touches whatever is here of a blob: itself, its form, its layer.
    fn touch_blob(&self, digest: &AnyDigest) -> Result<bool> {
        let is_there = self.touch(format::BLOBS, digest)?.is_some();
        match self.form(digest)? {
            None => Ok(is_there),
            Some(form) => Ok(self.touch_layer(&form.diff_id)? || is_there),
        }
    }

    /// Touches the list of a layer, and so all contents that it refers to.
    fn touch_layer(&self, diff_id: &DiffId) -> Result<bool> {
        Ok(self.touch(format::LAYERS, &diff_id.0.into())?.is_some())
    }

    /// The size of what is under a digest in a part of the store, touched.
    fn touch(&self, part: &str, digest: &AnyDigest) -> Result<Option<u64>> {
        let folder = self.root.open_dir(part)?.open_dir(digest.algorithm_name());
        match folder {
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
            Ok(folder) => Ok(Shelf::new(folder).rely_on(digest.encoded())?.map(|stat| stat.size)),
        }
    }

    /// What is known about a layer's blob, touched. A form that is damaged says nothing: it is written anew.
    fn form(&self, digest: &AnyDigest) -> Result<Option<Form>> {
        let AnyDigest::Known(digest) = digest else { return Ok(None) };
        match self.forms.rely_on(digest) {
            Err(fault) if matches!(fault.downcast_ref(), Some(Error::FormDamaged { .. })) => Ok(None),
            form => form,
        }
    }
}
