//! A folder for one test, gone when the test ends.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that removes itself, read-only folders inside included.
#[derive(Debug)]
pub struct Scratch(PathBuf);

/// A folder in the system's temporary folder (`TMPDIR`).
pub fn scratch() -> Scratch {
    Scratch::under(&std::env::temp_dir())
}

/// A folder on a tmpfs, where there is one.
pub fn scratch_in_memory() -> Scratch {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { Scratch::under(memory) } else { scratch() }
}

impl Scratch {
    /// A new folder below `parent`, open to every user: some tests drop their privileges.
    pub fn under(parent: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let folder = parent.join(format!("orlop-test-{}-{number}", std::process::id()));
            match fs::create_dir(&folder) {
                Ok(()) => break folder,
                // A test that was killed left it, and its number was given again.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("cannot create {}: {error}", folder.display()),
            }
        };
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("the folder is ours");
        Self(folder)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// A path inside; nothing is created.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A new folder inside.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        fs::create_dir_all(&folder)
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
        folder
    }

    /// A new file inside.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.path(name);
        fs::write(&file, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
        file
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Removes a folder and all that is in it, as far as this user can.
pub fn remove(folder: &Path) {
    if fs::remove_dir_all(folder).is_err() {
        open_folders(folder);
        drop(fs::remove_dir_all(folder));
    }
}

fn open_folders(folder: &Path) {
    drop(fs::set_permissions(folder, Permissions::from_mode(0o700)));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_folders(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_read_only_folders() {
        let scratch = scratch();
        let root = scratch.root().to_owned();
        let inner = scratch.folder("a/b/c");
        scratch.file("a/b/c/file", "x");
        fs::set_permissions(&inner, Permissions::from_mode(0o555)).expect("ours");
        fs::set_permissions(scratch.path("a"), Permissions::from_mode(0o000)).expect("ours");
        drop(scratch);
        assert!(!root.exists());
    }

    #[test]
    fn two_folders_are_never_one() {
        assert_ne!(scratch().root(), scratch().root());
    }
}
