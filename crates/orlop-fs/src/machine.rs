//! What the kernel says about the machine.

/// The machine as the kernel calls it, such as `x86_64` or `armv7l`: what `uname -m` prints.
pub fn machine() -> String {
    rustix::system::uname().machine().to_string_lossy().into_owned()
}
