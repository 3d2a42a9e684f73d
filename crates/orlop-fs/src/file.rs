//! A regular file, open.

use crate::Result;
use crate::call;
use crate::error::{Error, Shown};
use crate::lock::{self, Lock, Share, Wait};
use crate::staging::Output;
use crate::stat::{FileKind, Stat};
use orlop_spec::port::Spool;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, Mode, OFlags, SeekFrom as Position};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// An open file. Reading and writing go through libc, writing through the seam as well.
#[derive(Debug)]
pub struct File {
    handle: OwnedFd,
    path: Shown,
}

impl File {
    pub(crate) fn new(handle: OwnedFd, path: Shown) -> Self {
        Self { handle, path }
    }

    /// Refuses what is no regular file; opening it had no effect.
    pub(crate) fn regular(handle: OwnedFd, path: Shown) -> Result<Self> {
        let file = Self { handle, path };
        if file.stat()?.kind == FileKind::File { Ok(file) } else { Err(Error::NotRegular(file.path)) }
    }

    /// Opens a file that the user named, for reading: symbolic links are followed, and a pipe is read as one.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().as_os_str().as_bytes();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        let handle = fs::open(path, flags, Mode::empty()).map_err(|error| Error::io("open", path, error))?;
        Ok(Self::from_handle(handle, path))
    }

    /// Wraps an open file; `path` is for messages.
    pub fn from_handle(handle: OwnedFd, path: impl Into<Shown>) -> Self {
        Self { handle, path: path.into() }
    }

    /// Where the file was when it was opened. For messages.
    pub fn shown(&self) -> &Shown {
        &self.path
    }

    /// What is known about the file.
    pub fn stat(&self) -> Result<Stat> {
        fs::fstat(self).map(Stat::from).map_err(|error| self.failed("look at", error))
    }

    /// Bytes.
    pub fn size(&self) -> Result<u64> {
        Ok(self.stat()?.size)
    }

    /// A second handle with the same position.
    pub fn try_clone(&self) -> Result<Self> {
        let handle = self.handle.try_clone().map_err(|error| self.failed("open", error))?;
        Ok(Self { handle, path: self.path.clone() })
    }

    /// Locks the file, as long as the guard lives or this handle. `None` where somebody else holds it and `wait` is
    /// [`Wait::No`].
    pub fn lock(&self, share: Share, wait: Wait) -> Result<Option<Lock>> {
        let handle = self.handle.try_clone().map_err(|error| self.failed("open", error))?;
        lock::lock(handle, self.path.clone(), share, wait)
    }

    /// Reads at a position, whatever the file's own is; fewer bytes only at the end.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match rustix::io::pread(self, &mut buffer[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(self.failed("read", error)),
            }
        }
        Ok(filled)
    }

    /// Writes at a position, whatever the file's own is.
    pub fn write_at(&self, mut bytes: &[u8], mut at: u64) -> Result<()> {
        while !bytes.is_empty() {
            match call::write_at(self, bytes, at) {
                Ok(count) => {
                    bytes = &bytes[count..];
                    at += count as u64;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(self.failed("write", error)),
            }
        }
        Ok(())
    }

    /// Writes at a position where nothing was written yet, but for blocks of zeros: those read as zeros once the file is
    /// as long as it should be, and occupy nothing.
    pub fn write_data_at(&self, bytes: &[u8], at: u64) -> Result<()> {
        Output::at(self, at).write(bytes).map_err(|error| self.failed("write", error))
    }

    /// Everything from the file's position on, up to `limit` bytes; more is [`Error::TooLarge`].
    pub fn read_to_limit(&mut self, limit: u64) -> Result<Vec<u8>> {
        let expected = self.size()?.min(limit);
        let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0) + 1);
        let mut bounded = (&mut *self).take(limit.saturating_add(1));
        let outcome = bounded.read_to_end(&mut bytes);
        outcome.map_err(|error| Error::io("read", self.path.as_bytes(), error))?;
        if bytes.len() as u64 > limit {
            return Err(Error::TooLarge { path: self.path.clone(), limit });
        }
        Ok(bytes)
    }

    /// Sets the length; what is new reads as zeros and occupies nothing.
    pub fn set_len(&self, length: u64) -> Result<()> {
        call::set_len(self, length).map_err(|error| self.failed("resize", error))
    }

    /// Sets the mode.
    pub fn set_mode(&self, mode: u16) -> Result<()> {
        call::chmod(self, mode).map_err(|error| self.failed("set the mode of", error))
    }

    /// Forces content and size to the disk.
    pub fn sync_data(&self) -> Result<()> {
        call::sync_data(self).map_err(|error| self.failed("sync", error))
    }

    /// Forces content and everything about the file to the disk.
    pub fn sync(&self) -> Result<()> {
        call::sync(self).map_err(|error| self.failed("sync", error))
    }

    pub(crate) fn renamed(mut self, path: Shown) -> Self {
        self.path = path;
        self
    }

    pub(crate) fn failed(&self, action: &'static str, source: impl Into<io::Error>) -> Error {
        Error::io(action, self.path.as_bytes(), source)
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl From<File> for OwnedFd {
    fn from(file: File) -> Self {
        file.handle
    }
}

impl Read for &File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self, buffer)?)
    }
}

impl Write for &File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(call::write(self, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for &File {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let position = match position {
            SeekFrom::Start(at) => Position::Start(at),
            SeekFrom::End(by) => Position::End(by),
            SeekFrom::Current(by) => Position::Current(by),
        };
        Ok(fs::seek(self, position)?)
    }
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file without a name is where a blob waits for its digest.
impl Spool for File {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        Self::read_at(self, buffer, at).map_err(|error| orlop_spec::Fault::from(error).into())
    }
}

impl Seek for File {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        (&*self).seek(position)
    }
}
