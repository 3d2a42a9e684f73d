//! The layer of the changes, as entries with the contents of the folder.
//!
//! Invariant: a content is that of the file that was found at the path when the folder was compared, or the stream fails: kind,
//! size and time are looked at before and after it is read.

use super::{Sha256, hash_zeros, scan_options, sha256_of};
use crate::error::Error;
use crate::scan::content::Content;
use crate::scan::walk::{Found, Walk};
use crate::stat::FileKind;
use crate::{Dir, Result};
use orlop_layer::tree::{self, Tree};
use orlop_layer::{Chunk, Entries, Entry, Kind, TreePath};
use orlop_spec::{Algorithm, Cancel, Hasher};
use std::cmp::Ordering;

/// A layer of changes as it is read.
pub struct Changes<'a> {
    entries: tree::Entries<'a>,
    walk: Walk,
    /// The name of the folder that was found last, where it was not asked for yet.
    found: Option<Found>,
    content: Content,
    hashing: Option<(tree::Content, Hasher)>,
    streamed: Vec<Streamed>,
}

/// A content that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streamed {
    /// Which one, as the layer's tree names it.
    pub content: tree::Content,
    /// What it hashes to.
    pub sha256: Sha256,
}

impl<'a> Changes<'a> {
    /// The entries of `layer`, which [`super::Compared::layer`] gave for `folder`.
    pub fn open(folder: &Dir, layer: &'a Tree, journal: Option<&Dir>, cancel: &Cancel) -> Result<Self> {
        Ok(Self {
            entries: layer.entries(),
            walk: Walk::new(folder, &scan_options(journal, cancel))?,
            found: None,
            content: Content::default(),
            hashing: None,
            streamed: Vec::new(),
        })
    }

    /// What was read so far.
    pub fn streamed(self) -> Vec<Streamed> {
        self.streamed
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        self.content.close();
        self.hashing = None;
        let Some((entry, content)) = self.entries.next() else { return Ok(None) };
        if let (Kind::File { size }, Some(content)) = (&entry.kind, content) {
            self.hashing = Some((content, Hasher::new(Algorithm::Sha256)));
            let found = self.find(&entry.path)?;
            let is_same = found.stat.kind == FileKind::File
                && (found.stat.size, found.stat.mtime) == (*size, entry.meta.mtime);
            if !is_same {
                return Err(Error::Changed(self.walk.shown(&entry.path)));
            }
            let (file, _) = self.walk.open_file(&found)?;
            self.content.open(file, &found.stat, self.walk.shown(&entry.path))?;
        }
        Ok(Some(entry))
    }

    /// Goes on to a path: those that are asked for come in the order of the walk.
    fn find(&mut self, path: &TreePath) -> Result<Found> {
        loop {
            let found = match self.found.take() {
                Some(found) => Some(found),
                None => self.walk.next()?,
            };
            let Some(found) = found else { return Err(Error::Changed(self.walk.shown(path))) };
            match found.path.components().cmp(path.components()) {
                Ordering::Equal => return Ok(found),
                Ordering::Greater => return Err(Error::Changed(self.walk.shown(path))),
                Ordering::Less => {
                    let is_above = path.starts_with(&found.path) && !found.path.is_root();
                    if is_above && found.stat.kind == FileKind::Directory {
                        self.walk.enter(&found)?;
                    }
                }
            }
        }
    }

    fn piece(&mut self) -> Result<Option<Chunk<'_>>> {
        let Some(chunk) = self.content.next()? else {
            if let Some((content, hasher)) = self.hashing.take() {
                self.streamed.push(Streamed { content, sha256: sha256_of(hasher) });
            }
            return Ok(None);
        };
        if let Some((_, hasher)) = &mut self.hashing {
            match &chunk {
                Chunk::Data(bytes) => hasher.update(bytes),
                Chunk::Hole(size) => hash_zeros(hasher, *size),
            }
        }
        Ok(Some(chunk))
    }
}

impl Entries for Changes<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>, orlop_layer::Error> {
        self.next().map_err(Error::into_read)
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, orlop_layer::Error> {
        self.piece().map_err(Error::into_read)
    }
}
