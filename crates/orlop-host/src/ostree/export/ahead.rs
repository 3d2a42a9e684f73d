//! Files of a repository, read and proven by several threads before they are needed.
//!
//! ```text
//! ids, in the order of need ──► threads: open, inflate, hash ──► each answer in a slot of its own
//! ```
//!
//! Invariant: memory is a constant times the threads, for who asks no further ahead than [`DEPTH`] tells: large contents
//! are not read. No thread outlives this.

use crate::Error;
use crate::ostree::id::ObjectId;
use crate::ostree::object::FileHeader;
use crate::ostree::repo::{FileObject, Repo};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Files that are asked for ahead, for each thread.
pub(super) const DEPTH: usize = 16;
/// Bytes of the largest content that is read ahead.
const WHOLE: u64 = 512 << 10;

/// A file that was asked for.
pub(super) enum Got {
    /// All of it, proven.
    Whole(FileHeader, Vec<u8>),
    /// A large one, or a link.
    Open(FileObject),
}

/// Where an answer comes.
pub(super) type Slot = Receiver<Result<Got, Error>>;

type Ask = (ObjectId, SyncSender<Result<Got, Error>>);

/// The threads.
pub(super) struct Ahead {
    asks: Option<Sender<Ask>>,
    threads: Vec<JoinHandle<()>>,
}

impl Ahead {
    /// Starts them.
    pub(super) fn new(repo: &Arc<Repo>, workers: NonZeroUsize) -> Self {
        let (asks, asked) = channel::<Ask>();
        let asked = Arc::new(Mutex::new(asked));
        let thread = |_| {
            let (repo, asked) = (Arc::clone(repo), Arc::clone(&asked));
            std::thread::spawn(move || answer(&repo, &asked))
        };
        Self { asks: Some(asks), threads: (0..workers.get()).map(thread).collect() }
    }

    /// Asks for a file.
    pub(super) fn ask(&self, id: ObjectId) -> Slot {
        let (answer, slot) = sync_channel(1);
        // Where no thread is left, the slot is closed, and that is seen by who looks into it.
        self.asks.as_ref().and_then(|asks| asks.send((id, answer)).ok());
        slot
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.asks = None;
        for thread in self.threads.drain(..) {
            // One that panicked has closed its slot.
            drop(thread.join());
        }
    }
}

fn answer(repo: &Repo, asked: &Mutex<Receiver<Ask>>) {
    loop {
        let next = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((id, answer)) = next else { return };
        // Nobody may want it any more.
        drop(answer.send(get(repo, &id)));
    }
}

fn get(repo: &Repo, id: &ObjectId) -> Result<Got, Error> {
    let file = repo.file(id)?;
    if file.header().is_link() || file.size() > WHOLE {
        return Ok(Got::Open(file));
    }
    let header = file.header().clone();
    Ok(Got::Whole(header, file.content(WHOLE)?))
}
