//! Content-defined chunks: pieces whose ends the bytes themselves decide, so that what moves within a file, or into another
//! one, is cut as it was.
//!
//! ```text
//! content:   …──┬───── 2 KiB to 64 KiB, most often about 10 ─────┬──…      a chunk ends where the hash of the last
//!               └──────────── one number names it ───────────────┘         bytes ends in 13 zero bits
//! ```
//!
//! Invariant: where chunks end, and by which number they go, depends on the bytes alone. The number is a hint: whoever uses it
//! compares the bytes.

/// Bytes of a chunk, at least, but for the last of a content.
const SHORTEST: usize = 2 << 10;
/// Bytes of a chunk, at most.
const LONGEST: usize = 64 << 10;
/// A chunk ends where these bits of the hash are zero.
const MASK: u64 = 0x1fff << 51;

/// A random number for each byte; the same ones always.
static GEAR: [u64; 256] = gear();

const fn gear() -> [u64; 256] {
    let mut table = [0; 256];
    let mut state = 0u64;
    let mut at = 0;
    while at < table.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        table[at] = mixed(state);
        at += 1;
    }
    table
}

const fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A piece of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Chunk {
    /// What its bytes are known by.
    pub(super) name: u64,
    /// Where it begins in the content.
    pub(super) at: u64,
    pub(super) length: u64,
}

/// Cuts a content that comes in pieces.
#[derive(Default)]
pub(super) struct Chunker {
    held: Vec<u8>,
    hash: u64,
    at: u64,
}

impl Chunker {
    /// Takes further bytes, and gives the chunks that end in them to `found`.
    pub(super) fn push(&mut self, mut bytes: &[u8], found: &mut dyn FnMut(Chunk)) {
        while !bytes.is_empty() {
            let count = self.scan(bytes);
            let (head, rest) = bytes.split_at(count.unwrap_or(bytes.len()));
            self.held.extend_from_slice(head);
            bytes = rest;
            if count.is_some() {
                found(self.cut());
            }
        }
    }

    /// The last chunk, where bytes are left.
    pub(super) fn finish(&mut self, found: &mut dyn FnMut(Chunk)) {
        if !self.held.is_empty() {
            found(self.cut());
        }
        *self = Self { held: std::mem::take(&mut self.held), ..Self::default() };
    }

    /// How many of the bytes end the chunk, where they do.
    fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        // The hash forgets what lies 64 bytes back: those before the shortest end need not be hashed.
        let quiet = (SHORTEST - 64).saturating_sub(self.held.len()).min(bytes.len());
        let most = (LONGEST - self.held.len()).min(bytes.len());
        for (count, byte) in bytes[..most].iter().enumerate().skip(quiet) {
            self.hash = (self.hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
            if self.hash & MASK == 0 && self.held.len() + count + 1 >= SHORTEST {
                return Some(count + 1);
            }
        }
        (self.held.len() + most == LONGEST).then_some(most)
    }

    fn cut(&mut self) -> Chunk {
        let length = self.held.len();
        let chunk = Chunk { name: name(&self.held), at: self.at, length: length as u64 };
        self.at += length as u64;
        self.hash = 0;
        self.held.clear();
        chunk
    }
}

/// A number for bytes.
fn name(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let mut state = bytes.len() as u64;
    for word in &mut words {
        state = step(state, u64::from_le_bytes(word.try_into().expect("eight bytes")));
    }
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    mixed(step(state, u64::from_le_bytes(last)))
}

fn step(state: u64, word: u64) -> u64 {
    (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(bytes: &[u8], piece: usize) -> Vec<Chunk> {
        let (mut chunker, mut found) = (Chunker::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            chunker.push(piece, &mut |chunk| found.push(chunk));
        }
        chunker.finish(&mut |chunk| found.push(chunk));
        found
    }

    fn noise(length: usize) -> Vec<u8> {
        (0..length as u64).map(|at| mixed(at).to_le_bytes()[0]).collect()
    }

    #[test]
    fn chunks_do_not_tell_how_the_content_came() {
        let bytes = noise(300_000);
        let whole = chunks(&bytes, bytes.len());
        assert_eq!(whole, chunks(&bytes, 1));
        assert_eq!(whole, chunks(&bytes, 4097));
        assert_eq!(whole.iter().map(|chunk| chunk.length).sum::<u64>(), 300_000);
        assert!(whole.len() > 15, "{} chunks", whole.len());
    }

    #[test]
    fn an_insertion_moves_few_ends() {
        let bytes = noise(300_000);
        let longer = [&noise(100)[50..], &bytes].concat();
        let names = |bytes: &[u8]| chunks(bytes, 1000).iter().map(|chunk| chunk.name).collect::<Vec<_>>();
        let (before, after) = (names(&bytes), names(&longer));
        let kept = after.iter().filter(|name| before.contains(name)).count();
        assert!(kept + 2 >= before.len(), "{kept} of {}", before.len());
    }

    #[test]
    fn chunks_keep_to_their_bounds() {
        for chunk in chunks(&vec![0; 500_000], 10_000) {
            assert!(chunk.length <= LONGEST as u64);
        }
        let random = chunks(&noise(500_000), 10_000);
        assert!(random[..random.len() - 1].iter().all(|chunk| chunk.length >= SHORTEST as u64));
        assert!(chunks(&[], 1).is_empty());
    }
}
