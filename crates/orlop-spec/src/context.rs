//! What a verb is given besides its arguments: who watches, how to stop, how much is allowed.

use crate::descriptor::Descriptor;
use crate::diagnose::{Diagnose, Fault, Kind};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Handed to every verb.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Sees progress and warnings.
    pub observer: &'a dyn Observer,
    /// Set when the user wants to stop.
    pub cancel: &'a Cancel,
    /// What an input may cost.
    pub limits: &'a Limits,
    /// Threads that may work at once.
    pub workers: NonZeroUsize,
}

/// Everything that an operation tells the outside world.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// So much is to be done in a phase, beside what was told before.
    Planned {
        /// As in `Started`.
        phase: &'static str,
        /// Blobs.
        items: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// A blob begins to move; `phase` is a word such as `copy`, `unpack`, `build`.
    Started {
        /// What is being done.
        phase: &'static str,
        /// The blob's digest, or a path.
        item: String,
        /// Bytes to come, where known.
        total: Option<u64>,
    },
    /// The target has the beginning of the item from an earlier run.
    Resumed {
        /// As in `Started`.
        item: String,
        /// Bytes that need not move again.
        bytes: u64,
    },
    /// More bytes of the item have passed.
    Advanced {
        /// As in `Started`.
        item: String,
        /// Bytes since the last event.
        bytes: u64,
    },
    /// The item is whole and proven.
    Finished {
        /// As in `Started`.
        item: String,
    },
    /// The target had the blob, or took it without moving bytes.
    Reused {
        /// The blob.
        blob: Box<Descriptor>,
        /// How.
        put: crate::port::Put,
    },
    /// Files were made of contents that lay in a place of their own.
    Placed {
        /// How many share its blocks.
        shared: u64,
        /// How many are copies.
        copied: u64,
    },
    /// Bytes came from a server, told when the answer was read.
    Fetched {
        /// How many.
        bytes: u64,
    },
    /// Bytes went to a server, told when the request was sent.
    Sent {
        /// How many.
        bytes: u64,
    },
    /// Nothing was done for a while, because a server was busy or out of reach.
    Waited {
        /// For whom.
        site: String,
        /// Why.
        why: String,
        /// How long.
        time: Duration,
    },
    /// A server was asked again.
    Retried {
        /// The address.
        what: String,
        /// Why.
        why: String,
        /// Bytes that moved a second time for it.
        again: u64,
    },
    /// What came of it, which is as it should be.
    Told(String),
    /// Something that the user should know; never an error.
    Warned(String),
    /// Something could not be kept; counted and reported at the end.
    Lost {
        /// What was lost, for example `owner`, `socket`, `xattr user.x`.
        what: String,
        /// Where.
        path: String,
        /// Why.
        why: String,
    },
}

/// Sees the events of an operation. Called from several threads.
pub trait Observer: Sync {
    /// Takes one event; must be quick.
    fn event(&self, event: Event);
}

/// Sees nothing.
impl Observer for () {
    fn event(&self, _: Event) {}
}

/// A flag that asks an operation to stop; looked at once per buffer.
#[derive(Debug, Default)]
pub struct Cancel(AtomicBool);

impl Cancel {
    /// A flag that is not set.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Asks to stop. Safe in a signal handler.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// `Err(Cancelled)` once the flag is set.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.0.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }
}

/// The user asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Cancelled;

impl Diagnose for Cancelled {
    fn kind(&self) -> Kind {
        Kind::Interrupted
    }
}

impl From<Cancelled> for Fault {
    fn from(error: Cancelled) -> Self {
        Self::new(error)
    }
}

/// What an input may cost. A value is the largest that is still allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one manifest, index or config.
    pub document: u64,
    /// Bytes of all manifests and indexes that are held at once, as by a copy until they are put.
    pub documents: u64,
    /// Nesting of indexes.
    pub index_depth: u32,
    /// Layers of one image.
    pub layers: usize,
    /// Entries of one merged tree.
    pub entries: u64,
    /// Uncompressed bytes of all layers of an image.
    pub size: u64,
    /// Bytes of one extended tar header.
    pub header: u64,
    /// Bytes of all extended tar headers of one archive.
    pub headers: u64,
    /// Bytes that follow the end of a tar and mean nothing.
    pub tail: u64,
    /// Bytes of a path in a layer.
    pub path: usize,
    /// Nesting of folders in a tree.
    pub depth: usize,
    /// Runs of data in one sparse file.
    pub sparse_runs: usize,
    /// Extended attributes of one entry.
    pub xattrs: usize,
    /// Window of a zstd frame, in bytes.
    pub window: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document: 4 << 20,
            documents: 256 << 20,
            index_depth: 16,
            layers: 4096,
            entries: 10_000_000,
            size: 1 << 40,
            header: 1 << 20,
            headers: 1 << 30,
            tail: 64 << 20,
            path: 1 << 16,
            depth: 2048,
            sparse_runs: 1 << 20,
            xattrs: 1024,
            window: 128 << 20,
        }
    }
}
