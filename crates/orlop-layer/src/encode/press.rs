//! Blocks, compressed side by side and written in order.
//!
//! Invariant: block `n` is the bytes from `n × size` on, whoever compresses it. At most [`AHEAD`] blocks more
//! than there are workers are under way. A panic of a worker becomes one of the caller.

use super::{Compressed, Encode};
use crate::buffers::{Buffer, Pool};
use crate::codec::{Codec, Encoder};
use crate::error::Error;
use crate::hashed::Hashed;
use orlop_spec::Descriptor;
use orlop_spec::digest::{DiffId, Digest};
use orlop_spec::media_type::MediaType;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};

/// Blocks that wait while every worker has one.
const AHEAD: usize = 2;

/// Compresses everything that `produce` writes.
pub(super) fn press<T>(
    how: &Encode<'_>,
    out: &mut dyn Write,
    produce: impl FnOnce(&mut dyn Write) -> Result<T, Error>,
) -> Result<(T, Compressed), Error> {
    thread::scope(|scope| {
        let mut press = Press::new(scope, how, out);
        let produced = produce(&mut press)?;
        Ok((produced, press.finish()?))
    })
}

struct Press<'scope, 'env, 'a> {
    scope: &'scope Scope<'scope, 'env>,
    how: &'a Encode<'a>,
    out: Output<'a>,
    pool: Pool,
    block: Buffer,
    /// Hired with the first block that is full: small layers need nobody.
    crew: Option<Crew<'scope>>,
}

/// The blob.
struct Output<'a> {
    out: &'a mut dyn Write,
    hashed: Hashed,
}

impl<'scope, 'env, 'a> Press<'scope, 'env, 'a> {
    fn new(scope: &'scope Scope<'scope, 'env>, how: &'a Encode<'a>, out: &'a mut dyn Write) -> Self {
        let pool = Pool::new(how.codec.block());
        let block = pool.empty();
        let out = Output { out, hashed: Hashed::new(how.algorithm) };
        Self { scope, how, out, pool, block, crew: None }
    }

    /// Sends the block on its way, full or the last.
    fn ship(&mut self) -> Result<(), Error> {
        self.how.cancel.check().map_err(Error::cancelled)?;
        (self.how.progress)(self.block.len() as u64);
        let block = mem::replace(&mut self.block, self.pool.empty());
        if self.how.codec == Codec::None {
            return self.out.put(&block);
        }
        let crew = self.crew.get_or_insert_with(|| Crew::new(self.scope, self.how));
        crew.compress(self.scope, Arc::new(block), &mut self.out)
    }

    fn finish(mut self) -> Result<Compressed, Error> {
        if self.how.codec != Codec::None && self.crew.is_none() {
            return self.alone();
        }
        if !self.block.is_empty() {
            self.ship()?;
        }
        let uncompressed = self.crew.take().map(|crew| crew.finish(&mut self.out)).transpose()?;
        Ok(self.compressed(uncompressed))
    }

    /// A single block, on the caller's thread.
    fn alone(mut self) -> Result<Compressed, Error> {
        (self.how.progress)(self.block.len() as u64);
        let mut hashed = Hashed::new(self.how.algorithm);
        hashed.update(&self.block);
        let mut blob = Vec::new();
        Encoder::new(self.how.codec).encode(&self.block, &mut blob)?;
        self.out.put(&blob)?;
        Ok(self.compressed(Some(hashed.finish())))
    }

    /// Bytes that are not compressed are their own diff.
    fn compressed(self, uncompressed: Option<(Digest, u64)>) -> Compressed {
        let (digest, length) = self.out.hashed.finish();
        let (diff_id, size) = uncompressed.unwrap_or((digest, length));
        let media_type = MediaType::of_layer(self.how.codec.compression());
        let blob = Descriptor::new(media_type, digest, length);
        Compressed { diff_id: DiffId(diff_id), blob, size }
    }
}

impl Write for Press<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.is_full() {
            self.ship()?;
        }
        Ok(self.block.push(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hashed.update(bytes);
        self.out.write_all(bytes).map_err(Error::Write)
    }
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

/// The threads, and the blocks that are with them.
struct Crew<'scope> {
    codec: Codec,
    most: usize,
    hired: usize,
    hashing: ScopedJoinHandle<'scope, (Digest, u64)>,
    to_hash: SyncSender<Arc<Buffer>>,
    jobs: Sender<Job>,
    queue: Arc<Mutex<Receiver<Job>>>,
    done: Receiver<Done>,
    report: Sender<Done>,
    /// Blocks handed out, and blocks written.
    sent: u64,
    written: u64,
    /// Blocks that came back before their turn.
    early: BTreeMap<u64, Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

impl<'scope> Crew<'scope> {
    fn new(scope: &'scope Scope<'scope, '_>, how: &Encode<'_>) -> Self {
        let (to_hash, blocks) = sync_channel(1);
        let (jobs, queue) = channel();
        let (report, done) = channel();
        let hashed = Hashed::new(how.algorithm);
        Self {
            codec: how.codec,
            most: how.workers.get(),
            hired: 0,
            hashing: scope.spawn(move || hash(hashed, &blocks)),
            to_hash,
            jobs,
            queue: Arc::new(Mutex::new(queue)),
            done,
            report,
            sent: 0,
            written: 0,
            early: BTreeMap::new(),
            spare: Vec::new(),
        }
    }

    fn compress(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        block: Arc<Buffer>,
        out: &mut Output<'_>,
    ) -> Result<(), Error> {
        while self.under_way() >= (self.most + AHEAD) as u64 {
            self.wait(out)?;
        }
        if self.hired < self.most && self.under_way() >= self.hired as u64 {
            self.hired += 1;
            let (codec, queue, report) = (self.codec, Arc::clone(&self.queue), self.report.clone());
            scope.spawn(move || work(codec, &queue, &report));
        }
        self.to_hash.send(Arc::clone(&block)).expect("hashing does not end before its queue");
        let job = Job { number: self.sent, block, out: self.spare.pop().unwrap_or_default() };
        self.jobs.send(job).expect("the queue is ours");
        self.sent += 1;
        Ok(())
    }

    /// Digest and size of all blocks, once the last is written.
    fn finish(mut self, out: &mut Output<'_>) -> Result<(Digest, u64), Error> {
        while self.under_way() > 0 {
            self.wait(out)?;
        }
        drop(self.to_hash);
        Ok(self.hashing.join().unwrap_or_else(|panic| resume_unwind(panic)))
    }

    fn under_way(&self) -> u64 {
        self.sent - self.written
    }

    /// Waits for one block to come back, and writes those whose turn it is.
    fn wait(&mut self, out: &mut Output<'_>) -> Result<(), Error> {
        let done = self.done.recv().expect("the way back is ours");
        done.result.unwrap_or_else(|panic| resume_unwind(panic))?;
        self.early.insert(done.number, done.out);
        while let Some(blob) = self.early.remove(&self.written) {
            out.put(&blob)?;
            self.spare.push(blob);
            self.written += 1;
        }
        Ok(())
    }
}

fn hash(mut hashed: Hashed, blocks: &Receiver<Arc<Buffer>>) -> (Digest, u64) {
    for block in blocks {
        hashed.update(&block);
    }
    hashed.finish()
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
