//! A tree and the digest of every file in it: what comparing needs.

use crate::image::Image;
use crate::layers;
use orlop_layer::decode::Visit;
use orlop_layer::tree::{Builder, Content, Tree};
use orlop_layer::{Chunk, Entries, Entry, Error, Kind};
use orlop_spec::port::Result;
use orlop_spec::{Algorithm, Context, Digest, Hasher};
use std::collections::HashMap;
use std::sync::Mutex;

/// A file of a stack: its layer, and its ordinal in it.
type Key = (u16, u32);

/// A merged tree and the digest of every file in it.
#[derive(Debug, Default)]
pub struct Hashed {
    /// The merged tree.
    pub tree: Tree,
    digests: HashMap<Key, Digest>,
}

impl Hashed {
    /// Reads and proves every layer of an image.
    pub fn of_image(cx: &Context<'_>, image: &Image<'_>) -> Result<Self> {
        let digests = Mutex::new(HashMap::new());
        let opened =
            layers::open(cx, "read", image, &|layer, decode| decode(&mut FileHasher::new(layer, &digests)))?;
        let tree = layers::stack(opened.trees)?;
        Ok(Self { tree, digests: digests.into_inner().expect("no holder panics") })
    }

    /// Reads a folder or a root tar as a whole tree.
    pub fn of_entries(cx: &Context<'_>, entries: &mut dyn Entries) -> Result<Self> {
        let digests = Mutex::new(HashMap::new());
        let mut hasher = FileHasher::new(0, &digests);
        let mut builder = Builder::new(0, cx.limits);
        let mut ordinal = 0;
        while let Some(entry) = entries.next_entry()? {
            cx.cancel.check()?;
            let offset = entries.offset();
            hasher.entry(ordinal, offset, &entry)?;
            builder.add(ordinal, offset, &entry)?;
            ordinal += 1;
            if matches!(entry.kind, Kind::File { .. }) {
                feed(entries, &mut hasher)?;
            }
        }
        let tree = layers::stack([builder.finish()])?;
        Ok(Self { tree, digests: digests.into_inner().expect("no holder panics") })
    }

    /// The digest of a file's content.
    pub fn digest(&self, content: &Content) -> Option<&Digest> {
        self.digests.get(&(content.layer, content.ordinal))
    }
}

/// Passes the content of one file to a visitor.
pub(crate) fn feed(entries: &mut dyn Entries, visitor: &mut dyn Visit) -> Result<(), Error> {
    while let Some(chunk) = entries.next_chunk()? {
        match chunk {
            Chunk::Data(bytes) => visitor.data(bytes)?,
            Chunk::Hole(size) => visitor.hole(size)?,
        }
    }
    visitor.end()
}

/// Hashes the files of one layer as they pass.
struct FileHasher<'a> {
    layer: u16,
    digests: &'a Mutex<HashMap<Key, Digest>>,
    current: Option<(u32, Hasher)>,
}

impl<'a> FileHasher<'a> {
    fn new(layer: u16, digests: &'a Mutex<HashMap<Key, Digest>>) -> Self {
        Self { layer, digests, current: None }
    }
}

impl Visit for FileHasher<'_> {
    fn entry(&mut self, ordinal: u32, _: u64, entry: &Entry) -> Result<(), Error> {
        self.end()?;
        if matches!(entry.kind, Kind::File { .. }) {
            self.current = Some((ordinal, Hasher::new(Algorithm::Sha256)));
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some((_, hasher)) = &mut self.current {
            hasher.update(bytes);
        }
        Ok(())
    }

    fn hole(&mut self, size: u64) -> Result<(), Error> {
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        let mut left = size;
        while left > 0 {
            let count = left.min(ZEROS.len() as u64);
            self.data(&ZEROS[..usize::try_from(count).unwrap_or(ZEROS.len())])?;
            left -= count;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        if let Some((ordinal, hasher)) = self.current.take() {
            let digest = hasher.finish();
            self.digests.lock().expect("no holder panics").insert((self.layer, ordinal), digest);
        }
        Ok(())
    }
}
