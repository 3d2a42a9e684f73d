//! What can be wrong with a layer.

use crate::path::PathError;
use orlop_spec::context::Cancelled;
use orlop_spec::diagnose::kind_of_io;
use orlop_spec::digest::Digest;
use orlop_spec::{Diagnose, Fault, Kind};
use std::io;

/// What can be wrong with a layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The blob or stream below failed.
    #[error("cannot read the layer")]
    Read(#[source] io::Error),
    /// The output below failed.
    #[error("cannot write the layer")]
    Write(#[source] io::Error),
    /// The uncompressed bytes are not what the config says.
    #[error("the uncompressed layer is {found}, and the image's config says {expected}")]
    WrongDiffId {
        /// What the bytes hash to.
        found: Box<Digest>,
        /// What the config says.
        expected: Box<Digest>,
    },
    /// A path that must not be in a layer.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The tar framing is broken.
    #[error("damaged tar at byte {offset}: {what}")]
    Tar {
        /// Where, in the uncompressed stream.
        offset: u64,
        /// What is broken.
        what: &'static str,
    },
    /// The compressed framing is broken.
    #[error("damaged {codec} data: {what}")]
    Codec {
        /// `gzip` or `zstd`.
        codec: &'static str,
        /// What is broken.
        what: &'static str,
    },
    /// Data of one form, where another was declared or is read.
    #[error("{found} data stands where {expected} is expected")]
    OtherForm {
        /// What it is, such as `xz`.
        found: &'static str,
        /// `tar`, `gzip` or `zstd`.
        expected: &'static str,
    },
    /// A codec that is not one of ours, or has not this level.
    #[error("{text:?} is no codec")]
    UnknownCodec {
        /// What was given.
        text: Box<str>,
    },
    /// A limit was exceeded.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What is too much.
        what: &'static str,
        /// The largest that is allowed.
        limit: u64,
    },
    /// A whiteout that names nothing, `.`, `..` or a path.
    #[error("the whiteout `{}` names no entry", crate::path::escape(.name))]
    BadWhiteout {
        /// The tar member's path.
        name: Box<[u8]>,
    },
    /// A hard link to what is neither in its layer nor below.
    #[error("{path} is a hard link to {target}, which neither its layer nor one below holds")]
    LinkToNothing {
        /// The link's path, escaped.
        path: String,
        /// The target's path, escaped.
        target: String,
    },
    /// Something about an entry is not allowed.
    #[error("{path}: {what}")]
    Entry {
        /// The entry's path, escaped.
        path: String,
        /// What is wrong.
        what: &'static str,
    },
    /// Bytes that are to be the manifest of a tree are none.
    #[error("the manifest of the tree is damaged: {what}")]
    BadTreeManifest {
        /// What is wrong.
        what: &'static str,
    },
}

impl Error {
    /// The user asked to stop.
    pub(crate) fn cancelled(cancelled: Cancelled) -> Self {
        Self::Read(Fault::from(cancelled).into())
    }
}

impl Diagnose for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Read(error) | Self::Write(error) => kind_of_io(error),
            Self::Limit { .. } => Kind::Limit,
            Self::UnknownCodec { .. } => Kind::Usage,
            Self::WrongDiffId { .. }
            | Self::Path(_)
            | Self::Tar { .. }
            | Self::Codec { .. }
            | Self::OtherForm { .. }
            | Self::BadWhiteout { .. }
            | Self::LinkToNothing { .. }
            | Self::Entry { .. }
            | Self::BadTreeManifest { .. } => Kind::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownCodec { .. } => {
                Some("say none, gzip, gzip:1 to gzip:12, zstd, or zstd:1 to zstd:22".into())
            }
            Self::OtherForm { found: found @ ("xz" | "bzip2" | "lz4" | "lzip"), .. } => {
                Some(format!("tar, gzip and zstd are read; `{found} -dc FILE` makes a tar of it"))
            }
            _ => None,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Read(source) => Self::io("read the layer", source),
            Error::Write(source) => Self::io("write the layer", source),
            error => Self::new(error),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Read(source) | Error::Write(source) => source,
            error => Self::other(Fault::new(error)),
        }
    }
}
