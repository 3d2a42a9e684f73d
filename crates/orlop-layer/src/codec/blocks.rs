//! Compressing what is written, on the caller's thread.
//!
//! Invariant: the bytes are those that [`encode`](crate::encode()) makes of the same input. Memory is two blocks.

use super::{Codec, Encoder};
use std::io::{self, Write};

/// Compresses block by block. What is not finished lacks its last block.
pub struct Blocks<W> {
    out: W,
    encoder: Encoder,
    size: usize,
    block: Vec<u8>,
    encoded: Vec<u8>,
    is_empty: bool,
}

impl<W: Write> Blocks<W> {
    /// Compresses into `out`.
    pub fn new(codec: Codec, out: W) -> Self {
        let (encoder, size) = (Encoder::new(codec), codec.block());
        Self { out, encoder, size, block: Vec::new(), encoded: Vec::new(), is_empty: true }
    }

    /// Compresses what is left; an empty input is a block too.
    pub fn finish(mut self) -> io::Result<W> {
        if self.is_empty || !self.block.is_empty() {
            self.press()?;
        }
        Ok(self.out)
    }

    fn press(&mut self) -> io::Result<()> {
        self.encoder.encode(&self.block, &mut self.encoded)?;
        self.block.clear();
        self.is_empty = false;
        self.out.write_all(&self.encoded)
    }
}

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.size - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == self.size {
            self.press()?;
        }
        Ok(count)
    }

    /// Blocks are cut where they are full, and nowhere else.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Encode;
    use crate::encode::recompress;
    use orlop_spec::digest::Algorithm;
    use orlop_spec::{Cancel, Limits};
    use std::num::NonZeroUsize;

    #[test]
    fn the_bytes_are_those_of_a_layer() {
        let (limits, cancel) = (Limits::default(), Cancel::new());
        for codec in [Codec::None, Codec::GZIP, Codec::ZSTD] {
            let (algorithm, workers) = (Algorithm::Sha256, NonZeroUsize::MIN);
            let how =
                Encode { codec, algorithm, workers, limits: &limits, cancel: &cancel, progress: &|_| () };
            for length in [0, 1, codec.block(), codec.block() + 1] {
                let input: Vec<u8> = b"a block of input".iter().copied().cycle().take(length).collect();
                let mut expected = Vec::new();
                recompress(&mut &input[..], &how, &mut expected).expect("compresses");
                let mut blocks = Blocks::new(codec, Vec::new());
                for piece in input.chunks(100_003) {
                    blocks.write_all(piece).expect("into memory");
                }
                assert!(blocks.finish().expect("into memory") == expected, "{codec}, {length}");
            }
        }
    }
}
