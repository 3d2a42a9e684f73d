//! Blocks, compressed side by side and written in order.
//!
//! Invariant: block `n` is the bytes from `n × size` on, whoever compresses it.

use super::{Compressed, Encode};
use crate::buffers::{Buffer, Pool};
use crate::codec::{Codec, Encoder, Workers};
use crate::error::Error;
use crate::hashed::Hashed;
use orlop_spec::Descriptor;
use orlop_spec::digest::{DiffId, Digest};
use orlop_spec::media_type::MediaType;
use std::io::{self, Write};
use std::mem;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};

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
        crew.compress(Arc::new(block), &mut self.out)
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

/// The threads: those that compress, and one that hashes.
struct Crew<'scope> {
    workers: Workers,
    hashing: ScopedJoinHandle<'scope, (Digest, u64)>,
    to_hash: SyncSender<Arc<Buffer>>,
}

impl<'scope> Crew<'scope> {
    fn new(scope: &'scope Scope<'scope, '_>, how: &Encode<'_>) -> Self {
        let (to_hash, blocks) = sync_channel(1);
        let hashed = Hashed::new(how.algorithm);
        let hashing = scope.spawn(move || hash(hashed, &blocks));
        Self { workers: Workers::new(how.codec, how.workers), hashing, to_hash }
    }

    fn compress(&mut self, block: Arc<Buffer>, out: &mut Output<'_>) -> Result<(), Error> {
        while self.workers.is_busy() {
            self.write(out)?;
        }
        self.to_hash.send(Arc::clone(&block)).expect("hashing does not end before its queue");
        self.workers.compress(block);
        Ok(())
    }

    /// Digest and size of all blocks, once the last is written.
    fn finish(mut self, out: &mut Output<'_>) -> Result<(Digest, u64), Error> {
        while self.workers.under_way() > 0 {
            self.write(out)?;
        }
        drop(self.to_hash);
        Ok(self.hashing.join().unwrap_or_else(|panic| resume_unwind(panic)))
    }

    fn write(&mut self, out: &mut Output<'_>) -> Result<(), Error> {
        let blob = self.workers.next()?;
        out.put(&blob)?;
        self.workers.recycle(blob);
        Ok(())
    }
}

fn hash(mut hashed: Hashed, blocks: &Receiver<Arc<Buffer>>) -> (Digest, u64) {
    for block in blocks {
        hashed.update(&block);
    }
    hashed.finish()
}
