//! Mounts, by the kernel's own calls: `mount(8)` would put a loop device between an image and its file.
//!
//! Invariant: what is made is at no place until [`Mount::attach`], and is gone when it is dropped before.

use crate::Result;
use crate::erofs;
use crate::error::{Error, Shown};
use crate::overlay::Flavour;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::CWD;
use rustix::io::Errno;
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

/// Folders that an overlay puts on each other.
#[derive(Clone, Copy, Debug)]
pub struct Overlay<'a> {
    /// What is shown, the uppermost first.
    pub lower: &'a [&'a Path],
    /// Where contents are that the attributes of lower files point at; their own names are not shown.
    pub data: &'a [&'a Path],
    /// Where changes go, and a folder of the same file system for the kernel's use; without it, nothing can be changed.
    pub upper: Option<(&'a Path, &'a Path)>,
    /// Which attributes the kernel reads.
    pub flavour: Flavour,
}

impl Mount {
    /// Shows an EROFS image from its file, read-only. `devices` hold the contents, in the order in which the image was told
    /// of them. Paths are absolute, since the kernel opens them.
    ///
    /// # Errors
    /// Where the caller may not mount, or the kernel does not know the type or does not take the image.
    pub fn erofs(image: &Path, devices: &[&Path]) -> Result<Self> {
        Self::make(erofs::NAME, image, MountAttrFlags::MOUNT_ATTR_RDONLY, |context| {
            fsconfig_set_flag(context, "ro")?;
            fsconfig_set_string(context, "source", image)?;
            devices.iter().try_for_each(|device| fsconfig_set_string(context, "device", *device))
        })
    }

    /// Shows folders as one.
    ///
    /// # Errors
    /// Where the caller may not mount, or the kernel cannot follow attributes to data layers.
    pub fn overlay(overlay: &Overlay<'_>) -> Result<Self> {
        let &Overlay { lower, data, upper, flavour } = overlay;
        let place = upper.map_or_else(|| lower.first().copied(), |(upper, _)| Some(upper));
        let attributes = match upper {
            None => MountAttrFlags::MOUNT_ATTR_RDONLY,
            Some(_) => MountAttrFlags::empty(),
        };
        Self::make("overlay", place.unwrap_or(Path::new("/")), attributes, |context| {
            match flavour {
                // Told apart, they are refused beside `userxattr`, which follows attributes by itself.
                Flavour::User => fsconfig_set_flag(context, "userxattr")?,
                Flavour::Trusted => {
                    fsconfig_set_string(context, "metacopy", "on")?;
                    fsconfig_set_string(context, "redirect_dir", "on")?;
                }
            }
            lower.iter().try_for_each(|folder| fsconfig_set_string(context, "lowerdir+", *folder))?;
            data.iter().try_for_each(|folder| fsconfig_set_string(context, "datadir+", *folder))?;
            if let Some((upper, work)) = upper {
                fsconfig_set_string(context, "upperdir", upper)?;
                fsconfig_set_string(context, "workdir", work)?;
            }
            Ok(())
        })
    }

    fn make(
        kind: &str,
        place: &Path,
        attributes: MountAttrFlags,
        configure: impl FnOnce(BorrowedFd<'_>) -> rustix::io::Result<()>,
    ) -> Result<Self> {
        let make = || {
            let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
            configure(context.as_fd())?;
            fsconfig_create(context.as_fd())?;
            fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        };
        make().map(Self).map_err(|error| failed(place, error))
    }

    /// Puts it at a folder, where it stays until it is unmounted.
    pub fn attach(self, folder: &Path) -> Result<()> {
        move_mount(self.0.as_fd(), "", CWD, folder, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .map_err(|error| failed(folder, error))
    }
}

fn failed(place: &Path, error: Errno) -> Error {
    Error::io("mount", Shown::from(place.as_os_str().as_bytes()), io::Error::from(error))
}
