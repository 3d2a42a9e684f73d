//! The system calls of this crate that change something, each behind [`seam`], and the flags that never follow.
//!
//! Names are single components (or empty, for the handle itself); whoever calls has checked them.

use crate::seam::{Operation, pass};
use crate::sys;
use orlop_layer::{Device, Time};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    self, AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, StatxAttributes, StatxFlags, Timespec,
    Timestamps, Uid, XattrFlags,
};
use rustix::io::{Errno, Result};
use rustix::mount::{self, MoveMountFlags, UnmountFlags};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Opens a folder for use as a handle.
pub(crate) const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// Opens a file for reading; never blocks on a fifo, never makes a terminal ours.
pub(crate) const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// Creates a file that must not exist.
const CREATE: OFlags =
    OFlags::RDWR.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW).union(OFlags::CREATE).union(OFlags::EXCL);

pub(crate) fn open_dir(at: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    fs::openat(at, name, FOLDER, Mode::empty())
}

/// A fresh handle of the same folder, with a position and locks of its own.
pub(crate) fn reopen(at: impl AsFd) -> Result<OwnedFd> {
    fs::openat(at, c".", FOLDER, Mode::empty())
}

/// A handle that can be asked and renamed but not read; never has an effect on what it names.
pub(crate) fn open_path(at: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    fs::openat(at, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

pub(crate) fn stat_at(at: impl AsFd, name: &[u8]) -> Result<fs::Stat> {
    fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// Whether another file system, or a part of one, is mounted at what is open. Where the kernel does not say, the device
/// of the folder above tells.
pub(crate) fn is_mount_point(handle: impl AsFd) -> bool {
    let handle = handle.as_fd();
    is_mount_root(handle, b"", AtFlags::EMPTY_PATH).unwrap_or_else(|| {
        let above = fs::statat(handle, c"..", AtFlags::empty());
        above.is_ok_and(|above| fs::fstat(handle).is_ok_and(|own| own.st_dev != above.st_dev))
    })
}

/// Whether something is mounted over a name; nothing is opened, and nothing that would mount itself is woken. `None` where
/// the kernel does not say (before Linux 5.8).
pub(crate) fn is_mounted_over(at: impl AsFd, name: &[u8]) -> Option<bool> {
    is_mount_root(at.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT)
}

/// `STATX_ATTR_MOUNT_ROOT`, `statx(2)`.
fn is_mount_root(at: BorrowedFd<'_>, name: &[u8], flags: AtFlags) -> Option<bool> {
    let found = fs::statx(at, name, flags, StatxFlags::BASIC_STATS).ok()?;
    let is_said = found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
    is_said.then(|| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

pub(crate) fn create(at: impl AsFd, name: &[u8], mode: u16) -> Result<OwnedFd> {
    pass(Operation::Create, name)?;
    fs::openat(at, name, CREATE, bits(mode))
}

/// A file without a name in the file system of `at`; it is gone when it is closed.
pub(crate) fn create_unnamed(at: impl AsFd, mode: u16) -> Result<OwnedFd> {
    pass(Operation::Create, b"")?;
    fs::openat(at, c".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, bits(mode))
}

pub(crate) fn make_dir(at: impl AsFd, name: &[u8], mode: u16) -> Result<()> {
    pass(Operation::MakeDir, name)?;
    fs::mkdirat(at, name, bits(mode))
}

pub(crate) fn make_node(at: impl AsFd, name: &[u8], kind: FileType, mode: u16, device: Device) -> Result<()> {
    pass(Operation::MakeNode, name)?;
    fs::mknodat(at, name, kind, bits(mode), fs::makedev(device.major, device.minor))
}

pub(crate) fn symlink(target: &[u8], at: impl AsFd, name: &[u8]) -> Result<()> {
    pass(Operation::Symlink, name)?;
    fs::symlinkat(target, at, name)
}

/// Gives `name` a further name; a symbolic link is linked itself.
pub(crate) fn link(from: impl AsFd, name: &[u8], to: impl AsFd, new: &[u8]) -> Result<()> {
    pass(Operation::Link, new)?;
    fs::linkat(from, name, to, new, AtFlags::empty())
}

/// Gives an open file a name. `/proc` is how an ordinary user may do that.
pub(crate) fn link_open(file: impl AsFd, to: impl AsFd, new: &[u8]) -> Result<()> {
    pass(Operation::Link, new)?;
    fs::linkat(fs::CWD, proc_path(file.as_fd()), to, new, AtFlags::SYMLINK_FOLLOW)
}

pub(crate) fn rename(from: impl AsFd, name: &[u8], to: impl AsFd, new: &[u8]) -> Result<()> {
    pass(Operation::Rename, new)?;
    fs::renameat(from, name, to, new)
}

/// Renames onto a name that must be free. Where the file system cannot do that in one step, files get the
/// second name first, and folders rely on `rename` refusing everything but an empty folder.
pub(crate) fn rename_new(from: impl AsFd, name: &[u8], to: impl AsFd, new: &[u8]) -> Result<()> {
    pass(Operation::Rename, new)?;
    let (from, to) = (from.as_fd(), to.as_fd());
    match fs::renameat_with(from, name, to, new, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {}
        done => return done,
    }
    if FileType::from_raw_mode(stat_at(from, name)?.st_mode) == FileType::Directory {
        return match stat_at(to, new) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => fs::renameat(from, name, to, new),
            Err(error) => Err(error),
        };
    }
    fs::linkat(from, name, to, new, AtFlags::empty())?;
    fs::unlinkat(from, name, AtFlags::empty())
}

pub(crate) fn exchange(from: impl AsFd, name: &[u8], to: impl AsFd, new: &[u8]) -> Result<()> {
    pass(Operation::Rename, new)?;
    fs::renameat_with(from, name, to, new, RenameFlags::EXCHANGE)
}

pub(crate) fn remove_file(at: impl AsFd, name: &[u8]) -> Result<()> {
    pass(Operation::Remove, name)?;
    fs::unlinkat(at, name, AtFlags::empty())
}

pub(crate) fn remove_dir(at: impl AsFd, name: &[u8]) -> Result<()> {
    pass(Operation::Remove, name)?;
    fs::unlinkat(at, name, AtFlags::REMOVEDIR)
}

pub(crate) fn write(file: impl AsFd, bytes: &[u8]) -> Result<usize> {
    pass(Operation::Write, b"")?;
    rustix::io::write(file, bytes)
}

pub(crate) fn write_at(file: impl AsFd, bytes: &[u8], at: u64) -> Result<usize> {
    pass(Operation::Write, b"")?;
    rustix::io::pwrite(file, bytes, at)
}

pub(crate) fn set_len(file: impl AsFd, length: u64) -> Result<()> {
    pass(Operation::Resize, b"")?;
    fs::ftruncate(file, length)
}

pub(crate) fn chmod(file: impl AsFd, mode: u16) -> Result<()> {
    pass(Operation::SetMeta, b"")?;
    sys::fchmod(file.as_fd(), mode)
}

/// Sets the mode of what a path handle (`O_PATH`) names, which no call on the handle itself can.
pub(crate) fn chmod_path(handle: BorrowedFd<'_>, mode: u16) -> Result<()> {
    pass(Operation::SetMeta, b"")?;
    fs::chmod(proc_path(handle), bits(mode))
}

pub(crate) fn chown(file: impl AsFd, uid: u32, gid: u32) -> Result<()> {
    pass(Operation::SetMeta, b"")?;
    sys::fchown(file.as_fd(), uid, gid)
}

pub(crate) fn chown_at(at: impl AsFd, name: &[u8], uid: u32, gid: u32) -> Result<()> {
    pass(Operation::SetMeta, name)?;
    fs::chownat(at, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)
}

pub(crate) fn set_mtime(file: impl AsFd, mtime: Time) -> Result<()> {
    pass(Operation::SetMeta, b"")?;
    fs::futimens(file, &times(mtime))
}

pub(crate) fn set_mtime_at(at: impl AsFd, name: &[u8], mtime: Time) -> Result<()> {
    pass(Operation::SetMeta, name)?;
    fs::utimensat(at, name, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)
}

pub(crate) fn touch(file: impl AsFd) -> Result<()> {
    pass(Operation::SetMeta, b"")?;
    fs::futimens(file, &now())
}

pub(crate) fn touch_at(at: impl AsFd, name: &[u8]) -> Result<()> {
    pass(Operation::SetMeta, name)?;
    fs::utimensat(at, name, &now(), AtFlags::SYMLINK_NOFOLLOW)
}

pub(crate) fn set_xattr(file: impl AsFd, name: &[u8], value: &[u8]) -> Result<()> {
    pass(Operation::SetXattr, name)?;
    fs::fsetxattr(file, name, value, XattrFlags::empty())
}

pub(crate) fn remove_xattr(file: impl AsFd, name: &[u8]) -> Result<()> {
    pass(Operation::SetXattr, name)?;
    fs::fremovexattr(file, name)
}

/// Sets an attribute of what `name` is, a symbolic link included: the folder is reached through its handle, and
/// the last component is not followed.
pub(crate) fn set_xattr_at(at: impl AsFd, name: &[u8], xattr: &[u8], value: &[u8]) -> Result<()> {
    pass(Operation::SetXattr, name)?;
    fs::lsetxattr(proc_child(at.as_fd(), name), xattr, value, XattrFlags::empty())
}

pub(crate) fn sync(file: impl AsFd) -> Result<()> {
    pass(Operation::Sync, b"")?;
    fs::fsync(file)
}

pub(crate) fn sync_data(file: impl AsFd) -> Result<()> {
    pass(Operation::Sync, b"")?;
    fs::fdatasync(file)
}

pub(crate) fn sync_fs(file: impl AsFd) -> Result<()> {
    pass(Operation::Sync, b"")?;
    fs::syncfs(file)
}

/// Puts a mount that is at no place at a folder.
pub(crate) fn attach(mount: impl AsFd, folder: &Path) -> Result<()> {
    pass(Operation::Mount, folder.as_os_str().as_bytes())?;
    mount::move_mount(mount, "", fs::CWD, folder, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

pub(crate) fn unmount(place: &Path, flags: UnmountFlags) -> Result<()> {
    pass(Operation::Mount, place.as_os_str().as_bytes())?;
    mount::unmount(place, flags)
}

pub(crate) fn share(from: impl AsFd, to: impl AsFd) -> Result<()> {
    pass(Operation::Copy, b"")?;
    fs::ioctl_ficlone(to, from)
}

pub(crate) fn copy_range(
    from: impl AsFd,
    from_at: &mut u64,
    to: impl AsFd,
    to_at: &mut u64,
    length: usize,
) -> Result<usize> {
    pass(Operation::Copy, b"")?;
    fs::copy_file_range(from, Some(from_at), to, Some(to_at), length)
}

/// The path of an open handle itself.
pub(crate) fn proc_path(handle: BorrowedFd<'_>) -> Vec<u8> {
    use std::os::fd::AsRawFd as _;
    format!("/proc/self/fd/{}", handle.as_raw_fd()).into_bytes()
}

/// The path of `name` in an open folder.
pub(crate) fn proc_child(folder: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = proc_path(folder);
    path.push(b'/');
    path.extend_from_slice(name);
    path
}

fn bits(mode: u16) -> Mode {
    Mode::from_raw_mode(fs::RawMode::from(mode))
}

fn times(mtime: Time) -> Timestamps {
    let time = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

fn now() -> Timestamps {
    let now = Timespec { tv_sec: 0, tv_nsec: fs::UTIME_NOW };
    Timestamps { last_access: now, last_modification: now }
}
