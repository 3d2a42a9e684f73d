//! A repository.
//!
//! ```text
//! config                      [core] repo_version, mode; [remote "NAME"] …
//! objects/XX/REST.KIND        see `id` and `object`; how files are kept depends on the mode
//! refs/heads/NAME             the id of a commit, and a line's end
//! refs/remotes/REMOTE/NAME    the same, of what was fetched
//! refs/mirrors/COLLECTION/…   the same, of what is mirrored
//! state/ID.commitpartial      of a commit that was not fetched whole
//! tmp/                        what is not whole yet
//! .lock                       held by all who write (shared) or remove (alone)
//! ```
//!
//! A repository may have a parent (`parent` in the config): what it lacks is read there, and not written again.
//!
//! Invariant: no object is believed before its bytes were hashed. What is written is seen by nobody before it is whole
//! and on the disk: objects come first, then commits, then refs.

mod deflate;
mod error;
mod file;
pub mod fsck;
mod mode;
mod objects;
pub mod prune;
mod reach;
mod refs;
mod summarize;
mod transaction;

pub use error::RepoError;
pub use file::{FileObject, FileReader};
pub use mode::Mode;
pub use reach::Reach;
pub(super) use transaction::SMALL;
pub use transaction::{Account, Count, FileWriter, Transaction};

pub(super) use prune::gone;

use super::id::{ObjectId, ObjectName};
use super::keyfile::{KeyFile, MOST_BYTES};
use crate::Error;
use orlop_fs::lock::{Lock, Share, Wait};
use orlop_fs::{Dir, Persist};
use orlop_spec::Limits;
use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;

/// An open repository.
#[derive(Debug)]
pub struct Repo {
    dir: Dir,
    objects: Dir,
    /// The folders of `objects` by their first byte, where they are open.
    folders: Vec<OnceLock<Dir>>,
    mode: Mode,
    config: KeyFile,
    limits: Limits,
    /// Where objects and refs are looked for that are not here.
    parent: Option<Box<Repo>>,
}

/// Parents of parents, at most: one may name itself.
const PARENTS: usize = 8;

/// The folders that every repository has.
const FOLDERS: [&str; 9] = [
    "objects",
    "refs",
    "refs/heads",
    "refs/mirrors",
    "refs/remotes",
    "state",
    "tmp",
    "tmp/cache",
    "extensions",
];

