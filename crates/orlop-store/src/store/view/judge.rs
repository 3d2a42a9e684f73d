//! Whether a view is still what the layers say, and an image that is put right.
//!
//! Invariant: an image is judged by the bytes that would be written now; nothing that lies beside it is believed.

use super::{Backend, IMAGE, Owners, ROOT, key, make};
use crate::store::guard::Shelf;
use crate::store::layer::LONGEST_HELD;
use crate::store::{Store, format};
use orlop_fs::owner::Owner;
use orlop_fs::verify::{Shape, skeleton};
use orlop_fs::{Dir, File, Persist, Stat};
use orlop_layer::TreeManifest;
use orlop_spec::digest::{Algorithm, DiffId, Digest};
use orlop_spec::port::Result;
use orlop_spec::{Context, Fault};
use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

/// A view that is there.
#[derive(Debug)]
pub struct Standing {
    /// How it shows the tree.
    pub backend: Backend,
    /// Its name in the folder of trees.
    pub key: String,
    folder: Dir,
}

impl Owners {
    /// What is done about owners.
    pub fn owner(&self) -> Owner {
        self.owner
    }
}

impl Store {
    /// The views of layers that are there for these owners. They are relied on as long as the store is open.
    pub fn standing(&self, layers: &[DiffId], owners: &Owners) -> Result<Vec<Standing>> {
        self.hold()?;
        let trees = Shelf::new(self.root().open_dir(format::TREES)?);
        let mut standing = Vec::new();
        for backend in Backend::ALL {
            let key = key(layers, backend, owners);
            if trees.rely_on(&key)?.is_some() {
                standing.push(Standing { backend, folder: trees.folder().open_dir(&key)?, key });
            }
        }
        Ok(standing)
    }

    /// Whether the image of a view has the bytes that the layers give.
    pub fn is_image_sound(&self, cx: &Context<'_>, layers: &[DiffId], view: &Standing) -> Result<bool> {
        let Ok(file) = view.folder.open_file(IMAGE) else { return Ok(false) };
        let comparing = Comparing { file: &file, at: 0, is_same: true, buffer: Vec::new() };
        let mut out = BufWriter::with_capacity(1 << 20, comparing);
        make::image(self, cx, layers, &mut out)?;
        out.flush().map_err(|error| file_failed(&file, error))?;
        let Comparing { at, is_same, .. } = out.get_ref();
        Ok(*is_same && file.size()? == *at)
    }

    /// Puts the image of a view right. Who has the old one mounted keeps it.
    pub fn mend_image(&self, cx: &Context<'_>, layers: &[DiffId], view: &Standing) -> Result<()> {
        let temp = view.folder.create_temp()?;
        temp.file().set_mode(0o444)?;
        let mut out = BufWriter::with_capacity(1 << 20, temp.file().try_clone()?);
        make::image(self, cx, layers, &mut out)?;
        out.flush().map_err(|error| file_failed(temp.file(), error))?;
        temp.file().sync_data()?;
        temp.persist(IMAGE, Persist::Replace)?;
        Ok(view.folder.sync()?)
    }
}

impl Standing {
    /// What the folder of the view should hold, where the tree has this manifest, and what is compared of it.
    pub fn meant<'m>(&self, manifest: &'m TreeManifest) -> (Cow<'m, TreeManifest>, Shape) {
        if self.backend != Backend::Skeleton {
            return (Cow::Borrowed(manifest), Shape::Whole);
        }
        let data = |sha256: &[u8; 32]| {
            let digest = Digest::from_bytes(Algorithm::Sha256, sha256).expect("a sha256 has 32 bytes");
            make::data(&digest)
        };
        (Cow::Owned(skeleton(manifest, LONGEST_HELD, data)), Shape::Skeleton(LONGEST_HELD))
    }

    /// What is known about the image, where there is one.
    pub fn image(&self) -> Result<Option<Stat>> {
        Ok(self.folder.try_stat(IMAGE)?)
    }

    /// The root of a view that is a folder; `None` where it is gone.
    pub fn root(&self) -> Result<Option<Dir>> {
        match self.folder.open_dir(ROOT) {
            Err(error) if error.is_not_found() => Ok(None),
            opened => Ok(Some(opened?)),
        }
    }
}

fn file_failed(file: &File, error: io::Error) -> orlop_fs::Error {
    orlop_fs::Error::io("compare", file.shown().clone(), error)
}

/// Takes what should be in a file, and compares.
struct Comparing<'a> {
    file: &'a File,
    at: u64,
    is_same: bool,
    buffer: Vec<u8>,
}

impl Write for Comparing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.resize(bytes.len(), 0);
        let count = self
            .file
            .read_at(&mut self.buffer, self.at)
            .map_err(|error| io::Error::from(Fault::from(error)))?;
        self.is_same &= self.buffer[..count] == *bytes;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
