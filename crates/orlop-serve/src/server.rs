//! Sockets: a thread for each connection, of a bounded number, each with an end.
//!
//! ```text
//! accept ──► Lobby (who is here) ──► converse: head, answer, head, answer, …
//!                └── the end: readers are closed, writers have a moment, then all are
//! ```

use crate::answer::Answer;
use crate::error::Error;
use crate::registry::Registry;
use crate::request::{self, After, Asked, Method, Refused};
use orlop_spec::wire::failure::Code;
use orlop_spec::{Cancel, Event, Fault, Kind};
use std::collections::HashMap;
use std::io::{self, BufWriter, ErrorKind, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

/// How often one looks whether to stop.
const SLICE: Duration = Duration::from_millis(25);
/// What is read of a body that nobody wants, so that the refusal arrives.
const LINGER: usize = 256 << 10;
/// For how long.
const LINGER_FOR: Duration = Duration::from_millis(500);
/// Who came too many and is told so, at once; others beyond them are only shut out.
const LEAVERS: usize = 16;

/// What clients may cost.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at once; who comes beyond them is told to come again.
    pub connections: usize,
    /// From the first byte of a head to its last.
    pub head: Duration,
    /// Between an answer and the next request.
    pub idle: Duration,
    /// Without a byte that a client takes.
    pub stall: Duration,
    /// For answers that are on their way when the server ends.
    pub leave: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 128,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            leave: Duration::from_secs(2),
        }
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct Server {
    socket: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens; port 0 means any that is free.
    pub fn bind(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address, source };
        let socket = TcpListener::bind(address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }

    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the flag is set. Then nobody is let in any more, and what is on its way has a moment.
    pub fn serve(&self, registry: &Registry<'_>, options: &Options, cancel: &Cancel) {
        let lobby = Lobby::default();
        thread::scope(|scope| {
            scope.spawn(|| {
                while let Some(stream) = self.accept(&lobby) {
                    let host = self.address.to_string();
                    match lobby.enter(&stream, options.connections) {
                        Entered::As(guest) => begin(scope, move || {
                            Conversation { stream: &stream, registry, options, host }.hold();
                            drop(guest);
                        }),
                        Entered::Full => {
                            if let Some(leaver) = lobby.leaver() {
                                begin(scope, move || {
                                    turn_away(&stream);
                                    drop(leaver);
                                });
                            }
                        }
                        Entered::Closed => return,
                    }
                }
            });
            while cancel.check().is_ok() {
                thread::sleep(SLICE);
            }
            self.end(&lobby, options.leave);
        });
    }

    /// The next connection; `None` when the server ends.
    fn accept(&self, lobby: &Lobby) -> Option<TcpStream> {
        loop {
            let accepted = self.socket.accept();
            if lobby.is_over.load(Ordering::SeqCst) {
                return None;
            }
            match accepted {
                Ok((stream, _)) => return Some(stream),
                // A client that left again, or too many open files: both pass.
                Err(_) => thread::sleep(SLICE),
            }
        }
    }

    fn end(&self, lobby: &Lobby, leave: Duration) {
        lobby.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.own_address()));
        lobby.shut(Shutdown::Read);
        let end = Instant::now() + leave;
        while !lobby.is_empty() && Instant::now() < end {
            thread::sleep(SLICE);
        }
        lobby.shut(Shutdown::Both);
    }

    /// How this process reaches its own socket.
    fn own_address(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, self.address.port())
    }
}

/// Begins a thread. Where the system has none left, the connection that it was for ends.
fn begin<'s>(scope: &'s Scope<'s, '_>, work: impl FnOnce() + Send + 's) {
    let _ended = thread::Builder::new().spawn_scoped(scope, work);
}

/// Who is connected.
#[derive(Default)]
struct Lobby {
    is_over: AtomicBool,
    leavers: AtomicUsize,
    guests: Mutex<(u64, HashMap<u64, TcpStream>)>,
}

/// A connection that is counted for as long as this lives.
struct Guest<'l>(&'l Lobby, u64);

/// One of those that are told to come again, for as long as this lives.
struct Leaver<'l>(&'l AtomicUsize);

/// What became of who came.
enum Entered<'l> {
    As(Guest<'l>),
    /// Too many are here, or the system has no handles left.
    Full,
    /// The server ends.
    Closed,
}

