//! File systems of their own for a test, each in a file that the system's tools format and mount.

use std::path::{Path, PathBuf};
use testkit::{Command, Scratch};

/// A file system that is there until it is dropped.
pub(crate) struct Disk {
    pub(crate) kind: &'static str,
    folder: PathBuf,
    is_mounted: bool,
    _scratch: Scratch,
}

impl Disk {
    /// The file system of temporary files.
    pub(crate) fn of_the_host() -> Self {
        let scratch = testkit::scratch();
        Self { kind: "host", folder: scratch.folder("disk"), is_mounted: false, _scratch: scratch }
    }

    /// A new one; what is missing where that is not possible.
    pub(crate) fn new(kind: &'static str) -> Result<Self, String> {
        let scratch = testkit::scratch();
        let (file, folder) = (scratch.path("image"), scratch.folder("disk"));
        std::fs::File::create(&file).and_then(|file| file.set_len(512 << 20)).expect("a sparse file");
        let format = format!("mkfs.{kind}");
        run(&format, &["-q".as_ref(), file.as_ref()])?;
        run("mount", &["-o".as_ref(), "loop".as_ref(), file.as_ref(), folder.as_ref()])?;
        Ok(Self { kind, folder, is_mounted: true, _scratch: scratch })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn run(program: &str, words: &[&Path]) -> Result<(), String> {
    let known = Command::new("sh").args(["-c", &format!("command -v {program}")]).run();
    if !known.success() {
        return Err(format!("{program} is missing"));
    }
    let done = Command::new(program).args(words).run();
    if done.success() { Ok(()) } else { Err(format!("{program}: {}", done.err().trim())) }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            Command::new("umount").arg("--lazy").arg(&self.folder).run();
        }
    }
}
