//! The way out, as all connections of a command share it: whether there is one, and how much may pass.
//!
//! ```text
//!            booked ── a grant of n bytes moves it by n / rate ──►
//! ── now ──────┼───────────────────────► time
//!              a grant waits until now is there; who paused is ahead by BURST at most
//! ```
//!
//! Invariant: in any span of time no more than rate × span and one burst may pass, over all connections and in both
//! directions together. What was granted and did not pass is given back.

use crate::error::Error;
use orlop_spec::wire::Site;
use std::num::NonZeroU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the user says about the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Line {
    /// Whether anybody may be connected to.
    pub dialling: Dialling,
    /// Most bytes in a second, of all connections and in both directions together.
    pub rate: Option<NonZeroU64>,
}

/// Whether anybody may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Dialling {
    /// Whoever is asked for.
    #[default]
    Allowed,
    /// Nobody, not even on this machine; no name is looked up.
    Forbidden,
}

impl Line {
    /// An error where a site may not be connected to.
    pub(crate) fn permit(self, site: &Site) -> Result<(), Error> {
        match self.dialling {
            Dialling::Allowed => Ok(()),
            Dialling::Forbidden => Err(Error::Offline { site: site.clone() }),
        }
    }
}

/// Lets bytes pass at a rate.
#[derive(Debug)]
pub(crate) struct Throttle {
    rate: NonZeroU64,
    /// Until when the line is taken by what was granted.
    booked: Mutex<Option<Instant>>,
}

/// How much time may be made up for by who paused.
const BURST: Duration = Duration::from_millis(100);
/// Bytes of so much time are granted at once: who waits for the others waits for no longer.
const TURN: u64 = 20;

impl Throttle {
    pub(crate) fn new(rate: NonZeroU64) -> Self {
        Self { rate, booked: Mutex::default() }
    }

    /// How many of `want` bytes may pass at `now`; an error says how long to wait before asking again.
    pub(crate) fn grant(&self, want: usize, now: Instant) -> Result<usize, Duration> {
        let mut booked = self.booked();
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let from = booked.unwrap_or(now).max(earliest);
        if let Some(wait) = from.checked_duration_since(now).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        let turn = usize::try_from(self.rate.get() / TURN).unwrap_or(usize::MAX).max(1);
        let granted = want.min(turn);
        *booked = Some(from + self.time(granted));
        Ok(granted)
    }

    /// Takes back what was granted and did not pass.
    pub(crate) fn give_back(&self, unused: usize) {
        let mut booked = self.booked();
        *booked = booked.map(|time| time.checked_sub(self.time(unused)).unwrap_or(time));
    }

    fn booked(&self) -> MutexGuard<'_, Option<Instant>> {
        self.booked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long so many bytes take.
    fn time(&self, bytes: usize) -> Duration {
        let nanoseconds = bytes as u128 * 1_000_000_000 / u128::from(self.rate.get());
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn throttle(rate: u64) -> Throttle {
        Throttle::new(NonZeroU64::new(rate).expect("not zero"))
    }

    /// Moves `bytes` by a clock that only waiting turns, in pieces as large as they are granted; gives the time.
    fn moved(throttle: &Throttle, bytes: u64, began: Instant) -> Duration {
        let (mut now, mut left) = (began, bytes);
        while left > 0 {
            match throttle.grant(usize::try_from(left).expect("it fits"), now) {
                Ok(granted) => left -= granted as u64,
                Err(wait) => now += wait,
            }
        }
        now - began
    }

    #[test]
    fn bytes_take_their_time_whoever_moves_them() {
        let began = Instant::now();
        for (rate, bytes, seconds) in
            [(1000, 5000, 5), (1 << 20, 8 << 20, 8), (1, 3, 3), (4 << 20, 8 << 20, 2)]
        {
            let (time, expected) = (moved(&throttle(rate), bytes, began), Duration::from_secs(seconds));
            let turn = Duration::from_millis(51).max(Duration::from_nanos(1_000_000_000 / rate));
            assert!(time <= expected && time + turn >= expected, "{rate}: {time:?}");
        }
    }

    #[test]
    fn what_did_not_pass_costs_nothing() {
        let (throttle, now) = (throttle(1000), Instant::now());
        for _ in 0..1000 {
            let granted = throttle.grant(50, now).expect("the line is free");
            throttle.give_back(granted);
        }
        assert_eq!(throttle.grant(50, now), Ok(50));
        assert_eq!(throttle.grant(50, now), Err(Duration::from_millis(50)));
    }

    #[test]
    fn a_pause_is_made_up_for_by_one_burst_and_no_more() {
        let (throttle, now) = (throttle(1000), Instant::now());
        assert_eq!(throttle.grant(50, now), Ok(50));
        let later = now + Duration::from_secs(60);
        let granted = std::iter::from_fn(|| throttle.grant(1000, later).ok());
        assert_eq!(granted.sum::<usize>(), 150, "a burst of 100 ms, and the turn that ends it");
    }

    proptest! {
        /// The law of the module, for any callers at any times.
        #[test]
        fn no_span_of_time_sees_more_than_its_share(
            rate in 20_u64..100_000,
            calls in prop::collection::vec((0_u64..200, 1_usize..100_000, 0_usize..4), 1..200),
        ) {
            let (throttle, began) = (throttle(rate), Instant::now());
            let (mut now, mut passed) = (began, Vec::new());
            for (pause, want, part) in calls {
                now += Duration::from_millis(pause);
                if let Ok(granted) = throttle.grant(want, now) {
                    let used = granted * part / 3;
                    throttle.give_back(granted - used);
                    passed.push((now, used as u64));
                }
            }
            for (from, (start, _)) in passed.iter().enumerate() {
                let mut sum = 0_u64;
                for (time, bytes) in &passed[from..] {
                    sum += bytes;
                    let span = (*time - *start + BURST).as_nanos();
                    let share = span * u128::from(rate) / 1_000_000_000 + u128::from(rate / TURN) + 1;
                    prop_assert!(u128::from(sum) <= share, "{sum} bytes in {span} ns at {rate}");
                }
            }
        }
    }
}
