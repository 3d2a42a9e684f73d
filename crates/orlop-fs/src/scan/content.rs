//! The content of the file where a scan stands: in large pieces, holes told as holes.

use crate::Result;
use crate::error::{Error, Shown};
use crate::stat::{FileKind, Stat};
use orlop_layer::Chunk;
use rustix::fd::OwnedFd;
use rustix::fs::{SeekFrom, fstat, seek};
use rustix::io::{Errno, pread};

/// Bytes read at once.
const PIECE: usize = 512 << 10;

/// The open file, if any, and a buffer that serves them all.
#[derive(Default)]
pub(crate) struct Content {
    open: Option<Open>,
    buffer: Vec<u8>,
}

struct Open {
    file: OwnedFd,
    shown: Shown,
    stat: Stat,
    at: u64,
    /// Where the present run of data ends.
    data_end: u64,
}

impl Content {
    /// Takes a file that must be the one that was looked at.
    pub(crate) fn open(&mut self, file: OwnedFd, stat: &Stat, shown: Shown) -> Result<()> {
        // What occupies less than its size has holes; nothing else is asked for them.
        let data_end = if stat.allocated < stat.size { 0 } else { stat.size };
        let open = Open { file, shown, stat: *stat, at: 0, data_end };
        open.check()?;
        self.open = Some(open);
        Ok(())
    }

    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    pub(crate) fn next(&mut self) -> Result<Option<Chunk<'_>>> {
        let Some(open) = &mut self.open else { return Ok(None) };
        if open.at == open.stat.size {
            open.check()?;
            self.open = None;
            return Ok(None);
        }
        if let Some(hole) = open.hole() {
            open.at += hole;
            return Ok(Some(Chunk::Hole(hole)));
        }
        if self.buffer.is_empty() {
            self.buffer = vec![0; PIECE];
        }
        let count = open.read(&mut self.buffer)?;
        Ok(Some(Chunk::Data(&self.buffer[..count])))
    }
}

impl Open {
    /// The hole at the present position, if there is one; else where the data ends is known afterwards.
    fn hole(&mut self) -> Option<u64> {
        if self.at < self.data_end {
            return None;
        }
        let end = self.stat.size;
        let data = match seek(&self.file, SeekFrom::Data(self.at)) {
            Ok(data) => data.min(end),
            Err(Errno::NXIO) => end,
            // The file system knows nothing of holes.
            Err(_) => {
                self.data_end = end;
                return None;
            }
        };
        if data > self.at {
            return Some(data - self.at);
        }
        self.data_end = seek(&self.file, SeekFrom::Hole(self.at)).map_or(end, |hole| hole.min(end));
        None
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(self.data_end - self.at).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        loop {
            match pread(&self.file, &mut buffer[..most], self.at) {
                Ok(0) => return Err(self.changed()),
                Ok(count) => {
                    self.at += count as u64;
                    return Ok(count);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(Error::io("read", self.shown.as_bytes(), error)),
            }
        }
    }

    /// The file must be what it was when it was first looked at.
    fn check(&self) -> Result<()> {
        let now: Stat =
            fstat(&self.file).map_err(|error| Error::io("look at", self.shown.as_bytes(), error))?.into();
        let as_before = now.kind == FileKind::File
            && now.is_same_file(&self.stat)
            && (now.size, now.mtime) == (self.stat.size, self.stat.mtime);
        if as_before { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> Error {
        Error::Changed(self.shown.clone())
    }
}
