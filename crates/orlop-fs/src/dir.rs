//! A folder as an open handle, and everything that may be done beneath it.
//!
//! Invariant: names given to a [`Dir`] are single components, checked; no operation follows a symbolic link
//! but [`Dir::open`], [`Dir::create_all`] (paths that the user typed) and [`Dir::open_beneath`], which stays
//! beneath the handle.

use crate::Result;
use crate::call;
use crate::error::{Error, Shown};
use crate::file::File;
use crate::lock::{self, Lock, Share, Wait};
use crate::remove;
use crate::resolve::{Escape, resolve};
use crate::seam::{self, Glance};
use crate::stat::{FileKind, Stat};
use crate::temp::Temp;
use orlop_layer::path::is_component;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// An open folder.
#[derive(Debug)]
pub struct Dir {
    handle: OwnedFd,
    /// For messages only; nothing is looked up by it.
    path: Box<[u8]>,
}

impl Dir {
    /// Opens a folder that the user named; symbolic links in `path` are followed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().as_os_str().as_bytes();
        let path = if path.is_empty() { b"." } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = fs::open(path, flags, Mode::empty()).map_err(|error| Error::io("open", path, error))?;
        Ok(Self { handle, path: path.into() })
    }

    /// Opens a folder that the user named, and makes it and its parents where they are missing; their names are on
    /// the disk then.
    pub fn create_all(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        match Self::open(path) {
            Err(error) if error.is_not_found() => {}
            opened => return opened,
        }
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else { return Self::open(path) };
        let parent = Self::create_all(parent)?;
        match call::make_dir(&parent, name.as_bytes(), 0o777) {
            Ok(()) => parent.sync().and_then(|()| Self::open(path)),
            // Somebody else was quicker, or a link there leads nowhere, which opening says.
            Err(Errno::EXIST) => Self::open(path),
            Err(error) => Err(Error::io("create the folder", path.as_os_str().as_bytes(), error)),
        }
    }

    /// Wraps an open folder; `path` is for messages.
    pub fn from_handle(handle: OwnedFd, path: impl Into<Box<[u8]>>) -> Self {
        Self { handle, path: path.into() }
    }

    /// Opens what a handle names, which need not be at any place; `path` is for messages.
    pub(crate) fn from_handle_of(handle: BorrowedFd<'_>, path: &[u8]) -> Result<Self> {
        let handle = call::reopen(handle).map_err(|error| Error::io("open", path, error))?;
        Ok(Self { handle, path: path.into() })
    }

    /// Where the folder was when it was opened. For messages.
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }

    /// The path of `name` in this folder. For messages.
    pub fn shown(&self, name: impl AsRef<[u8]>) -> Shown {
        Shown::join(&self.path, name.as_ref())
    }

    /// A second handle of the same folder.
    pub fn try_clone(&self) -> Result<Self> {
        let handle = call::reopen(self).map_err(self.failed("open", b""))?;
        Ok(Self { handle, path: self.path.clone() })
    }

    /// Opens a folder of this folder. A symbolic link is refused.
    pub fn open_dir(&self, name: impl AsRef<[u8]>) -> Result<Self> {
        let name = self.plain(name.as_ref())?;
        let handle = call::open_dir(self, name).map_err(self.failed("open the folder", name))?;
        Ok(Self { handle, path: self.shown(name).as_bytes().into() })
    }

    /// Opens a regular file for reading. Symbolic links, fifos and devices are refused without any effect on
    /// them.
    pub fn open_file(&self, name: impl AsRef<[u8]>) -> Result<File> {
        let name = self.plain(name.as_ref())?;
        seam::glance(Glance::Open, &self.path, name).map_err(self.failed("open", name))?;
        let handle = fs::openat(self, name, call::READ, Mode::empty()).map_err(self.failed("open", name))?;
        File::regular(handle, self.shown(name))
    }

    /// Opens a regular file of this folder for reading and writing, as it is.
    pub fn open_file_for_writing(&self, name: impl AsRef<[u8]>) -> Result<File> {
        let name = self.plain(name.as_ref())?;
        let flags = call::READ.difference(OFlags::RDONLY).union(OFlags::RDWR);
        // A fifo would open for reading and writing at once, harmlessly; a device might act. Ask first.
        if self.stat(name)?.kind != FileKind::File {
            return Err(Error::NotRegular(self.shown(name)));
        }
        let handle = fs::openat(self, name, flags, Mode::empty()).map_err(self.failed("open", name))?;
        File::regular(handle, self.shown(name))
    }

    /// Opens the regular file at `path`, which may lead over symbolic links, but nowhere out of this folder:
    /// layouts may have blobs that are links within the layout.
    pub fn open_beneath(&self, path: impl AsRef<[u8]>) -> Result<File> {
        seam::glance(Glance::Open, &self.path, path.as_ref()).map_err(self.failed("open", path.as_ref()))?;
        let found = resolve(self, path.as_ref(), Escape::Refuse)?;
        let handle = found.open_file(call::READ).map_err(self.failed("open", path.as_ref()))?;
        File::regular(handle, self.shown(path))
    }

    /// Creates a file that must not exist; open for reading and writing.
    pub fn create_file(&self, name: impl AsRef<[u8]>, mode: u16) -> Result<File> {
        let name = self.plain(name.as_ref())?;
        let handle = call::create(self, name, mode).map_err(self.failed("create", name))?;
        Ok(File::new(handle, self.shown(name)))
    }

    /// A file that gets its name in this folder when it is whole, by [`Temp::persist`].
    pub fn create_temp(&self) -> Result<Temp<'_>> {
        Temp::create(self)
    }

    /// A file without a name, on the file system of this folder; gone when it is closed.
    pub fn spool(&self) -> Result<File> {
        match call::create_unnamed(self, 0o600) {
            Ok(handle) => Ok(File::new(handle, self.shown("(spool)"))),
            Err(error) if is_without_tmpfile(error) => {
                let name = crate::random::name(crate::temp::PREFIX);
                let file = self.create_file(&name, 0o600)?;
                self.remove_file(&name)?;
                Ok(file)
            }
            Err(error) => Err(self.failed("create a temporary file in", b"")(error)),
        }
    }

    /// Makes a folder that must not exist.
    pub fn make_dir(&self, name: impl AsRef<[u8]>, mode: u16) -> Result<()> {
        let name = self.plain(name.as_ref())?;
        call::make_dir(self, name, mode).map_err(self.failed("create the folder", name))
    }

    /// Opens a folder of this folder, and makes it where it is missing.
    pub fn make_or_open_dir(&self, name: impl AsRef<[u8]>, mode: u16) -> Result<Self> {
        match self.make_dir(name.as_ref(), mode) {
            Err(error) if !error.is_exists() => Err(error),
            _ => self.open_dir(name),
        }
    }

    /// Renames within this folder or into another; what has the new name is replaced.
    pub fn rename(&self, name: impl AsRef<[u8]>, to: &Self, new: impl AsRef<[u8]>) -> Result<()> {
        let (name, new) = (self.plain(name.as_ref())?, to.plain(new.as_ref())?);
        call::rename(self, name, to, new).map_err(to.failed("rename to", new))
    }

    /// Renames onto a name that must be free.
    pub fn rename_new(&self, name: impl AsRef<[u8]>, to: &Self, new: impl AsRef<[u8]>) -> Result<()> {
        let (name, new) = (self.plain(name.as_ref())?, to.plain(new.as_ref())?);
        call::rename_new(self, name, to, new).map_err(to.failed("rename to", new))
    }

    /// Lets two names change places.
    pub fn exchange(&self, name: impl AsRef<[u8]>, to: &Self, new: impl AsRef<[u8]>) -> Result<()> {
        let (name, new) = (self.plain(name.as_ref())?, to.plain(new.as_ref())?);
        call::exchange(self, name, to, new).map_err(to.failed("exchange", new))
    }

    /// Gives a file a further name, which must be free.
    pub fn link(&self, name: impl AsRef<[u8]>, to: &Self, new: impl AsRef<[u8]>) -> Result<()> {
        let (name, new) = (self.plain(name.as_ref())?, to.plain(new.as_ref())?);
        call::link(self, name, to, new).map_err(to.failed("link", new))
    }

    /// Removes a name that is no folder.
    pub fn remove_file(&self, name: impl AsRef<[u8]>) -> Result<()> {
        let name = self.plain(name.as_ref())?;
        call::remove_file(self, name).map_err(self.failed("remove", name))
    }

    /// Removes an empty folder.
    pub fn remove_dir(&self, name: impl AsRef<[u8]>) -> Result<()> {
        let name = self.plain(name.as_ref())?;
        call::remove_dir(self, name).map_err(self.failed("remove the folder", name))
    }

    /// Removes a name and everything beneath it; symbolic links are removed, never followed. It is no error
    /// where there is nothing.
    pub fn remove_all(&self, name: impl AsRef<[u8]>) -> Result<()> {
        let name = self.plain(name.as_ref())?;
        remove::remove_all(self.as_fd(), name).map_err(self.failed("remove", name))
    }

    /// The names in this folder, sorted.
    pub fn list(&self) -> Result<Vec<Box<[u8]>>> {
        let listed = seam::glance(Glance::List, &self.path, b"").and_then(|()| list(self));
        listed.map_err(self.failed("list", b""))
    }

    /// Whether the folder has no names.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.list()?.is_empty())
    }

    /// What is known about a name; a symbolic link is not followed.
    pub fn stat(&self, name: impl AsRef<[u8]>) -> Result<Stat> {
        let name = self.plain(name.as_ref())?;
        seam::glance(Glance::Look, &self.path, name).map_err(self.failed("look at", name))?;
        call::stat_at(self, name).map(Stat::from).map_err(self.failed("look at", name))
    }

    /// As [`Dir::stat`]; `None` where there is nothing.
    pub fn try_stat(&self, name: impl AsRef<[u8]>) -> Result<Option<Stat>> {
        match self.stat(name) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is known about this folder itself.
    pub fn stat_self(&self) -> Result<Stat> {
        fs::fstat(self).map(Stat::from).map_err(self.failed("look at", b""))
    }

    /// Sets the mode of this folder itself.
    pub fn set_mode(&self, mode: u16) -> Result<()> {
        call::chmod(self, mode).map_err(self.failed("set the mode of", b""))
    }

    /// Sets the times of a file of this folder to now, by the clock of its file system.
    pub fn touch(&self, name: impl AsRef<[u8]>) -> Result<()> {
        let name = self.plain(name.as_ref())?;
        call::touch_at(self, name).map_err(self.failed("set the time of", name))
    }

    /// Where a symbolic link points.
    pub fn read_link(&self, name: impl AsRef<[u8]>) -> Result<Box<[u8]>> {
        let name = self.plain(name.as_ref())?;
        let target = fs::readlinkat(self, name, Vec::new()).map_err(self.failed("read the link", name))?;
        Ok(target.into_bytes().into())
    }

    /// Whether the caller may write in this folder.
    pub fn is_writable(&self) -> bool {
        fs::accessat(self, c".", fs::Access::WRITE_OK, AtFlags::EACCESS).is_ok()
    }

    /// Locks this folder. `None` where somebody else holds it and `wait` is [`Wait::No`].
    pub fn lock(&self, share: Share, wait: Wait) -> Result<Option<Lock>> {
        let handle = call::reopen(self).map_err(self.failed("open", b""))?;
        lock::lock(handle, self.shown(""), share, wait)
    }

    /// Locks a regular file of this folder, which must exist.
    pub fn lock_file(&self, name: impl AsRef<[u8]>, share: Share, wait: Wait) -> Result<Option<Lock>> {
        let name = name.as_ref();
        let file = self.open_file(name)?;
        lock::lock(file.into(), self.shown(name), share, wait)
    }

    /// Locks all bytes of a regular file of this folder, as other programs do that know nothing of [`Dir::lock_file`]; the
    /// file is made where there is none.
    pub fn lock_bytes(&self, name: impl AsRef<[u8]>, share: Share, wait: Wait) -> Result<Option<Lock>> {
        let name = name.as_ref();
        let file = match self.create_file(name, 0o660) {
            Err(error) if error.is_exists() => self.open_file_for_writing(name)?,
            created => created?,
        };
        lock::lock_bytes(file.into(), self.shown(name), share, wait)
    }

    /// Bytes that the caller may still write on the file system of this folder.
    pub fn free_space(&self) -> Result<u64> {
        let stat = fs::fstatvfs(self).map_err(self.failed("look at", b""))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// What kind of file system this folder is on, where that is one whose files live on another machine: neither locks
    /// nor times there are those of this one.
    pub fn far_file_system(&self) -> Result<Option<&'static str>> {
        let found = fs::fstatfs(self).map_err(self.failed("look at", b""))?;
        #[expect(
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation,
            reason = "the numbers have 32 bits, whatever holds them"
        )]
        Ok(far_kind(found.f_type as u32))
    }

    /// Forces the names in this folder to the disk.
    pub fn sync(&self) -> Result<()> {
        call::sync(self).map_err(self.failed("sync", b""))
    }

    /// Forces everything on the file system of this folder to the disk.
    pub fn sync_fs(&self) -> Result<()> {
        call::sync_fs(self).map_err(self.failed("sync", b""))
    }

    /// Turns what the system said about `name` into an error of this crate.
    pub(crate) fn failed<'a>(&'a self, action: &'static str, name: &'a [u8]) -> impl Fn(Errno) -> Error + 'a {
        move |source| Error::io(action, self.shown(name), source)
    }

    pub(crate) fn plain<'a>(&self, name: &'a [u8]) -> Result<&'a [u8]> {
        if is_component(name) { Ok(name) } else { Err(Error::NotAName(self.shown(name))) }
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Which file system of another machine a number of `linux/magic.h` stands for.
fn far_kind(magic: u32) -> Option<&'static str> {
    match magic {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x0102_1997 => Some("9p"),
        0x00c3_6400 => Some("Ceph"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x0bd0_0bd0 => Some("Lustre"),
        _ => None,
    }
}

/// Whether a file system has no `O_TMPFILE`.
pub(crate) fn is_without_tmpfile(error: Errno) -> bool {
    matches!(error, Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT)
}

/// The names in a folder, sorted bytewise.
pub(crate) fn list(folder: impl AsFd) -> rustix::io::Result<Vec<Box<[u8]>>> {
    let mut names = Vec::new();
    for entry in fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.into());
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_of_another_machine_is_told_by_its_number() {
        assert_eq!(far_kind(0x6969), Some("NFS"));
        assert_eq!(far_kind(0xef53), None, "ext4");
        let here = Dir::open(testkit::scratch().folder("here")).expect("a folder");
        assert_eq!(here.far_file_system().expect("asked"), None);
    }
}
