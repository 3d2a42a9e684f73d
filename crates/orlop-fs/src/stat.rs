//! What is known about a file without opening it.

use crate::Result;
use crate::call;
use crate::error::Error;
use orlop_layer::{Device, Time};
use rustix::fd::AsFd as _;
use rustix::fs::{FileType, Mode, OFlags, RawMode};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// Looks at a path that the user named; symbolic links are followed.
pub fn at(path: impl AsRef<Path>) -> Result<Stat> {
    let path = path.as_ref().as_os_str().as_bytes();
    rustix::fs::stat(path).map(Stat::from).map_err(|error| Error::io("look at", path, error))
}

/// What the file system of a path forbids or leaves out; links are followed. Who is root of a user namespace alone cannot take any of it
/// away in a mount of it, and must say it again (`mount_namespaces(7)`, "Restrictions on mount namespaces").
pub fn locked_options(path: impl AsRef<Path>) -> Result<Vec<&'static str>> {
    use rustix::fs::StatVfsMountFlags as Flags;
    let path = path.as_ref().as_os_str().as_bytes();
    let found = rustix::fs::statvfs(path).map_err(|error| Error::io("look at", path, error))?.f_flag;
    let known = [
        (Flags::RDONLY, "ro"),
        (Flags::NOSUID, "nosuid"),
        (Flags::NODEV, "nodev"),
        (Flags::NOEXEC, "noexec"),
        (Flags::NOATIME, "noatime"),
        (Flags::NODIRATIME, "nodiratime"),
    ];
    Ok(known.into_iter().filter(|(flag, _)| found.contains(*flag)).map(|(_, word)| word).collect())
}

/// The path of a file that the user named, absolute and without links; whatever it is, it is not opened for its content.
pub fn real_path(path: impl AsRef<Path>) -> Result<PathBuf> {
    let path = path.as_ref().as_os_str().as_bytes();
    let failed = |error| Error::io("look at", path, error);
    let handle = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let real = rustix::fs::readlink(call::proc_path(handle.as_fd()), Vec::new()).map_err(failed)?;
    Ok(PathBuf::from(OsString::from_vec(real.into_bytes())))
}

/// What is known about a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// The twelve bits of the mode.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Bytes that it occupies.
    pub allocated: u64,
    /// When the content changed.
    pub mtime: Time,
    /// When anything about it changed.
    pub ctime: Time,
    /// The file system it is on.
    pub dev: u64,
    /// Its number on that file system.
    pub ino: u64,
    /// How many names it has.
    pub links: u64,
    /// Which device it stands for.
    pub device: Device,
}

impl Stat {
    /// Whether both are about one file.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }
}

#[expect(
    clippy::unnecessary_cast,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "the widths of these fields differ between architectures; none holds more than the type here"
)]
impl From<rustix::fs::Stat> for Stat {
    fn from(stat: rustix::fs::Stat) -> Self {
        Self {
            kind: FileKind::of(stat.st_mode as RawMode),
            mode: (stat.st_mode & 0o7777) as u16,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: stat.st_size as u64,
            allocated: stat.st_blocks as u64 * 512,
            mtime: Time { seconds: stat.st_mtime as i64, nanoseconds: stat.st_mtime_nsec as u32 },
            ctime: Time { seconds: stat.st_ctime as i64, nanoseconds: stat.st_ctime_nsec as u32 },
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            links: stat.st_nlink as u64,
            device: Device {
                major: rustix::fs::major(stat.st_rdev as _),
                minor: rustix::fs::minor(stat.st_rdev as _),
            },
        }
    }
}

impl FileKind {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "folder",
            Self::Symlink => "symbolic link",
            Self::CharDevice => "character device",
            Self::BlockDevice => "block device",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
        }
    }

    fn of(mode: RawMode) -> Self {
        match FileType::from_raw_mode(mode) {
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::CharacterDevice => Self::CharDevice,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::RegularFile | FileType::Unknown => Self::File,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_path_holds_no_links() {
        let scratch = testkit::scratch();
        let folder = scratch.folder("a").canonicalize().expect("a path");
        std::os::unix::fs::symlink("a", scratch.path("link")).expect("linked");
        std::os::unix::fs::symlink("nowhere", scratch.path("broken")).expect("linked");
        assert_eq!(real_path(scratch.path("link/../link")).expect("a path"), folder);
        assert_eq!(real_path(scratch.file("a/f", "")).expect("a path"), folder.join("f"));
        assert!(real_path(scratch.path("broken")).expect_err("nothing there").is_not_found());
    }
}
