//! `--compress`: how new layers are compressed.

use clap::{Args, ValueEnum};
use orlop::layer::codec::Codec;

/// How a new layer is compressed.
#[derive(Args)]
pub struct CompressFlag {
    /// how the new layer is compressed: none, gzip, zstd, or auto: as the topmost layer that is
    #[arg(long, value_name = "HOW", default_value = "auto")]
    compress: Compress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Compress {
    Auto,
    /// An empty word is none, as there.
    #[value(alias = "")]
    None,
    Gzip,
    Zstd,
}

impl CompressFlag {
    /// The compressor, where one was named.
    pub fn codec(&self) -> Option<Codec> {
        match self.compress {
            Compress::Auto => None,
            Compress::None => Some(Codec::None),
            Compress::Gzip => Some(Codec::GZIP),
            Compress::Zstd => Some(Codec::ZSTD),
        }
    }
}
