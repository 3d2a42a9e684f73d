//! Mounts, by the kernel's own calls: `mount(8)` would put a loop device between an image and its file.
//!
//! Invariant: what is made is at no place until [`Mount::attach`], and is gone when it is dropped before.

mod list;
mod namespace;

use crate::error::{Error, Shown};
use crate::overlay::Flavour;
use crate::{Dir, Result, call, erofs, sys};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, open_tree,
};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

pub use list::{Attached, Whose, attached};
pub use namespace::{Namespace, Witness};

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
            if let ([only], []) = (lower, data) {
                // Kernels before 6.8 know nothing but this.
                fsconfig_set_string(context, "lowerdir", &*escaped(only, b"\\:"))?;
            } else {
                lower.iter().try_for_each(|folder| fsconfig_set_string(context, "lowerdir+", *folder))?;
                data.iter().try_for_each(|folder| fsconfig_set_string(context, "datadir+", *folder))?;
            }
            if let Some((upper, work)) = upper {
                fsconfig_set_string(context, "upperdir", &*escaped(upper, b"\\"))?;
                fsconfig_set_string(context, "workdir", &*escaped(work, b"\\"))?;
            }
            Ok(())
        })
    }

    /// Shows a folder once more, read-only, without what is mounted within it.
    ///
    /// # Errors
    /// Where the caller may not mount, or the kernel is older than 5.12.
    pub fn folder(folder: &Path) -> Result<Self> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let clone = open_tree(CWD, folder, flags).map_err(|error| failed(folder, error))?;
        sys::make_read_only(clone.as_fd()).map_err(|error| failed(folder, error))?;
        Ok(Self(clone))
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
        call::attach(&self.0, folder).map_err(|error| failed(folder, error))
    }

    /// Major and minor number of the file system, by which the list of mounts tells it too.
    pub fn device(&self) -> Result<(u32, u32)> {
        let device = self.root()?.stat_self()?.dev;
        Ok((rustix::fs::major(device), rustix::fs::minor(device)))
    }

    /// The root of what it shows, before it is at any place too.
    pub fn root(&self) -> Result<Dir> {
        Dir::from_handle_of(self.0.as_fd(), b"(mount)")
    }
}

/// What to do with a mount that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InUse {
    /// It is an error, and stays.
    Refuse,
    /// It is taken away; who uses it goes on until it is left.
    Detach,
}

/// Takes the uppermost mount from a place. A symbolic link is not followed.
///
/// # Errors
/// Where nothing is mounted, the mount is in use or the caller may not.
pub fn unmount(place: &Path, in_use: InUse) -> Result<()> {
    let flags = match in_use {
        InUse::Refuse => UnmountFlags::NOFOLLOW,
        InUse::Detach => UnmountFlags::NOFOLLOW | UnmountFlags::DETACH,
    };
    call::unmount(place, flags).map_err(|error| match error {
        Errno::BUSY => Error::MountInUse(Shown::from(place.as_os_str().as_bytes())),
        error => Error::io("unmount", place.as_os_str().as_bytes(), error),
    })
}

/// The kernel takes a backslash, and between lower folders a colon, for its own.
fn escaped<'p>(path: &'p Path, special: &[u8]) -> Cow<'p, OsStr> {
    let bytes = path.as_os_str().as_bytes();
    if !bytes.iter().any(|byte| special.contains(byte)) {
        return Cow::Borrowed(path.as_os_str());
    }
    let slash = |byte: &u8| special.contains(byte).then_some(b'\\');
    let escaped = bytes.iter().flat_map(|byte| slash(byte).into_iter().chain([*byte]));
    Cow::Owned(OsString::from_vec(escaped.collect()))
}

fn failed(place: &Path, error: Errno) -> Error {
    Error::io("mount", Shown::from(place.as_os_str().as_bytes()), io::Error::from(error))
}
