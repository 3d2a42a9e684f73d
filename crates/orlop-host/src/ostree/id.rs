//! Names of objects.
//!
//! Invariant: an [`ObjectId`] is always 32 bytes, so a name made of it is never anything but 64 hex digits and one
//! of the known endings.
//!
//! ```text
//! objects/32/b91c83….commit
//!         └┬┘└──┬──┘ └─┬──┘
//!         ObjectId    Kind
//! ```

use orlop_spec::digest::{Algorithm, Digest, Hasher};
use std::fmt;
use std::str::FromStr;

/// The SHA-256 of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub [u8; 32]);

impl ObjectId {
    /// The id of an object that is these bytes: of everything but files.
    pub fn of(bytes: &[u8]) -> Self {
        Self::finish({
            let mut hasher = Hasher::new(Algorithm::Sha256);
            hasher.update(bytes);
            hasher
        })
    }

    /// The id that a hasher of SHA-256 has come to.
    pub(super) fn finish(hasher: Hasher) -> Self {
        Self::from_bytes(hasher.finish().bytes()).expect("a hasher of SHA-256 gives 32 bytes")
    }

    /// An id that was kept as its bytes; `None` where they are not 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The folder of `objects` that holds it.
    pub fn folder(&self) -> String {
        hex(&self.0[..1])
    }

    /// Its name there, without the ending.
    pub fn rest(&self) -> String {
        hex(&self.0[1..])
    }

    /// The same as a digest, for places that know no OSTree.
    pub fn digest(&self) -> Digest {
        Digest::from_bytes(Algorithm::Sha256, &self.0).expect("32 bytes are a SHA-256")
    }
}

impl From<ObjectId> for Digest {
    fn from(id: ObjectId) -> Self {
        id.digest()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// A text that is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no id of an object: it needs 64 digits of lower-case hex")]
pub struct NotAnId(pub Box<str>);

impl FromStr for ObjectId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        unhex(text.as_bytes()).and_then(|bytes| Self::from_bytes(&bytes)).ok_or_else(|| NotAnId(text.into()))
    }
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A commit: metadata, its parent, a tree.
    Commit,
    /// The names of a folder.
    DirTree,
    /// Owner, mode and attributes of a folder.
    DirMeta,
    /// A regular file or a symbolic link.
    File,
    /// What was said of a commit after it was made: signatures. Named by the commit's id, not by its own.
    CommitMeta,
    /// What is left of a commit that was deleted.
    Tombstone,
    /// Which file object has the same content.
    PayloadLink,
    /// The attributes of files, of mode `bare-split-xattrs`.
    FileXattrs,
    /// Which attributes a file has, of mode `bare-split-xattrs`.
    FileXattrsLink,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 9] = [
        Self::Commit,
        Self::DirTree,
        Self::DirMeta,
        Self::File,
        Self::CommitMeta,
        Self::Tombstone,
        Self::PayloadLink,
        Self::FileXattrs,
        Self::FileXattrsLink,
    ];

    /// The word for it, which is how names of such objects end. In archives, files end with `filez`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::DirTree => "dirtree",
            Self::DirMeta => "dirmeta",
            Self::File => "file",
            Self::CommitMeta => "commitmeta",
            Self::Tombstone => "tombstone-commit",
            Self::PayloadLink => "payload-link",
            Self::FileXattrs => "file-xattrs",
            Self::FileXattrsLink => "file-xattrs-link",
        }
    }

    /// The kind of objects whose names end so.
    pub fn from_ending(ending: &str) -> Option<Self> {
        match ending {
            "filez" => Some(Self::File),
            ending => Self::ALL.into_iter().find(|kind| kind.word() == ending),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// An object of a repository.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Its id.
    pub id: ObjectId,
    /// What it is.
    pub kind: Kind,
}

impl ObjectName {
    /// A name.
    pub fn new(id: ObjectId, kind: Kind) -> Self {
        Self { id, kind }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.id, self.kind)
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Bytes as lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Lower-case hex as bytes.
pub(super) fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs = text.chunks(2).map(|pair| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_64_digits_of_lower_case_hex() {
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let id: ObjectId = text.parse().expect("an id");
        assert_eq!((id, id.to_string().as_str()), (ObjectId::of(b""), text));
        assert_eq!((id.folder().as_str(), id.rest().as_str()), ("e3", &text[2..]));
        for wrong in [
            "",
            &text[1..],
            &text[..62],
            &text.to_uppercase(),
            &format!("{text}0"),
            &format!("/{}", &text[1..]),
        ] {
            assert_eq!(wrong.parse::<ObjectId>(), Err(NotAnId(wrong.into())));
        }
    }

    #[test]
    fn a_kind_is_told_by_the_ending() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_ending(kind.word()), Some(kind));
        }
        assert_eq!(Kind::from_ending("filez"), Some(Kind::File));
        assert_eq!(Kind::from_ending("files"), None);
    }
}
