//! Mounts, by the kernel's own calls: `mount(8)` would put a loop device between an image and its file.
//!
//! Invariant: what is made is at no place until [`Mount::attach`], and is gone when it is dropped before.

use crate::Result;
use crate::erofs;
use crate::error::{Error, Shown};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount,
};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A file system that is made and at no place yet.
#[derive(Debug)]
pub struct Mount(OwnedFd);

impl Mount {
    /// Shows an EROFS image from its file, read-only. `devices` hold the contents, in the order in which the image was told
    /// of them. Paths are absolute, since the kernel opens them.
    ///
    /// # Errors
    /// Where the caller may not mount, or the kernel does not know the type or does not take the image.
    pub fn erofs(image: &Path, devices: &[&Path]) -> Result<Self> {
        let failed = |error: rustix::io::Errno| {
            Error::io("mount", Shown::from(image.as_os_str().as_bytes()), io::Error::from(error))
        };
        let context = fsopen(erofs::NAME, FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed)?;
        let context = context.as_fd();
        fsconfig_set_flag(context, "ro").map_err(failed)?;
        fsconfig_set_string(context, "source", image).map_err(failed)?;
        for device in devices {
            fsconfig_set_string(context, "device", *device).map_err(failed)?;
        }
        fsconfig_create(context).map_err(failed)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
        fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map(Self).map_err(failed)
    }

    /// Puts it at a folder, where it stays until it is unmounted.
    pub fn attach(self, folder: &Path) -> Result<()> {
        move_mount(self.0.as_fd(), "", CWD, folder, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(
            |error| Error::io("mount", Shown::from(folder.as_os_str().as_bytes()), io::Error::from(error)),
        )
    }
}
