//! The kernel: confined paths, scans, unpacking, extended attributes, owners, locks, temporary files.
//!
//! Invariant: this is the only library crate that touches files. Every path below a [`Dir`] is resolved beneath
//! its handle, every changing call passes [`seam`], and every system call goes through libc, so that fakeroot
//! sees it. Symbolic links are followed where a comment says so and nowhere else.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

mod attributes;
mod call;
pub mod cgroup;
pub mod copy;
pub mod dir;
pub mod erofs;
pub mod error;
pub mod fakeroot;
pub mod file;
pub mod glob;
pub mod lock;
pub mod loss;
pub mod machine;
pub mod mount;
pub mod namespace;
pub mod overlay;
pub mod owner;
pub mod privilege;
pub mod process;
pub mod random;
mod remove;
mod resolve;
pub mod room;
pub mod rooted;
pub mod scan;
pub mod seam;
pub mod snapshot;
pub mod staging;
pub mod stat;
pub mod stream;
pub mod supervise;
pub mod sys;
pub mod temp;
pub mod terminal;
pub mod track;
pub mod verify;
pub mod xattr;

pub use dir::Dir;
pub use error::Error;
pub use file::File;
pub use lock::Lock;
pub use stat::{FileKind, Stat};
pub use temp::{Persist, Temp};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
