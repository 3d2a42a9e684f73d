//! Which files have another mode for the time of a scan, so that a run that was killed does not leave it so.
//!
//! ```text
//! .orlop-lent-xxxxxxxxxxxx      in the folder for temporary files; mode 0600, locked while its scan lives
//!     MODE DEV INO PATH NUL     octal, decimal, decimal, from the root of the host; written before each change
//! ```
//!
//! The next scan finds a journal whose lock is free, and puts the modes back: only on files that are still those
//! of the record and belong to the caller, and only from a journal that belongs to the caller, because anybody
//! may write to a folder for temporary files.

use crate::call;
use crate::dir::Dir;
use crate::file::File;
use crate::lock::{Lock, Share, Wait};
use crate::stat::Stat;
use crate::{Result, privilege, random};
use rustix::fd::AsFd as _;
use rustix::fs::{self, Mode, OFlags};
use std::io::Write as _;

const PREFIX: &str = ".orlop-lent-";

/// Bytes of a journal that are read back.
const LARGEST: u64 = 64 << 20;

/// The journal of one scan. Dropping it removes it: all modes are put back by then.
pub(super) struct Journal {
    folder: Dir,
    open: Option<Open>,
}

struct Open {
    name: Vec<u8>,
    file: File,
    _lock: Option<Lock>,
}

impl Journal {
    /// A journal in `folder`, made when it is needed. What killed runs left there is put right first.
    pub(super) fn new(folder: &Dir) -> Result<Self> {
        recover(folder)?;
        Ok(Self { folder: folder.try_clone()?, open: None })
    }

    /// Says that the file at `path`, from the root of the host, is about to lose its mode for a while.
    pub(super) fn record(&mut self, path: &[u8], stat: &Stat) -> Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Open::create(&self.folder)?),
        };
        let mut line = format!("{:o} {} {} ", stat.mode, stat.dev, stat.ino).into_bytes();
        line.extend_from_slice(path);
        line.push(0);
        open.file.write_all(&line).map_err(|error| open.file.failed("write", error))
    }
}

impl Open {
    fn create(folder: &Dir) -> Result<Self> {
        let name = random::name(PREFIX);
        let file = folder.create_file(&name, 0o600)?;
        let lock = folder.lock_file(&name, Share::Exclusive, Wait::No)?;
        Ok(Self { name, file, _lock: lock })
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            // What stays is found by its free lock, and says nothing that is not so.
            self.folder.remove_file(&open.name).ok();
        }
    }
}

fn recover(folder: &Dir) -> Result<()> {
    for name in folder.list()?.iter().filter(|name| name.starts_with(PREFIX.as_bytes())) {
        let Ok(mut file) = folder.open_file(name) else { continue };
        let is_ours = file.stat()?.uid == privilege::ids().0;
        let Ok(Some(_lock)) = folder.lock_file(name, Share::Exclusive, Wait::No) else { continue };
        if is_ours {
            let text = file.read_to_limit(LARGEST)?;
            // The first record of a file has the mode that it had at first.
            text.split(|byte| *byte == 0).rev().filter_map(parse).for_each(|record| put_back(&record));
            folder.remove_file(name)?;
        }
    }
    Ok(())
}

struct Record<'a> {
    mode: u16,
    dev: u64,
    ino: u64,
    path: &'a [u8],
}

/// A record that was cut belongs to a change that was not made.
fn parse(line: &[u8]) -> Option<Record<'_>> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let mut field = || fields.next().and_then(|field| std::str::from_utf8(field).ok());
    let mode = u16::from_str_radix(field()?, 8).ok()?;
    let (dev, ino) = (field()?.parse().ok()?, field()?.parse().ok()?);
    Some(Record { mode: mode & 0o7777, dev, ino, path: fields.next()? })
}

/// What is no longer there, or no longer the same, needs nothing.
fn put_back(record: &Record<'_>) {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(handle) = fs::open(record.path, flags, Mode::empty()) else { return };
    let Ok(stat) = fs::fstat(&handle).map(Stat::from) else { return };
    if (stat.dev, stat.ino) == (record.dev, record.ino) && stat.uid == privilege::ids().0 {
        call::chmod_path(handle.as_fd(), record.mode).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_hold_any_path_and_cut_ones_are_none() {
        let record = parse(b"4755 12 34 /a path\n/\xff").expect("whole");
        assert_eq!(
            (record.mode, record.dev, record.ino, record.path),
            (0o4755, 12, 34, &b"/a path\n/\xff"[..])
        );
        for cut in [&b""[..], b"755", b"755 1", b"755 1 2", b"999 1 2 /x", b"755 x 2 /x"] {
            assert!(parse(cut).is_none(), "{cut:?}");
        }
    }
}
