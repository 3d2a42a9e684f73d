//! What can go wrong with files.

use orlop_layer::path::escape;
use orlop_spec::diagnose::kind_of_io;
use orlop_spec::{Cancelled, Diagnose, Fault, Kind};
use std::fmt;
use std::io;

/// A path in a message: bytes that no terminal chokes on.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Shown(Box<[u8]>);

impl Shown {
    /// The path `name` beneath `folder`.
    pub fn join(folder: &[u8], name: &[u8]) -> Self {
        let slash: &[u8] =
            if folder.is_empty() || folder.ends_with(b"/") || name.is_empty() { b"" } else { b"/" };
        Self([folder, slash, name].concat().into())
    }

    /// The bytes as they are.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<T: AsRef<[u8]> + ?Sized> From<&T> for Shown {
    fn from(path: &T) -> Self {
        Self(path.as_ref().into())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&escape(&self.0))
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{self}`")
    }
}

/// What can go wrong with files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// To what.
        path: Shown,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A fifo, device, socket or folder where a file was expected. It was not opened for its content.
    #[error("{0} is not a regular file")]
    NotRegular(Shown),
    /// A name that is empty, `.`, `..`, or holds a slash or NUL.
    #[error("`{0}` is no plain file name")]
    NotAName(Shown),
    /// A path that leads out of the folder that confines it.
    #[error("{path} leads out of {root}")]
    Escapes {
        /// The path, relative to the folder.
        path: Shown,
        /// The folder.
        root: Shown,
    },
    /// A file is larger than the reader allows.
    #[error("{path} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The file.
        path: Shown,
        /// The largest that is allowed.
        limit: u64,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Error {
    /// An error of a system call on `path`.
    pub fn io(action: &'static str, path: impl Into<Shown>, source: impl Into<io::Error>) -> Self {
        Self::Io { action, path: path.into(), source: source.into() }
    }

    /// What the system said, where it said something.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }

    /// Whether something is not there.
    pub fn is_not_found(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::NotFound)
    }

    /// Whether something is there already.
    pub fn is_exists(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::AlreadyExists)
    }
}

impl Diagnose for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Io { source, .. } => kind_of_io(source),
            Self::TooLarge { .. } => Kind::Limit,
            Self::Cancelled(_) => Kind::Interrupted,
            Self::Escapes { .. } => Kind::Integrity,
            Self::NotRegular(_) | Self::NotAName(_) => Kind::Other,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { action, path, source } => Self::io(format!("{action} {path}"), source),
            Error::Cancelled(cancelled) => cancelled.into(),
            error => Self::new(error),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Fault::from(error).into()
    }
}

impl From<Error> for orlop_layer::Error {
    fn from(error: Error) -> Self {
        Self::Write(error.into())
    }
}
