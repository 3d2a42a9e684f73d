//! What the process may do, read from its capabilities and not from its user id.

use rustix::process::{Resource, getegid, geteuid, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// What the calling thread may do to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Privileges {
    /// Give files away (`CAP_CHOWN`).
    pub chown: bool,
    /// Make devices (`CAP_MKNOD`).
    pub mknod: bool,
    /// Read and search everything (`CAP_DAC_OVERRIDE`).
    pub read_all: bool,
}

impl Privileges {
    /// Those of the calling thread; none where the kernel does not say.
    pub fn current() -> Self {
        let held = held();
        Self {
            chown: held.contains(CapabilitySet::CHOWN),
            mknod: held.contains(CapabilitySet::MKNOD),
            read_all: held.contains(CapabilitySet::DAC_OVERRIDE),
        }
    }
}

/// Whether the calling thread may mount and unmount (`CAP_SYS_ADMIN`).
pub fn may_mount() -> bool {
    held().contains(CapabilitySet::SYS_ADMIN)
}

fn held() -> CapabilitySet {
    capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective)
}

/// User and group that the caller acts as.
pub fn ids() -> (u32, u32) {
    (geteuid().as_raw(), getegid().as_raw())
}

/// The hard limit of open files, `RLIMIT_NOFILE`; `None` where there is none.
pub fn open_files_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}
