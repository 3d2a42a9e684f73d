//! A folder of a test's own, removed with it.

use orlop_fs::Dir;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) struct Scratch {
    path: PathBuf,
    dir: Dir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let name = String::from_utf8(orlop_fs::random::name("orlop-fs-test-")).expect("letters");
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a fresh folder");
        let dir = Dir::open(&path).expect("just made");
        Self { path, dir }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Runs a program in the folder; it must succeed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) {
        let status = Command::new(program).args(arguments).current_dir(&self.path).status();
        assert!(status.expect("installed").success(), "{program} {arguments:?}");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.path).ok();
    }
}
