//! What can be wrong with layers that hold a commit.

use crate::ostree::id::{ObjectId, ObjectName};
use crate::ostree::object::Malformed;
use orlop_spec::{Diagnose, Fault, Kind};

/// What can be wrong with layers that hold a commit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncapsulatedError {
    /// An object is not what its name says.
    #[error("the layers hold the object {object} damaged: its content has the id {found}")]
    Damaged {
        /// Which.
        object: ObjectName,
        /// What it hashes to.
        found: ObjectId,
    },
    /// An object is no proper one of its kind.
    #[error("the layers hold the object {object} malformed: {why}")]
    Malformed {
        /// Which.
        object: ObjectName,
        /// Why.
        #[source]
        why: Malformed,
    },
    /// An object where none of its kind can be.
    #[error("the object {object} {what}")]
    Unexpected {
        /// Which.
        object: ObjectName,
        /// What is wrong with it.
        what: &'static str,
    },
    /// More than may be held.
    #[error("the object {object} has {size} bytes; at most {most} are allowed")]
    TooLarge {
        /// Which.
        object: ObjectName,
        /// Its size.
        size: u64,
        /// The most.
        most: u64,
    },
    /// More than may be held.
    #[error("the metadata and attributes of the commit have more than {most} bytes")]
    TooMuch {
        /// The most.
        most: u64,
    },
    /// An object that the commit needs is not there.
    #[error("the commit needs the object {object}, which no layer holds")]
    Missing {
        /// Which.
        object: ObjectName,
    },
    /// There is no commit.
    #[error("the first layer holds no commit, though a label says where its layers end")]
    NoCommit,
    /// There are several.
    #[error("the first layer holds the commits {first} and {second}")]
    SeveralCommits {
        /// One.
        first: ObjectId,
        /// Another.
        second: ObjectId,
    },
    /// Another commit than the one that is named.
    #[error("the layers hold the commit {found}, and the label ostree.commit names {said}")]
    Another {
        /// What is named.
        said: Box<str>,
        /// What is there.
        found: ObjectId,
    },
    /// A container would have other files than the commit.
    #[error("the layers show `{path}` otherwise than the commit {id} has it")]
    Shown {
        /// Where, as the layers name it; escaped.
        path: String,
        /// The commit.
        id: ObjectId,
    },
}

impl Diagnose for EncapsulatedError {
    fn kind(&self) -> Kind {
        match self {
            Self::TooLarge { .. } | Self::TooMuch { .. } => Kind::Limit,
            _ => Kind::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        None
    }
}

impl From<EncapsulatedError> for Fault {
    fn from(error: EncapsulatedError) -> Self {
        Self::new(crate::Error::from(error))
    }
}
