//! What can go wrong in a verb.

use orlop_spec::digest::AnyDigest;
use orlop_spec::media_type::MediaType;
use orlop_spec::{Diagnose, Fault, Kind};

/// What can go wrong in a verb.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The root is neither manifest nor index.
    #[error("{digest} is of type `{media_type}`, which is no image")]
    NotAnImage {
        /// The root.
        digest: AnyDigest,
        /// Its type.
        media_type: MediaType,
    },
    /// The manifest names something else than an image.
    #[error("{digest} is an artifact of type `{artifact_type}`, not an image that can be unpacked")]
    Artifact {
        /// The manifest.
        digest: AnyDigest,
        /// What it holds.
        artifact_type: MediaType,
    },
    /// A layer is of a type that cannot be unpacked.
    #[error("the layer {digest} is of type `{media_type}`, which orlop cannot unpack")]
    UnknownLayer {
        /// The layer.
        digest: AnyDigest,
        /// Its type.
        media_type: MediaType,
    },
    /// The config names another number of layers than the manifest.
    #[error("the manifest {manifest} has {layers} layers, and its config has {diff_ids} diff ids")]
    LayerCount {
        /// The manifest.
        manifest: AnyDigest,
        /// Layers of the manifest.
        layers: usize,
        /// Diff ids of the config.
        diff_ids: usize,
    },
    /// A transport that orlop reads references of, and cannot reach.
    #[error("`{name}:` is a transport that this version of orlop does not open")]
    NoTransport {
        /// The word before the colon.
        name: &'static str,
    },
    /// More layers than the limit.
    #[error("the image has more than {limit} layers")]
    TooManyLayers {
        /// Layers allowed.
        limit: usize,
    },
    /// Two flags that exclude each other, or a flag that the kind of place cannot honour.
    #[error("{what}")]
    Unfit {
        /// The rule.
        what: &'static str,
        /// What to type instead.
        hint: &'static str,
    },
    /// No such path in the image.
    #[error("the image holds no {path}")]
    NoFile {
        /// The path, escaped.
        path: String,
    },
    /// A path that leads from link to link.
    #[error("{path} leads over too many links in the image")]
    TooManyLinks {
        /// The path, escaped.
        path: String,
    },
    /// A path that is no regular file.
    #[error("{path} is no regular file in the image")]
    NotAFile {
        /// The path, escaped.
        path: String,
    },
    /// Bytes that were named differ from those that would be copied.
    #[error("the digest would change from {from} to {to}")]
    DigestChanges {
        /// Before.
        from: AnyDigest,
        /// After.
        to: AnyDigest,
    },
}

impl Diagnose for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoFile { .. } => Kind::NotFound,
            Self::LayerCount { .. } | Self::DigestChanges { .. } => Kind::Integrity,
            Self::TooManyLayers { .. } => Kind::Limit,
            Self::Unfit { .. } | Self::NoTransport { .. } => Kind::Usage,
            Self::NotAnImage { .. }
            | Self::Artifact { .. }
            | Self::UnknownLayer { .. }
            | Self::TooManyLinks { .. }
            | Self::NotAFile { .. } => Kind::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unfit { hint, .. } => Some((*hint).into()),
            Self::UnknownLayer { .. } | Self::Artifact { .. } => {
                Some("`orlop copy` carries it unchanged; `orlop inspect --raw` shows the manifest".into())
            }
            Self::NoFile { .. } | Self::NotAFile { .. } | Self::TooManyLinks { .. } => {
                Some("`orlop files REF` lists what there is".into())
            }
            Self::NoTransport { .. } => {
                Some("it opens oci:, oci-archive:, docker-archive:, dir:, rootfs: and tar:".into())
            }
            _ => None,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}
