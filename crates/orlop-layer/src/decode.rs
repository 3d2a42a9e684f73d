//! One pass over a layer's blob: both digests, the tree, and every entry for a visitor.
//!
//! Invariant: [`decode`] returns well only when the blob is what its descriptor says and the uncompressed bytes
//! are what the config says. Where a decoder fails, the blob is read to its end first: a wrong digest is the
//! verdict if there is one. What a visitor says comes back as it was said.
//!
//! ```text
//!         Verified          Decoder          Hasher
//! blob ──► blob digest ──► inflate ──┬──► diff id
//!                                    └──► tar::Reader ──► Tree, visitor
//! One        └───────────────── one thread ─────────────────┘
//! Pipelined  └─ thread ─┘  └─ thread ┘ └─ thread ┘ └─ caller ┘
//! ```

mod literal;
mod pipeline;
mod straight;

use crate::budget::Budget;
use crate::entry::{Chunk, Entries, Entry};
use crate::error::Error;
use crate::hashed::Hashed;
use crate::tar;
use crate::tree::{Builder, Tree};
use crate::verified::Verified;
use literal::{Literals, Shared};
use orlop_spec::digest::{DiffId, Digest};
use orlop_spec::media_type::Compression;
use orlop_spec::{Cancel, Fault, Limits};
use std::io::{self, BufRead, Read};

/// Entries that a thread takes from the sum of all at once.
const TAKEN_AT_ONCE: u64 = 1024;

/// Sees the entries of a layer in their order. The layer is not proven while it is seen.
pub trait Visit {
    /// The next entry: the `ordinal`th, beginning at `offset` of the uncompressed bytes.
    fn entry(&mut self, ordinal: u32, offset: u64, entry: &Entry) -> Result<(), Error>;

