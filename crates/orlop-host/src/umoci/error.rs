//! What can be wrong with a bundle of umoci.

use orlop_layer::path::{PathError, escape};
use orlop_spec::Kind;
use orlop_spec::json::JsonError;
use std::io;
use std::path::PathBuf;

/// What can be wrong with a bundle of umoci.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UmociError {
    /// The manifest of the tree is none.
    #[error(transparent)]
    Mtree(#[from] MtreeError),
    /// `umoci.json` is no JSON, or says something else.
    #[error("umoci.json cannot be read")]
    Meta(#[source] JsonError),
    /// A version of `umoci.json` that nobody knows.
    #[error("umoci.json has version {0:?}, and only \"2\" is known")]
    Version(Box<str>),
    /// It leads from no manifest.
    #[error("umoci.json names no image that the bundle was unpacked from")]
    FromNothing,
    /// Removed files stand in the tree as an overlay wants them.
    #[error("the bundle has whiteouts of an overlay in its tree, which are not read")]
    OverlayWhiteouts,
    /// Files that are the caller's cannot be somebody else's.
    #[error(
        "without root's rights files belong to {what} {caller}, and root of the container is mapped to {mapped}"
    )]
    NotTheCaller {
        /// `user` or `group`.
        what: &'static str,
        /// Whom files belong to.
        caller: u32,
        /// Whom they should belong to.
        mapped: u32,
    },
    /// The bundle has such a file already.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// A path that is masked, and is none.
    #[error("what is masked is no path")]
    Mask(#[source] PathError),
    /// An owner that the mappings of the bundle do not hold.
    #[error("`{path}` belongs to {what} {id}, which the mappings of the bundle do not hold")]
    NotMapped {
        /// Where, escaped.
        path: String,
        /// `user` or `group`.
        what: &'static str,
        /// Its number.
        id: u32,
    },
}

impl UmociError {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Mtree(error) => error.kind(),
            Self::Meta(_) | Self::Version(_) | Self::FromNothing => Kind::Integrity,
            Self::OverlayWhiteouts | Self::NotMapped { .. } | Self::Exists(_) => Kind::Other,
            Self::NotTheCaller { .. } | Self::Mask(_) => Kind::Usage,
        }
    }
}

/// What can be wrong with a manifest of a tree.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MtreeError {
    /// A line is not one of a manifest.
    #[error("line {line} of the manifest: {wrong}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        wrong: Wrong,
    },
    /// There is no line for the root.
    #[error("the manifest has no line for its root, `.`")]
    Rootless,
    /// A line does not say what it is about, or where a link points.
    #[error("the manifest does not say what `{0}` is")]
    Kindless(String),
    /// The paths are more, or longer, than is allowed.
    #[error("the manifest has more than {0} bytes of paths")]
    TooManyPaths(u64),
    /// A keyword that is not compared.
    #[error("the keyword {0:?} cannot be compared")]
    Keyword(Box<str>),
    /// It cannot be read.
    #[error("the manifest cannot be read")]
    Unreadable(#[source] io::Error),
}

impl MtreeError {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Line { wrong: Wrong::TooLong | Wrong::TooMany | Wrong::TooDeep, .. }
            | Self::TooManyPaths(_) => Kind::Limit,
            Self::Line { .. } | Self::Rootless | Self::Kindless(_) => Kind::Integrity,
            Self::Keyword(_) => Kind::Usage,
            Self::Unreadable(_) => Kind::Other,
        }
    }
}

/// What is wrong with a line of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The line, or the path that it comes to.
    #[error("it is too long")]
    TooLong,
    /// The manifest as a whole, or attributes of one name.
    #[error("it is one more than is allowed")]
    TooMany,
    /// Folders in folders.
    #[error("its path is too deep")]
    TooDeep,
    /// A backslash with something behind it that is no escape.
    #[error("`{}` holds an escape that means nothing", escape(.0))]
    Escape(Box<[u8]>),
    /// No name of one file.
    #[error("`{}` is no name", escape(.0))]
    Name(Box<[u8]>),
    /// A path that is none.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A path that had a line before.
    #[error("`{0}` stands there a second time")]
    Twice(String),
    /// What it lies in has no line, or is no folder.
    #[error("`{0}` lies in what is no folder")]
    NotInAFolder(String),
    /// More folders end than begin.
    #[error("it leaves a folder, and none is open")]
    NothingToLeave,
    /// A value that its keyword does not allow.
    #[error("the value of `{}` is none", escape(.0))]
    Value(Box<[u8]>),
    /// A keyword that holds for one line alone.
    #[error("`{}` is of one file, and cannot be set for many", escape(.0))]
    OfOne(Box<[u8]>),
    /// A line that begins with a slash.
    #[error("`{}` is no command", escape(.0))]
    Command(Box<[u8]>),
}
