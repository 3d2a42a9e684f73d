//! What the process may do, read from its capabilities and not from its user id.

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
        let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
        Self {
            chown: held.contains(CapabilitySet::CHOWN),
            mknod: held.contains(CapabilitySet::MKNOD),
            read_all: held.contains(CapabilitySet::DAC_OVERRIDE),
        }
    }
}
