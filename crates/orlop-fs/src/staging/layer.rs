//! Writes the contents of one layer into its own folder, while the layer is being decoded.
//!
//! Invariant: nothing but folders and regular files comes to be here, each by a call that fails where something
//! is already. So no path of a layer can lead anywhere but into the layer's own folder, whatever links it
//! holds; what the paths mean is decided later, by the merged tree.

use super::cursor::Cursor;
use super::meta::{Setter, failed};
use super::places::{FolderId, Places, SPILL};
use super::{Apply, content::Output};
use crate::call;
use crate::error::Error;
use crate::loss::Losses;
use crate::{Dir, Result};
use orlop_layer::decode::Visit;
use orlop_layer::{Entry, Kind, Meta, TreePath};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::io::Errno;

/// Takes the entries of one layer and their contents.
pub struct LayerWriter<'a> {
    folders: Cursor<FolderId>,
    spill: Dir,
    places: Places,
    setter: Setter<'a>,
    open: Option<Open>,
}

/// What a layer left on the disk.
pub struct Written {
    pub(super) layer: u16,
    pub(super) places: Places,
    pub(super) losses: Losses,
}

struct Open {
    output: Output<OwnedFd>,
    path: TreePath,
    meta: Meta,
    mode: Option<u16>,
}

/// Why a file did not get the place that its path spells.
enum Place {
    Taken,
    Failed(Errno),
}

impl From<Errno> for Place {
    fn from(error: Errno) -> Self {
        if matches!(error, Errno::EXIST | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP) {
            Self::Taken
        } else {
            Self::Failed(error)
        }
    }
}

impl<'a> LayerWriter<'a> {
    pub(super) fn new(root: OwnedFd, spill: Dir, apply: &Apply<'a>) -> Self {
        let folders = Cursor::new(root, 0);
        Self { folders, spill, places: Places::default(), setter: Setter::new(apply), open: None }
    }

    /// Begins the `ordinal`th entry.
    pub fn entry(&mut self, ordinal: u32, entry: &Entry) -> Result<()> {
        self.setter.apply().cancel.check()?;
        self.end()?;
        match entry.kind {
            Kind::Directory => self.folder(&entry.path),
            Kind::File { .. } => self.file(ordinal, entry),
            _ => Ok(()),
        }
    }

    /// Takes a piece of the content of the file that was begun last.
    pub fn data(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.output.write(bytes).map_err(failed("write", open.path.as_bytes()))
    }

    /// Takes so many zeros that need no space.
    pub fn hole(&mut self, length: u64) -> Result<()> {
        if let Some(open) = &mut self.open {
            open.output.skip(length);
        }
        Ok(())
    }

    /// Ends the file that was begun last, if there is one.
    pub fn end(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let path = open.path.as_bytes();
        let file = open.output.finish().map_err(failed("write", path))?;
        self.setter.file(file.as_fd(), path, &open.meta, open.mode)
    }

    /// Ends the layer, which is the `layer`th of the image.
    pub fn finish(mut self, layer: u16) -> Result<Written> {
        self.end()?;
        Ok(Written { layer, places: self.places, losses: self.setter.losses })
    }

    /// A folder that cannot be where its path says is made when the tree is put together.
    fn folder(&mut self, path: &TreePath) -> Result<()> {
        match self.go(path.as_bytes()) {
            Ok(()) | Err(Place::Taken) => Ok(()),
            Err(Place::Failed(error)) => Err(failed("create the folder", path.as_bytes())(error)),
        }
    }

    fn file(&mut self, ordinal: u32, entry: &Entry) -> Result<()> {
        let (first, mode) = self.setter.file_mode(&entry.meta);
        let path = entry.path.as_bytes();
        let file = match self.create(ordinal, path, first) {
            Ok(file) => file,
            Err(Place::Taken) => {
                let name = ordinal.to_string();
                self.places.add_file(ordinal, SPILL, name.as_bytes());
                call::create(&self.spill, name.as_bytes(), first).map_err(failed("create", path))?
            }
            Err(Place::Failed(error)) => return Err(failed("create", path)(error)),
        };
        let output = Output::new(file);
        self.open = Some(Open { output, path: entry.path.clone(), meta: entry.meta.clone(), mode });
        Ok(())
    }

    fn create(&mut self, ordinal: u32, path: &[u8], mode: u16) -> Result<OwnedFd, Place> {
        let (parent, name) = split(path);
        self.go(parent)?;
        let file = call::create(self.folders.here(), name, mode)?;
        self.places.add_file(ordinal, self.folders.about(), name);
        Ok(file)
    }

    /// Goes to a folder of the layer; what is missing on the way is made.
    fn go(&mut self, path: &[u8]) -> Result<(), Place> {
        let places = &mut self.places;
        self.folders.go(path, |at, name| {
            let id = if let Some(id) = places.folder(at.about(), name) {
                id
            } else {
                call::make_dir(at.here(), name, 0o700)?;
                places.add_folder(at.about(), name)
            };
            Ok((call::open_dir(at.here(), name)?, id))
        })?;
        Ok(())
    }
}

impl Visit for LayerWriter<'_> {
    fn entry(&mut self, ordinal: u32, _: u64, entry: &Entry) -> Result<(), orlop_layer::Error> {
        LayerWriter::entry(self, ordinal, entry).map_err(Error::into_write)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), orlop_layer::Error> {
        LayerWriter::data(self, bytes).map_err(Error::into_write)
    }

    fn hole(&mut self, length: u64) -> Result<(), orlop_layer::Error> {
        LayerWriter::hole(self, length).map_err(Error::into_write)
    }

    fn end(&mut self) -> Result<(), orlop_layer::Error> {
        LayerWriter::end(self).map_err(Error::into_write)
    }
}

/// Parent and last component.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}
