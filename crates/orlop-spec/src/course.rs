//! How far one thing has come on its way, told to an observer.
//!
//! ```text
//! byte  0 ── resumed ── first ───── advanced ─────► covered          size
//!                         └──── again, where an earlier run was ───► before
//! ```
//!
//! Invariant: each byte is told as resumed or as advanced, once, whatever is repeated; what moves a second time, in this
//! run or since an earlier one, is counted apart.

use crate::context::{Event, Observer};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The way of one thing.
pub struct Course<'a> {
    observer: &'a dyn Observer,
    item: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_begun: bool,
    covered: u64,
    before: u64,
    again: u64,
}

impl<'a> Course<'a> {
    /// Nothing has moved yet; `item` is what events call it.
    pub fn new(observer: &'a dyn Observer, item: impl Into<String>) -> Self {
        Self { observer, item: item.into(), state: Mutex::default() }
    }

    /// The same after an earlier run, which had moved so many bytes.
    #[must_use]
    pub fn after(self, before: u64) -> Self {
        self.state().before = before;
        self
    }

    /// The bytes move from `at` on; the first time, those before it need not move.
    pub fn begin(&self, at: u64) {
        let mut state = self.state();
        if state.is_begun {
            return;
        }
        (state.is_begun, state.covered) = (true, at);
        drop(state);
        if at > 0 {
            self.observer.event(Event::Resumed { item: self.item.clone(), bytes: at });
        }
    }

    /// The bytes from `at` to `end` have moved.
    pub fn pass(&self, at: u64, end: u64) {
        let mut state = self.state();
        let known = state.covered.max(state.before);
        state.again += end.min(known).saturating_sub(at);
        let bytes = end.saturating_sub(at.max(state.covered));
        state.covered = state.covered.max(end);
        drop(state);
        if bytes > 0 {
            self.observer.event(Event::Advanced { item: self.item.clone(), bytes });
        }
    }

    /// Bytes that moved a second time.
    pub fn again(&self) -> u64 {
        self.state().again
    }

    /// How far the bytes have come in any run.
    pub fn reached(&self) -> u64 {
        let state = self.state();
        state.covered.max(state.before)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums of resumed and advanced bytes.
    #[derive(Default)]
    struct Sums(Mutex<(u64, u64)>);

    impl Observer for Sums {
        fn event(&self, event: Event) {
            let mut sums = self.0.lock().expect("no test panics with it");
            match event {
                Event::Resumed { bytes, .. } => sums.0 += bytes,
                Event::Advanced { bytes, .. } => sums.1 += bytes,
                _ => {}
            }
        }
    }

    /// Resumed, advanced and again, after an earlier run and the moves of this one.
    fn told(before: u64, moves: &[(u64, u64)]) -> (u64, u64, u64) {
        let sums = Sums::default();
        let course = Course::new(&sums, "x").after(before);
        for (at, end) in moves {
            course.begin(*at);
            course.pass(*at, *end);
        }
        let (resumed, advanced) = *sums.0.lock().expect("no test panics with it");
        (resumed, advanced, course.again())
    }

    #[test]
    fn every_byte_is_resumed_or_advanced_once_and_repeats_are_counted_apart() {
        assert_eq!(told(0, &[(0, 10)]), (0, 10, 0));
        assert_eq!(told(0, &[(0, 5), (5, 10)]), (0, 10, 0));
        assert_eq!(told(0, &[(0, 7), (3, 10), (0, 10)]), (0, 10, 4 + 10));
        assert_eq!(told(0, &[(6, 10)]), (6, 4, 0));
        assert_eq!(told(0, &[(6, 10), (0, 10)]), (6, 4, 10), "what was kept was of no use");
    }

    #[test]
    fn what_an_earlier_run_had_moved_moves_again() {
        assert_eq!(told(8, &[(6, 10)]), (6, 4, 2));
        assert_eq!(told(8, &[(0, 10)]), (0, 10, 8));
        assert_eq!(told(8, &[(0, 4), (0, 10)]), (0, 10, 4 + 8));
        assert_eq!(told(6, &[(8, 10)]), (8, 2, 0));
    }
}
