//! Folders that nobody else may look into, and files in them that appear whole.
//!
//! Invariant: a folder that others can read or write, or that is somebody else's, is not used at all.

use orlop_fs::lock::{Lock, Share, Wait};
use orlop_fs::{Dir, File, Persist, Stat};
use std::io::Write as _;
use std::path::Path;

/// A folder of one's own, made where it is missing; nothing where it cannot be made or is not private.
pub(super) fn open_or_make(path: &Path, user: u32) -> Option<Dir> {
    let (parent, name) = (path.parent()?, path.file_name()?);
    let folder = Dir::create_all(parent).ok()?.make_or_open_dir(name.as_encoded_bytes(), 0o700).ok()?;
    is_private(&folder, user).then_some(folder)
}

/// The same, where it exists already.
pub(super) fn open(path: &Path, user: u32) -> Option<Dir> {
    Dir::open(path).ok().filter(|folder| is_private(folder, user))
}

fn is_private(folder: &Dir, user: u32) -> bool {
    folder.stat_self().is_ok_and(|stat| is_own(&stat, user))
}

/// The group and others have no bit.
fn is_own(stat: &Stat, user: u32) -> bool {
    stat.uid == user && stat.mode.is_multiple_of(0o100)
}

/// A file of such a folder, if it is whole and private as well.
pub(super) fn read(folder: &Dir, name: &str, user: u32, limit: u64) -> Option<Vec<u8>> {
    let mut file = folder.open_file(name).ok()?;
    let is_private = is_own(&file.stat().ok()?, user);
    is_private.then(|| file.read_to_limit(limit).ok()).flatten()
}

/// Writes a file in one step, readable by its owner alone, and gives it.
pub(super) fn write(folder: &Dir, name: &str, bytes: &[u8]) -> orlop_fs::Result<File> {
    let mut temporary = folder.create_temp()?;
    // Before a byte is in it.
    temporary.file().set_mode(0o600)?;
    temporary
        .write_all(bytes)
        .map_err(|error| orlop_fs::Error::io("write", folder.shown(name).as_bytes(), error))?;
    temporary.persist(name, Persist::Replace)
}

/// Alone in the folder, as long as the lock is held; nothing where it cannot be had at once: what is kept here is not
/// worth waiting for.
pub(super) fn lock(folder: &Dir) -> Option<Lock> {
    folder.lock(Share::Exclusive, Wait::No).ok().flatten()
}
