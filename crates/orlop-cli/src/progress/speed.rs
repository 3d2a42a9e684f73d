//! How fast bytes move, smoothed: what happened lately counts more than what was long ago.
//!
//! Time is handed in. The mean weighs each span by how long ago it was; as long as there is little past, it is divided by
//! the weight that there is, so that the beginning is no slower than it was.

use std::time::{Duration, Instant};

/// How long something counts: after so many seconds a third is left of its weight.
const MEMORY: f64 = 5.0;
/// Spans shorter than this are noise.
const SPAN: Duration = Duration::from_millis(100);

/// A smoothed rate.
#[derive(Debug)]
pub struct Speed {
    last: Instant,
    bytes: u64,
    mean: f64,
    weight: f64,
}

impl Speed {
    pub fn new(now: Instant) -> Self {
        Self { last: now, bytes: 0, mean: 0.0, weight: 0.0 }
    }

    /// Takes note of how many bytes have moved since the beginning.
    pub fn note(&mut self, bytes: u64, now: Instant) {
        let span = now.saturating_duration_since(self.last);
        if span < SPAN {
            return;
        }
        let share = 1.0 - (-span.as_secs_f64() / MEMORY).exp();
        let rate = as_float(bytes.saturating_sub(self.bytes)) / span.as_secs_f64();
        self.mean += share * (rate - self.mean);
        self.weight += share * (1.0 - self.weight);
        (self.last, self.bytes) = (now, bytes);
    }

    /// Bytes in a second; nothing before anything is known.
    pub fn rate(&self) -> Option<u64> {
        (self.weight > 0.0).then(|| as_bytes(self.mean / self.weight))
    }

    /// How long so many bytes will take; nothing where nothing moves.
    pub fn time_for(&self, bytes: u64) -> Option<Duration> {
        let rate = self.rate().filter(|rate| *rate > 0)?;
        Some(Duration::from_secs(bytes.div_ceil(rate)))
    }
}

/// The rate of bytes that took a time; nothing where it took none.
pub fn mean(bytes: u64, time: Duration) -> Option<u64> {
    (!time.is_zero()).then(|| as_bytes(as_float(bytes) / time.as_secs_f64()))
}

#[expect(clippy::cast_precision_loss, reason = "a rate for eyes has three digits")]
fn as_float(bytes: u64) -> f64 {
    bytes as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is not negative, and saturates"
)]
fn as_bytes(rate: f64) -> u64 {
    rate.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rate after so many bytes in each of some spans of 200 ms.
    fn after(spans: &[u64]) -> Speed {
        let began = Instant::now();
        let (mut speed, mut sum, mut time) = (Speed::new(began), 0, began);
        for bytes in spans {
            time += Duration::from_millis(200);
            sum += bytes;
            speed.note(sum, time);
        }
        speed
    }

    #[test]
    fn an_even_flow_has_its_rate_from_the_beginning() {
        for spans in [1, 3, 200] {
            assert_eq!(after(&vec![1000; spans]).rate(), Some(5000));
        }
        assert_eq!(after(&[1000; 3]).time_for(12_500), Some(Duration::from_secs(3)));
        assert_eq!(after(&[]).rate(), None);
    }

    #[test]
    fn a_jolt_moves_the_rate_little_and_a_lasting_change_moves_it_wholly() {
        let mut spans = vec![1000; 100];
        spans.push(0);
        let jolt = after(&spans).rate().expect("a rate");
        assert!((4700..5000).contains(&jolt), "{jolt}");
        spans.extend(vec![2000; 200]);
        let lasting = after(&spans).rate().expect("a rate");
        assert!((9990..=10_000).contains(&lasting), "{lasting}");
    }

    #[test]
    fn where_nothing_moves_no_end_is_told() {
        let still = after(&[0; 20]);
        assert_eq!((still.rate(), still.time_for(1)), (Some(0), None));
        assert_eq!(mean(10, Duration::ZERO), None);
        assert_eq!(mean(10, Duration::from_secs(2)), Some(5));
    }
}
