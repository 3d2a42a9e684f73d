//! A tree and the digest of every file in it: what comparing needs.

use crate::image::{Image, Layer};
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

/// The digests of contents.
pub type Digests = HashMap<Key, Digest>;

/// A merged tree and the digest of every file in it.
#[derive(Debug, Default)]
pub struct Hashed {
    /// The merged tree.
    pub tree: Tree,
    digests: Digests,
}

impl Hashed {
    /// Reads and proves every layer of an image.
    pub fn of_image(cx: &Context<'_>, image: &Image<'_>) -> Result<Self> {
        let (trees, digests) = read(cx, image, 0)?;
        Ok(Self { tree: layers::stack(trees)?, digests })
    }

    /// Reads and proves every layer of two images. The layers that both begin with are read once, from the first: by
    /// their digests they are the same.
    pub fn of_images(cx: &Context<'_>, before: &Image<'_>, after: &Image<'_>) -> Result<(Self, Self)> {
        let shared = shared(before, after)?;
        let (trees, digests) = read(cx, before, 0)?;
        let (own_trees, mut own_digests) = read(cx, after, shared)?;
        let base: Vec<Tree> = trees[..shared.into()].to_vec();
        own_digests.extend(digests.iter().filter(|((layer, _), _)| *layer < shared));
        let tree = layers::stack(base.into_iter().chain(own_trees))?;
        Ok((Self { tree: layers::stack(trees)?, digests }, Self { tree, digests: own_digests }))
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

    /// A tree whose contents are known, by their layers and ordinals.
    pub fn known(tree: Tree, digests: Digests) -> Self {
        Self { tree, digests }
    }

    /// The digest of a file's content.
    pub fn digest(&self, content: &Content) -> Option<&Digest> {
        self.digests.get(&(content.layer, content.ordinal))
    }
}

/// The trees of an image's layers from the `first` on, and the digest of every file in them.
fn read(cx: &Context<'_>, image: &Image<'_>, first: u16) -> Result<(Vec<Tree>, Digests)> {
    let digests = Mutex::new(HashMap::new());
    let opened = layers::open_from(cx, "read", image, first, &|layer, decode| {
        decode(&mut FileHasher::new(layer, &digests))
    })?;
    Ok((opened.trees, digests.into_inner().expect("no holder panics")))
}

/// How many layers two images begin with alike.
fn shared(one: &Image<'_>, other: &Image<'_>) -> Result<u16> {
    let (one, other) = (one.layers()?, other.layers()?);
    let is_same = |(one, other): &(&Layer<'_>, &Layer<'_>)| {
        (&one.blob.digest, one.blob.size, one.diff_id, one.compression)
            == (&other.blob.digest, other.blob.size, other.diff_id, other.compression)
    };
    let count = one.iter().zip(&other).take_while(is_same).count();
    Ok(u16::try_from(count).unwrap_or(u16::MAX))
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
pub(crate) struct FileHasher<'a> {
    layer: u16,
    digests: &'a Mutex<Digests>,
    current: Option<(u32, Hasher)>,
}

impl<'a> FileHasher<'a> {
    pub(crate) fn new(layer: u16, digests: &'a Mutex<Digests>) -> Self {
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
