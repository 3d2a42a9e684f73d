//! Bytes from file to file without passing through the program.

use crate::Result;
use crate::call;
use crate::error::Error;
use crate::file::File;
use crate::staging::Output;
use orlop_spec::{Cancel, Digest, Hasher};
use rustix::fd::AsFd;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// Bytes that pass through memory at once.
const STEP: usize = 256 << 10;

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

/// How a file came by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It shares the blocks of its source.
    Shared,
    /// It has blocks of its own; holes stay holes.
    Copied,
}

/// Gives `to`, which is empty, the first `size` bytes of `from`, all that it has.
pub fn whole(from: &File, to: &File, size: u64) -> Result<Way> {
    if reflink(from, to)? == Cheap::Done {
        return Ok(Way::Shared);
    }
    let mut at = 0;
    while let Some((begin, end)) = data(from, at, size) {
        if copy_range(from, begin, to, begin, end - begin)? != Some(end - begin) {
            through_memory(from, to, begin, end)?;
        }
        at = end;
    }
    if at < size {
        to.set_len(size)?;
    }
    Ok(Way::Copied)
}

/// As [`whole`], and the content must hash to `digest`; nothing where it does not. A copy is made of the very bytes that
/// were hashed; zeros are left out as holes. What is shared is hashed where it came from.
pub fn proven(from: &File, to: &File, size: u64, digest: &Digest, cancel: &Cancel) -> Result<Option<Way>> {
    let way = if reflink(from, to)? == Cheap::Done { Way::Shared } else { Way::Copied };
    let mut hasher = Hasher::new(digest.algorithm());
    let mut output = Output::new(to.as_fd());
    let mut buffer = vec![0; STEP.min(usize::try_from(size).unwrap_or(STEP))];
    let mut at = 0;
    while at < size {
        cancel.check()?;
        let most = usize::try_from(size - at).unwrap_or(buffer.len()).min(buffer.len());
        let count = from.read_at(&mut buffer[..most], at)?;
        if count == 0 {
            return Ok(None);
        }
        hasher.update(&buffer[..count]);
        if way == Way::Copied {
            output.write(&buffer[..count]).map_err(|error| to.failed("copy to", error))?;
        }
        at += count as u64;
    }
    if way == Way::Copied {
        output.finish().map_err(|error| to.failed("resize", error))?;
    }
    Ok((hasher.finish() == *digest).then_some(way))
}

/// The first run of data at or behind `at`. Where the file system knows nothing of holes, all is data.
fn data(file: &File, at: u64, size: u64) -> Option<(u64, u64)> {
    if at >= size {
        return None;
    }
    let begin = match seek(file, SeekFrom::Data(at)) {
        Ok(begin) => begin,
        Err(Errno::NXIO) => return None,
        Err(_) => return Some((at, size)),
    };
    let end = seek(file, SeekFrom::Hole(begin)).unwrap_or(size).min(size);
    (begin < end).then_some((begin, end))
}

fn through_memory(from: &File, to: &File, mut at: u64, end: u64) -> Result<()> {
    let mut buffer = vec![0; STEP];
    while at < end {
        let most = usize::try_from(end - at).unwrap_or(buffer.len()).min(buffer.len());
        let count = from.read_at(&mut buffer[..most], at)?;
        if count == 0 {
            return Err(Error::Changed(from.shown().clone()));
        }
        to.write_at(&buffer[..count], at)?;
        at += count as u64;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dir;

    /// Within one file system, and from one to another, which none of the cheap ways does.
    #[test]
    fn a_copy_is_whole_and_keeps_its_holes() {
        const END: u64 = 8 << 20;
        for to in [testkit::scratch(), testkit::scratch::scratch_in_memory()] {
            let from = testkit::scratch();
            let (from, to) = (Dir::open(from.root()).expect("opened"), Dir::open(to.root()).expect("opened"));
            let source = from.create_file("a", 0o600).expect("made");
            source.write_at(b"first", 1 << 20).expect("written");
            source.write_at(b"second", 3 << 20).expect("written");
            source.set_len(END).expect("resized");
            let copy = to.create_file("b", 0o600).expect("made");
            whole(&source, &copy, END).expect("copied");
            let (mut is, mut was) = (vec![1; 8 << 20], vec![0; 8 << 20]);
            assert_eq!(copy.read_at(&mut is, 0).expect("read"), source.read_at(&mut was, 0).expect("read"));
            assert!(is == was);
            let stat = copy.stat().expect("a file");
            assert_eq!(stat.size, END);
            assert!(stat.allocated < 1 << 20, "{} bytes", stat.allocated);
        }
    }
}
