//! Waiting, with an eye on the clock and on the user.
//!
//! Invariant: nothing waits without a bound. Only time in which the other side was waited for counts, so a slow disk
//! on this side is no stall, and neither is a limit of our own; and a transfer that moves is never cut, however long it takes.

use super::tls::{self, Blame};
use crate::error::{Error, Phase};
use crate::line::Throttle;
use orlop_spec::wire::Address;
use orlop_spec::{Cancel, Fault};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

/// How long a wait lasts before the cancel flag is looked at.
pub(crate) const SLICE: Duration = Duration::from_millis(50);
/// What must move in a second for it not to be a stall.
const LEAST_PER_SECOND: u64 = 1 << 10;
/// How fast a server is expected to store what it was sent before it answers, in bytes per second.
const STORED_PER_SECOND: u64 = 16 << 20;

/// Watches over one request.
pub(crate) struct Watch<'a> {
    cancel: &'a Cancel,
    address: Address,
    stall: Duration,
    throttle: Option<&'a Throttle>,
    phase: Phase,
    /// How long this window lasts.
    window: Duration,
    /// Time of this window that was spent waiting.
    waited: Duration,
    /// Bytes of this window.
    moved: u64,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(
        cancel: &'a Cancel,
        address: &Address,
        stall: Duration,
        throttle: Option<&'a Throttle>,
    ) -> Self {
        let address = address.clone();
        Self {
            cancel,
            address,
            stall,
            throttle,
            phase: Phase::Resolving,
            window: stall,
            waited: Duration::ZERO,
            moved: 0,
        }
    }

    /// Another part of the request begins.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.window = self.stall;
        self.restart();
    }

    /// The part that has begun may take so long at most, and no longer than it might.
    pub(crate) fn at_most(&mut self, time: Option<Duration>) {
        self.window = self.window.min(time.unwrap_or(self.window));
    }

    /// The head is waited for; whoever took `sent` bytes may need some time to store them.
    pub(crate) fn await_head(&mut self, sent: u64) {
        self.enter(Phase::Waiting);
        self.window += Duration::from_secs(sent / STORED_PER_SECOND);
    }

    /// Bytes have come or gone.
    pub(crate) fn moved(&mut self, bytes: usize) {
        self.moved += bytes as u64;
    }

    /// How many of `want` bytes may be moved now; waits until some may.
    pub(crate) fn allow(&self, want: usize) -> io::Result<usize> {
        let Some(throttle) = self.throttle else { return Ok(want) };
        loop {
            self.cancel.check().map_err(Fault::from)?;
            match throttle.grant(want, Instant::now()) {
                Ok(granted) => return Ok(granted),
                Err(wait) => thread::sleep(wait.min(SLICE)),
            }
        }
    }

    /// How many of the allowed bytes were moved; nothing where none could be.
    pub(crate) fn passed_of(
        &mut self,
        allowed: usize,
        moved: io::Result<Option<usize>>,
    ) -> io::Result<Option<usize>> {
        let count = moved.as_ref().ok().copied().flatten().unwrap_or_default();
        self.moved(count);
        if let Some(throttle) = self.throttle {
            throttle.give_back(allowed - count);
        }
        moved
    }

    /// Waits until one of `events` is there.
    pub(crate) fn wait(&mut self, socket: impl AsFd, events: PollFlags) -> io::Result<()> {
        loop {
            let mut sockets = [PollFd::new(&socket, events)];
            if self.look(&mut sockets, SLICE)? {
                return Ok(());
            }
        }
    }

    /// Waits for any of the sockets, for `time` at most; false where nothing came.
    pub(crate) fn look(&mut self, sockets: &mut [PollFd<'_>], time: Duration) -> io::Result<bool> {
        self.cancel.check().map_err(Fault::from)?;
        let began = Instant::now();
        let time = Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
        let ready = match poll(sockets, Some(&time)) {
            Ok(ready) => ready,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        self.passed(began.elapsed())?;
        Ok(ready > 0)
    }

    /// Time was spent waiting.
    pub(crate) fn passed(&mut self, time: Duration) -> Result<(), Fault> {
        self.cancel.check()?;
        self.waited += time;
        if self.waited < self.window {
            return Ok(());
        }
        let least = LEAST_PER_SECOND * self.stall.as_secs().max(1);
        if self.moved < least {
            let (address, phase, time) = (self.address.clone(), self.phase, self.waited);
            return Err(Error::Stalled { address, phase, time, least }.into());
        }
        self.restart();
        Ok(())
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// An error of the connection, said with what was being done. A fault that travelled inside comes out.
    pub(crate) fn fault(&self, error: io::Error) -> Fault {
        let (address, phase) = (self.address.clone(), self.phase);
        match error.downcast::<Fault>() {
            Ok(fault) => fault,
            Err(source) => match tls::blame(&source) {
                Blame::Distrust => Error::Untrusted { site: address.site().clone(), source }.into(),
                Blame::Clear => Error::NoTls { site: address.site().clone() }.into(),
                Blame::Connection => Error::Broken { address, phase, source }.into(),
            },
        }
    }

    fn restart(&mut self) {
        self.waited = Duration::ZERO;
        self.moved = 0;
    }
}
