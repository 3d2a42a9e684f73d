//! Disks of their own: a tmpfs of some size that is soon full, and file systems that share blocks.

use crate::command::Command;
use crate::peer::find;
use std::path::{Path, PathBuf};

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

/// A file or a folder that is shown at another place, where it is taken away when it is dropped.
pub struct Bound(PathBuf);

impl Bound {
    /// Mounts `what` over `place`; `None` where this user or container may not mount.
    pub fn over(place: PathBuf, what: &Path) -> Option<Self> {
        let mount = Command::new("mount").arg("--bind").arg(what).arg(&place).run();
        mount.success().then_some(Self(place))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).run();
    }
}

/// A file system in a file, unmounted when it is dropped.
pub struct LoopDisk(PathBuf);

impl LoopDisk {
    /// Makes a file system of `kind`, such as `xfs`, beside the folder and mounts it there.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn at(folder: PathBuf, kind: &str) -> Result<Self, Missing> {
        let program = format!("mkfs.{kind}");
        let Some(make) = find(&program) else { return Err(Missing::Program(program)) };
        let image = folder.with_extension(kind);
        let file = std::fs::File::create(&image).expect("a file beside the folder");
        file.set_len(512 << 20).expect("a hole");
        Command::new(make).arg("-q").arg(&image).ok();
        let mount = Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&folder).run();
        if mount.success() { Ok(Self(folder)) } else { Err(Missing::Kernel(mount.err())) }
    }
}

/// Why there is no such disk.
#[derive(Debug)]
pub enum Missing {
    /// A program that can be installed.
    Program(String),
    /// The kernel or the user.
    Kernel(String),
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).run();
    }
}
