//! What can go wrong with files.

use orlop_layer::TreePath;
use orlop_layer::path::escape;
use orlop_spec::diagnose::kind_of_io;
use orlop_spec::{Cancelled, Diagnose, Digest, Fault, Kind};
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

impl AsRef<[u8]> for Shown {
    fn as_ref(&self) -> &[u8] {
        &self.0
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
    /// The file system has no locks, as some of other machines.
    #[error("cannot lock {path}: its file system has no locks")]
    NoLocks {
        /// What was to be locked.
        path: Shown,
        /// What the system said.
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
    /// A file or folder was changed by somebody else during a scan.
    #[error("{0} changed while it was read")]
    Changed(Shown),
    /// A content that is kept as a file is not what it was kept as.
    #[error("the content {digest} is damaged: {path} holds something else")]
    Unproven {
        /// The file.
        path: Shown,
        /// What it should hash to.
        digest: Box<Digest>,
    },
    /// Names that an image cannot hold, because they mean a removal there.
    #[error("{count} names begin with `.wh.`, which means a removal in an image: {}", .first.join(", "))]
    Unrepresentable {
        /// How many there are.
        count: usize,
        /// The first of them, escaped.
        first: Vec<String>,
    },
    /// A mount that is in use.
    #[error("{0} is in use: a program works there or has a file of it open")]
    MountInUse(Shown),
    /// The kernel lists mounts in another way than it did.
    #[error("{0} is not as the kernel writes it")]
    UnknownMountInfo(Shown),
    /// Something of a tree that an EROFS image cannot hold.
    #[error("an EROFS image cannot hold {what}")]
    NotInErofs {
        /// What it is.
        what: &'static str,
    },
    /// An EROFS image that is not the one that was written.
    #[error("the EROFS image is damaged at byte {at}")]
    DamagedErofs {
        /// Where it was noticed.
        at: u64,
    },
    /// What an EROFS image says is no tree, or one beyond the limits.
    #[error("the EROFS image holds no tree that can be shown")]
    NoTreeInErofs(#[source] orlop_layer::Error),
    /// Under fakeroot, but linked statically.
    #[error(
        "fakeroot is active, and this statically linked program cannot see the owners and devices that it pretends"
    )]
    FakerootUnseen,
    /// An owner that the caller cannot give a file.
    #[error("cannot give {path} to {uid}:{gid}")]
    Owner {
        /// The path in the tree.
        path: Shown,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// An owner that the mappings do not hold.
    #[error("{path} belongs to {uid}:{gid}, which the mappings of owners do not hold")]
    NotMapped {
        /// The path in the tree.
        path: Shown,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A user without a range of ids of its own.
    #[error("{file} gives the user {uid} no subordinate ids")]
    NoSubordinateIds {
        /// The user.
        uid: u32,
        /// Where they would be given.
        file: &'static str,
    },
    /// The program that maps ids for ordinary users is missing.
    #[error("{0} is not installed")]
    NoMapProgram(&'static str),
    /// The kernel or the programs that map ids refused.
    #[error("cannot make a user namespace")]
    Namespace(#[source] io::Error),
    /// Capabilities of a file in a form that no kernel knows.
    #[error("{0} has damaged capabilities (`security.capability`)")]
    BadCapability(Shown),
    /// A name was taken that the tree has free: the file system holds both for one.
    #[error(
        "{0} meets another name of its folder on this file system, which tells no case or form of letters apart"
    )]
    Collision(Shown),
    /// A mount hides what is to be made right.
    #[error("something is mounted over {0}, which hides what is to be made right")]
    MountedOver(Shown),
    /// A tree names a content that no layer left.
    #[error("{path} has its content in layer {layer}, which was not written")]
    MissingContent {
        /// The path in the tree.
        path: Shown,
        /// The layer, from 0.
        layer: u16,
    },
    /// The tree has no such folder.
    #[error("the tree has no folder {0}")]
    NoFolderInTree(Shown),
    /// A target that is no folder.
    #[error("{0} exists and is no folder")]
    NotAFolder(Shown),
    /// A target that is not empty.
    #[error("{0} is not empty")]
    NotEmpty(Shown),
    /// A target that should be replaced, but is a mount point, or its parent cannot be written.
    #[error(
        "{0} cannot be replaced in one step: it is a mount point, or the folder above it cannot be written"
    )]
    CannotExchange(Shown),
    /// A folder of which no snapshot was kept.
    #[error("{0} is not tracked: there is no snapshot of what it was")]
    NotTracked(Shown),
    /// A snapshot that cannot be where it has to be.
    #[error("the snapshot would be {0}, and that folder cannot be written")]
    NoPlaceForSnapshot(Shown),
    /// What a folder or its snapshot says is no tree, or one beyond the limits.
    #[error("the folder or its snapshot holds no tree that an image can have")]
    Entries(#[source] orlop_layer::Error),
    /// A snapshot of a folder that is not as it was written.
    #[error("the snapshot of the folder is damaged: {what}")]
    BadSnapshot {
        /// What is wrong.
        what: &'static str,
    },
    /// A snapshot of more than is allowed.
    #[error("the snapshot of the folder goes beyond the limit of {limit} for {what}")]
    SnapshotLimit {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
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

    /// Whether something is there that is no folder, where one was to be opened.
    pub fn is_no_folder(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::NotADirectory)
    }

    /// Whether permission was missing.
    pub fn is_denied(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::PermissionDenied)
    }

    /// Whether the file system may only be read.
    pub fn is_read_only(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::ReadOnlyFilesystem)
    }