impl Repo {
    /// Opens the repository that a folder is.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        match Dir::open(path) {
            Err(error) if error.is_not_found() => Err(Error::NoRepository { place: path.into() }),
            opened => Self::open_at(opened?, limits),
        }
    }

    /// Opens the repository that an open folder is.
    pub fn open_at(dir: Dir, limits: &Limits) -> Result<Self, Error> {
        Self::open_beneath(dir, limits, PARENTS)
    }

    /// Recursion ends after so many parents.
    fn open_beneath(dir: Dir, limits: &Limits, parents: usize) -> Result<Self, Error> {
        let place = || dir.path().to_path_buf();
        let lacks = |missing| {
            move |error: orlop_fs::Error| match error {
                error if error.is_not_found() => Error::NotARepository { place: place(), missing },
                error => error.into(),
            }
        };
        let objects = dir.open_dir("objects").map_err(lacks("objects"))?;
        let config = dir.open_file("config").map_err(lacks("config"))?.read_to_limit(MOST_BYTES as u64)?;
        let config = KeyFile::parse(&config)
            .map_err(|source| RepoError::BadConfig { place: dir.path().to_path_buf(), source })?;
        let mode = mode_of(&config, &dir)?;
        let parent = parent_of(&config, &dir, limits, parents)?;
        let folders = (0..=255u8).map(|_| OnceLock::new()).collect();
        Ok(Self { objects, folders, mode, config, limits: limits.clone(), parent, dir })
    }

    /// Makes a repository, and the folder where there is none. One that is there already must have the same mode.
    pub fn create(path: &Path, mode: Mode, limits: &Limits) -> Result<Self, Error> {
        let dir = Dir::create_all(path)?;
        if dir.try_stat("config")?.is_some() {
            let there = Self::open_at(dir, limits)?;
            let place = || there.dir.path().to_path_buf();
            return match there.mode {
                is if is == mode => Ok(there),
                is => Err(RepoError::Exists { place: place(), mode: is }.into()),
            };
        }
        for folder in FOLDERS {
            let mut at = dir.try_clone()?;
            for name in folder.split('/') {
                at = at.make_or_open_dir(name, 0o777)?;
            }
        }
        let text = format!("[core]\nrepo_version=1\nmode={}\n", mode.config_word());
        replace(dir.try_clone()?, "config", text.as_bytes())?;
        Self::open_at(dir, limits)
    }

    /// How it keeps files.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Its folder.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Its config.
    pub fn config(&self) -> &KeyFile {
        &self.config
    }

    /// What an object may cost.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Puts another config in the place of the one that is there.
    pub fn set_config(&mut self, config: KeyFile) -> Result<(), Error> {
        replace(self.dir.try_clone()?, "config", config.to_string().as_bytes())?;
        self.config = config;
        Ok(())
    }

    /// The lock of the whole repository: shared by those who write, held alone by those who remove. `None` where somebody
    /// else holds it and `wait` is [`Wait::No`].
    pub fn lock(&self, share: Share, wait: Wait) -> Result<Option<Lock>, Error> {
        Ok(self.dir.lock_bytes(".lock", share, wait)?)
    }

    /// Whether a commit was fetched only in part.
    pub fn is_partial(&self, commit: &ObjectId) -> Result<bool, Error> {
        let name = format!("{commit}.commitpartial");
        let is_here = match self.subfolder(&["state"])? {
            Some(state) => state.try_stat(name)?.is_some(),
            None => false,
        };
        match &self.parent {
            Some(parent) if !is_here => parent.is_partial(commit),
            _ => Ok(is_here),
        }
    }

    /// The folder of `objects` that holds what begins with the first byte of an id, where there is one.
    fn folder(&self, id: &ObjectId) -> Result<Option<&Dir>, Error> {
        let slot = &self.folders[usize::from(id.0[0])];
        if let Some(open) = slot.get() {
            return Ok(Some(open));
        }
        match self.objects.open_dir(id.folder()) {
            Ok(opened) => Ok(Some(slot.get_or_init(|| opened))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A folder of the repository; `None` where there is none.
    fn subfolder(&self, path: &[&str]) -> Result<Option<Dir>, Error> {
        let mut at = self.dir.try_clone()?;
        for name in path {
            at = match at.open_dir(name) {
                Ok(next) => next,
                Err(error) if error.is_not_found() || error.is_no_folder() => return Ok(None),
                Err(error) => return Err(error.into()),
            };
        }
        Ok(Some(at))
    }

    /// The name of an object's file.
    fn file_name(&self, object: &ObjectName) -> String {
        let ending = match object.kind {
            super::Kind::File => self.mode.file_ending(),
            kind => kind.word(),
        };
        format!("{}.{ending}", object.id.rest())
    }
}

fn mode_of(config: &KeyFile, dir: &Dir) -> Result<Mode, Error> {
    let place = || dir.path().to_path_buf();
    match config.string("core", "repo_version")?.as_deref() {
        Some("1") => {}
        version => {
            let version = version.unwrap_or("that its config does not tell").into();
            return Err(RepoError::UnknownVersion { place: place(), version }.into());
        }
    }
    let word = config.string("core", "mode")?.unwrap_or_else(|| "bare".into());
    match Mode::from_word(&word) {
        Some(mode) => Ok(mode),
        None => Err(RepoError::UnknownMode { place: place(), mode: word }.into()),
    }
}

/// The repository that a config names as the parent. As everywhere, a path that is not absolute begins where the process is.
fn parent_of(
    config: &KeyFile,
    dir: &Dir,
    limits: &Limits,
    parents: usize,
) -> Result<Option<Box<Repo>>, Error> {
    let Some(path) = config.string("core", "parent")?.filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    if parents == 0 {
        return Err(RepoError::Parents { most: PARENTS }.into());
    }
    let opened = Dir::open(&*path).map_err(Error::from);
    let opened = opened.and_then(|parent| Repo::open_beneath(parent, limits, parents - 1));
    let bad = |source| RepoError::BadParent { place: dir.path().to_path_buf(), source: Box::new(source) };
    match opened {
        // It has told which one it is.
        Err(Error::Repo(error @ (RepoError::BadParent { .. } | RepoError::Parents { .. }))) => {
            Err(error.into())
        }
        opened => Ok(Some(Box::new(opened.map_err(bad)?))),
    }
}

/// Puts a file in the place of the one that has the name, in one step, and on the disk.
fn replace(folder: Dir, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let of_folder = folder.try_clone()?;
    let mut temp = orlop_fs::Temp::beside(folder, name)?;
    temp.write_all(bytes).map_err(|error| orlop_fs::Error::io("write", name.as_bytes(), error))?;
    temp.file().set_mode(0o644)?;
    temp.file().sync_data()?;
    temp.persist(name, Persist::Replace)?;
    Ok(of_folder.sync()?)
}

#[cfg(test)]
mod tests;
