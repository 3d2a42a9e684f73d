//! What a manifest knows of one path.

use super::MtreeError;
use super::vis;
use orlop_fs::FileKind;
use orlop_fs::scan::Surveyed;
use orlop_layer::{Time, Xattrs};
use orlop_spec::base64;

/// What a manifest knows of one path. What it does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: Option<FileKind>,
    /// Bytes, as stat says; of folders too.
    pub size: Option<u64>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// The twelve bits.
    pub mode: Option<u16>,
    /// Where a symbolic link points.
    pub target: Option<Box<[u8]>>,
    /// How many names it has.
    pub links: Option<u64>,
    /// When the content changed.
    pub time: Option<Stamp>,
    /// The sha256 of a regular file's content.
    pub sha256: Option<[u8; 32]>,
    /// Attributes.
    pub xattrs: Xattrs,
}

/// A time, as exactly as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// `tar_time`: whole seconds, rounded down.
    Seconds(i64),
    /// `time`.
    Exact(Time),
}

/// How exactly times are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// To the second, as a layer keeps them.
    #[default]
    Whole,
    /// To the nanosecond.
    Exact,
}

/// A keyword that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Keyword {
    /// `size`
    Size,
    /// `type`
    Type,
    /// `uid`
    Uid,
    /// `gid`
    Gid,
    /// `mode`
    Mode,
    /// `link`
    Link,
    /// `nlink`
    Nlink,
    /// `tar_time`: whole seconds are compared
    Time,
    /// `time`: nanoseconds are compared where both sides know them
    ExactTime,
    /// `sha256digest`
    Sha256,
    /// `xattr.NAME`, all of them
    Xattr,
}

/// Some keywords, in the order of a line.
pub type Keywords = std::collections::BTreeSet<Keyword>;

impl Keyword {
    /// Those that umoci uses, in the order of a line.
    pub const ALL: [Self; 10] = [
        Self::Size,
        Self::Type,
        Self::Uid,
        Self::Gid,
        Self::Mode,
        Self::Link,
        Self::Nlink,
        Self::Time,
        Self::Sha256,
        Self::Xattr,
    ];

    /// What it is called in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Type => "type",
            Self::Uid => "uid",
            Self::Gid => "gid",
            Self::Mode => "mode",
            Self::Link => "link",
            Self::Nlink => "nlink",
            Self::Time => "tar_time",
            Self::ExactTime => "time",
            Self::Sha256 => "sha256digest",
            Self::Xattr => "xattr",
        }
    }

    /// The keywords that a user lists, with commas or blanks between them.
    pub fn list(text: &str) -> Result<Keywords, MtreeError> {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        words.map(|word| Self::of(word).ok_or_else(|| MtreeError::Keyword(word.into()))).collect()
    }

    /// What a word means, another spelling included.
    fn of(word: &str) -> Option<Self> {
        match word {
            "time" => Some(Self::ExactTime),
            "sha256" => Some(Self::Sha256),
            "xattrs" => Some(Self::Xattr),
            _ => Self::ALL.into_iter().find(|keyword| keyword.name() == word),
        }
    }
}

impl Facts {
    pub(super) fn of(found: &Surveyed, times: Times) -> Self {
        let stat = &found.stat;
        let sha256 = found.sha256.map(|digest| digest.bytes().try_into().expect("a sha256 has 32 bytes"));
        Self {
            kind: Some(stat.kind),
            size: Some(stat.size),
            uid: Some(stat.uid),
            gid: Some(stat.gid),
            mode: Some(stat.mode),
            target: found.target.clone(),
            links: Some(stat.links),
            time: Some(match times {
                Times::Whole => Stamp::Seconds(stat.mtime.seconds),
                Times::Exact => Stamp::Exact(stat.mtime),
            }),
            sha256,
            xattrs: if has_xattrs(stat.kind) { found.xattrs.clone() } else { Xattrs::new() },
        }
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.kind == Some(FileKind::Directory)
    }

    /// Whether anything is said about a keyword.
    pub fn knows(&self, keyword: Keyword) -> bool {
        if keyword == Keyword::Xattr { !self.xattrs.is_empty() } else { self.value(keyword).is_some() }
    }

    /// Whether a line has the keyword itself.
    pub(super) fn uses(&self, keyword: Keyword) -> bool {
        match keyword {
            Keyword::Time => matches!(self.time, Some(Stamp::Seconds(_))),
            Keyword::ExactTime => matches!(self.time, Some(Stamp::Exact(_))),
            _ => self.knows(keyword),
        }
    }

    /// The value of a keyword as it is written; attributes have one each.
    pub(super) fn value(&self, keyword: Keyword) -> Option<String> {
        match keyword {
            Keyword::Size => self.size.map(|size| size.to_string()),
            Keyword::Type => self.kind.map(|kind| kind_name(kind).into()),
            Keyword::Uid => self.uid.map(|uid| uid.to_string()),
            Keyword::Gid => self.gid.map(|gid| gid.to_string()),
            Keyword::Mode => self.mode.map(|mode| if mode == 0 { "0".into() } else { format!("0{mode:o}") }),
            Keyword::Link => self.target.as_deref().map(spelled),
            Keyword::Nlink => self.links.map(|links| links.to_string()),
            Keyword::Time | Keyword::ExactTime => self.time.map(Stamp::text),
            Keyword::Sha256 => self.sha256.as_ref().map(hex),
            Keyword::Xattr => None,
        }
    }

    /// Keyword and value of each attribute as they are written.
    pub(super) fn xattr_words(&self) -> impl Iterator<Item = (String, String)> {
        self.xattrs.iter().map(|(name, value)| (format!("xattr.{}", spelled(name)), base64::encode(value)))
    }
}

/// Whether a manifest tells attributes of what is of this kind: go-mtree looks at those of no other.
pub(super) fn has_xattrs(kind: FileKind) -> bool {
    matches!(kind, FileKind::File | FileKind::Directory)
}

impl Stamp {
    /// Whole seconds.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Exact(time) => time.seconds,
        }
    }

    /// What it is called in a manifest.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Seconds(_) => "tar_time",
            Self::Exact(_) => "time",
        }
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::Seconds(seconds) => format!("{seconds}.000000000"),
            Self::Exact(time) => format!("{}.{:09}", time.seconds, time.nanoseconds),
        }
    }
}

const KINDS: [(FileKind, &str); 7] = [
    (FileKind::File, "file"),
    (FileKind::Directory, "dir"),
    (FileKind::Symlink, "link"),
    (FileKind::CharDevice, "char"),
    (FileKind::BlockDevice, "block"),
    (FileKind::Fifo, "fifo"),
    (FileKind::Socket, "socket"),
];

fn kind_name(kind: FileKind) -> &'static str {
    KINDS.into_iter().find(|(other, _)| *other == kind).expect("every kind is listed").1
}

/// The kind that a value of `type` names.
pub(super) fn kind_of(name: &[u8]) -> Option<FileKind> {
    KINDS.into_iter().find(|(_, other)| other.as_bytes() == name).map(|(kind, _)| kind)
}

fn spelled(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    vis::encode(bytes, &mut out);
    String::from_utf8(out).expect("what is encoded is ASCII")
}

fn hex(bytes: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}
