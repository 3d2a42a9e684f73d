//! The folder of a transaction.

use crate::Error;
use crate::ostree::id::ObjectId;
use orlop_fs::lock::{Lock, Share, Wait};
use orlop_fs::{Dir, random};
use std::sync::OnceLock;

/// How the names of such folders begin.
const PREFIX: &str = "orlop-";
/// Where commits wait.
pub(super) const COMMITS: &str = "commits";

/// The folder of a transaction; removed when it is dropped.
pub(super) struct Staging {
    tmp: Dir,
    name: Vec<u8>,
    dir: Dir,
    folders: Vec<OnceLock<Dir>>,
    commits: OnceLock<Dir>,
    _lock: Lock,
}

impl Staging {
    /// Makes one in `tmp`. What killed writers left there goes first.
    pub(super) fn make(tmp: Dir) -> Result<Self, Error> {
        sweep(&tmp);
        loop {
            let name = random::name(PREFIX);
            tmp.make_dir(&name, 0o700)?;
            // Until it is locked, another writer may take it for one that was left.
            let dir = match tmp.open_dir(&name) {
                Err(error) if error.is_not_found() => continue,
                opened => opened?,
            };
            let lock = dir.lock(Share::Exclusive, Wait::Yes)?.expect("who waits gets the lock");
            if tmp.try_stat(&name)?.is_some() {
                let folders = (0..=255u8).map(|_| OnceLock::new()).collect();
                return Ok(Self { tmp, name, dir, folders, commits: OnceLock::new(), _lock: lock });
            }
        }
    }

    /// The folder itself.
    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Where an object waits.
    pub(super) fn folder(&self, id: &ObjectId) -> Result<&Dir, Error> {
        self.open(&self.folders[usize::from(id.0[0])], &id.folder())
    }

    /// Where commits wait.
    pub(super) fn commits(&self) -> Result<&Dir, Error> {
        self.open(&self.commits, COMMITS)
    }

    /// The folders that hold objects, by their names.
    pub(super) fn filled(&self) -> impl Iterator<Item = (String, &Dir)> {
        let open = |(number, slot)| {
            let folder: &OnceLock<Dir> = slot;
            folder.get().map(|folder| (format!("{number:02x}"), folder))
        };
        (0..=255u8).zip(&self.folders).filter_map(open)
    }

    /// The folder of commits, where there is one.
    pub(super) fn filled_commits(&self) -> Option<&Dir> {
        self.commits.get()
    }

    fn open<'a>(&self, slot: &'a OnceLock<Dir>, name: &str) -> Result<&'a Dir, Error> {
        if let Some(open) = slot.get() {
            return Ok(open);
        }
        let opened = self.dir.make_or_open_dir(name, 0o777)?;
        Ok(slot.get_or_init(|| opened))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed is found by its prefix later.
        self.tmp.remove_all(&self.name).ok();
    }
}

/// Without a word where it fails: it is not what this run is about.
fn sweep(tmp: &Dir) {
    for name in tmp.list().unwrap_or_default() {
        if !random::is_name(PREFIX.as_bytes(), &name) {
            continue;
        }
        let Ok(dir) = tmp.open_dir(&name) else { continue };
        if let Ok(Some(_lock)) = dir.lock(Share::Exclusive, Wait::No) {
            tmp.remove_all(&name).ok();
        }
    }
}
