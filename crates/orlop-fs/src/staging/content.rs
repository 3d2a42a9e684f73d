//! The content of one new file: bytes as they come, long runs of zeros left out as holes.

use crate::call;
use rustix::fd::AsFd;
use rustix::io::{Errno, Result};

/// Zeros of this length, at a multiple of it, become a hole: a block of most file systems.
const BLOCK: usize = 4096;

/// A file that is being written.
pub(crate) struct Output<F> {
    file: F,
    /// Where the next byte belongs.
    at: u64,
    /// Where the file ends now.
    end: u64,
}

impl<F: AsFd> Output<F> {
    pub(crate) fn new(file: F) -> Self {
        Self::at(file, 0)
    }

    /// Goes on at a position behind all that the file has.
    pub(crate) fn at(file: F, at: u64) -> Self {
        Self { file, at, end: 0 }
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (length, holds) = self.run(bytes);
            match holds {
                Holds::Zeros => self.skip(length as u64),
                Holds::Data => self.put(&bytes[..length])?,
            }
            bytes = &bytes[length..];
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, length: u64) {
        self.at += length;
    }

    /// The file, as long as it should be.
    pub(crate) fn finish(self) -> Result<F> {
        if self.end < self.at {
            call::set_len(&self.file, self.at)?;
        }
        Ok(self.file)
    }

    /// The first run of `bytes` that is all zeros from edge to edge of its blocks, or has no such block. What
    /// lies before the first edge and after the last counts as a block: pieces end where they like, and a zero
    /// that is not written reads as one.
    fn run(&self, bytes: &[u8]) -> (usize, Holds) {
        let holds = |at: usize| {
            let past = usize::try_from((self.at + at as u64) % BLOCK as u64).expect("less than a block");
            let end = bytes.len().min(at + BLOCK - past);
            (end, if is_zero(&bytes[at..end]) { Holds::Zeros } else { Holds::Data })
        };
        let (mut length, first) = holds(0);
        while length < bytes.len() {
            let (end, next) = holds(length);
            if next != first {
                break;
            }
            length = end;
        }
        (length, first)
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            // The position of the handle follows as long as there are no holes, and saves the kernel nothing:
            // one call for both keeps this simple.
            match call::write_at(&self.file, bytes, self.at) {
                Ok(count) => {
                    bytes = &bytes[count..];
                    self.at += count as u64;
                    self.end = self.at;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Data,
    Zeros,
}

/// Most blocks of data show it in their first bytes. Never asked for nothing.
fn is_zero(block: &[u8]) -> bool {
    block[0] == 0 && block[1..] == block[..block.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(at: u64, bytes: &[u8]) -> Vec<(usize, bool)> {
        let file = call::open_dir(rustix::fs::CWD, b".").expect("there");
        let mut output = Output { file, at, end: 0 };
        let (mut found, mut rest) = (Vec::new(), bytes);
        while !rest.is_empty() {
            let (length, holds) = output.run(rest);
            found.push((length, holds == Holds::Zeros));
            output.at += length as u64;
            rest = &rest[length..];
        }
        found
    }

    #[test]
    fn zero_blocks_are_found_at_multiples() {
        let mut bytes = vec![1; 5 * BLOCK];
        bytes[BLOCK..3 * BLOCK].fill(0);
        assert_eq!(runs(0, &bytes), [(BLOCK, false), (2 * BLOCK, true), (2 * BLOCK, false)]);
        // Shifted by ten bytes, only one block is zero from edge to edge.
        let shifted = [(2 * BLOCK - 10, false), (BLOCK, true), (2 * BLOCK + 10, false)];
        assert_eq!(runs(10, &bytes), shifted);
        assert_eq!(runs(0, &[0; 2 * BLOCK]), [(2 * BLOCK, true)]);
    }

    #[test]
    fn zeros_at_the_edges_of_a_piece_are_left_out_too() {
        assert_eq!(runs(0, &[0; 100]), [(100, true)]);
        assert_eq!(runs(100, &[0; 3 * BLOCK]), [(3 * BLOCK, true)]);
        let mut bytes = vec![0; 2 * BLOCK];
        bytes[2 * BLOCK - 1] = 1;
        assert_eq!(runs(100, &bytes), [(2 * BLOCK - 100, true), (100, false)]);
    }
}