    /// Whether the file system has no locks (`ENOLCK` where its server has none), or cannot do what was asked at all.
    pub fn is_unsupported(&self) -> bool {
        const KNOWN: [i32; 3] = [libc::ENOLCK, libc::EOPNOTSUPP, libc::ENOSYS];
        match self {
            Self::Io { source, .. } => source.raw_os_error().is_some_and(|code| KNOWN.contains(&code)),
            Self::NoLocks { .. } => true,
            _ => false,
        }
    }

    /// A lock that was not given.
    pub(crate) fn lock(path: impl Into<Shown>, source: impl Into<io::Error>) -> Self {
        match Self::io("lock", path, source) {
            error if !error.is_unsupported() => error,
            Self::Io { path, source, .. } => Self::NoLocks { path, source },
            error => error,
        }
    }

    /// Whether the disk or its file system could not give what is there: an error of reading, or damage that the file
    /// system found itself.
    pub fn is_disk(error: &io::Error) -> bool {
        const KNOWN: [i32; 3] = [libc::EIO, libc::EBADMSG, libc::EUCLEAN];
        error.raw_os_error().is_some_and(|code| KNOWN.contains(&code))
    }

    /// Whether something is there already.
    pub fn is_exists(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::AlreadyExists)
    }
}

impl Error {
    pub(crate) fn unrepresentable(paths: &[TreePath]) -> Self {
        const MOST: usize = 100;
        let first = paths.iter().take(MOST).map(ToString::to_string).collect();
        Self::Unrepresentable { count: paths.len(), first }
    }

    /// As an error of a stream of entries that is read.
    pub(crate) fn into_read(self) -> orlop_layer::Error {
        orlop_layer::Error::Read(self.into())
    }

    /// As an error of a visitor that writes.
    pub(crate) fn into_write(self) -> orlop_layer::Error {
        orlop_layer::Error::Write(self.into())
    }
}

impl Diagnose for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Io { source, .. } => kind_of_io(source),
            Self::TooLarge { .. } | Self::SnapshotLimit { .. } => Kind::Limit,
            Self::Cancelled(_) => Kind::Interrupted,
            Self::Escapes { .. }
            | Self::BadCapability(_)
            | Self::DamagedErofs { .. }
            | Self::BadSnapshot { .. }
            | Self::Unproven { .. } => Kind::Integrity,
            Self::NoTreeInErofs(source) | Self::Entries(source) => source.kind(),
            Self::NoFolderInTree(_) | Self::NotTracked(_) => Kind::NotFound,
            Self::NoLocks { .. }
            | Self::Owner { .. }
            | Self::NotMapped { .. }
            | Self::NoSubordinateIds { .. }
            | Self::NoMapProgram(_)
            | Self::Namespace(_)
            | Self::Collision(_)
            | Self::MountedOver(_)
            | Self::MissingContent { .. }
            | Self::NotAFolder(_)
            | Self::NotEmpty(_)
            | Self::CannotExchange(_)
            | Self::NoPlaceForSnapshot(_)
            | Self::NotRegular(_)
            | Self::MountInUse(_)
            | Self::UnknownMountInfo(_)
            | Self::NotInErofs { .. }
            | Self::NotAName(_)
            | Self::Changed(_)
            | Self::Unrepresentable { .. }
            | Self::FakerootUnseen => Kind::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoLocks { .. } => Some("name a folder on a disk of this machine".into()),
            Self::Unrepresentable { .. } => Some("leave them out with --unrepresentable skip".into()),
            Self::FakerootUnseen => Some(
                "use a dynamically linked build, or pack the tree with `tar` under fakeroot and build from `tar:FILE` without it"
                    .into(),
            ),
            Self::Owner { .. } => Some(
                "keep the owners beside the files with --owner record, or drop them with --owner squash"
                    .into(),
            ),
            Self::NoSubordinateIds { .. } | Self::NoMapProgram(_) | Self::Namespace(_) => {
                Some("keep the owners beside the files with --owner record".into())
            }
            Self::MountInUse(_) => Some("end the program, or take the mount away with --lazy".into()),
            Self::NotEmpty(_) => Some("exchange it with --replace".into()),
            Self::CannotExchange(_) => Some("empty it, and unpack without --replace".into()),
            Self::Unproven { .. } => {
                Some("fetch the image again: what is missing or damaged is written anew".into())
            }
            Self::BadSnapshot { .. } | Self::NotTracked(_) => {
                Some("unpack the image again, with --track".into())
            }
            Self::NoPlaceForSnapshot(_) => Some("unpack to a folder whose parent can be written".into()),
            Self::Changed(_) => Some("run it again when nothing writes there".into()),
            Self::MountedOver(_) => Some("take that mount away, and run it again".into()),
            Self::Collision(_) => Some("unpack to a file system that tells all names apart".into()),
            _ => None,
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
