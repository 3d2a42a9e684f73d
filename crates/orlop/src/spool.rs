//! File contents kept aside, so that a tree can be written in another order than it was read in.
//!
//! ```text
//! spool file (no name, in --tmpdir):   content │ content │ content │ …       one after the other, no framing
//! index in memory:                     (layer, ordinal) → offset
//! ```
//!
//! Invariant: a content is read only after the layer that it came from was proven; whoever fills a spool waits
//! for that.

use orlop_fs::File;
use orlop_layer::decode::Visit;
use orlop_layer::tree::{self, Content, InodeKind, Tree};
use orlop_layer::{Chunk, Entries, Entry, Error, Kind};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Contents of files, kept aside.
#[derive(Debug)]
pub struct Spool {
    file: File,
    next: AtomicU64,
    offsets: Mutex<HashMap<(u16, u32), u64>>,
}

impl Spool {
    /// An empty spool in `file`, which nobody else uses.
    pub fn new(file: File) -> Self {
        Self { file, next: AtomicU64::new(0), offsets: Mutex::new(HashMap::new()) }
    }

    /// What takes the contents of one layer.
    pub fn layer(&self, layer: u16) -> Filler<'_> {
        Filler { spool: self, layer, at: 0 }
    }

    /// The entries of `tree` with the contents that were kept.
    pub fn entries<'t>(&'t self, tree: &'t Tree) -> Spooled<'t> {
        Spooled { spool: self, entries: tree.entries(), content: None, buffer: vec![0; 1 << 18] }
    }

    /// The content of a small file of a tree that is kept here, links followed; nothing where there is none, and where it
    /// is larger than `limit`.
    pub fn small(&self, tree: &Tree, path: &[u8], limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let found = tree.resolve(path).ok().flatten().map(|id| &tree.inode(id).kind);
        let Some(InodeKind::File(content)) = found else { return Ok(None) };
        if content.size > limit {
            return Ok(None);
        }
        let Window { at, left } = self.window(content)?;
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(0)];
        self.file
            .read_at(&mut bytes, at)
            .map_err(|error| Error::Read(orlop_spec::Fault::from(error).into()))?;
        Ok(Some(bytes))
    }

    fn window(&self, content: &Content) -> Result<Window, Error> {
        let offsets = self.offsets.lock().expect("no holder panics");
        let at = offsets.get(&(content.layer, content.ordinal)).copied();
        let at = at.ok_or(Error::Entry {
            path: format!("#{}", content.ordinal),
            what: "its content was not kept",
        })?;
        Ok(Window { at, left: content.size })
    }
}

/// Takes the contents of one layer.
pub struct Filler<'a> {
    spool: &'a Spool,
    layer: u16,
    at: u64,
}

impl Visit for Filler<'_> {
    fn entry(&mut self, ordinal: u32, _: u64, entry: &Entry) -> Result<(), Error> {
        if let Kind::File { size } = entry.kind {
            self.at = self.spool.next.fetch_add(size, Ordering::Relaxed);
            self.spool.offsets.lock().expect("no holder panics").insert((self.layer, ordinal), self.at);
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.spool
            .file
            .write_at(bytes, self.at)
            .map_err(|error| Error::Write(orlop_spec::Fault::from(error).into()))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn hole(&mut self, size: u64) -> Result<(), Error> {
        self.at += size;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// The entries of a tree, each file followed by its content from the spool.
pub struct Spooled<'t> {
    spool: &'t Spool,
    entries: tree::Entries<'t>,
    content: Option<Window>,
    buffer: Vec<u8>,
}

/// What is left of the current file in the spool.
struct Window {
    at: u64,
    left: u64,
}

impl Entries for Spooled<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        let Some((entry, content)) = self.entries.next() else { return Ok(None) };
        self.content = content.map(|content| self.spool.window(&content)).transpose()?;
        Ok(Some(entry))
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        let Some(window) = self.content.as_mut().filter(|window| window.left > 0) else { return Ok(None) };
        let most = usize::try_from(window.left).unwrap_or(usize::MAX).min(self.buffer.len());
        let read = self.spool.file.read_at(&mut self.buffer[..most], window.at);
        let count = read.map_err(|error| Error::Read(orlop_spec::Fault::from(error).into()))?;
        // Past the end of the spool lies a hole that was the last thing of the last content.
        self.buffer[count..most].fill(0);
        window.at += most as u64;
        window.left -= most as u64;
        Ok(Some(Chunk::Data(&self.buffer[..most])))
    }
}
