//! Work that makes more work, shared by threads: the newest first, so that what waits stays little.

use crate::Result;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Work that waits.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: Vec<T>,
    /// How many are being worked on, which may make more.
    busy: usize,
    failed: bool,
}

impl<T: Send> Queue<T> {
    pub(super) fn new(first: T) -> Self {
        let state = State { waiting: vec![first], busy: 0, failed: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn push(&self, task: T) {
        self.lock().waiting.push(task);
        self.changed.notify_one();
    }

    /// Does all work, and what comes of it; gives what each piece came to, in any order, or the first failure.
    pub(super) fn run<P: Send>(
        &self,
        workers: NonZeroUsize,
        work: impl Fn(&Self, T) -> Result<P> + Sync,
    ) -> Result<Vec<P>> {
        let run = || self.work(&work);
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..workers.get()).map(|_| scope.spawn(run)).collect();
            let mut parts = run();
            for other in others {
                let theirs = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                parts = parts.and_then(|mut parts| {
                    parts.append(&mut theirs?);
                    Ok(parts)
                });
            }
            parts
        })
    }

    fn work<P>(&self, work: &impl Fn(&Self, T) -> Result<P>) -> Result<Vec<P>> {
        let mut parts = Vec::new();
        while let Some(task) = self.next() {
            let part = work(self, task);
            let mut state = self.lock();
            state.busy -= 1;
            state.failed |= part.is_err();
            drop(state);
            self.changed.notify_all();
            parts.push(part?);
        }
        Ok(parts)
    }

    /// Waits for work; `None` when there is none and nobody can make more.
    fn next(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.failed || state.waiting.is_empty() && state.busy == 0 {
                return None;
            }
            if let Some(task) = state.waiting.pop() {
                state.busy += 1;
                return Some(task);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
