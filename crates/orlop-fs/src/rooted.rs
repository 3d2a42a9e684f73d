//! Questions about a root filesystem that came out of an image: every link in it is the image's own, so paths
//! are resolved as after `chroot`, and nothing but regular files is read.

use crate::call;
use crate::error::Error;
use crate::file::File;
use crate::resolve::{Escape, resolve};
use crate::stat::{FileKind, Stat};
use crate::{Dir, Result};
use rustix::fs::fstat;
use std::io;

/// The content of the regular file at `path` in `root`, such as `/etc/passwd`. `None` where there is none; what
/// is no regular file, or larger than `limit` bytes, is an error.
pub fn read_small(root: &Dir, path: impl AsRef<[u8]>, limit: u64) -> Result<Option<Vec<u8>>> {
    let path = path.as_ref();
    let found = match resolve(root, path, Escape::Root) {
        Err(error) if is_missing(&error) => return Ok(None),
        found => found?,
    };
    let handle = found.open_file(call::READ).map_err(root.failed("open", path))?;
    File::regular(handle, root.shown(path))?.read_to_limit(limit).map(Some)
}

/// What a path of the image's config leads to in its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// A folder.
    Folder,
    /// Nothing; a runtime makes it.
    Missing,
    /// Something that is no folder.
    NoFolder,
    /// Out: into `/proc`, which is the host's while a container starts, or above the root by `..`.
    Out,
}

/// Where `path`, for example the working folder of a config, leads in `root`.
pub fn resolves_inside(root: &Dir, path: impl AsRef<[u8]>) -> Result<Inside> {
    let path = path.as_ref();
    match resolve(root, path, Escape::Watch) {
        Ok(found) => {
            let stat = fstat(found.handle()).map_err(root.failed("look at", path))?;
            let is_folder = Stat::from(stat).kind == FileKind::Directory;
            Ok(if is_folder { Inside::Folder } else { Inside::NoFolder })
        }
        Err(Error::Escapes { .. }) => Ok(Inside::Out),
        Err(error) if error.io_kind() == Some(io::ErrorKind::NotADirectory) => Ok(Inside::NoFolder),
        // What is missing is made below what exists, component by component: `..` must not be among them.
        Err(error) if error.is_not_found() => {
            let climbs = path.split(|byte| *byte == b'/').any(|name| name == b"..");
            Ok(if climbs { Inside::Out } else { Inside::Missing })
        }
        Err(error) => Err(error),
    }
}

/// What is at `path` in `root`, links followed as after `chroot`; `None` where there is nothing.
pub fn stat_inside(root: &Dir, path: impl AsRef<[u8]>) -> Result<Option<Stat>> {
    let path = path.as_ref();
    match resolve(root, path, Escape::Root) {
        Err(error) if is_missing(&error) => Ok(None),
        found => {
            let stat = fstat(found?.handle()).map_err(root.failed("look at", path))?;
            Ok(Some(Stat::from(stat)))
        }
    }
}

/// Target of the symbolic link at an absolute path, none of whose folders is a link; `None` where there is no link.
pub fn link(root: &Dir, path: &[u8]) -> Option<Vec<u8>> {
    let mut names: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).collect();
    let last = names.pop()?;
    let mut folder = root.try_clone().ok()?;
    for name in names {
        folder = folder.open_dir(name).ok()?;
    }
    Some(folder.read_link(last).ok()?.into())
}

fn is_missing(error: &Error) -> bool {
    matches!(error.io_kind(), Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}
