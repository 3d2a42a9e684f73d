//! `mount`, `umount` and `unshare` through the binary: as root and as an ordinary user, on several file systems, by
//! every backend.

mod disk;
mod large;
mod matrix;
mod use_of;
mod world;
