//! When to ask again, how long to wait before, and when to give up.
//!
//! Invariant: what may have been done is asked for again only where doing it twice does no harm; every pause is
//! bounded, can be interrupted, and is told.

use crate::client::{Options, Repeat};
use crate::error::{Error, Phase, Refusal};
use crate::exchange::watch::SLICE;
use orlop_spec::port::Result;
use orlop_spec::wire::{Address, Head, Method, header};
use orlop_spec::{Context, Event, Fault, Timestamp};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::thread;
use std::time::{Duration, Instant};

/// What stands in the way, where asking again may help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// In words.
    pub(crate) why: String,
    /// Whether the request may have been done all the same.
    pub(crate) done: Done,
    /// Whether it was silence: that is tried once more only.
    pub(crate) stall: Stall,
    /// How long the server asks to wait.
    pub(crate) pause: Option<Duration>,
}

/// Whether a request was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It was not.
    No,
    /// Nobody knows.
    Perhaps,
}

/// Whether the other side was silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stall {
    Silent,
    Talking,
}

/// What a request may still cost.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    failures: u32,
    stalls: u32,
}

/// The pause before the second attempt; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// How often silence is forgiven.
const MOST_STALLS: u32 = 1;

/// Whether an error may go away.
pub(crate) fn trouble_of(fault: &Fault) -> Option<Trouble> {
    let (phase, stall, why) = match fault.downcast_ref()? {
        Error::Broken { phase, source, .. } => (*phase, Stall::Talking, format!("{phase} failed: {source}")),
        Error::Stalled { phase, .. } => (*phase, Stall::Silent, format!("it stalled while {phase}")),
        Error::Truncated { .. } => (Phase::Receiving, Stall::Talking, "the body ended early".into()),
        Error::Proxy { status: 502..=504, .. } | Error::Socks { refusal: Refusal::Reply(1 | 3..=6), .. } => {
            (Phase::Connecting, Stall::Talking, "the proxy did not connect".into())
        }
        _ => return None,
    };
    let done = match phase {
        Phase::Resolving | Phase::Connecting | Phase::Securing => Done::No,
        Phase::Sending | Phase::Waiting | Phase::Receiving => Done::Perhaps,
    };
    Some(Trouble { why, done, stall, pause: None })
}

/// Whether an answer is one that may be another the next time (RFC 9110, section 15).
pub(crate) fn trouble_in(head: &Head, now: Timestamp) -> Option<Trouble> {
    let done = match head.status {
        408 | 429 | 503 => Done::No,
        500 | 502 | 504 => Done::Perhaps,
        _ => return None,
    };
    let pause = header::retry_after(&head.headers, now);
    let why = format!("it answered {}", head.status);
    Some(Trouble { why, done, stall: Stall::Talking, pause })
}

/// Whether a request may be sent again after a trouble.
pub(crate) fn may_repeat(method: Method, repeat: Repeat, done: Done) -> bool {
    match (done, repeat) {
        (Done::No, _) | (_, Repeat::Safe) => true,
        (Done::Perhaps, Repeat::Never) => false,
        (Done::Perhaps, Repeat::ByMethod) => method.is_idempotent(),
    }
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { failures: 0, stalls: 0 }
    }

    /// Something moved: what went wrong before is forgotten.
    pub(crate) fn restore(&mut self) {
        *self = Self::new();
    }

    /// How long to wait before the next attempt; `None` where there is none. An error where the server asks for more
    /// patience than there is.
    pub(crate) fn spend(
        &mut self,
        trouble: &Trouble,
        options: &Options,
        address: &Address,
        head: Option<&Head>,
    ) -> Result<Option<Duration>, Error> {
        self.failures += 1;
        self.stalls += u32::from(trouble.stall == Stall::Silent);
        if self.failures > options.retries || self.stalls > MOST_STALLS {
            return Ok(None);
        }
        match (trouble.pause, head) {
            (Some(pause), Some(head)) if pause > options.patience => {
                Err(Error::LongPause { address: address.clone(), status: head.status, pause })
            }
            (pause, _) => Ok(Some(pause.unwrap_or_default().max(self.backoff()))),
        }
    }

    /// Doubles, and differs from one client to the next, so that those who failed together do not come back together.
    fn backoff(&self) -> Duration {
        let doubled = FIRST_PAUSE * 2_u32.saturating_pow(self.failures.saturating_sub(1).min(16));
        let pause = doubled.min(LONGEST_PAUSE);
        let dice = RandomState::new().build_hasher().finish() % 512;
        pause / 2 + pause * u32::try_from(dice).unwrap_or_default() / 512
    }
}

