//! A layout, commands with little memory, and what must hold where one is refused.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;
use testkit::dump::{Dump, dump};
use testkit::hostile::spoiled;
use testkit::{Command, Finished, Scratch, orlop, scratch};

/// Private memory that a command may map.
const MEMORY: u64 = 448 << 20;

pub(crate) struct World(pub(crate) Scratch);

impl World {
    /// The folder `base` with a file `f` as `oci:l:app`, and a folder `up` with a file `u`.
    pub(crate) fn new() -> Self {
        let it = Self(scratch());
        it.sh("mkdir base up; echo 1 > base/f; echo u > up/u");
        it.command(&["build", "base", "oci:l:app", "--created", "2020-01-01T00:00:00Z"]).ok();
        it
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let command = orlop().args(words).env("ORLOP_ROOT", self.path("store")).current_dir(self.0.root());
        command.under(["prlimit", &format!("--data={MEMORY}"), "--core=0"]).time(Duration::from_secs(60))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    pub(crate) fn sh(&self, script: &str) {
        Command::new("sh").args(["-ec", script]).current_dir(self.0.root()).ok();
    }

    pub(crate) fn dump(&self, name: &str) -> Dump {
        dump(&self.path(name))
    }

    /// Runs what must end with `code` and say `words`, and must change nothing below `kept` that a name leads to.
    #[track_caller]
    pub(crate) fn refused(&self, command: Command, (code, words): (i32, &str), kept: &[&str]) -> Finished {
        let before: Vec<Dump> = kept.iter().map(|name| self.dump(name)).collect();
        let done = command.run();
        assert_eq!(done.code(), Some(code), "{done}");
        assert!(done.err().contains("error: ") && done.err().contains(words), "{words}: {done}");
        for (name, before) in kept.iter().zip(&before) {
            assert_eq!(spoiled(before, &self.dump(name)), [], "{name}: {done}");
        }
        done
    }

    /// A file of any size that takes no room.
    pub(crate) fn hole(&self, name: &str, size: u64) {
        let file = fs::File::create(self.path(name)).expect("ours");
        file.set_len(size).expect("a hole");
        assert!(file.metadata().expect("there").blocks() < 64, "a file system with holes");
    }
}
