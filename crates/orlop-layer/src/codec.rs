//! Codecs: how the bytes of a tar become the bytes of a blob, and back.
//!
//! Invariant: decoding uses fixed memory whatever the input says. Encoding cuts the input at fixed offsets and
//! makes each block from a fresh state, so the bytes do not depend on how many threads do it
//! (`docs/formats/compression.md`).

mod blocks;
mod encoder;
mod frame;
mod gunzip;
mod made;
mod pressed;
mod recipe;
mod unzstd;
mod workers;

pub use blocks::Blocks;
pub(crate) use encoder::Encoder;
pub use frame::Frame;
pub use made::{FRAMING, first_block, made_by};
pub use pressed::Pressed;
pub use recipe::{NoRecipe, Recipe};
pub(crate) use workers::Workers;

use crate::error::Error;
use orlop_spec::Limits;
use orlop_spec::media_type::Compression;
use orlop_spec::port::MadeBy;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::str::FromStr;

/// Bytes of a buffer between two steps of a pipeline.
pub(crate) const BUFFER: usize = 256 << 10;

/// How a layer is compressed when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not at all.
    None,
    /// Members of 512 KiB of input each.
    Gzip {
        /// 1 (fast) to 12 (small).
        level: u8,
    },
    /// Frames of 4 MiB of input each.
    Zstd {
        /// 1 (fast) to 22 (small).
        level: u8,
    },
}

impl Codec {
    /// Gzip as it is written where no level is asked for.
    pub const GZIP: Self = Self::Gzip { level: 6 };
    /// Zstd as it is written where no level is asked for.
    pub const ZSTD: Self = Self::Zstd { level: 3 };

    /// What a media type says about it.
    pub fn compression(self) -> Compression {
        match self {
            Self::None => Compression::None,
            Self::Gzip { .. } => Compression::Gzip,
            Self::Zstd { .. } => Compression::Zstd,
        }
    }

    /// As a place is told of it that blobs are written to.
    pub fn made_by(self) -> MadeBy {
        let level = match self {
            Self::None => 0,
            Self::Gzip { level } | Self::Zstd { level } => level,
        };
        MadeBy { compression: self.compression(), level }
    }

    /// Bytes of input that make one block.
    pub(crate) fn block(self) -> usize {
        match self {
            Self::None => BUFFER,
            Self::Gzip { .. } => 512 << 10,
            Self::Zstd { .. } => 4 << 20,
        }
    }
}

impl From<MadeBy> for Codec {
    fn from(MadeBy { compression, level }: MadeBy) -> Self {
        match compression {
            Compression::None => Self::None,
            Compression::Gzip => Self::Gzip { level },
            Compression::Zstd => Self::Zstd { level },
        }
    }
}

impl Default for Codec {
    fn default() -> Self {
        Self::GZIP
    }
}

impl FromStr for Codec {
    type Err = Error;

    /// `none`, `gzip[:LEVEL]`, `zstd[:LEVEL]`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::UnknownCodec { text: text.into() };
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let level = |default: u8, most: u8| match level {
            None => Ok(default),
            Some(digits) if !digits.bytes().all(|byte| byte.is_ascii_digit()) => Err(unknown()),
            Some(digits) => {
                digits.parse().ok().filter(|level| (1..=most).contains(level)).ok_or_else(unknown)
            }
        };
        match name {
            "none" if text == name => Ok(Self::None),
            "gzip" => Ok(Self::Gzip { level: level(6, 12)? }),
            "zstd" => Ok(Self::Zstd { level: level(3, 22)? }),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => out.write_str("none"),
            Self::Gzip { level } => write!(out, "gzip:{level}"),
            Self::Zstd { level } => write!(out, "zstd:{level}"),
        }
    }
}

/// How bytes that begin with `start` are compressed; four bytes are enough to tell.
pub fn detect(start: &[u8]) -> Compression {
    match start {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// Decodes `input`, which must be whole: every checksum is checked, and nothing but zeros after gzip members is
/// passed over. Errors are of kind integrity, or limit for too much output or a window too large.
pub fn decoder<'a>(
    compression: Compression,
    input: impl Read + Send + 'a,
    limits: &Limits,
) -> Box<dyn Read + Send + 'a> {
    Box::new(Decoder::new(compression, BufReader::with_capacity(BUFFER, input), limits))
}

/// Decodes a stream, member after member or frame after frame.
pub(crate) struct Decoder<B> {
    form: Form<B>,
    has_begun: bool,
    given: u64,
    limit: u64,
}

enum Form<B> {
    Plain(B),
    Gzip(gunzip::Gunzip<B>),
    Zstd(unzstd::Unzstd<B>),
}

impl<B: BufRead> Decoder<B> {
    pub(crate) fn new(compression: Compression, input: B, limits: &Limits) -> Self {
        let form = match compression {
            Compression::None => Form::Plain(input),
            Compression::Gzip => Form::Gzip(gunzip::Gunzip::new(input)),
            Compression::Zstd => Form::Zstd(unzstd::Unzstd::new(input, limits.window)),
        };
        Self { form, has_begun: false, given: 0, limit: limits.size }
    }

