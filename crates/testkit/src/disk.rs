//! A disk that is soon full: a tmpfs of some size.

use crate::command::Command;
use std::path::PathBuf;

/// A tmpfs, unmounted when it is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it over a folder; `None` where this user or container may not mount.
    pub fn at(folder: PathBuf, kilobytes: usize) -> Option<Self> {
        let options = format!("size={kilobytes}k");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder).run();
        mount.success().then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.0).run();
    }
}
