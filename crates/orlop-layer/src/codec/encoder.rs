//! One worker's encoder: a block of input into one gzip member or one zstd frame.
//!
//! Invariant: what comes out depends on the block, the codec and the versions of the libraries alone.

use super::Codec;
use crate::error::Error;
use libdeflater::{CompressionLvl, Compressor};
use zstd_safe::{CCtx, CParameter};

pub(crate) enum Encoder {
    Plain,
    /// libdeflate keeps nothing between two blocks.
    Gzip(Compressor),
    Zstd {
        level: u8,
    },
}

impl Encoder {
    pub(crate) fn new(codec: Codec) -> Self {
        match codec {
            Codec::None => Self::Plain,
            Codec::Gzip { level } => {
                let level =
                    CompressionLvl::new(i32::from(level.clamp(1, 12))).expect("from 1 to 12 is in range");
                Self::Gzip(Compressor::new(level))
            }
            Codec::Zstd { level } => Self::Zstd { level },
        }
    }

    /// Encodes one block into `out`, which is emptied before.
    pub(crate) fn encode(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        out.clear();
        match self {
            Self::Plain => out.extend_from_slice(block),
            Self::Gzip(compressor) => {
                out.resize(compressor.gzip_compress_bound(block.len()), 0);
                let length = compressor
                    .gzip_compress(block, out)
                    .map_err(|_| Error::Codec { codec: "gzip", what: "a block does not fit its bound" })?;
                out.truncate(length);
            }
            Self::Zstd { level } => {
                let failed = |code| Error::Codec { codec: "zstd", what: zstd_safe::get_error_name(code) };
                // A context that is used again salts its hash tables anew, which could change the bytes.
                let mut context = CCtx::create();
                context.set_parameter(CParameter::CompressionLevel(i32::from(*level))).map_err(failed)?;
                out.reserve(zstd_safe::compress_bound(block.len()));
                context.compress2(out, block).map_err(failed)?;
            }
        }
        Ok(())
    }
}
