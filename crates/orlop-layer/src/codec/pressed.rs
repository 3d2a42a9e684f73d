//! Compressing what is read, several blocks at once.
//!
//! Invariant: the bytes are those that [`encode`](crate::encode()) makes of the same input, whatever the number of workers.
//! Memory is a few blocks for each worker.

use super::{Codec, Workers};
use crate::buffers::{Buffer, Pool};
use crate::error::Error;
use std::io::{self, ErrorKind, Read};
use std::num::NonZeroUsize;
use std::sync::Arc;

/// The compressed form of what is read.
pub struct Pressed<R> {
    input: R,
    codec: Codec,
    pool: Pool,
    workers: Workers,
    is_at_end: bool,
    /// The block that is given, and how much of it was.
    block: Vec<u8>,
    at: usize,
}

impl<R: Read> Pressed<R> {
    /// Compresses `input`, which is read to its end.
    pub fn new(codec: Codec, input: R, workers: NonZeroUsize) -> Self {
        let (pool, workers) = (Pool::new(codec.block()), Workers::new(codec, workers));
        Self { input, codec, pool, workers, is_at_end: false, block: Vec::new(), at: 0 }
    }

    /// Whether there is another block.
    fn advance(&mut self) -> io::Result<bool> {
        while !self.is_at_end && !self.workers.is_busy() {
            let block = self.cut()?;
            self.is_at_end = !block.is_full();
            // An empty input is a block too.
            if !block.is_empty() || self.workers.has_done_nothing() {
                self.workers.compress(Arc::new(block));
            }
        }
        if self.workers.under_way() == 0 {
            return Ok(false);
        }
        let block = self.workers.next()?;
        self.workers.recycle(std::mem::replace(&mut self.block, block));
        self.at = 0;
        Ok(true)
    }

    /// The next block of the input; the last one is not full.
    fn cut(&mut self) -> Result<Buffer, Error> {
        let mut block = self.pool.empty();
        while !block.is_full() {
            match block.fill(&mut self.input) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Read(error)),
            }
        }
        Ok(block)
    }
}

impl<R: Read> Read for Pressed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.codec == Codec::None {
            return self.input.read(out);
        }
        while self.at == self.block.len() {
            if out.is_empty() || !self.advance()? {
                return Ok(0);
            }
        }
        let count = (&self.block[self.at..]).read(out)?;
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Blocks;
    use std::io::Write as _;

    /// Gives a few bytes at a time, and a signal between them.
    struct Trickle<'a>(&'a [u8], bool);

    impl Read for Trickle<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            let most = out.len().min(77_777);
            if self.1 { Err(ErrorKind::Interrupted.into()) } else { self.0.read(&mut out[..most]) }
        }
    }

    #[test]
    fn the_bytes_are_those_of_a_layer_however_many_work() {
        for codec in [Codec::None, Codec::Gzip { level: 1 }, Codec::Zstd { level: 1 }] {
            let block = codec.block();
            for length in [0, 1, block, block + 1, 9 * block, 9 * block + 5] {
                let input: Vec<u8> = b"a block of input".iter().copied().cycle().take(length).collect();
                let mut blocks = Blocks::new(codec, Vec::new());
                blocks.write_all(&input).expect("into memory");
                let expected = blocks.finish().expect("into memory");
                for workers in [1, 2, 5] {
                    let workers = NonZeroUsize::new(workers).expect("some");
                    let mut pressed = Pressed::new(codec, Trickle(&input, false), workers);
                    let (mut out, mut piece) = (Vec::new(), vec![0; 100_001]);
                    loop {
                        match pressed.read(&mut piece) {
                            Ok(0) => break,
                            Ok(count) => out.extend_from_slice(&piece[..count]),
                            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted),
                        }
                    }
                    assert!(out == expected, "{codec}, {length} bytes, {workers} workers");
                }
            }
        }
    }

    #[test]
    fn a_reader_that_fails_is_heard() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::PermissionDenied.into())
            }
        }
        let input = io::repeat(7).take(600_000).chain(Broken);
        let error = io::copy(&mut Pressed::new(Codec::GZIP, input, NonZeroUsize::MIN), &mut io::sink());
        assert_eq!(error.expect_err("broken").kind(), ErrorKind::PermissionDenied);
    }
}
