//! How a repository keeps files.
//!
//! ```text
//!                     content            owner, mode            attributes
//! archive             deflated           in front of it         in front of it
//! bare                as it is           the file's own         the file's own
//! bare-user           as it is           user.ostreemeta        user.ostreemeta     links are files, too
//! bare-user-only      as it is           0:0, the file's own    none
//! bare-split-xattrs   as it is           the file's own         an object beside it
//! ```

use std::fmt;

/// How a repository keeps files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Compressed, for servers.
    Archive,
    /// As they are; needs root.
    Bare,
    /// As they are, but for owner, mode and attributes, which are kept in one attribute.
    BareUser,
    /// As they are, without owners and attributes.
    BareUserOnly,
    /// As in `Bare`, but for attributes, which are objects: the mode of images that encapsulate a commit. Read only.
    BareSplitXattrs,
}

impl Mode {
    /// All.
    pub const ALL: [Self; 5] =
        [Self::Archive, Self::Bare, Self::BareUser, Self::BareUserOnly, Self::BareSplitXattrs];

    /// The mode of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "archive-z2" => Some(Self::Archive),
            word => Self::ALL.into_iter().find(|mode| mode.word() == word),
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Bare => "bare",
            Self::BareUser => "bare-user",
            Self::BareUserOnly => "bare-user-only",
            Self::BareSplitXattrs => "bare-split-xattrs",
        }
    }

    /// The word for it in a config, where old programs read it.
    pub(super) fn config_word(self) -> &'static str {
        if self == Self::Archive { "archive-z2" } else { self.word() }
    }

    /// How names of files end.
    pub fn file_ending(self) -> &'static str {
        if self == Self::Archive { "filez" } else { "file" }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}
