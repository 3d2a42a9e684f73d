//! One pass from entries to a blob: canonical tar, diff id, compressed blocks, blob digest, tree.
//!
//! Invariant: the bytes depend on the entries, the codec and the algorithm alone, not on the number of workers.
//! Memory is a few blocks for each worker.
//!
//! ```text
//! entries ──► tar::Writer ──► blocks ──┬──► diff id
//!   └──► Tree                          └──► workers ──► in order again ──► blob digest ──► out
//! └───────── caller ─────────┘    └── threads ──┘       └───────────── caller ────────────┘
//! ```

mod press;

use crate::codec::Codec;
use crate::decode::next_ordinal;
use crate::entry::{Chunk, Entries, Entry, Kind, Time};
use crate::error::Error;
use crate::tar;
use crate::tree::{Builder, Tree};
use orlop_spec::digest::{Algorithm, DiffId};
use orlop_spec::port::Hints;
use orlop_spec::{Cancel, Descriptor, Limits};
use std::io::{ErrorKind, Read, Write};
use std::num::NonZeroUsize;

/// How a layer is encoded.
#[derive(Clone, Copy)]
pub struct Encode<'a> {
    /// How it is compressed.
    pub codec: Codec,
    /// What both digests are of.
    pub algorithm: Algorithm,
    /// Threads that compress at once.
    pub workers: NonZeroUsize,
    /// What the layer may cost.
    pub limits: &'a Limits,
    /// Looked at once per block, and for each entry.
    pub cancel: &'a Cancel,
    /// Told how many uncompressed bytes were made since the last call.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

impl Encode<'_> {
    /// What a place that the blob goes to is told of it.
    pub fn hints(&self) -> Hints {
        Hints { algorithm: self.algorithm, made_by: Some(self.codec.made_by()), ..Hints::default() }
    }
}

/// What was learned about a layer while it was written.
#[derive(Debug)]
pub struct Encoded {
    /// Digest of the uncompressed bytes.
    pub diff_id: DiffId,
    /// Media type, digest and size of the blob.
    pub blob: Descriptor,
    /// What the layer changes. Its files lie in layer 0: whoever stacks it knows better.
    pub tree: Tree,
    /// Number of uncompressed bytes.
    pub size: u64,
    /// The newest time of an entry; `None` where there is no entry but whiteouts.
    pub newest: Option<Time>,
}

/// What was learned about bytes that were compressed as they are.
#[derive(Debug)]
pub struct Compressed {
    /// Digest of the uncompressed bytes.
    pub diff_id: DiffId,
    /// Media type, digest and size of the blob.
    pub blob: Descriptor,
    /// Number of uncompressed bytes.
    pub size: u64,
}

/// Writes `entries` as a layer.
pub fn encode(entries: &mut dyn Entries, how: &Encode<'_>, out: &mut dyn Write) -> Result<Encoded, Error> {
    let ((tree, newest), Compressed { diff_id, blob, size }) =
        press::press(how, out, |out| write(entries, how, out))?;
    Ok(Encoded { diff_id, blob, tree, size, newest })
}

/// Compresses a tar that is kept as it is.
pub fn recompress(input: &mut dyn Read, how: &Encode<'_>, out: &mut dyn Write) -> Result<Compressed, Error> {
    press::press(how, out, |out| copy(input, out)).map(|((), compressed)| compressed)
}

fn write(
    entries: &mut dyn Entries,
    how: &Encode<'_>,
    out: &mut dyn Write,
) -> Result<(Tree, Option<Time>), Error> {
    let mut writer = tar::Writer::in_order(out, entries.order());
    let mut tree = Builder::new(0, how.limits);
    let mut newest = None;
    let mut ordinal = 0;
    while let Some(entry) = entries.next_entry()? {
        how.cancel.check().map_err(Error::cancelled)?;
        let offset = writer.entry(&entry)?;
        tree.add(ordinal, offset, &entry)?;
        newest = newest.max(time(&entry));
        while let Some(chunk) = entries.next_chunk()? {
            match chunk {
                Chunk::Data(bytes) => writer.data(bytes)?,
                Chunk::Hole(length) => writer.hole(length)?,
            }
        }
        ordinal = next_ordinal(ordinal)?;
    }
    writer.finish()?;
    Ok((tree.finish(), newest))
}

fn time(entry: &Entry) -> Option<Time> {
    (!matches!(entry.kind, Kind::Whiteout | Kind::Opaque)).then_some(entry.meta.mtime)
}

fn copy(input: &mut dyn Read, out: &mut dyn Write) -> Result<(), Error> {
    let mut buffer = vec![0; crate::codec::BUFFER];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => out.write_all(&buffer[..count]).map_err(Error::Write)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Read(error)),
        }
    }
}
