//! Blocks, compressed side by side, given back in their order.
//!
//! Invariant: at most [`AHEAD`] blocks more than there are workers are under way, if the caller asks [`Workers::is_busy`]
//! before it hands out another. A panic of a worker becomes one of the caller. Dropping it waits for what is under way.

use super::{Codec, Encoder};
use crate::buffers::Buffer;
use crate::error::Error;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Blocks that wait while every worker has one.
const AHEAD: usize = 2;

/// The threads, and the blocks that are with them.
pub(crate) struct Workers {
    codec: Codec,
    most: usize,
    hired: Vec<JoinHandle<()>>,
    /// Closed when the last worker may go.
    jobs: Option<Sender<Job>>,
    queue: Arc<Mutex<Receiver<Job>>>,
    done: Receiver<Done>,
    report: Sender<Done>,
    /// Blocks handed out, and blocks given back.
    sent: u64,
    given: u64,
    /// Blocks that came back before their turn.
    early: BTreeMap<u64, Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

/// A block on its way to a worker.
struct Job {
    number: u64,
    block: Arc<Buffer>,
    out: Vec<u8>,
}

/// A block on its way back; what a worker's panic said, if it did.
struct Done {
    number: u64,
    out: Vec<u8>,
    result: thread::Result<Result<(), Error>>,
}

impl Workers {
    /// Nobody is hired before there is work.
    pub(crate) fn new(codec: Codec, most: NonZeroUsize) -> Self {
        let (jobs, queue) = channel();
        let (report, done) = channel();
        Self {
            codec,
            most: most.get(),
            hired: Vec::new(),
            jobs: Some(jobs),
            queue: Arc::new(Mutex::new(queue)),
            done,
            report,
            sent: 0,
            given: 0,
            early: BTreeMap::new(),
            spare: Vec::new(),
        }
    }

    /// Whether a block should be taken back before the next one is handed out.
    pub(crate) fn is_busy(&self) -> bool {
        self.under_way() >= (self.most + AHEAD) as u64
    }

    /// Blocks that were not given back yet.
    pub(crate) fn under_way(&self) -> u64 {
        self.sent - self.given
    }

    /// Whether no block was handed out yet.
    pub(crate) fn has_done_nothing(&self) -> bool {
        self.sent == 0
    }

    /// Hands out the next block.
    pub(crate) fn compress(&mut self, block: Arc<Buffer>) {
        if self.hired.len() < self.most && self.under_way() >= self.hired.len() as u64 {
            let (codec, queue, report) = (self.codec, Arc::clone(&self.queue), self.report.clone());
            self.hired.push(thread::spawn(move || work(codec, &queue, &report)));
        }
        let job = Job { number: self.sent, block, out: self.spare.pop().unwrap_or_default() };
        let jobs = self.jobs.as_ref().expect("it is closed when it is dropped");
        jobs.send(job).expect("the queue is ours");
        self.sent += 1;
    }

    /// The first of the blocks that are under way, of which there must be one.
    pub(crate) fn next(&mut self) -> Result<Vec<u8>, Error> {
        let out = loop {
            if let Some(out) = self.early.remove(&self.given) {
                break out;
            }
            let done = self.done.recv().expect("the way back is ours");
            done.result.unwrap_or_else(|panic| resume_unwind(panic))?;
            self.early.insert(done.number, done.out);
        };
        self.given += 1;
        Ok(out)
    }

    /// Takes the memory of a block that was used.
    pub(crate) fn recycle(&mut self, out: Vec<u8>) {
        self.spare.push(out);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs = None;
        for worker in self.hired.drain(..) {
            // What went wrong in a block was told with it.
            drop(worker.join());
        }
    }
}

/// Compresses blocks until the queue closes.
fn work(codec: Codec, queue: &Mutex<Receiver<Job>>, report: &Sender<Done>) {
    let mut encoder = Encoder::new(codec);
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { number, block, mut out }) = job else { return };
        let result = catch_unwind(AssertUnwindSafe(|| encoder.encode(&block, &mut out)));
        drop(block);
        if report.send(Done { number, out, result }).is_err() {
            return;
        }
    }
}
