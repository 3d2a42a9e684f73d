//! Where files of settings are, and how they are read: whole, bounded, once.

use super::Given;
use crate::error::Error;
use orlop_fs::error::Shown;
use orlop_fs::{Dir, File, stat};
use orlop_spec::network::SettingsError;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Nobody writes settings by hand that are larger.
pub(super) const LARGEST: u64 = 1 << 20;

/// A file that was read.
pub(super) struct Read {
    pub(super) shown: Shown,
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u16,
}

/// A file that must be there.
pub(super) fn read(path: &Path, limit: u64) -> orlop_fs::Result<Read> {
    let mut file = File::open(path)?;
    let stat = file.stat()?;
    let bytes = file.read_to_limit(limit)?;
    Ok(Read { shown: file.shown().clone(), bytes, mode: stat.mode })
}

/// A file that may be missing. One in a folder that the caller may not enter is somebody else's: `HOME` of another user
/// is inherited easily. One that is there and may not be read is an error.
pub(super) fn try_read(path: &Path, limit: u64) -> orlop_fs::Result<Option<Read>> {
    match read(path, limit) {
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) if is_forbidden(&error) && stat::at(path).is_err() => Ok(None),
        read => read.map(Some),
    }
}

/// Names in a folder that may be missing, sorted.
pub(super) fn list(folder: &Path) -> orlop_fs::Result<Vec<PathBuf>> {
    let names = match Dir::open(folder).and_then(|folder| folder.list()) {
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        names => names?,
    };
    let mut paths: Vec<_> = names.iter().map(|name| folder.join(std::ffi::OsStr::from_bytes(name))).collect();
    paths.sort();
    Ok(paths)
}

/// Whether nothing is there: not the file, or not the folder that it would be in.
fn is_missing(error: &orlop_fs::Error) -> bool {
    error.is_not_found() || error.io_kind() == Some(std::io::ErrorKind::NotADirectory)
}

fn is_forbidden(error: &orlop_fs::Error) -> bool {
    error.io_kind() == Some(std::io::ErrorKind::PermissionDenied)
}

/// An error of a file's content.
pub(super) fn damaged(file: &Shown) -> impl FnOnce(SettingsError) -> Error {
    let file = file.clone();
    move |source| Error::Settings { file, source }
}

impl Given {
    /// A variable that is set and not empty.
    pub(super) fn path(&self, variable: &str) -> Option<PathBuf> {
        (self.variable)(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// A variable that is text, set and not empty.
    pub(super) fn text(&self, variable: &str) -> Option<String> {
        (self.variable)(variable).filter(|value| !value.is_empty()).and_then(|value| value.into_string().ok())
    }

    /// A path below the home folder, if there is one.
    pub(super) fn home(&self, below: &str) -> Option<PathBuf> {
        self.path("HOME").map(|home| home.join(below))
    }

    /// A path below one of the folders of the XDG base directories, or below its place in the home folder. A path
    /// that is not absolute counts as none (XDG Base Directory, version 0.8).
    pub(super) fn xdg(&self, variable: &str, at_home: &str, below: &str) -> Option<PathBuf> {
        let set = self.path(variable).filter(|path| path.is_absolute());
        Some(set.or_else(|| self.home(at_home))?.join(below))
    }

    /// A path of the system.
    pub(super) fn system(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}
