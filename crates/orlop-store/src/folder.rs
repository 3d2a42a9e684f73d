//! Folders that a writer finds or makes, and takes back when it gives up.

use orlop_fs::lock::{Share, Wait};
use orlop_fs::{Dir, Lock, Persist};
use orlop_spec::port::Result;
use std::io::Write as _;
use std::path::Path;

/// What a writer made, and so takes back when it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// Nothing: there was something of the same form.
    Nothing,
    /// What is in the folder.
    Content,
    /// The folder too.
    Folder,
}

/// The folder, made where it is missing, and a lock on it.
pub(crate) fn open_locked(path: &Path, share: Share) -> Result<(Dir, Option<Lock>, Made)> {
    loop {
        let (folder, made) = open_or_make(path)?;
        let lock = folder.lock(share, Wait::Yes)?;
        // A writer that gave up may have removed the folder before the lock was ours.
        if folder.stat_self()?.links != 0 {
            return Ok((folder, lock, made));
        }
    }
}

fn open_or_make(path: &Path) -> Result<(Dir, Made)> {
    match (Dir::open(path), path.file_name()) {
        (Err(error), Some(name)) if error.is_not_found() => {
            let parent = parent_of(path)?;
            match parent.make_dir(name.as_encoded_bytes(), 0o777) {
                Ok(()) => {
                    parent.sync()?;
                    Ok((Dir::open(path)?, Made::Folder))
                }
                Err(error) if error.is_exists() => Ok((Dir::open(path)?, Made::Nothing)),
                Err(error) => Err(error.into()),
            }
        }
        (opened, _) => Ok((opened?, Made::Nothing)),
    }
}

/// Removes the folder, which is empty by now, if it was made.
pub(crate) fn take_back(path: &Path, made: Made) -> Result<()> {
    if let (Made::Folder, Some(name)) = (made, path.file_name()) {
        parent_of(path)?.remove_dir(name.as_encoded_bytes())?;
    }
    Ok(())
}

fn parent_of(path: &Path) -> Result<Dir> {
    Ok(Dir::create_all(path.parent().unwrap_or(Path::new("")))?)
}

/// Writes a small file that appears whole; one that is there stays.
pub(crate) fn write_new(folder: &Dir, name: &str, content: &[u8]) -> Result<()> {
    let mut temp = folder.create_temp()?;
    temp.write_all(content).map_err(|error| orlop_fs::Error::io("write", folder.shown(name), error))?;
    temp.file().sync_data()?;
    match temp.persist(name, Persist::New) {
        Err(error) if !error.is_exists() => Err(error.into()),
        _ => Ok(folder.sync()?),
    }
}