    /// Fills as much of `out` as the stream has; less only at its end.
    pub(crate) fn fill(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < out.len() {
            match self.some(&mut out[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// At least one byte, unless the stream is at its end.
    fn some(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.recognise()?;
        }
        let count = match &mut self.form {
            Form::Plain(input) => take(input, out)?,
            Form::Gzip(gzip) => gzip.read(out)?,
            Form::Zstd(zstd) => zstd.read(out)?,
        };
        self.given += count as u64;
        if self.given > self.limit {
            return Err(Error::Limit { what: "the uncompressed size", limit: self.limit });
        }
        Ok(count)
    }

    /// Looks at the first bytes.
    fn recognise(&mut self) -> Result<(), Error> {
        let (input, compression) = match &mut self.form {
            Form::Plain(input) => (input, Compression::None),
            Form::Gzip(gzip) => (gzip.input(), Compression::Gzip),
            Form::Zstd(zstd) => (zstd.input(), Compression::Zstd),
        };
        check(compression, fill_buf(input)?)
    }
}

/// An error where the first bytes of a stream are of another form than the expected one.
pub fn check(compression: Compression, start: &[u8]) -> Result<(), Error> {
    let expected = match compression {
        Compression::None => "tar",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    };
    match recognised(start) {
        Some(found) if found != expected => Err(Error::OtherForm { found, expected }),
        _ => Ok(()),
    }
}

/// The form of which the first bytes of a stream are; `None` where they tell nothing. What says that it is a tar is
/// one, whatever the name of its first member looks like.
fn recognised(start: &[u8]) -> Option<&'static str> {
    if start.get(257..262) == Some(b"ustar") {
        return Some("tar");
    }
    match start {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Some("bzip2"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some("lz4"),
        [b'L', b'Z', b'I', b'P', 0 | 1, ..] => Some("lzip"),
        [b'P', b'K', 3, 4, ..] => Some("zip"),
        _ => None,
    }
}

impl<B: BufRead> Read for Decoder<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        self.some(out).map_err(io::Error::from)
    }
}

fn take(input: &mut impl BufRead, out: &mut [u8]) -> Result<usize, Error> {
    let bytes = fill_buf(input)?;
    let count = bytes.len().min(out.len());
    out[..count].copy_from_slice(&bytes[..count]);
    input.consume(count);
    Ok(count)
}

/// `fill_buf`, again where a signal came between.
fn fill_buf(input: &mut impl BufRead) -> Result<&[u8], Error> {
    while let Err(error) = input.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(Error::Read(error));
        }
    }
    input.fill_buf().map_err(Error::Read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![0; zstd_safe::compress_bound(bytes.len())];
        let count = zstd_safe::compress(&mut out[..], bytes, 3).expect("room enough");
        out.truncate(count);
        out
    }

    #[test]
    fn codecs_are_spelled_with_their_level() {
        for (text, codec) in [
            ("none", Codec::None),
            ("gzip", Codec::Gzip { level: 6 }),
            ("gzip:12", Codec::Gzip { level: 12 }),
            ("zstd", Codec::Zstd { level: 3 }),
            ("zstd:22", Codec::Zstd { level: 22 }),
        ] {
            assert_eq!(text.parse::<Codec>().expect(text), codec);
            assert_eq!(codec.to_string().parse::<Codec>().expect("printed"), codec);
        }
        for bad in ["", "none:1", "gzip:", "gzip:0", "gzip:13", "zstd:23", "zstd:+3", "xz", "GZIP", "gzip:6 "]
        {
            assert!(matches!(bad.parse::<Codec>(), Err(Error::UnknownCodec { .. })), "{bad}");
        }
    }

    #[test]
    fn another_form_than_the_expected_one_is_named() {
        let zstd = zstd(b"x");
        let cases: [(&[u8], Compression, &str, &str); 6] = [
            (&zstd, Compression::Gzip, "zstd", "gzip"),
            (&zstd, Compression::None, "zstd", "tar"),
            (b"\x1f\x8b\x08\0", Compression::Zstd, "gzip", "zstd"),
            (b"\xfd7zXZ\0\0", Compression::None, "xz", "tar"),
            (b"BZh91AY&SY", Compression::None, "bzip2", "tar"),
            (b"PK\x03\x04", Compression::Gzip, "zip", "gzip"),
        ];
        for (bytes, compression, is, should) in cases {
            let mut decoder = Decoder::new(compression, bytes, &Limits::default());
            let error = decoder.fill(&mut [0; 8]).expect_err(is);
            assert!(
                matches!(error, Error::OtherForm { found, expected } if (found, expected) == (is, should))
            );
        }
    }

    #[test]
    fn a_tar_is_a_tar_whatever_its_first_member_is_called() {
        let mut header = [0; 512];
        header[..2].copy_from_slice(b"\x1f\x8b");
        header[257..262].copy_from_slice(b"ustar");
        assert_eq!(recognised(&header), Some("tar"));
    }

    #[test]
    fn content_tells_its_codec() {
        assert_eq!(detect(b"\x1f\x8b\x08"), Compression::Gzip);
        assert_eq!(detect(b"\x28\xb5\x2f\xfd"), Compression::Zstd);
        assert_eq!(detect(b"\x50\x2a\x4d\x18"), Compression::Zstd);
        assert_eq!(detect(b""), Compression::None);
        assert_eq!(detect(b"./\0\0"), Compression::None);
    }
}
