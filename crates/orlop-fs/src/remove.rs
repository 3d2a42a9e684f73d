//! Removal of whole trees, beneath a handle, in fixed memory and with few open folders. What is mounted within is
//! never touched.
//!
//! Folders deeper than [`DEEPEST`] are moved up beside the one being removed, so that no tree is too deep.

use crate::call;
use crate::dir::list;
use crate::random;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::{Errno, Result};

/// Folders open at once.
const DEEPEST: usize = 64;

/// Removes `name` of `parent` and everything beneath it; nothing is followed.
pub(crate) fn remove_all(parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    let is_folder = match call::stat_at(parent, name) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error),
    };
    if !is_folder {
        return gone(call::remove_file(parent, name));
    }
    let top = open_for_removal(parent, name)?;
    let mut deep = Vec::new();
    empty(&top, top.as_fd(), 0, &mut deep)?;
    while let Some(name) = deep.pop() {
        let folder = open_for_removal(top.as_fd(), &name)?;
        empty(&folder, top.as_fd(), 1, &mut deep)?;
        gone(call::remove_dir(&top, &name))?;
    }
    gone(call::remove_dir(parent, name))
}

/// Empties a folder. What is too deep is moved to `top` and its new name noted.
fn empty(folder: &OwnedFd, top: BorrowedFd<'_>, depth: usize, deep: &mut Vec<Vec<u8>>) -> Result<()> {
    for name in list(folder)? {
        match call::remove_file(folder, &name) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
        if depth == DEEPEST {
            let moved = random::name(".deep-");
            call::rename_new(folder, &name, top, &moved)?;
            deep.push(moved);
            continue;
        }
        let below = open_for_removal(folder.as_fd(), &name)?;
        empty(&below, top, depth + 1, deep)?;
        gone(call::remove_dir(folder, &name))?;
    }
    Ok(())
}

/// Opens a folder; one that its owner may not read or change is made so first. What is mounted there is not part of
/// the tree: removing the tree would have to remove the mount, and must not remove what is in it.
fn open_for_removal(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    let handle = call::open_path(parent, name)?;
    let mode = fstat(&handle)?.st_mode;
    if FileType::from_raw_mode(mode) != FileType::Directory {
        return Err(Errno::NOTDIR);
    }
    if call::is_mount_point(&handle) {
        return Err(Errno::BUSY);
    }
    if mode & 0o700 != 0o700 {
        // Whoever may remove the tree without this does not need it to succeed.
        call::chmod_path(handle.as_fd(), 0o700).ok();
    }
    openat(&handle, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn gone(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(Errno::NOENT) => Ok(()),
        outcome => outcome,
    }
}
