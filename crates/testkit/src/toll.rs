//! A way to a server on which every byte is counted, and on which a client gets a signal when so many have
//! come past.
//!
//! ```text
//! client ──── up ────► Toll ────► server       at the N-th byte: the signal, before any later one is passed on
//!        ◄─── down ───      ◄────
//! ```
//!
//! So the client is alive when it is met: it waits for bytes, or for an answer to bytes, that it cannot have yet.
//! What it gave to its sockets before still arrives, and is counted: a dead client's bytes are on their way like others.

use crate::listener::Listener;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The way; it ends when it is dropped.
pub struct Toll {
    listener: Listener,
    gate: Arc<Gate>,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Up,
    /// To the client.
    Down,
}

/// Bytes that came past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// From clients.
    pub up: u64,
    /// To clients.
    pub down: u64,
}

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    count: Count,
    open: usize,
    doom: Option<Doom>,
    victim: Option<Pid>,
    struck: bool,
}

/// What comes when.
#[derive(Clone, Copy)]
struct Doom {
    direction: Direction,
    at: u64,
    signal: Signal,
}

/// Nobody waits longer, for a victim to start or for connections to end.
const PATIENCE: Duration = Duration::from_secs(20);

impl Toll {
    /// A way to `127.0.0.1:PORT`.
    pub fn to(host: &str) -> Self {
        let server: SocketAddr = host.parse().expect("an address of loopback");
        let gate = Arc::new(Gate::default());
        let inner = Arc::clone(&gate);
        let listener = Listener::start(move |client| {
            inner.state().open += 1;
            if let Ok(server) = TcpStream::connect(server) {
                drop(server.set_nodelay(true));
                thread::scope(|scope| {
                    scope.spawn(|| carry(&client, &server, Direction::Up, &inner));
                    carry(&server, &client, Direction::Down, &inner);
                });
            }
            inner.state().open -= 1;
            inner.changed.notify_all();
        });
        Self { listener, gate }
    }

    /// `127.0.0.1:PORT` of its near end.
    pub fn host(&self) -> String {
        self.listener.host()
    }

    /// Bytes so far, after every connection has ended.
    ///
    /// # Panics
    /// When one does not end.
    pub fn count(&self) -> Count {
        let end = Instant::now() + PATIENCE;
        let mut state = self.gate.state();
        while state.open > 0 {
            assert!(Instant::now() < end, "a connection does not end");
            state = self.gate.wait(state);
        }
        state.count
    }

    /// The next client that [`Self::victim`] names gets a signal when `bytes` more have come past.
    pub fn doom(&self, direction: Direction, bytes: u64, signal: Signal) {
        let mut state = self.gate.state();
        let at = state.count.of(direction) + bytes;
        (state.doom, state.victim, state.struck) = (Some(Doom { direction, at, signal }), None, false);
    }

    /// Whom it is for; a hook for [`crate::Command::started`].
    pub fn victim(&self) -> impl FnOnce(Pid) + use<> {
        let gate = Arc::clone(&self.gate);
        move |victim| {
            gate.state().victim = Some(victim);
            gate.changed.notify_all();
        }
    }

    /// Whether somebody was alive and got it since the last [`Self::doom`], which is over.
    pub fn has_struck(&self) -> bool {
        let mut state = self.gate.state();
        state.doom = None;
        state.struck
    }
}

impl Count {
    fn of(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
        }
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let waited = self.changed.wait_timeout(state, Duration::from_millis(100));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Counts bytes, and sends the signal where it is time.
    fn pass(&self, direction: Direction, bytes: u64) {
        let mut state = self.state();
        match direction {
            Direction::Up => state.count.up += bytes,
            Direction::Down => state.count.down += bytes,
        }
        let count = state.count.of(direction);
        let is_due = |doom: &Doom| doom.direction == direction && count >= doom.at;
        let Some(doom) = state.doom.filter(|doom| is_due(doom) && !state.struck) else { return };
        let end = Instant::now() + PATIENCE;
        while state.victim.is_none() && Instant::now() < end {
            state = self.wait(state);
        }
        if let Some(victim) = state.victim {
            state.struck = kill_process(victim, doom.signal).is_ok();
        }
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, direction: Direction, gate: &Gate) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        gate.pass(direction, read as u64);
        if to.write_all(&buffer[..read]).is_err() {
            // What a dead server is sent, or a dead client, goes nowhere.
            drop(from.shutdown(Shutdown::Read));
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Command;

    fn hole() -> Listener {
        Listener::start(|mut stream| {
            let read = std::io::copy(&mut stream, &mut std::io::sink());
            drop(stream.write_all(&read.unwrap_or_default().to_be_bytes()));
        })
    }

    /// A client that sends without an end.
    fn endless(toll: &Toll) -> Command {
        let (host, port) =
            toll.host().split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("two");
        let script = format!("exec 3<>/dev/tcp/{host}/{port}; exec cat /dev/zero >&3");
        Command::new("bash").args(["-c", &script]).started(toll.victim())
    }

    #[test]
    fn a_client_dies_at_the_byte_that_was_named_and_is_known_to_have_lived() {
        let server = hole();
        let toll = Toll::to(&server.host());
        for bytes in [1, 5_000_000] {
            let before = toll.count().up;
            toll.doom(Direction::Up, bytes, Signal::KILL);
            let killed = endless(&toll).run();
            assert!(toll.has_struck() && killed.signal() == Some(9) && !killed.timed_out, "{killed}");
            let sent = toll.count().up - before;
            assert!((bytes..bytes + (16 << 20)).contains(&sent), "{sent} for {bytes}");
        }
    }

    #[test]
    fn bytes_are_counted_in_both_directions() {
        let server = hole();
        let toll = Toll::to(&server.host());
        let mut stream = TcpStream::connect(toll.host()).expect("it listens");
        stream.write_all(&[1; 1000]).expect("sent");
        stream.shutdown(Shutdown::Write).expect("it is open");
        stream.read_exact(&mut [0; 8]).expect("the server's count");
        drop(stream);
        assert_eq!(toll.count(), Count { up: 1000, down: 8 });
        assert!(!toll.has_struck());
    }
}
