//! What can be wrong with layers and images that a repository keeps.

use crate::ostree::refname::RefName;
use orlop_spec::digest::{AnyDigest, DiffId};
use orlop_spec::{Diagnose, Kind, Names};

/// What can be wrong with layers and images that a repository keeps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayersError {
    /// The list of a layer is not what was written.
    #[error("the list of the layer {diff_id} is damaged: {what}")]
    ListDamaged {
        /// The layer.
        diff_id: Box<DiffId>,
        /// What is wrong.
        what: &'static str,
    },
    /// The list of a layer is of a newer version.
    #[error("the list of the layer {diff_id} says that it is {found:?}, and only {understood} is understood")]
    UnknownVersion {
        /// The layer.
        diff_id: Box<DiffId>,
        /// What it says.
        found: String,
        /// What is read.
        understood: &'static str,
    },
    /// Beside a layer of skopeo's form stands a list that is none.
    #[error("the layer cannot be put together: {what}")]
    TarSplitDamaged {
        /// What is wrong.
        what: &'static str,
    },
    /// A content of a layer is not found by its name, or has holes.
    #[error("the content of `{path}` is not found by its name alone, as the former form needs it")]
    NotByName {
        /// Where it is in the layer.
        path: Box<str>,
    },
    /// The former form has no indexes.
    #[error("the former form keeps one manifest, and this is an index")]
    NoIndexes,
    /// A commit that keeps something does not say what it must.
    #[error("the commit at {name} does not say what it keeps: {what}")]
    NoteDamaged {
        /// The ref.
        name: RefName,
        /// What is missing or wrong.
        what: &'static str,
    },
    /// A blob is not there.
    #[error("the repository does not keep {digest}")]
    NotKept {
        /// The blob.
        digest: AnyDigest,
    },
    /// A blob was made by a version of this program that writes another form.
    #[error("the blob {digest} was compressed in version {framing} of our form, and {understood} is written")]
    OtherFraming {
        /// The blob.
        digest: AnyDigest,
        /// The version that made it.
        framing: u32,
        /// The version of this program.
        understood: u32,
    },
    /// Only the uncompressed layer is there.
    #[error("the blob {digest} was not kept: only its files are there")]
    BlobGone {
        /// The blob.
        digest: AnyDigest,
    },
    /// No image is kept under the name.
    #[error("no image {wanted:?} is kept there")]
    NoSuchImage {
        /// What was asked for.
        wanted: Box<str>,
        /// What is there.
        known: Names,
    },
    /// A commit at the name of an image says nothing of one.
    #[error("the commit does not say which image it is")]
    NoImage,
    /// One name keeps one image.
    #[error("one name keeps one image, not {count}")]
    OneImageOnly {
        /// How many were given.
        count: usize,
    },
    /// A layer that is to go is needed.
    #[error("{digest} is used")]
    InUse {
        /// Its blob.
        digest: AnyDigest,
        /// By whom.
        users: Names,
    },
    /// A layer that is to go is not there.
    #[error("no layer {digest} is kept there")]
    NoSuchLayer {
        /// Its blob.
        digest: AnyDigest,
    },
    /// A layer that was there is gone.
    #[error("the layer {digest} was pruned while the image was taken in")]
    Pruned {
        /// Its blob.
        digest: AnyDigest,
    },
}

impl Diagnose for LayersError {
    fn kind(&self) -> Kind {
        match self {
            Self::ListDamaged { .. }
            | Self::TarSplitDamaged { .. }
            | Self::NoteDamaged { .. }
            | Self::NoImage
            | Self::NotKept { .. } => Kind::Integrity,
            Self::NoSuchImage { .. } | Self::NoSuchLayer { .. } => Kind::NotFound,
            Self::OtherFraming { .. }
            | Self::BlobGone { .. }
            | Self::OneImageOnly { .. }
            | Self::NotByName { .. }
            | Self::NoIndexes => Kind::Usage,
            Self::UnknownVersion { .. } | Self::InUse { .. } | Self::Pruned { .. } => Kind::Other,
        }
    }

    fn is_absence(&self) -> bool {
        matches!(self, Self::NoSuchImage { .. } | Self::NoSuchLayer { .. } | Self::NotKept { .. })
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::ListDamaged { .. } | Self::NoteDamaged { .. } | Self::Pruned { .. } => {
                Some("fetch the image again: what is missing or damaged is written anew".into())
            }
            Self::OtherFraming { .. } | Self::BlobGone { .. } => {
                Some("compress the layer anew: --compress gzip".into())
            }
            Self::NotByName { .. } => Some("leave --ref-style out".into()),
            Self::NoIndexes => {
                Some("name the manifest of one platform by its digest, or leave --ref-style out".into())
            }
            Self::InUse { users, .. } => Some(format!(
                "take away first what uses it, {users}: orlop ostree refs --delete --repo=REPO NAME"
            )),
            Self::NoSuchLayer { .. } => Some("list what there is: orlop ostree layers ls".into()),
            Self::NoSuchImage { known, .. } if !known.is_empty() => Some(format!("it has {known}")),
            _ => None,
        }
    }
}
