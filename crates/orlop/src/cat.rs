//! `cat`: the content of one file of an image.

use crate::error::Error;
use crate::image::Image;
use crate::layers;
use orlop_fs::File;
use orlop_layer::decode::Visit;
use orlop_layer::path::escape;
use orlop_layer::tree::{Content, InodeKind, Tree};
use orlop_layer::{Entry, Error as LayerError};
use orlop_spec::port::Result;
use orlop_spec::{Context, Diagnose as _, Fault};
use std::io::{self, Write};

/// Whether bytes may leave before the layer that holds them is proven.
pub enum Proof {
    /// They are kept in the spool until both digests of the layer are right.
    First(File),
    /// They leave as they come. A wrong digest is still an error, told after them.
    Later,
}

/// Writes the content of the file at `path`, links followed inside the image.
///
/// The tree is read and proven first; then the one layer that holds the content is read again.
pub fn cat(
    cx: &Context<'_>,
    image: &Image<'_>,
    path: &[u8],
    proof: Proof,
    out: &mut dyn Write,
) -> Result<()> {
    let content = find(&layers::merged(cx, image)?, path)?;
    let layer = content.layer;
    match proof {
        Proof::Later => layers::open_at(cx, "read", image, layer, &mut Extract::new(&content, out)),
        Proof::First(spool) => {
            let mut kept = Spooled { file: spool, at: 0 };
            layers::open_at(cx, "read", image, layer, &mut Extract::new(&content, &mut kept))?;
            kept.replay(cx, out)
        }
    }
}

/// The content of a small file, from the tree of the image's layers; `None` where there is none. One that is larger than
/// `limit` is an error.
pub(crate) fn small(
    cx: &Context<'_>,
    image: &Image<'_>,
    tree: &Tree,
    path: &[u8],
    limit: u64,
) -> Result<Option<Vec<u8>>> {
    let content = match find(tree, path) {
        Err(error) if error.is_absence() => return Ok(None),
        found => found?,
    };
    if content.size > limit {
        return Err(orlop_fs::Error::TooLarge { path: path.into(), limit }.into());
    }
    let mut bytes = Vec::new();
    layers::open_at(cx, "read", image, content.layer, &mut Extract::new(&content, &mut bytes))?;
    Ok(Some(bytes))
}

fn find(tree: &Tree, path: &[u8]) -> Result<Content> {
    let found = tree.resolve(path).map_err(|_| Error::TooManyLinks { path: escape(path) })?;
    let id = found.ok_or_else(|| Error::NoFile { path: escape(path) })?;
    match tree.inode(id).kind {
        InodeKind::File(content) => Ok(content),
        _ => Err(Error::NotAFile { path: escape(path) }.into()),
    }
}

/// Passes on the content of one entry.
struct Extract<'a> {
    wanted: u32,
    current: Option<u32>,
    out: &'a mut dyn Write,
}

impl<'a> Extract<'a> {
    fn new(content: &Content, out: &'a mut dyn Write) -> Self {
        Self { wanted: content.ordinal, current: None, out }
    }
}

impl Visit for Extract<'_> {
    fn entry(&mut self, ordinal: u32, _: u64, _: &Entry) -> Result<(), LayerError> {
        self.current = Some(ordinal);
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        if self.current != Some(self.wanted) {
            return Ok(());
        }
        self.out.write_all(bytes).map_err(LayerError::Write)
    }

    fn hole(&mut self, size: u64) -> Result<(), LayerError> {
        if self.current != Some(self.wanted) {
            return Ok(());
        }
        io::copy(&mut io::Read::take(io::repeat(0), size), self.out).map(drop).map_err(LayerError::Write)
    }

    fn end(&mut self) -> Result<(), LayerError> {
        Ok(())
    }
}

/// A file that is written once and read back.
struct Spooled {
    file: File,
    at: u64,
}

impl Spooled {
    fn replay(&self, cx: &Context<'_>, out: &mut dyn Write) -> Result<()> {
        let mut buffer = vec![0; 256 << 10];
        let mut at = 0;
        loop {
            cx.cancel.check()?;
            let count = self.file.read_at(&mut buffer, at)?;
            if count == 0 {
                return Ok(());
            }
            out.write_all(&buffer[..count]).map_err(|error| Fault::io("write the content", error))?;
            at += count as u64;
        }
    }
}

impl Write for Spooled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, self.at).map_err(Fault::from)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
