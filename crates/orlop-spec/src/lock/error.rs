//! Why a text is no lock file, and why a reference cannot stand in one.

use crate::diagnose::{Diagnose, Fault, Kind};
use std::fmt;

/// Why a text is no lock file, or a reference cannot stand in one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// More bytes than a file may have.
    #[error("it has more than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// Another first line.
    #[error("its first line is not `{title}`")]
    NoTitle {
        /// What it should be.
        title: &'static str,
    },
    /// A line that is none.
    #[error("line {line}: {law}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// The law that it breaks.
        law: Law,
    },
    /// A reference that cannot be locked.
    #[error("{reference} cannot be locked: {law}")]
    Unfit {
        /// The reference.
        reference: Box<str>,
        /// The law that it breaks.
        law: Law,
    },
}

/// A law of lock files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// Everything is UTF-8.
    Text,
    /// A line ends with a line feed.
    Cut,
    /// A line has four words.
    Words,
    /// The first word is a reference without control characters.
    Reference,
    /// It is spelt in full.
    Spelling,
    /// It names something that can move.
    Fixed,
    /// Lines are sorted.
    Order,
    /// A reference stands once.
    Twice,
    /// The second word is a digest that can be proven.
    Digest,
    /// The third word is the type of a manifest or an index.
    MediaType,
    /// The fourth word is a number.
    Size,
}

impl fmt::Display for Law {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Text => "it is no UTF-8",
            Self::Cut => "it does not end with a line feed",
            Self::Words => "it is not `REFERENCE DIGEST MEDIA-TYPE SIZE`, with one blank between them",
            Self::Reference => "the reference is none",
            Self::Spelling => "the reference is not spelt in full, as docker://HOST/REPOSITORY:TAG",
            Self::Fixed => "the reference names what cannot move: a digest, or a stream",
            Self::Order => "the lines are not sorted by reference",
            Self::Twice => "the reference stands there twice",
            Self::Digest => "the digest is none that can be proven",
            Self::MediaType => "what it names is neither a manifest nor an index",
            Self::Size => "the size is no number",
        })
    }
}

impl Diagnose for LockError {
    fn kind(&self) -> Kind {
        match self {
            Self::TooLarge { .. } => Kind::Limit,
            Self::Unfit { .. } => Kind::Usage,
            Self::NoTitle { .. } | Self::Line { .. } => Kind::Policy,
        }
    }
}

impl From<LockError> for Fault {
    fn from(error: LockError) -> Self {
        Self::new(error)
    }
}
