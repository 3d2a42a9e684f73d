//! Each step on its own thread.
//!
//! Invariant: no thread outlives the call, and none waits for one that is gone: every queue closes when either
//! side ends, by whatever way. Memory is two queues of pieces.

use super::{Decode, Decoded, Failed, Visit, Watched, walk};
use crate::budget::Budget;
use crate::buffers::{Buffer, Pieces, Pool, QUEUE};
use crate::codec::{BUFFER, Decoder};
use crate::error::Error;
use crate::hashed::Hashed;
use crate::verified::Verified;
use orlop_spec::digest::Digest;
use std::io::{self, Read};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

pub(super) fn decode<R: Read + Send>(
    blob: &mut Verified<R>,
    how: &Decode<'_>,
    visitor: &mut dyn Visit,
) -> Result<Decoded, Error> {
    let hashed = how.hasher(blob);
    let abandoned = AtomicBool::new(false);
    // The visitor may not cross threads; all that the others need may.
    let (compression, limits, cancel, budget) = (how.compression, how.limits, how.cancel, how.budget);
    let watched = Watched::new(blob, how);
    let (to_inflate, compressed) = sync_channel(QUEUE);
    let (to_hash, to_be_hashed) = sync_channel(QUEUE);
    let (to_walk, to_be_walked) = sync_channel(QUEUE);
    thread::scope(|scope| {
        let reading = scope.spawn(|| read(watched, to_inflate, &abandoned));
        let inflating = scope.spawn(move || {
            let input = Pieces::new(compressed, cancel);
            inflate(Decoder::new(compression, input, limits), budget, &to_hash, &to_walk)
        });
        let hashing = scope.spawn(move || hash(hashed, &to_be_hashed));
        let mut pieces = Pieces::new(to_be_walked, cancel);
        // Dropped before the pieces: the reading thread sees the flag when its queue closes.
        let abandon = Abandon(&abandoned);
        let walked = walk(&mut pieces, how, visitor);
        match walked {
            Err(Failed::Visitor(_)) => drop(abandon),
            Ok(_) | Err(Failed::Bytes(_)) => abandon.not(),
        }
        drop(pieces);
        let (read, inflated, hashed) = (join(reading), join(inflating), join(hashing));
        let tree = verdict(walked, read, inflated)?;
        Ok(Decoded::new(hashed, tree))
    })
}

/// The first step that failed has the word; the visitor's comes before all.
fn verdict<T>(
    walked: Result<T, Failed>,
    read: Result<(), Error>,
    inflated: Result<(), Error>,
) -> Result<T, Error> {
    match walked {
        Err(Failed::Visitor(error)) => Err(error),
        walked => {
            read.and(inflated)?;
            walked.map_err(|failed| match failed {
                Failed::Bytes(error) | Failed::Visitor(error) => error,
            })
        }
    }
}

/// Reads the blob; to its end even where nobody wants the bytes any more, unless the visitor gave up.
fn read<R: Read>(
    mut blob: Watched<'_, R>,
    to: SyncSender<Arc<Buffer>>,
    abandoned: &AtomicBool,
) -> Result<(), Error> {
    let pool = Pool::new(BUFFER);
    while let Some(piece) = pool.piece(|out| fill(&mut blob, out)).map_err(Error::Read)? {
        if to.send(piece).is_err() {
            drop(to);
            return if abandoned.load(Ordering::Relaxed) { Ok(()) } else { blob.drain() };
        }
    }
    Ok(())
}

fn fill(input: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match input.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Stops without an error where a later step has stopped: that one knows why.
fn inflate(
    mut decoder: Decoder<Pieces<'_>>,
    budget: &Budget,
    to_hash: &SyncSender<Arc<Buffer>>,
    to_walk: &SyncSender<Arc<Buffer>>,
) -> Result<(), Error> {
    let pool = Pool::new(BUFFER);
    while let Some(piece) = pool.piece(|out| decoder.fill(out))? {
        budget.take(piece.len() as u64)?;
        if to_hash.send(piece.clone()).is_err() || to_walk.send(piece).is_err() {
            break;
        }
    }
    Ok(())
}

fn hash(mut hashed: Hashed, from: &Receiver<Arc<Buffer>>) -> (Digest, u64) {
    for piece in from {
        hashed.update(&piece);
    }
    hashed.finish()
}

/// Tells the reading thread not to drain the blob, unless it is told otherwise: a panic of the visitor must not
/// wait for a slow source.
struct Abandon<'a>(&'a AtomicBool);

impl Abandon<'_> {
    fn not(self) {
        std::mem::forget(self);
    }
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}