impl Lobby {
    /// Keeps a second handle, by which the connection is ended from outside. Whoever ends them says so before it takes the
    /// lock: so nobody enters behind its back.
    fn enter(&self, stream: &TcpStream, most: usize) -> Entered<'_> {
        let Ok(second) = stream.try_clone() else { return Entered::Full };
        let mut guests = self.guests();
        if self.is_over.load(Ordering::SeqCst) {
            return Entered::Closed;
        }
        if guests.1.len() >= most {
            return Entered::Full;
        }
        guests.0 += 1;
        let number = guests.0;
        guests.1.insert(number, second);
        Entered::As(Guest(self, number))
    }

    fn leaver(&self) -> Option<Leaver<'_>> {
        let leaver = Leaver(&self.leavers);
        (self.leavers.fetch_add(1, Ordering::SeqCst) < LEAVERS).then_some(leaver)
    }

    fn shut(&self, how: Shutdown) {
        for stream in self.guests().1.values() {
            // One that is closed already is what is wanted.
            let _closed = stream.shutdown(how);
        }
    }

    fn is_empty(&self) -> bool {
        self.guests().1.is_empty()
    }

    fn guests(&self) -> std::sync::MutexGuard<'_, (u64, HashMap<u64, TcpStream>)> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.0.guests().1.remove(&self.1);
    }
}

impl Drop for Leaver<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Says that there are too many already, to whoever listens.
fn turn_away(stream: &TcpStream) {
    let answer = Answer::refused(503, &Code::Unavailable, "too many connections").with("Retry-After", "1");
    let _is_sent = stream.set_write_timeout(Some(SLICE));
    let _is_sent = answer.send(Method::Get, After::Close, &mut { stream });
    linger(stream, SLICE);
}

/// One connection.
struct Conversation<'a> {
    stream: &'a TcpStream,
    registry: &'a Registry<'a>,
    options: &'a Options,
    host: String,
}

impl Conversation<'_> {
    /// Answers until one side has enough. What fails here fails for this client alone.
    fn hold(&self) {
        let stalls = self.stream.set_write_timeout(Some(self.options.stall));
        if stalls.and_then(|()| self.stream.set_nodelay(true)).is_err() {
            return;
        }
        let mut buffer = Vec::new();
        while let Ok(Some(asked)) = self.next(&mut buffer) {
            let after = asked.after;
            let answered = self.answer(&asked);
            if answered.is_err() || after == After::Close {
                break;
            }
        }
        linger(self.stream, LINGER_FOR);
    }

    /// The next request; nothing at the end.
    fn next(&self, buffer: &mut Vec<u8>) -> io::Result<Option<Asked>> {
        let mut end = Instant::now() + if buffer.is_empty() { self.options.idle } else { self.options.head };
        let mut piece = [0; 4096];
        loop {
            match request::take(buffer) {
                Ok(Some(asked)) => return Ok(Some(asked)),
                Ok(None) => {}
                Err(Refused(status)) => return self.refuse(status).map(|()| None),
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return if buffer.is_empty() { Ok(None) } else { self.refuse(408).map(|()| None) };
            }
            self.stream.set_read_timeout(Some(left))?;
            match { self.stream }.read(&mut piece) {
                Ok(0) => return Ok(None),
                Ok(count) => {
                    if buffer.is_empty() {
                        end = Instant::now() + self.options.head;
                    }
                    buffer.extend_from_slice(&piece[..count]);
                }
                Err(error) if is_late(&error) || error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn answer(&self, asked: &Asked) -> io::Result<()> {
        let answer = self.registry.answer(asked, &self.host);
        let sent =
            answer.send(asked.method, asked.after, &mut BufWriter::with_capacity(16 << 10, self.stream));
        sent.map_err(|error| self.registry.noted(&asked.path, error))
    }

    fn refuse(&self, status: u16) -> io::Result<()> {
        let answer = Answer::refused(status, &Code::Unsupported, "this is no request that is understood");
        answer.send(Method::Get, After::Close, &mut { self.stream })
    }
}

/// Lets the client read what was said before it sees the end: bytes of its own that nobody read would reset the connection.
fn linger(stream: &TcpStream, most: Duration) {
    let _is_over = stream.shutdown(Shutdown::Write);
    let end = Instant::now() + most;
    let mut piece = [0; 4096];
    let mut left = LINGER;
    loop {
        let rest = end.saturating_duration_since(Instant::now());
        if rest.is_zero() || stream.set_read_timeout(Some(rest)).is_err() {
            return;
        }
        match { stream }.read(&mut piece) {
            Ok(count) if count > 0 && count <= left => left -= count,
            _ => return,
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl Registry<'_> {
    /// A client that leaves is no news; what the place could not give is.
    fn noted(&self, path: &str, error: io::Error) -> io::Error {
        let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>());
        if let Some(fault) = fault.filter(|fault| fault.kind() != Kind::Interrupted) {
            self.observer().event(Event::Warned(format!("{path}: {fault}")));
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_enters_once_the_end_was_said() {
        let socket = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let stream = TcpStream::connect(socket.local_addr().expect("bound")).expect("it listens");
        let lobby = Lobby::default();
        let first = lobby.enter(&stream, 1);
        assert!(matches!(first, Entered::As(_)));
        assert!(matches!(lobby.enter(&stream, 1), Entered::Full));
        drop(first);
        lobby.is_over.store(true, Ordering::SeqCst);
        lobby.shut(Shutdown::Read);
        assert!(matches!(lobby.enter(&stream, 1), Entered::Closed), "it would stay open until it idles");
        assert!(lobby.is_empty());
    }
}
