//! What orlop's tests stand on: scratch folders, commands with an end, peers, registries that break on purpose, the
//! torture tree, writers of images that nobody should write, and the report of what was proven.
//!
//! Invariant: nothing here calls a parser or a writer of orlop to make or to judge a fixture. A fixture that
//! shares code with what it tests agrees with its mistakes. (Types of `orlop-spec` and digests are shared.)
//! A fixture that cannot be made is a panic: a test without its ground must not go on.
#![forbid(unsafe_code)]
#![expect(clippy::missing_panics_doc, reason = "every function here panics where its fixture cannot be made")]

pub mod authority;
pub mod buildstream;
pub mod command;
pub mod disk;
pub mod dump;
pub mod engine;
pub mod fault;
pub mod fault_server;
pub mod flatpak;
pub mod guide;
pub mod hostile;
pub mod http;
pub mod image;
mod line;
pub mod listener;
pub mod mtree;
pub mod noise;
pub mod ostree;
pub mod peak;
pub mod peer;
pub mod proof;
pub mod recorder;
pub mod registry;
pub mod scratch;
pub mod shelf_server;
pub mod slow_link;
pub mod suites;
pub mod tarball;
pub mod token_server;
pub mod toll;
pub mod torture;
pub mod web;

pub use command::{Command, Finished, orlop};
pub use noise::noise;
pub use peer::{Peer, peer};
pub use scratch::{Scratch, scratch};

/// Whether the long runs are asked for (`ORLOP_FULL` is set): ten times the cases, every point of a crash
/// matrix instead of a sample.
pub fn full() -> bool {
    std::env::var_os("ORLOP_FULL").is_some_and(|value| !value.is_empty())
}

/// Whether the tests run as root of the first user namespace, so that owners, devices and mounts are possible.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
