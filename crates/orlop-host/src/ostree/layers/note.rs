//! What the commit of a layer's blob says about it.
//!
//! ```text
//! orlop.blob.back       s   "gzip:6 1": the codec and the version of what it writes; or "kept"
//! orlop.blob.digest     s
//! orlop.blob.size       t   bytes
//! orlop.layer.diff-id   s
//! ```
//!
//! Invariant: what is said to be made was made and compared before it was said.

use crate::ostree::variant::{Dict, Variant};
use orlop_layer::codec::{Codec, FRAMING, Recipe};
use orlop_spec::digest::{AnyDigest, DiffId};
use std::fmt;

pub(in super::super) const BACK: &str = "orlop.blob.back";
const DIGEST: &str = "orlop.blob.digest";
const SIZE: &str = "orlop.blob.size";
const DIFF_ID: &str = "orlop.layer.diff-id";

const KEPT: &str = "kept";

/// What is known about a layer's blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The blob.
    pub digest: AnyDigest,
    /// Its bytes.
    pub size: u64,
    /// The layer that it holds.
    pub diff_id: DiffId,
    /// How it comes back.
    pub back: Back,
}

/// How the bytes of a blob come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// The layer is compressed again.
    Made(Recipe),
    /// The repository has them as they came.
    Kept,
}

impl Note {
    /// As metadata of a commit.
    pub fn to_dict(&self) -> Dict {
        let Self { digest, size, diff_id, back } = self;
        Dict::from_iter([
            (BACK, Variant::string(&back.to_string())),
            (DIGEST, Variant::string(&digest.to_string())),
            (SIZE, Variant::u64(*size)),
            (DIFF_ID, Variant::string(&diff_id.to_string())),
        ])
    }

    /// Out of the metadata of a commit.
    ///
    /// # Errors
    /// Which key is missing, or of no known form.
    pub fn of(metadata: &Dict) -> Result<Self, &'static str> {
        let text = |key: &'static str| metadata.get(key).and_then(Variant::as_str).ok_or(key);
        Ok(Self {
            digest: text(DIGEST)?.parse().map_err(|_| DIGEST)?,
            size: metadata.get(SIZE).and_then(Variant::as_u64).ok_or(SIZE)?,
            diff_id: DiffId(text(DIFF_ID)?.parse().map_err(|_| DIFF_ID)?),
            back: Back::read(text(BACK)?).ok_or(BACK)?,
        })
    }

    /// Whether a commit has a note at all: others keep layers under the same names.
    pub fn is_in(metadata: &Dict) -> bool {
        metadata.get(BACK).is_some()
    }
}

impl Back {
    /// The blob is the layer.
    pub(in super::super) const AS_IS: Self = Self::Made(Recipe { codec: Codec::None, framing: FRAMING });

    /// What a commit says, where that is understood.
    pub(in super::super) fn of(metadata: &Dict) -> Option<Self> {
        Self::read(metadata.get(BACK)?.as_str()?)
    }

    fn read(text: &str) -> Option<Self> {
        match text {
            KEPT => Some(Self::Kept),
            recipe => recipe.parse().ok().map(Self::Made),
        }
    }
}

impl fmt::Display for Back {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(recipe) => recipe.fmt(out),
            Self::Kept => out.write_str(KEPT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_layer::Codec;
    use orlop_spec::digest::{Algorithm, Digest};

    fn note(back: Back) -> Note {
        let digest = Digest::of(Algorithm::Sha512, b"blob");
        let diff_id = DiffId(Digest::of(Algorithm::Sha256, b"layer"));
        Note { digest: digest.into(), size: 1 << 40, diff_id, back }
    }

    #[test]
    fn a_note_comes_back_as_it_was_written() {
        for back in [Back::Kept, Back::Made(Codec::GZIP.into()), Back::Made(Codec::None.into())] {
            let note = note(back);
            assert_eq!(Note::of(&note.to_dict()), Ok(note));
        }
    }

    #[test]
    fn keys_are_sorted_and_each_is_needed() {
        let dict = note(Back::Kept).to_dict();
        assert_eq!(dict, dict.clone().sorted());
        for (key, _) in dict.iter() {
            let mut without = dict.clone();
            without.remove(key);
            assert_eq!(Note::of(&without).err(), Some(key));
            without.push(key, Variant::string("nonsense"));
            assert_eq!(Note::of(&without).err(), Some(key));
        }
        assert!(!Note::is_in(&Dict::new()));
    }
}
