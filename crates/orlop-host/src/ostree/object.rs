//! Objects: what a commit, a folder and a file are made of.
//!
//! ```text
//! commit    (a{sv} ay a(say) s s t ay ay)   metadata, parent, related, subject, body, time, dirtree, dirmeta
//! dirtree   (a(say) a(sayay))               files: name, file; folders: name, dirtree, dirmeta
//! dirmeta   (u u u a(ayay))                 uid, gid, mode, attributes
//! file      length, 0, (u u u u s a(ayay))  uid, gid, mode, device 0, target of a link, attributes
//!           content                         of a regular file
//! ```
//!
//! Numbers are big-endian. An id is the SHA-256 of the bytes drawn here.
//!
//! Invariant: what was parsed prints to the same bytes, so its id stays what it was. Names are plain, sorted and come
//! once; modes say what they should.

mod commit;
mod dir;
mod file;

pub use commit::Commit;
pub use dir::{DirMeta, DirTree};
pub use file::{FileHasher, FileHeader};

use super::id::ObjectId;
use super::variant::{NotNormal, View, Writer};
use orlop_layer::Xattrs;

/// Bytes of the largest object of metadata, as in libostree.
pub const LARGEST_METADATA: u64 = 128 << 20;

/// Bits of a mode that say what lies there.
pub const FORMAT: u32 = 0o170_000;
/// A folder.
pub const FOLDER: u32 = 0o040_000;
/// A regular file.
pub const REGULAR: u32 = 0o100_000;
/// A symbolic link.
pub const LINK: u32 = 0o120_000;

/// Why bytes are no object of the kind that they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They are no value of the kind's type.
    #[error(transparent)]
    NotNormal(#[from] NotNormal),
    /// Something that names an object has not 32 bytes.
    #[error("it refers to an object by {0} bytes in the place of 32")]
    Reference(usize),
    /// A name that no folder can hold.
    #[error("it holds the name {0:?}")]
    Name(Box<str>),
    /// Two names that are not in order, or the same.
    #[error("the name {0:?} is not in order, or comes twice")]
    Order(Box<str>),
    /// A mode that says something else, or more than a mode can.
    #[error("its mode is {0:o}")]
    Mode(u32),
    /// A device, which OSTree does not hold.
    #[error("it names a device")]
    Device,
    /// A link without a target, or a file with one.
    #[error("it is a link without a target, or a file with one")]
    Target,
    /// An attribute without a name, or attributes out of order.
    #[error("its extended attributes have no proper names, or are not in order")]
    Xattrs,
    /// A file of `bare-user` without what tells its owner.
    #[error("it has no attribute user.ostreemeta")]
    NoMeta,
    /// The length in front of a header is not that of the header.
    #[error("its header is not as long as it says")]
    Header,
}

/// A reference to an object.
fn reference(view: View<'_>) -> Result<ObjectId, Malformed> {
    ObjectId::from_bytes(view.bytes()).ok_or(Malformed::Reference(view.bytes().len()))
}

/// A number of 32 bits that lies the other way round.
fn swapped(view: View<'_>) -> u32 {
    view.as_u64_swapped().and_then(|value| u32::try_from(value).ok()).expect("a `u` has 32 bits")
}

/// A mode of one of these formats, with nothing beside the twelve bits.
fn mode(view: View<'_>, formats: &[u32]) -> Result<u32, Malformed> {
    let mode = swapped(view);
    if formats.contains(&(mode & FORMAT)) && mode & !(FORMAT | 0o7777) == 0 {
        Ok(mode)
    } else {
        Err(Malformed::Mode(mode))
    }
}

/// The attributes of a file, as an object of their own.
pub(super) fn parse_file_xattrs(bytes: &[u8]) -> Result<Xattrs, Malformed> {
    parse_xattrs(View::parse("a(ayay)", bytes)?)
}

/// Bytes of attributes: of their names and values.
pub(super) fn weight(xattrs: &Xattrs) -> u64 {
    xattrs.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum()
}

/// Attributes, sorted by their names.
fn parse_xattrs(view: View<'_>) -> Result<Xattrs, Malformed> {
    let mut xattrs = Xattrs::new();
    for pair in view.children() {
        let [name, value] = pair.members();
        let name = name.bytes().strip_suffix(b"\0").filter(|name| !name.is_empty() && !name.contains(&0));
        let name = name.ok_or(Malformed::Xattrs)?;
        if xattrs.last_key_value().is_some_and(|(last, _)| **last >= *name) {
            return Err(Malformed::Xattrs);
        }
        xattrs.insert(name.into(), value.bytes().into());
    }
    Ok(xattrs)
}

/// The attributes of a file, as they are in an object.
pub(super) fn print_xattrs(xattrs: &Xattrs) -> Vec<u8> {
    let mut array = Writer::new("a(ayay)");
    for (name, value) in xattrs {
        array.push(&Writer::new("(ayay)").push(&[name, &b"\0"[..]].concat()).push(value).finish());
    }
    array.finish()
}

#[cfg(test)]
mod tests;
