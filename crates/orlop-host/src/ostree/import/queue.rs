//! What decoders hand to workers.
//!
//! ```text
//! decoder ──► Batch: many small files in one buffer ──┐
//!         ──► Large: one file, in pieces ─────────────┴──► Queue, bounded ──► worker
//! ```
//!
//! Invariant: memory is a constant times the workers, and so are open files. Nobody waits for a thread that is gone: every
//! thread closes the queue when it ends, by whatever way, and who hands something to a closed queue is refused. A decoder
//! that has begun a large file waits for the worker alone that takes it, and no worker waits for anything but such pieces.

use crate::error::Error;
use crate::ostree::id::ObjectId;
use crate::ostree::object::{FileHeader, weight};
use crate::ostree::repo::FileWriter;
use orlop_layer::Error as LayerError;
use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of contents and attributes of a batch that is full; one that has less takes one more file.
const FULL: u64 = 256 << 10;
/// Files of a batch that is full.
const FILES: usize = 64;
/// Pieces of a large file that wait.
const PIECES: usize = 8;

/// Small files of one layer.
pub(super) struct Batch {
    pub(super) layer: u16,
    /// Their contents, one behind the other.
    pub(super) bytes: Vec<u8>,
    pub(super) files: Vec<Small>,
    /// Bytes of their attributes.
    attributes: u64,
}

/// A small file.
pub(super) struct Small {
    pub(super) ordinal: u32,
    pub(super) header: FileHeader,
    /// Its content.
    pub(super) range: Range<usize>,
}

/// A large file, and where its pieces come from.
pub(super) struct Large<'t> {
    pub(super) layer: u16,
    pub(super) ordinal: u32,
    writer: FileWriter<'t>,
    pieces: Receiver<Piece>,
}

enum Piece {
    Bytes(Vec<u8>),
    /// The content is whole.
    End,
}

/// The other end of a large file.
pub(super) struct Sending(SyncSender<Piece>);

pub(super) enum Job<'t> {
    Files(Batch),
    Large(Large<'t>),
}

/// Between decoders and workers.
pub(super) struct Queue<'t> {
    workers: usize,
    state: Mutex<State<'t>>,
    /// There is a job, or there will be none.
    filled: Condvar,
    /// There is room, or nobody takes anything.
    emptied: Condvar,
}

#[derive(Default)]
struct State<'t> {
    jobs: VecDeque<Job<'t>>,
    /// Batches that were written, whose memory is used again.
    idle: Vec<Batch>,
    is_closed: bool,
    failed: Option<Error>,
}

/// Closes a queue when it is dropped.
pub(super) struct Closing<'q, 't>(&'q Queue<'t>);

impl Batch {
    pub(super) fn new(layer: u16) -> Self {
        Self { layer, bytes: Vec::new(), files: Vec::new(), attributes: 0 }
    }

    /// The next file; its content follows.
    pub(super) fn begin(&mut self, ordinal: u32, header: FileHeader) {
        let at = self.bytes.len();
        self.attributes += weight(&header.xattrs);
        self.files.push(Small { ordinal, header, range: at..at });
    }

    /// More of the content of the last file.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let file = self.files.last_mut().expect("a file was begun");
        file.range.end = self.bytes.len();
    }

    pub(super) fn is_full(&self) -> bool {
        let bytes = self.bytes.len() as u64 + self.attributes;
        bytes >= FULL || self.files.len() >= FILES
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.files.clear();
        self.attributes = 0;
    }
}

/// Both ends of a large file.
pub(super) fn large(layer: u16, ordinal: u32, writer: FileWriter<'_>) -> (Sending, Large<'_>) {
    let (sender, pieces) = sync_channel(PIECES);
    (Sending(sender), Large { layer, ordinal, writer, pieces })
}

impl Large<'_> {
    /// Writes it; nothing where the decoder gave up, which it tells itself.
    pub(super) fn write(self) -> Result<Option<ObjectId>, Error> {
        let Self { mut writer, pieces, .. } = self;
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => writer.take(&bytes)?,
                Piece::End => return writer.finish().map(Some),
            }
        }
        Ok(None)
    }
}

impl Sending {
    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), LayerError> {
        self.0.send(Piece::Bytes(bytes.to_vec())).map_err(|_| refused())
    }

    pub(super) fn end(self) -> Result<(), LayerError> {
        self.0.send(Piece::End).map_err(|_| refused())
    }
}

impl<'t> Queue<'t> {
    /// One worker alone would be in the way of the decoder: then the decoder does all of it.
    pub(super) fn new(workers: NonZeroUsize) -> Self {
        let workers = if workers.get() > 1 { workers.get() } else { 0 };
        Self { workers, state: Mutex::default(), filled: Condvar::new(), emptied: Condvar::new() }
    }

    /// How many threads take from it.
    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    /// Hands something on; waits for room.
    pub(super) fn push(&self, job: Job<'t>) -> Result<(), LayerError> {
        let mut state = self.lock();
        while state.jobs.len() >= 2 * self.workers && !state.is_closed {
            state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_closed {
            return Err(refused());
        }
        state.jobs.push_back(job);
        self.filled.notify_one();
        Ok(())
    }

    /// The next job; none once the queue is closed and empty.
    pub(super) fn next(&self) -> Option<Job<'t>> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                self.emptied.notify_one();
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A batch without files.
    pub(super) fn lend(&self, layer: u16) -> Batch {
        let idle = self.lock().idle.pop();
        idle.map_or_else(|| Batch::new(layer), |batch| Batch { layer, ..batch })
    }

    pub(super) fn give_back(&self, mut batch: Batch) {
        batch.clear();
        self.lock().idle.push(batch);
    }

    /// The first failure ends the work.
    pub(super) fn fail(&self, error: Error) {
        let mut state = self.lock();
        state.failed.get_or_insert(error);
        state.jobs.clear();
        drop(state);
        self.close();
    }

    pub(super) fn closing(&self) -> Closing<'_, 't> {
        Closing(self)
    }

    /// What failed, once all workers are gone.
    pub(super) fn into_failure(self) -> Result<(), Error> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).failed.map_or(Ok(()), Err)
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<'t>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Closing<'_, '_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Why is told by the worker that failed.
fn refused() -> LayerError {
    LayerError::Write(io::ErrorKind::BrokenPipe.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_layer::{Meta, Xattrs};

    #[test]
    fn attributes_fill_a_batch_as_contents_do() {
        let value = vec![7; 200 << 10].into_boxed_slice();
        let xattrs = Xattrs::from([(b"user.a".as_slice().into(), value)]);
        let header = FileHeader::regular(&Meta { xattrs, ..Meta::default() });
        let mut batch = Batch::new(0);
        for (ordinal, is_full) in [(0, false), (1, true)] {
            batch.begin(ordinal, header.clone());
            assert_eq!(batch.is_full(), is_full, "{ordinal}");
        }
        batch.clear();
        assert!(!batch.is_full());
    }
}
