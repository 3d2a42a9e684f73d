//! What the older image holds: its files by content, name and chunk, and their bytes in spools.
//!
//! ```text
//! spool of a layer (no name):   content │ content │ …        one after the other, no framing
//! memory:    for each file of the tree about 200 bytes and its path; for each chunk 24 bytes, which is about 2.5 for a KiB
//! ```
//!
//! Invariant: a content is used only after the layer that it came from was proven: [`Files`] come out of [`Older`] only with
//! the stacked tree.

use super::apply::{Paths, Sources};
use super::chunk::{Chunk, Chunker};
use crate::error::Error;
use orlop_fs::File;
use orlop_layer::decode::Visit;
use orlop_layer::tree::{Content, InodeKind, Tree};
use orlop_layer::{Entry, Error as LayerError, Kind, TreePath};
use orlop_spec::{Algorithm, Digest, Hasher};
use std::collections::HashMap;
use std::sync::Arc;

/// Where a content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In the spool of which layer.
    pub layer: u16,
    /// From which byte on.
    pub at: u64,
    /// Bytes.
    pub size: u64,
}

/// Takes the files of one layer of the older image, as they are decoded.
pub struct Older {
    spool: Output,
    wanted: Wanted,
    kept: Vec<Kept>,
    chunks: Vec<(usize, Chunk)>,
    current: Option<Current>,
    is_short: bool,
}

/// Which files are taken, and what for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// All, to be searched for what a newer image has.
    Searched,
    /// All, to be read.
    All,
    /// Those that a delta reads.
    Paths(Arc<Paths>),
}

/// A file of a layer.
struct Kept {
    ordinal: u32,
    at: u64,
    digest: Option<Digest>,
}

struct Current {
    ordinal: u32,
    at: u64,
    hasher: Hasher,
    chunker: Chunker,
    /// Whether all of it is there: what has holes may be far larger than its archive.
    is_whole: bool,
}

impl Older {
    /// Keeps contents in `spool`, which nobody else uses.
    pub fn new(spool: File, wanted: Wanted) -> Self {
        let (spool, kept, chunks) = (Output::new(spool), Vec::new(), Vec::new());
        Self { spool, wanted, kept, chunks, current: None, is_short: false }
    }

    /// Whether a path that is wanted is a hard link, the content of which may have been passed over under another name:
    /// then [`Wanted::All`] is the way.
    pub fn is_short(&self) -> bool {
        self.is_short
    }

    fn is_wanted(&self, path: &TreePath) -> bool {
        match &self.wanted {
            Wanted::Searched | Wanted::All => true,
            Wanted::Paths(paths) => paths.contains(path),
        }
    }

    fn is_searched(&self) -> bool {
        matches!(self.wanted, Wanted::Searched)
    }

    /// Ends the file under way.
    fn close(&mut self) {
        let Some(Current { ordinal, at, hasher, mut chunker, is_whole }) = self.current.take() else {
            return;
        };
        let number = self.kept.len();
        if !is_whole {
            self.chunks.truncate(self.chunks.partition_point(|(kept, _)| *kept < number));
            return;
        }
        let digest = self.is_searched().then(|| {
            chunker.finish(&mut |chunk| self.chunks.push((number, chunk)));
            hasher.finish()
        });
        self.kept.push(Kept { ordinal, at, digest });
    }
}

impl Visit for Older {
    fn entry(&mut self, ordinal: u32, _: u64, entry: &Entry) -> Result<(), LayerError> {
        self.close();
        if matches!(entry.kind, Kind::HardLink { .. }) && matches!(self.wanted, Wanted::Paths(_)) {
            self.is_short |= self.is_wanted(&entry.path);
        }
        if matches!(entry.kind, Kind::File { .. }) && self.is_wanted(&entry.path) {
            let (hasher, chunker) = (Hasher::new(Algorithm::Sha256), Chunker::default());
            self.current = Some(Current { ordinal, at: self.spool.at(), hasher, chunker, is_whole: true });
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        let is_searched = self.is_searched();
        let Some(current) = &mut self.current else { return Ok(()) };
        if is_searched {
            let number = self.kept.len();
            current.hasher.update(bytes);
            current.chunker.push(bytes, &mut |chunk| self.chunks.push((number, chunk)));
        }
        self.spool.write(bytes)
    }

    fn hole(&mut self, _: u64) -> Result<(), LayerError> {
        if let Some(current) = &mut self.current {
            current.is_whole = false;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), LayerError> {
        self.close();
        self.spool.end()
    }
}

/// The files of the older tree.
pub struct Files {
    spools: Vec<File>,
    all: Vec<Source>,
    by_path: HashMap<TreePath, usize>,
    by_digest: HashMap<Digest, usize>,
    /// Of each name the smaller ones first.
    by_name: HashMap<Box<[u8]>, Vec<usize>>,
    /// Sorted: chunk, file, where in the file.
    chunks: Vec<(u64, usize, u64)>,
}

/// A file of the older tree.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: TreePath,
    pub(super) place: Place,
}

/// Which files have which chunks is asked for so many at most.
const SHARED: usize = 8;

impl Files {
    /// What the stacked `tree` holds of the files of its `layers`.
    pub fn new(tree: &Tree, layers: Vec<Older>) -> Self {
        let mut files = Self {
            spools: Vec::new(),
            all: Vec::new(),
            by_path: HashMap::new(),
            by_digest: HashMap::new(),
            by_name: HashMap::new(),
            chunks: Vec::new(),
        };
        let mut numbers: Vec<Vec<Option<usize>>> =
            layers.iter().map(|layer| vec![None; layer.kept.len()]).collect();
        for (path, id) in tree.walk() {
            let InodeKind::File(content) = &tree.inode(id).kind else { continue };
            let layer = usize::from(content.layer);
            let found = layers[layer].kept.binary_search_by_key(&content.ordinal, |kept| kept.ordinal);
            if let Some(kept) = found.ok().filter(|_| content.size > 0) {
                let number = files.add(path, content, &layers[layer].kept[kept]);
                numbers[layer][kept].get_or_insert(number);
            }
        }
        for (layer, numbers) in layers.into_iter().zip(numbers) {
            let live = |(kept, chunk): &(usize, Chunk)| Some((chunk.name, numbers[*kept]?, chunk.at));
            files.chunks.extend(layer.chunks.iter().filter_map(live));
            files.spools.push(layer.spool.file);
        }
        files.chunks.sort_unstable();
        for found in files.by_name.values_mut() {
            found.sort_unstable_by_key(|number| (files.all[*number].place.size, *number));
        }
        files
    }

