//! How the kernel's control groups are laid out, as far as programs that run containers care.

use crate::Result;
use crate::mount::{InUse, unmount};
use rustix::fs::statfs;
use std::path::Path;

/// Which versions there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The second alone.
    Unified,
    /// The first, and the second beside it without controllers.
    Hybrid,
    /// The first, or none.
    Legacy,
}

/// Where the second stands beside the first.
const BESIDE: &str = "/sys/fs/cgroup/unified";

/// `CGROUP2_SUPER_MAGIC`
const SECOND: u64 = 0x6367_7270;

/// Which versions this process sees.
pub fn layout() -> Layout {
    let is_second =
        |path| statfs(path).is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind == SECOND));
    match () {
        () if is_second("/sys/fs/cgroup") => Layout::Unified,
        () if is_second(BESIDE) => Layout::Hybrid,
        () => Layout::Legacy,
    }
}

/// Takes the second version away where the first is there as well, in the mounts of this process alone.
pub fn hide_second() -> Result<()> {
    if layout() == Layout::Hybrid { unmount(Path::new(BESIDE), InUse::Detach) } else { Ok(()) }
}
