//! A layout `l`, folders that were unpacked from it, and commands among them.

use std::path::PathBuf;
use testkit::dump::{Dump, dump};
use testkit::scratch::scratch_in_memory;
use testkit::{Command, Finished, Scratch, orlop};

pub(crate) struct World(pub(crate) Scratch);

impl World {
    /// A small tree as `oci:l:v1`, unpacked and tracked as `root`.
    pub(crate) fn new() -> Self {
        let it = Self(scratch_in_memory());
        it.sh(
            "mkdir -p tree/etc/d tree/usr; echo a > tree/etc/a; echo b > tree/etc/b; echo c > tree/etc/d/c;
             ln tree/etc/a tree/usr/a; ln -s ../etc/b tree/usr/l; chmod 4755 tree/etc/b",
        );
        it.ok(&["build", "tree", "oci:l:v1"]);
        it.ok(&["unpack", "--track", "oci:l:v1", "root"]);
        it
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        orlop().args(words).env("ORLOP_ROOT", self.path("store")).current_dir(self.0.root())
    }

    pub(crate) fn ok(&self, words: &[&str]) -> Finished {
        self.command(words).ok()
    }

    #[track_caller]
    pub(crate) fn fails(&self, words: &[&str], code: i32) -> String {
        let done = self.command(words).run();
        assert_eq!(done.code(), Some(code), "{done}");
        done.err()
    }

    pub(crate) fn sh(&self, script: &str) {
        Command::new("sh").args(["-ec", script]).current_dir(self.0.root()).ok();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    pub(crate) fn dump(&self, name: &str) -> Dump {
        dump(&self.path(name))
    }

    pub(crate) fn digest(&self, reference: &str) -> String {
        self.ok(&["digest", reference]).out().trim().to_owned()
    }

    /// The image unpacked as a new folder, and what that is.
    pub(crate) fn unpacked(&self, reference: &str, folder: &str) -> Dump {
        self.ok(&["unpack", reference, folder]);
        self.dump(folder)
    }
}