/// Waits, and tells.
pub(crate) fn pause(cx: Context<'_>, address: &Address, trouble: &Trouble, time: Duration) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < time {
        cx.cancel.check()?;
        thread::sleep(SLICE.min(time.saturating_sub(began.elapsed())));
    }
    cx.cancel.check()?;
    let (site, why) = (address.site().to_string(), trouble.why.clone());
    cx.observer.event(Event::Waited { site, why, time: began.elapsed() });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_spec::wire::Headers;

    fn address() -> Address {
        Address::parse("https://a/").expect("an address")
    }

    fn head(status: u16, retry_after: &str) -> Head {
        let mut headers = Headers::default();
        assert!(headers.add("Retry-After", retry_after));
        Head { status, headers }
    }

    fn trouble(stall: Stall) -> Trouble {
        Trouble { why: "x".into(), done: Done::No, stall, pause: None }
    }

    #[test]
    fn what_may_have_been_done_is_not_done_twice() {
        for method in [Method::Get, Method::Head, Method::Put, Method::Delete] {
            assert!(may_repeat(method, Repeat::ByMethod, Done::Perhaps), "{method}");
        }
        for method in [Method::Post, Method::Patch] {
            assert!(!may_repeat(method, Repeat::ByMethod, Done::Perhaps), "{method}");
            assert!(may_repeat(method, Repeat::Safe, Done::Perhaps), "{method}");
            assert!(may_repeat(method, Repeat::Never, Done::No), "{method}");
        }
        assert!(!may_repeat(Method::Put, Repeat::Never, Done::Perhaps));
    }

    #[test]
    fn pauses_double_within_bounds_and_end() {
        let options = Options { retries: 5, ..Options::default() };
        let mut budget = Budget::new();
        let mut most = FIRST_PAUSE * 3 / 2;
        for _ in 0..5 {
            let pause = budget.spend(&trouble(Stall::Talking), &options, &address(), None);
            let pause = pause.expect("no error").expect("another attempt");
            assert!((most / 3..=most).contains(&pause), "{pause:?} of {most:?}");
            most *= 2;
        }
        assert_eq!(budget.spend(&trouble(Stall::Talking), &options, &address(), None).ok(), Some(None));
    }

    #[test]
    fn n10_silence_is_forgiven_once() {
        let mut budget = Budget::new();
        let mut spend = || budget.spend(&trouble(Stall::Silent), &Options::default(), &address(), None);
        assert!(matches!(spend(), Ok(Some(_))));
        assert!(matches!(spend(), Ok(None)));
    }

    #[test]
    fn item_213_retry_after_is_honoured_and_capped() {
        let options = Options::default();
        let spend = |head: &Head| {
            let trouble = trouble_in(head, Timestamp::EPOCH).expect("a trouble");
            Budget::new().spend(&trouble, &options, &address(), Some(head))
        };
        assert_eq!(spend(&head(429, "7")).ok().flatten(), Some(Duration::from_secs(7)));
        let date = spend(&head(503, "Thu, 01 Jan 1970 00:00:09 GMT")).ok().flatten();
        assert_eq!(date, Some(Duration::from_secs(9)));
        assert!(spend(&head(429, "0")).ok().flatten().is_some_and(|pause| pause >= FIRST_PAUSE / 2));
        for long in ["61", "99999999999999999999"] {
            assert!(matches!(spend(&head(429, long)), Err(Error::LongPause { status: 429, .. })), "{long}");
        }
    }

    #[test]
    fn most_answers_are_final() {
        let is_final = |status| trouble_in(&head(status, "1"), Timestamp::EPOCH).is_none();
        assert!([200, 202, 206, 301, 400, 401, 403, 404, 409, 413, 416, 501, 505].into_iter().all(is_final));
        assert!(![408, 429, 500, 502, 503, 504].into_iter().any(is_final));
    }
}
