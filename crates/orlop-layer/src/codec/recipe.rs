//! How a blob is made again of its layer.

use super::{Codec, FRAMING, Pressed, first_block, made_by};
use crate::verified::{Damaged, Verified};
use orlop_spec::media_type::Compression;
use orlop_spec::port::Result;
use orlop_spec::{Descriptor, Fault, Kind};
use std::fmt;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::str::FromStr;

/// How a blob is made of its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The codec; [`Codec::None`] where the blob is the layer.
    pub codec: Codec,
    /// The version of what the codec writes.
    pub framing: u32,
}

impl Recipe {
    /// Whether this program writes that version.
    pub fn is_ours(self) -> bool {
        self.framing == FRAMING
    }

    /// Which codec may have made a blob, by its first block. Nothing is proven yet.
    pub fn guess(blob: &mut dyn Read, compression: Compression, size: u64) -> Result<Option<Self>> {
        let mut head = Vec::new();
        let most = first_block(compression) as u64;
        blob.take(most).read_to_end(&mut head).map_err(|error| Fault::io("read the blob", error))?;
        Ok(made_by(compression, &head, size).map(Self::from))
    }

    /// Whether this makes the blob of its layer: all of it is made and compared.
    pub fn makes(self, blob: &Descriptor, layer: impl Read, workers: NonZeroUsize) -> Result<bool> {
        let made = Pressed::new(self.codec, layer, workers);
        let outcome = io::copy(&mut Verified::new(made, blob)?, &mut io::sink());
        match outcome.map_err(|error| Fault::io("make the blob again", error)) {
            Ok(_) => Ok(true),
            Err(fault) if is_another(&fault) => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

/// Whether what was made is simply not the blob.
fn is_another(fault: &Fault) -> bool {
    fault.kind() == Kind::Integrity && fault.downcast_ref::<Damaged>().is_some()
}

impl From<Codec> for Recipe {
    fn from(codec: Codec) -> Self {
        Self { codec, framing: FRAMING }
    }
}

/// `gzip:6 1`: the codec, and the version of what it writes.
impl fmt::Display for Recipe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.codec, self.framing)
    }
}

impl FromStr for Recipe {
    type Err = NoRecipe;

    fn from_str(text: &str) -> Result<Self, NoRecipe> {
        let parsed = text.split_once(' ').and_then(|(codec, framing)| {
            Some(Self { codec: codec.parse().ok()?, framing: framing.parse().ok()? })
        });
        parsed.ok_or(NoRecipe)
    }
}

/// The text is no recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRecipe;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_comes_back_as_it_was_printed() {
        for codec in [Codec::None, Codec::GZIP, Codec::Zstd { level: 19 }] {
            let recipe = Recipe { codec, framing: 7 };
            assert_eq!(recipe.to_string().parse(), Ok(recipe));
        }
        for bad in ["", "gzip:6", "gzip:6 ", " 1", "gzip:6 x", "lz4 1"] {
            assert_eq!(bad.parse::<Recipe>(), Err(NoRecipe), "{bad:?}");
        }
    }
}
