//! What a tree has besides contents: links, devices, further names, and what folders are at the end.

use super::cursor::Cursor;
use super::descent::{Descent, Step};
use super::meta::{Setter, failed};
use crate::call;
use crate::error::Error;
use crate::loss::LossKind;
use crate::{Dir, Result};
use orlop_layer::tree::{InodeId, InodeKind, Tree};
use orlop_layer::{Device, Meta};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::FileType;
use rustix::io::Errno;

/// Whether a name came to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Yes,
    No,
}

/// Makes what has neither content nor children, in a folder under a name.
pub(super) fn special(
    setter: &mut Setter<'_>,
    (at, name): (BorrowedFd<'_>, &[u8]),
    kind: &InodeKind,
    meta: &Meta,
    path: &[u8],
) -> Result<Made> {
    if !setter.wants(kind, path) {
        return Ok(Made::No);
    }
    let none = Device { major: 0, minor: 0 };
    let (node, device) = match kind {
        InodeKind::Symlink(target) => {
            call::symlink(target, at, name).map_err(taken("create", path))?;
            setter.symlink(at, name, path, meta)?;
            return Ok(Made::Yes);
        }
        InodeKind::CharDevice(device) => (FileType::CharacterDevice, *device),
        InodeKind::BlockDevice(device) => (FileType::BlockDevice, *device),
        InodeKind::Fifo => (FileType::Fifo, none),
        // None of the others is in a stacked tree.
        _ => return Ok(Made::No),
    };
    match call::make_node(at, name, node, meta.mode & 0o777, device) {
        Ok(()) => setter.node(at, name, path, meta)?,
        Err(Errno::PERM) if node != FileType::Fifo => {
            let why = "making devices needs the capability CAP_MKNOD";
            setter.losses.add(LossKind::Device, path, why, setter.apply().observer);
            return Ok(Made::No);
        }
        Err(error) => return Err(taken("create", path)(error)),
    }
    Ok(Made::Yes)
}

/// Gives what lies at `folder` and `target` of the root a further name.
pub(super) fn link(
    links: &mut Cursor<()>,
    folder: &[u8],
    target: &[u8],
    at: BorrowedFd<'_>,
    name: &[u8],
    path: &[u8],
) -> Result<()> {
    let open = |at: &Cursor<()>, name: &[u8]| Ok((call::open_dir(at.here(), name)?, ()));
    links.go(folder, open).map_err(failed("open the folder", folder))?;
    call::link(links.here(), target, at, name).map_err(taken("link", path))
}

/// Gives every folder beneath `top` what it should have; the top itself is finished by whoever publishes it.
pub(super) fn finish(tree: &Tree, top: InodeId, root: &Dir, setter: &mut Setter<'_>) -> Result<()> {
    let mut at = Cursor::new(reopen(root)?, ());
    for step in Descent::new(tree, top) {
        match step {
            Step::Enter(name, _) => {
                let opened = call::open_dir(at.here(), name);
                let handle = opened.map_err(failed("open the folder", &join(at.path(), name)))?;
                at.enter(name, handle, ());
            }
            Step::Leave(id) if id != top => {
                let path = at.path().to_vec();
                let folder = at.leave().map_err(failed("leave", &path))?;
                setter.folder(folder.as_fd(), &path, &tree.inode(id).meta)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// An error of a call that makes a name which must be free.
pub(super) fn taken(action: &'static str, path: &[u8]) -> impl Fn(Errno) -> Error {
    move |error| match error {
        Errno::EXIST | Errno::NOTEMPTY => Error::Collision(path.into()),
        error => failed(action, path)(error),
    }
}

pub(super) fn reopen(folder: &Dir) -> Result<OwnedFd> {
    call::reopen(folder).map_err(folder.failed("open", b""))
}

pub(super) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}
