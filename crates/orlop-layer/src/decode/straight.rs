//! All steps on the caller's thread.

use super::{Decode, Decoded, Failed, Visit, Watched, walk};
use crate::budget::Budget;
use crate::codec::{BUFFER, Decoder};
use crate::error::Error;
use crate::hashed::Hashed;
use crate::verified::Verified;
use orlop_spec::Cancel;
use std::io::{self, BufRead, BufReader, Read};

pub(super) fn decode<R: Read>(
    blob: &mut Verified<R>,
    how: &Decode<'_>,
    visitor: &mut dyn Visit,
) -> Result<Decoded, Error> {
    let hashed = how.hasher(blob);
    let input = BufReader::with_capacity(BUFFER, Watched::new(blob, how));
    let mut stream = Stream::new(Decoder::new(how.compression, input, how.limits), hashed, how);
    let walked = walk(&mut stream, how, visitor);
    let Stream { hashed, failed, .. } = stream;
    let walked = match (walked, failed) {
        // The visitor's word counts; and a stream that failed has no more to say.
        (Err(Failed::Visitor(error)), _) | (_, Some(error @ Error::Read(_))) => return Err(error),
        (_, Some(error)) | (Err(Failed::Bytes(error)), None) => Err(error),
        (Ok(tree), None) => Ok(tree),
    };
    Watched::new(blob, how).drain()?;
    Ok(Decoded::new(hashed.finish(), walked?))
}

/// The uncompressed bytes, hashed while they pass. Keeps the decoder's error, which a `BufRead` cannot say.
struct Stream<'a, B> {
    decoder: Decoder<B>,
    hashed: Hashed,
    buffer: Box<[u8]>,
    length: usize,
    at: usize,
    cancel: &'a Cancel,
    budget: &'a Budget,
    failed: Option<Error>,
}

impl<'a, B: BufRead> Stream<'a, B> {
    fn new(decoder: Decoder<B>, hashed: Hashed, how: &Decode<'a>) -> Self {
        let buffer = vec![0; BUFFER].into();
        let (cancel, budget) = (how.cancel, how.budget);
        Self { decoder, hashed, buffer, length: 0, at: 0, cancel, budget, failed: None }
    }

    fn refill(&mut self) -> Result<(), Error> {
        self.cancel.check().map_err(Error::cancelled)?;
        (self.at, self.length) = (0, 0);
        let length = self.decoder.fill(&mut self.buffer)?;
        self.budget.take(length as u64)?;
        self.length = length;
        self.hashed.update(&self.buffer[..self.length]);
        Ok(())
    }
}

impl<B: BufRead> BufRead for Stream<'_, B> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.length
            && let Err(error) = self.refill()
        {
            self.failed = Some(error);
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(&self.buffer[self.at..self.length])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

impl<B: BufRead> Read for Stream<'_, B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}
