//! One entry of a layer: a path, what lies there, and everything that is known about it.

use crate::error::Error;
use crate::path::TreePath;
use std::collections::BTreeMap;

/// A point in time: seconds since 1970 (before it: negative) and nanoseconds, always counted forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

impl Time {
    /// Whole seconds since 1970.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanoseconds: 0 }
    }
}

/// Extended attributes: full names (`user.x`) to values, sorted. Both may hold any bytes but NUL in names.
pub type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// Everything about an entry but its path and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Meta {
    /// The twelve bits of the mode: setuid, setgid, sticky, rwxrwxrwx.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When the content changed.
    pub mtime: Time,
    /// Extended attributes, ACLs among them as `system.posix_acl_access` and `system.posix_acl_default` in the
    /// kernel's binary form.
    pub xattrs: Xattrs,
}

/// Numbers of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device {
    /// Which driver.
    pub major: u32,
    /// Which device of that driver.
    pub minor: u32,
}

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file; the content follows.
    File {
        /// Bytes of the content, holes included.
        size: u64,
    },
    /// A folder.
    Directory,
    /// A symbolic link; the target is kept as it is.
    Symlink {
        /// Any bytes but NUL, not empty.
        target: Box<[u8]>,
    },
    /// Another name of an entry of this layer or of one below.
    HardLink {
        /// The other name.
        target: TreePath,
    },
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// `.wh.NAME`: the path is removed from the layers below.
    Whiteout,
    /// `.wh..wh..opq`: everything in the folder at the path is removed from the layers below.
    Opaque,
}

/// An entry of a layer. For [`Kind::Whiteout`] the path is the one removed, for [`Kind::Opaque`] the folder's:
/// `.wh.` names exist in the tar form only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Where.
    pub path: TreePath,
    /// Everything but what it is.
    pub meta: Meta,
    /// What it is.
    pub kind: Kind,
}

/// A piece of a file's content.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// Bytes; never empty.
    Data(&'a [u8]),
    /// So many zeros, which the writer of the archive or the file system did not store.
    Hole(u64),
}

/// In which order entries come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The one of a canonical layer.
    Canonical,
    /// Whoever gives them has one of its own.
    Callers,
}

/// A stream of entries, each file followed by its content. Tar readers and folder scans are such streams.
pub trait Entries {
    /// The next entry; what is left of the last file's content is skipped. `None` at the end.
    fn next_entry(&mut self) -> Result<Option<Entry>, Error>;

    /// The next piece of the content of the file that `next_entry` gave last; `None` at its end. The pieces
    /// add up to the size of the file exactly.
    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error>;

    /// Where the current entry begins in the uncompressed stream, where there is one: a reader that starts
    /// there gives this entry first.
    fn offset(&self) -> u64 {
        0
    }

    /// In which order the entries come.
    fn order(&self) -> Order {
        Order::Canonical
    }
}

impl<E: Entries + ?Sized> Entries for Box<E> {
    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        (**self).next_entry()
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        (**self).next_chunk()
    }

    fn offset(&self) -> u64 {
        (**self).offset()
    }

    fn order(&self) -> Order {
        (**self).order()
    }
}
