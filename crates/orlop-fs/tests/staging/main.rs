//! Unpacking on a real file system: as root, as an ordinary user, and under fakeroot.

mod crash;
mod hostile;
mod laws;
mod layers;
mod random;
#[path = "../scratch/mod.rs"]
mod scratch;
