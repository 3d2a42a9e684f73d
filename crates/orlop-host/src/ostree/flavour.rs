//! What of owners, modes and attributes goes into objects.
//!
//! Law: an attribute without a value is never part of an object. libostree does not see such attributes, and so would find
//! a file that has one damaged.

use super::object::{DirMeta, FileHeader};
use super::repo::Mode;
use orlop_layer::{Meta, Xattrs};

/// What of modes is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Permissions {
    /// All.
    #[default]
    Exact,
    /// What flatpak and `bare-user-only` keep: everything belongs to root, nobody but root may write, nothing runs as its
    /// owner, and there are no attributes.
    Canonical,
}

/// What of attributes is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Attributes {
    /// All.
    #[default]
    Keep,
    /// None.
    Drop,
}

/// What of owners, modes and attributes goes into objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flavour {
    /// Whom everything belongs to, in the place of its owner.
    pub uid: Option<u32>,
    /// The same for groups.
    pub gid: Option<u32>,
    /// Modes.
    pub permissions: Permissions,
    /// Attributes.
    pub attributes: Attributes,
}

impl Flavour {
    /// Owners, modes and attributes as they are.
    pub const EXACT: Self =
        Self { uid: None, gid: None, permissions: Permissions::Exact, attributes: Attributes::Keep };

    /// What flatpak and `bare-user-only` keep.
    pub const CANONICAL: Self = Self { permissions: Permissions::Canonical, ..Self::EXACT };

    /// This, or what a repository of a mode can hold.
    #[must_use]
    pub fn fitting(self, mode: Mode) -> Self {
        if mode == Mode::BareUserOnly { Self::CANONICAL } else { self }
    }

    /// A regular file.
    pub fn file(&self, meta: &Meta) -> FileHeader {
        FileHeader::regular(&self.apply(meta))
    }

    /// A symbolic link.
    pub fn link(&self, meta: &Meta, target: &str) -> FileHeader {
        FileHeader::link(&self.apply(meta), target)
    }

    /// A folder.
    pub fn folder(&self, meta: &Meta) -> DirMeta {
        DirMeta::of(&self.apply(meta))
    }

    /// Owner, mode and attributes of anything but a link.
    pub fn apply(&self, meta: &Meta) -> Meta {
        let is_canonical = self.permissions == Permissions::Canonical;
        let owner = |set: Option<u32>, is| set.unwrap_or(if is_canonical { 0 } else { is });
        let drops_xattrs = is_canonical || self.attributes == Attributes::Drop;
        Meta {
            mode: if is_canonical { meta.mode & 0o755 } else { meta.mode },
            uid: owner(self.uid, meta.uid),
            gid: owner(self.gid, meta.gid),
            mtime: meta.mtime,
            xattrs: if drops_xattrs { Xattrs::new() } else { valued(&meta.xattrs) },
        }
    }
}

/// Those that libostree sees.
fn valued(xattrs: &Xattrs) -> Xattrs {
    xattrs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
