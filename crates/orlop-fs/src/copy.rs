//! Bytes from file to file without passing through the program.

use crate::Result;
use crate::call;
use crate::file::File;
use rustix::fd::AsFd;
use rustix::io::Errno;

/// Whether a cheap way was possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cheap {
    /// It was done.
    Done,
    /// The file systems cannot; nothing was changed.
    NotHere,
}

/// Lets `to`, which is empty, share all blocks of `from` (`FICLONE`).
pub fn reflink(from: impl AsFd, to: &File) -> Result<Cheap> {
    match call::share(from, to) {
        Ok(()) => Ok(Cheap::Done),
        Err(error) if is_not_here(error) => Ok(Cheap::NotHere),
        Err(error) => Err(to.failed("share blocks with", error)),
    }
}

/// Copies `length` bytes of `from`, beginning at `at`, to the position `to_at` of `to` within the kernel. Returns
/// how many were copied: fewer where `from` ends early; `None` where the file systems cannot.
pub fn copy_range(from: impl AsFd, at: u64, to: &File, to_at: u64, length: u64) -> Result<Option<u64>> {
    const STEP: usize = 1 << 30;
    let (mut from_at, begin, mut to_at) = (at, to_at, to_at);
    while to_at - begin < length {
        let step = usize::try_from(length - (to_at - begin)).unwrap_or(STEP).min(STEP);
        match call::copy_range(from.as_fd(), &mut from_at, to, &mut to_at, step) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) if to_at == begin && is_not_here(error) => return Ok(None),
            Err(error) => return Err(to.failed("copy to", error)),
        }
    }
    Ok(Some(to_at - begin))
}

/// Gives an open file a name in `folder`, which must be free; a second name of the same file, not a copy.
pub fn link(from: impl AsFd, folder: &crate::Dir, name: impl AsRef<[u8]>) -> Result<Cheap> {
    let name = folder.plain(name.as_ref())?;
    match call::link_open(from, folder, name) {
        Ok(()) => Ok(Cheap::Done),
        Err(error) if is_not_here(error) || matches!(error, Errno::PERM | Errno::MLINK | Errno::NOENT) => {
            Ok(Cheap::NotHere)
        }
        Err(error) => Err(folder.failed("link", name)(error)),
    }
}

fn is_not_here(error: Errno) -> bool {
    matches!(error, Errno::XDEV | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::NOTTY | Errno::BADF)
}
