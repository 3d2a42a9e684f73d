//! Paths that may lead over symbolic links, resolved beneath a folder.
//!
//! Each component is opened by itself, without following, and links are expanded here. So the answer is the
//! same on every kernel and under every seccomp filter, an absolute link or `..` cannot leave the folder, and
//! links of `/proc` are text like any other. `openat2` would save a few calls on paths that are short anyway.

use crate::Result;
use crate::call;
use crate::dir::Dir;
use crate::error::Error;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;
use std::collections::VecDeque;

/// Links that one path may lead over, as in the kernel.
const MOST_LINKS: usize = 40;

/// Bytes of a path, as in the kernel; this also bounds the open folders.
const LONGEST: usize = 4096;

/// What an absolute link, or `..` at the top, means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// An error.
    Refuse,
    /// The folder itself, as after `chroot`.
    Root,
    /// An absolute link means the folder itself, but `..` at the top and the folder's own `/proc` are errors:
    /// at run time another file system stands there.
    Watch,
}

/// What a path leads to.
pub(crate) struct Found {
    /// A path handle (`O_PATH`): what it names was not touched.
    handle: OwnedFd,
    /// The folder and name it was reached by; `None` for the root and for `..`.
    place: Option<(OwnedFd, Box<[u8]>)>,
}

impl Found {
    /// Opens what was found; the name is opened without following, and must still lead to the same file.
    pub(crate) fn open_file(&self, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let is_file = FileType::from_raw_mode(fstat(&self.handle)?.st_mode) == FileType::RegularFile;
        match &self.place {
            Some((folder, name)) if is_file => {
                let opened = openat(folder, &**name, flags | OFlags::NOFOLLOW, Mode::empty())?;
                let (was, is) = (fstat(&self.handle)?, fstat(&opened)?);
                if (was.st_dev, was.st_ino) == (is.st_dev, is.st_ino) {
                    Ok(opened)
                } else {
                    Err(Errno::AGAIN)
                }
            }
            // No regular file: a path handle is enough for the caller to refuse it by its kind.
            _ => rustix::io::fcntl_dupfd_cloexec(&self.handle, 0),
        }
    }

    /// The path handle.
    pub(crate) fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Resolves `path` beneath `root`.
pub(crate) fn resolve(root: &Dir, path: &[u8], escape: Escape) -> Result<Found> {
    let failed = root.failed("open", path);
    let escapes = || Error::Escapes { path: path.into(), root: root.shown("") };
    if escape == Escape::Refuse && path.starts_with(b"/") {
        return Err(escapes());
    }
    if path.len() >= LONGEST {
        return Err(failed(Errno::NAMETOOLONG));
    }
    let mut todo: VecDeque<Box<[u8]>> = components(path).collect();
    let mut stack = vec![call::open_path(root, b".").map_err(&failed)?];
    let mut place = None;
    let mut links = 0;
    while let Some(name) = todo.pop_front() {
        if &*name == b".." {
            if stack.len() == 1 && escape != Escape::Root {
                return Err(escapes());
            }
            if stack.len() > 1 {
                stack.pop();
            }
            place = None;
            continue;
        }
        if stack.len() == 1 && escape == Escape::Watch && &*name == b"proc" {
            return Err(escapes());
        }
        let folder = stack.last().expect("the root stays");
        let next = call::open_path(folder, &name).map_err(&failed)?;
        if FileType::from_raw_mode(fstat(&next).map_err(&failed)?.st_mode) != FileType::Symlink {
            place = Some((rustix::io::fcntl_dupfd_cloexec(folder, 0).map_err(&failed)?, name));
            stack.push(next);
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(failed(Errno::LOOP));
        }
        let target = readlinkat(&next, c"", Vec::new()).map_err(&failed)?.into_bytes();
        if target.starts_with(b"/") {
            if escape == Escape::Refuse {
                return Err(escapes());
            }
            stack.truncate(1);
        }
        for component in components(&target).collect::<Vec<_>>().into_iter().rev() {
            todo.push_front(component);
        }
    }
    Ok(Found { handle: stack.pop().expect("the root stays"), place })
}

/// The components of a path as the kernel sees them; a trailing slash asks for a folder, which `.` does too.
fn components(path: &[u8]) -> impl Iterator<Item = Box<[u8]>> + '_ {
    path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")).map(Into::into)
}
