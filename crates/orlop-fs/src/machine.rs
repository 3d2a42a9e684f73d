//! What the kernel says about the machine.

/// The machine as the kernel calls it, such as `x86_64` or `armv7l`: what `uname -m` prints.
pub fn machine() -> String {
    rustix::system::uname().machine().to_string_lossy().into_owned()
}

/// The release and the build of the kernel: what `uname -rv` prints.
pub fn kernel() -> String {
    let name = rustix::system::uname();
    format!("{} {}", name.release().to_string_lossy(), name.version().to_string_lossy())
}
