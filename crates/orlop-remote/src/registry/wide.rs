//! A large blob by several connections at once: what one connection of a far server gives is often less than the way
//! could carry.
//!
//! ```text
//! at ──► piece ──► slow? ─┬─► piece ─┐
//!          │              ├─► piece ─┼─► in order ──► taken
//!          │ fast         └─► piece ─┘      │ one could not be had
//!          └──────────────────────► the rest, by one connection
//! ```
//!
//! Invariant: bytes are given in order and each once, by the thread that asked; at most [`AHEAD`] pieces are in memory; what
//! goes wrong with a piece is tried again by one connection, with all that it can mend.

use super::blob::Blob;
use crate::client::Wide;
use orlop_spec::port::{Origin as _, Result, Take, drain};
use std::collections::BTreeMap;
use std::io::Read;
use std::ops::{ControlFlow, Range};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// Connections of one blob.
const LANES: usize = 4;
/// Pieces that wait for their turn, or are fetched: what is lost where the program is killed.
const AHEAD: u64 = 4;
/// One step of reading.
const STEP: usize = 256 << 10;

/// Gives the bytes of `blob` from `at` on.
pub(super) fn pour(blob: &Blob<'_>, at: u64, wide: &Wide, take: Take<'_>) -> Result<()> {
    let piece = at..blob.blob.size.min(at.saturating_add(wide.piece));
    let began = Instant::now();
    let mut reached = at;
    // What stands in the way of a piece need not stand in the way of the whole.
    if let Some(mut read) = blob.piece(&piece).ok().flatten() {
        let mut flow = ControlFlow::Continue(());
        let mut counted = |bytes: &[u8]| {
            reached += bytes.len() as u64;
            flow = take(bytes)?;
            Ok(flow)
        };
        drain(&mut *read, &mut counted)?;
        if flow.is_break() {
            return Ok(());
        }
        let is_slow = began.elapsed() >= wide.fast;
        if reached == piece.end && is_slow {
            match beside(blob, reached, wide.piece, take)? {
                Some(left) => reached = left,
                None => return Ok(()),
            }
        }
    }
    drain(&mut *blob.open(reached)?, take)
}

/// Several pieces at once; gives from where on it is left to one connection, if anything is.
fn beside(blob: &Blob<'_>, start: u64, size: u64, take: Take<'_>) -> Result<Option<u64>> {
    let count = (blob.blob.size - start).div_ceil(size);
    let work = Work { blob, start, size, count, state: Mutex::default(), changed: Condvar::new() };
    thread::scope(|threads| {
        let _over = Over(&work);
        for _ in 0..LANES {
            threads.spawn(|| work.fetch_all());
        }
        for number in 0..count {
            let Some(bytes) = work.await_piece(number) else { return Ok(Some(work.piece(number).start)) };
            if take(&bytes)?.is_break() {
                break;
            }
        }
        Ok(None)
    })
}

struct Work<'w> {
    blob: &'w Blob<'w>,
    start: u64,
    size: u64,
    count: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The first that nobody fetches yet.
    next: u64,
    /// The first that was not given.
    wanted: u64,
    /// What was fetched, or could not be.
    ready: BTreeMap<u64, Option<Vec<u8>>>,
    is_over: bool,
}

/// Ends the work of all threads, however the one that gives comes to its end.
struct Over<'o>(&'o Work<'o>);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.state().is_over = true;
        self.0.changed.notify_all();
    }
}

impl Work<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn piece(&self, number: u64) -> Range<u64> {
        let begin = self.start + number * self.size;
        begin..self.blob.blob.size.min(begin + self.size)
    }

    fn fetch_all(&self) {
        while let Some(number) = self.claim() {
            let bytes = self.fetch(number);
            self.state().ready.insert(number, bytes);
            self.changed.notify_all();
        }
    }

    /// The next piece to fetch, once there is space for it.
    fn claim(&self) -> Option<u64> {
        let state = self.state();
        let is_full = |state: &mut State| {
            !state.is_over && state.next < self.count && state.next >= state.wanted + AHEAD
        };
        let mut state = self.changed.wait_while(state, is_full).unwrap_or_else(PoisonError::into_inner);
        let number = state.next;
        state.next += 1;
        (!state.is_over && number < self.count).then_some(number)
    }

    /// A whole piece, or nothing.
    fn fetch(&self, number: u64) -> Option<Vec<u8>> {
        let piece = self.piece(number);
        let mut read = self.blob.piece(&piece).ok()??;
        let mut bytes = vec![0; usize::try_from(piece.end - piece.start).ok()?];
        for step in bytes.chunks_mut(STEP) {
            if self.state().is_over {
                return None;
            }
            read.read_exact(step).ok()?;
        }
        Some(bytes)
    }

    /// Waits for the piece whose turn it is.
    fn await_piece(&self, number: u64) -> Option<Vec<u8>> {
        let mut state = self.state();
        state.wanted = number;
        self.changed.notify_all();
        let is_missing = |state: &mut State| !state.ready.contains_key(&number);
        let mut state = self.changed.wait_while(state, is_missing).unwrap_or_else(PoisonError::into_inner);
        state.ready.remove(&number).flatten()
    }
}