    fn add(&mut self, path: TreePath, content: &Content, kept: &Kept) -> usize {
        let number = self.all.len();
        if let Some(digest) = kept.digest {
            self.by_digest.entry(digest).or_insert(number);
            for name in names(&path) {
                self.by_name.entry(name.into()).or_default().push(number);
            }
        }
        self.by_path.insert(path.clone(), number);
        let place = Place { layer: content.layer, at: kept.at, size: content.size };
        self.all.push(Source { path, place });
        number
    }

    pub(super) fn source(&self, number: usize) -> &Source {
        &self.all[number]
    }

    pub(super) fn at(&self, path: &TreePath) -> Option<usize> {
        self.by_path.get(path).copied()
    }

    /// A file of that content; the one at `path` where that is one.
    pub(super) fn same(&self, path: &TreePath, digest: &Digest) -> Option<usize> {
        let found = *self.by_digest.get(digest)?;
        let place = self.source(found).place;
        let is_same = |number: &usize| self.source(*number).place == place;
        Some(self.at(path).filter(is_same).unwrap_or(found))
    }

    /// The file that a newer one of that path most likely was made from, by its name: the one at the path, else the one of
    /// its name, else one whose name differs in its numbers, of the most similar size.
    pub(super) fn named_like(&self, path: &TreePath, size: u64) -> Option<usize> {
        if let Some(number) = self.at(path) {
            return Some(number);
        }
        names(path).into_iter().find_map(|name| Some(self.nearest(self.by_name.get(name)?, size)))
    }

    /// Of files that are sorted by their size the one that is nearest to `size`, of those the first.
    fn nearest(&self, sorted: &[usize], size: u64) -> usize {
        let size_of = |number: usize| self.source(number).place.size;
        let at = sorted.partition_point(|number| size_of(*number) < size);
        let smaller = sorted[..at].last().map(|last| {
            let first = sorted.partition_point(|number| size_of(*number) < size_of(*last));
            sorted[first]
        });
        let both = smaller.into_iter().chain(sorted.get(at).copied());
        both.min_by_key(|number| (size_of(*number).abs_diff(size), *number)).expect("a name has a file")
    }

    /// Files that have a chunk, and where.
    pub(super) fn having(&self, chunk: u64) -> impl Iterator<Item = (usize, u64)> {
        let first = self.chunks.partition_point(|(name, ..)| *name < chunk);
        let found = self.chunks[first..].iter().take_while(move |(name, ..)| *name == chunk).take(SHARED);
        found.map(|(_, number, at)| (*number, *at))
    }
}

impl Sources for Files {
    fn find(&self, path: &TreePath) -> Option<Place> {
        self.at(path).map(|number| self.source(number).place)
    }

    fn read(&self, place: Place, at: u64, out: &mut [u8]) -> Result<(), Error> {
        let count = self.spools[usize::from(place.layer)].read_at(out, place.at + at)?;
        if count < out.len() {
            return Err(LayerError::Read(std::io::ErrorKind::UnexpectedEof.into()).into());
        }
        Ok(())
    }
}

/// The names by which a file is looked for: its own, and what stands before its first number.
fn names(path: &TreePath) -> Vec<&[u8]> {
    let Some(whole) = path.components().next_back() else { return Vec::new() };
    let stem = whole.iter().position(u8::is_ascii_digit).unwrap_or(whole.len());
    let mut names = vec![whole];
    if stem >= 3 && stem < whole.len() {
        names.push(&whole[..stem]);
    }
    names
}

/// A spool that is written from its beginning on, and of which the end can be taken back.
pub(super) struct Output {
    file: File,
    written: u64,
    held: Vec<u8>,
}

/// Bytes that are held until they are written.
const HELD: usize = 1 << 20;

impl Output {
    pub(super) fn new(file: File) -> Self {
        Self { file, written: 0, held: Vec::new() }
    }

    /// Where the next byte will be.
    pub(super) fn at(&self) -> u64 {
        self.written + self.held.len() as u64
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        if self.held.len() + bytes.len() > HELD {
            self.flush()?;
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes what is held, and holds nothing any more.
    pub(super) fn end(&mut self) -> Result<(), LayerError> {
        self.flush()?;
        self.held = Vec::new();
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LayerError> {
        let failed = |error| LayerError::Write(orlop_spec::Fault::from(error).into());
        self.file.write_at(&self.held, self.written).map_err(failed)?;
        self.written = self.at();
        self.held.clear();
        Ok(())
    }

    /// Forgets everything from there on.
    pub(super) fn rewind(&mut self, at: u64) {
        let held = at.checked_sub(self.written).and_then(|held| usize::try_from(held).ok());
        self.held.truncate(held.unwrap_or(0));
        self.written = self.written.min(at);
    }

    pub(super) fn into_file(self) -> File {
        self.file
    }
}
