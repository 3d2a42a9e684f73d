//! How the tar of an image is compressed (appc specification 0.8.11, `aci.md`, "Image Archives"): any of gzip, bzip2
//! and xz, or not at all.
//!
//! Invariant: decoding holds no more memory than the limit on windows, and gives no more bytes than the limit on sizes.

use bzip2::read::MultiBzDecoder;
use lzma_rust2::{XzOptions, XzReader, XzWriter};
use orlop_layer::codec;
use orlop_spec::Limits;
use orlop_spec::media_type::Compression;
use std::io::{self, BufRead, Read, Write};

/// A form of a tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Squeeze {
    /// None, gzip, or zstd, which no tool of App Containers reads.
    Layer(Compression),
    /// bzip2; only read.
    Bzip2,
    /// xz.
    Xz,
}

impl Squeeze {
    /// The form of what begins so.
    pub fn detect(start: &[u8]) -> Self {
        match start {
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            other => Self::Layer(codec::detect(other)),
        }
    }

    /// The tar.
    pub fn decoder<'a>(self, input: impl BufRead + Send + 'a, limits: &Limits) -> Box<dyn Read + Send + 'a> {
        let (limit, left) = (limits.size, limits.size);
        match self {
            Self::Layer(compression) => codec::decoder(compression, input, limits),
            Self::Bzip2 => Box::new(Bounded { inner: MultiBzDecoder::new(input), left, limit }),
            Self::Xz => {
                let memory = u32::try_from(limits.window >> 10).unwrap_or(u32::MAX);
                let inner = XzReader::new_mem_limit(input, true, memory);
                Box::new(Bounded { inner, left, limit })
            }
        }
    }
}

/// The preset of `xz` that is used: a dictionary of 8 MiB.
const PRESET: u32 = 6;

/// Writes xz.
pub fn xz<W: Write>(out: W) -> io::Result<Xz<W>> {
    XzWriter::new(out, XzOptions::with_preset(PRESET)).map(Xz)
}

/// A tar that is being compressed by xz.
pub struct Xz<W: Write>(XzWriter<W>);

impl<W: Write> Xz<W> {
    /// Writes the end.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for Xz<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives an error instead of more than the limit.
struct Bounded<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::other(orlop_layer::Error::Limit { what: "the uncompressed tar", limit: self.limit })
        })?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], limits: &Limits) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Squeeze::detect(bytes).decoder(bytes, limits).read_to_end(&mut out).map(|_| out)
    }

    fn squeezed(bytes: &[u8]) -> Vec<u8> {
        let mut out = xz(Vec::new()).expect("good options");
        out.write_all(bytes).expect("memory takes it");
        out.finish().expect("memory takes it")
    }

    #[test]
    fn xz_goes_both_ways_and_is_the_same_twice() {
        let text = b"to be, or not to be; ".repeat(2_000);
        assert_eq!(decode(&squeezed(&text), &Limits::default()).expect("whole"), text);
        assert_eq!(squeezed(&text), squeezed(&text));
    }

    #[test]
    fn more_than_the_limit_is_an_error_not_memory() {
        let limits = Limits { size: 1000, ..Limits::default() };
        let error = decode(&squeezed(&vec![0; 100_000]), &limits).expect_err("too much");
        assert!(error.to_string().contains("1000"), "{error}");
        let small = Limits { window: 1 << 20, ..Limits::default() };
        decode(&squeezed(b"x"), &small).expect_err("a dictionary of 8 MiB is too large");
    }

    #[test]
    fn what_is_cut_or_changed_is_an_error() {
        let whole = squeezed(&b"some text, ".repeat(1000));
        for end in [whole.len() - 1, whole.len() / 2, 7] {
            decode(&whole[..end], &Limits::default()).expect_err("cut");
        }
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        decode(&changed, &Limits::default()).expect_err("changed");
    }
}
