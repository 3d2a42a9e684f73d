//! A store: layers whose contents are kept once.
//!
//! Invariant: whatever is under a name is whole. Contents get theirs before the list that refers to them, and all is
//! on the disk before that. No step needs the whole store for itself.
//!
//! ```text
//! ROOT/leases/RANDOM              runs that rely on what is here
//! ROOT/objects/6c/3c…             contents of files by their sha256
//! ROOT/forms/ALGORITHM/HEX        which layer a blob holds, and how it comes back
//! ROOT/layers/ALGORITHM/DIFF-ID   a layer as a list of literal bytes and contents
//! ```
//!
//! `docs/formats/store.md` draws the bytes; `docs/decisions/0012-the-store.md` says why.

pub mod form;
pub mod guard;
pub mod layer;
pub mod lease;
mod list;
pub mod objects;
pub mod tree;

use form::Forms;
use lease::Lease;
use objects::Objects;
use orlop_fs::Dir;
use orlop_spec::port::Result;
use std::path::Path;

/// A store, open.
#[derive(Debug)]
pub struct Store {
    leases: Dir,
    forms: Forms,
    layers: Dir,
    objects: Objects,
}

impl Store {
    /// Opens the store in a folder, and makes what is missing of it.
    pub fn open_or_create(root: impl AsRef<Path>) -> Result<Self> {
        let root = Dir::create_all(root)?;
        let leases = root.make_or_open_dir("leases", 0o777)?;
        let forms = Forms::new(root.make_or_open_dir("forms", 0o777)?);
        let layers = root.make_or_open_dir("layers", 0o777)?;
        let objects = Objects::new(root.make_or_open_dir("objects", 0o777)?);
        root.sync()?;
        Ok(Self { leases, forms, layers, objects })
    }

    /// Begins to rely on what is in the store. `None` where it may only be read.
    pub fn lease(&self) -> Result<Option<Lease>> {
        Lease::begin(&self.leases)
    }

    /// What blobs of layers are.
    pub fn forms(&self) -> &Forms {
        &self.forms
    }

    /// The contents of files.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }
}