    /// The next bytes of the content of the file that came last.
    fn data(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// So many zeros of its content, which the archive does not store.
    fn hole(&mut self, length: u64) -> Result<(), Error>;

    /// The layer is whole and proven.
    fn end(&mut self) -> Result<(), Error>;

    /// Whether it does anything with contents, or with entries; else the tree is enough.
    fn wants_anything(&self) -> bool {
        true
    }

    /// Whether [`Visit::literal`] is called.
    fn wants_literals(&self) -> bool {
        false
    }

    /// The next bytes of the uncompressed layer that are given as content of no file: headers, padding, maps of
    /// sparse files, what follows the end. Together with all of [`Visit::data`], in the order of the calls, they are
    /// the uncompressed layer. The last header of a member may come after its [`Visit::entry`], but before its data.
    fn literal(&mut self, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

/// Sees nothing.
impl Visit for () {
    fn entry(&mut self, _: u32, _: u64, _: &Entry) -> Result<(), Error> {
        Ok(())
    }

    fn data(&mut self, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn hole(&mut self, _: u64) -> Result<(), Error> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn wants_anything(&self) -> bool {
        false
    }
}

/// How many threads decode one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stages {
    /// The caller's: right where other layers keep the other cores busy.
    One,
    /// Four: reading and blob digest, inflating, diff id, and the caller's for tar and visitor.
    Pipelined,
}

/// How a layer is decoded.
#[derive(Clone, Copy)]
pub struct Decode<'a> {
    /// How the blob is compressed.
    pub compression: Compression,
    /// What the config says about the uncompressed bytes; without it they are hashed and not compared.
    pub expected: Option<DiffId>,
    /// Which layer of the image this is, the base being 0.
    pub layer: u16,
    /// What the layer may cost.
    pub limits: &'a Limits,
    /// What it shares with the other layers of the image.
    pub budget: &'a Budget,
    /// Looked at once per buffer.
    pub cancel: &'a Cancel,
    /// How many threads.
    pub stages: Stages,
    /// Told how many bytes of the blob were read since the last call.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

/// What was learned about a layer.
#[derive(Debug)]
pub struct Decoded {
    /// Digest of the uncompressed bytes.
    pub diff_id: DiffId,
    /// Their number.
    pub size: u64,
    /// What the layer changes.
    pub tree: Tree,
}

/// Decodes a layer.
pub fn decode<R: Read + Send>(
    blob: &mut Verified<R>,
    how: &Decode<'_>,
    visitor: &mut dyn Visit,
) -> Result<Decoded, Error> {
    let decoded = match how.stages {
        Stages::One => straight::decode(blob, how, visitor)?,
        Stages::Pipelined => pipeline::decode(blob, how, visitor)?,
    };
    if let Some(expected) = how.expected.filter(|expected| *expected != decoded.diff_id) {
        let (found, expected) = (Box::new(decoded.diff_id.0), Box::new(expected.0));
        return Err(Error::WrongDiffId { found, expected });
    }
    visitor.end()?;
    Ok(decoded)
}

impl Decoded {
    fn new((digest, size): (Digest, u64), tree: Tree) -> Self {
        Self { diff_id: DiffId(digest), size, tree }
    }
}

impl Decode<'_> {
    /// The algorithm of the diff id: the one to compare with, else the blob's.
    fn hasher<R: Read>(&self, blob: &Verified<R>) -> Hashed {
        let digest = self.expected.map_or(blob.digest(), |expected| expected.0);
        Hashed::new(digest.algorithm())
    }
}

/// Who failed while the entries were walked.
enum Failed {
    /// The bytes, which may be damaged: other steps have a say.
    Bytes(Error),
    /// The visitor: nothing else matters.
    Visitor(Error),
}

/// Walks all entries of a tar.
fn walk(input: impl BufRead, how: &Decode<'_>, visitor: &mut dyn Visit) -> Result<Tree, Failed> {
    let visitor = Shared::new(visitor);
    let walked = walk_all(tar::Reader::new(Literals::new(input, &visitor), how.limits), how, &visitor);
    // The reader saw a stream that failed; the visitor knows why.
    visitor.into_failure().map_or(walked, |error| Err(Failed::Visitor(error)))
}

fn walk_all(
    mut reader: tar::Reader<impl BufRead>,
    how: &Decode<'_>,
    visitor: &Shared<'_>,
) -> Result<Tree, Failed> {
    let mut tree = Builder::new(how.layer, how.limits);
    let mut ordinal = 0;
    while let Some(entry) = reader.next_entry().map_err(Failed::Bytes)? {
        tree.add(ordinal, reader.offset(), &entry).map_err(Failed::Bytes)?;
        visitor.borrow().entry(ordinal, reader.offset(), &entry).map_err(Failed::Visitor)?;
        while let Some(chunk) = reader.next_chunk().map_err(Failed::Bytes)? {
            let seen = match chunk {
                Chunk::Data(bytes) => visitor.data(bytes),
                Chunk::Hole(length) => visitor.borrow().hole(length),
            };
            seen.map_err(Failed::Visitor)?;
        }
        ordinal = next_ordinal(ordinal).map_err(Failed::Bytes)?;
    }
    Ok(tree.finish())
}

/// The tree of an uncompressed layer that was proven before, by whoever gives it; contents are passed over.
pub fn tree(input: impl BufRead, layer: u16, limits: &Limits) -> Result<Tree, Error> {
    tree_within(&Budget::of_entries(u64::MAX), input, layer, limits)
}

/// As [`tree`], of one of several layers, whose entries are limited together while they are read.
pub fn tree_within(
    entries: &Budget,
    input: impl BufRead,
    layer: u16,
    limits: &Limits,
) -> Result<Tree, Error> {
    let mut reader = tar::Reader::new(input, limits);
    let mut tree = Builder::new(layer, limits);
    let (mut ordinal, mut taken) = (0, 0);
    while let Some(entry) = reader.next_entry()? {
        tree.add(ordinal, reader.offset(), &entry)?;
        ordinal = next_ordinal(ordinal)?;
        // One entry may be many: the folders on the way to it are some.
        let now = tree.len();
        if now >= taken + TAKEN_AT_ONCE {
            entries.take(now - taken)?;
            taken = now;
        }
    }
    let tree = tree.finish();
    entries.take(tree.len().saturating_sub(taken))?;
    Ok(tree)
}

/// Trees count entries in 32 bits.
pub(crate) fn next_ordinal(ordinal: u32) -> Result<u32, Error> {
    let limit = u64::from(u32::MAX);
    ordinal.checked_add(1).ok_or(Error::Limit { what: "the number of entries of the archive", limit })
}

/// A blob on its way: tells the progress, and stops where the user wants to.
struct Watched<'a, R> {
    blob: &'a mut Verified<R>,
    cancel: &'a Cancel,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<'a, R: Read> Watched<'a, R> {
    fn new(blob: &'a mut Verified<R>, how: &Decode<'a>) -> Self {
        Self { blob, cancel: how.cancel, progress: how.progress }
    }

    /// Reads to the end, for the verdict on the blob's digest.
    fn drain(mut self) -> Result<(), Error> {
        io::copy(&mut self, &mut io::sink()).map(drop).map_err(Error::Read)
    }
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.cancel.check().map_err(Fault::from)?;
        let count = self.blob.read(out)?;
        (self.progress)(count as u64);
        Ok(count)
    }
}
