//! What several targets need: inputs that get past a checksum, and bounds that keep one run short.

use orlop_layer::entry::{Chunk, Entries, Entry};
use orlop_layer::error::Error;
use orlop_spec::Limits;

const BLOCK: usize = 512;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const MAGIC: std::ops::Range<usize> = 257..262;

/// Content beyond this is not compared: a hole of exabytes is one chunk to the reader, and a lifetime to a test.
const SHORT: u64 = 1 << 20;

/// Limits that one input can reach.
pub fn limits() -> Limits {
    Limits {
        header: 8 << 10,
        headers: 64 << 10,
        entries: 1000,
        sparse_runs: 1000,
        xattrs: 16,
        ..Limits::default()
    }
}

/// Gives every block that calls itself a header its right checksum, so that the fuzzer need not guess it.
pub fn seal(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    for block in sealed.chunks_exact_mut(BLOCK).filter(|block| &block[MAGIC] == b"ustar") {
        block[CHECKSUM].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    sealed
}

/// Every entry with its content, and whether the stream ended well. The content is `None` where it is long.
pub fn read_all(entries: &mut dyn Entries) -> (Vec<(Entry, Option<Vec<u8>>)>, Result<(), Error>) {
    let mut all = Vec::new();
    let end = loop {
        match read_one(entries) {
            Ok(Some(one)) => all.push(one),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    (all, end)
}

fn read_one(entries: &mut dyn Entries) -> Result<Option<(Entry, Option<Vec<u8>>)>, Error> {
    let Some(entry) = entries.next_entry()? else { return Ok(None) };
    let mut content = Vec::new();
    let mut length = 0_u64;
    while let Some(chunk) = entries.next_chunk()? {
        let more = match chunk {
            Chunk::Data(bytes) => bytes.len() as u64,
            Chunk::Hole(bytes) => bytes,
        };
        length = length.checked_add(more).expect("pieces add up to a size");
        match chunk {
            Chunk::Data(bytes) if length <= SHORT => content.extend_from_slice(bytes),
            Chunk::Hole(_) if length <= SHORT => content.resize(length as usize, 0),
            _ => {}
        }
    }
    Ok(Some((entry, (length <= SHORT).then_some(content))))
}
