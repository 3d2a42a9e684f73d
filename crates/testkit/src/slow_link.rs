//! A way to a server that is long, narrow or breaks: every byte arrives late, at most so many in a second, and after
//! some of them the way is gone.
//!
//! ```text
//! client ──► SlowLink ── latency, bandwidth, break after N ──► server
//! ```

use crate::listener::{Listener, reset};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// What a way is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// How late every byte arrives, in each direction.
    pub latency: Duration,
    /// Bytes in a second, in each direction of each connection.
    pub bandwidth: Option<u64>,
    /// What happens to a connection after so many bytes to the client.
    pub loss: Option<(u64, Loss)>,
    /// To how many connections, the first ones, that happens.
    pub losses: u64,
}

/// How a connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// By a reset.
    Reset,
    /// Nothing comes any more.
    Stall,
}

/// The way; it ends when it is dropped.
pub struct SlowLink {
    listener: Listener,
    carried: Arc<AtomicU64>,
}

impl SlowLink {
    /// A way to `127.0.0.1:PORT`.
    pub fn to(host: &str, link: Link) -> Self {
        let server: SocketAddr = host.parse().expect("an address of loopback");
        let carried = Arc::new(AtomicU64::new(0));
        let (sum, lost) = (Arc::clone(&carried), AtomicU64::new(0));
        let listener = Listener::start(move |client| {
            let is_lost = link.loss.is_some() && lost.fetch_add(1, Ordering::SeqCst) < link.losses;
            let link = Link { loss: link.loss.filter(|_| is_lost), ..link };
            if let Ok(server) = TcpStream::connect(server) {
                carry(&client, &server, link, &sum);
            }
        });
        Self { listener, carried }
    }

    /// `127.0.0.1:PORT` of its near end.
    pub fn host(&self) -> String {
        self.listener.host()
    }

    /// Bytes that arrived at either end.
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::SeqCst)
    }
}

/// What is on its way: when it arrives, and what.
type Parcel = (Instant, Vec<u8>);

/// So many parcels of 16 KiB are on the way at most.
const WINDOW: usize = 256;

fn carry(client: &TcpStream, server: &TcpStream, link: Link, sum: &AtomicU64) {
    drop(server.set_nodelay(true));
    let there = Link { loss: None, ..link };
    thread::scope(|scope| {
        for (from, to, link) in [(client, server, there), (server, client, link)] {
            let (sender, parcels) = sync_channel(WINDOW);
            scope.spawn(move || collect(from, link.latency, &sender));
            scope.spawn(move || deliver(from, to, link, &parcels, sum));
        }
    });
}

fn collect(mut from: &TcpStream, latency: Duration, parcels: &SyncSender<Parcel>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if parcels.send((Instant::now() + latency, buffer[..read].to_vec())).is_err() {
            return;
        }
    }
}

fn deliver(from: &TcpStream, mut to: &TcpStream, link: Link, parcels: &Receiver<Parcel>, sum: &AtomicU64) {
    let mut left = link.loss.map_or(u64::MAX, |(after, _)| after);
    for (due, mut parcel) in parcels {
        parcel.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let length = parcel.len() as u64;
        left -= length;
        let pace =
            link.bandwidth.map_or(Duration::ZERO, |rate| Duration::from_micros(length * 1_000_000 / rate));
        thread::sleep(due.saturating_duration_since(Instant::now()).max(pace));
        if to.write_all(&parcel).is_err() || left == 0 {
            break;
        }
        sum.fetch_add(length, Ordering::SeqCst);
    }
    lose(from, to, link, left);
}

/// Ends a direction, or what is lost.
fn lose(from: &TcpStream, to: &TcpStream, link: Link, left: u64) {
    match link.loss {
        Some((_, Loss::Reset)) if left == 0 => {
            reset(to);
            drop(from.shutdown(Shutdown::Both));
            drop(to.shutdown(Shutdown::Read));
        }
        // The client, or the end of the test, ends it.
        Some((_, Loss::Stall)) if left == 0 => drop(from.shutdown(Shutdown::Read)),
        _ => drop(to.shutdown(Shutdown::Write)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> Listener {
        Listener::start(|mut stream| {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut bytes) {
                if stream.write_all(&bytes[..read]).is_err() {
                    return;
                }
            }
        })
    }

    fn ask(link: &SlowLink, bytes: usize) -> (std::io::Result<()>, Duration) {
        let start = Instant::now();
        let mut stream = TcpStream::connect(link.host()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a time");
        stream.write_all(&vec![1; bytes]).expect("sent");
        (stream.read_exact(&mut vec![0; bytes]), start.elapsed())
    }

    #[test]
    fn every_byte_is_late() {
        let server = echo();
        let link =
            SlowLink::to(&server.host(), Link { latency: Duration::from_millis(30), ..Link::default() });
        let (echo, time) = ask(&link, 1000);
        echo.expect("it arrives");
        assert!(time >= Duration::from_millis(60), "{time:?}");
        assert_eq!(link.carried(), 2000);
    }

    #[test]
    fn a_narrow_way_takes_its_time() {
        let server = echo();
        let link = SlowLink::to(&server.host(), Link { bandwidth: Some(100_000), ..Link::default() });
        let (echo, time) = ask(&link, 10_000);
        echo.expect("it arrives");
        assert!(time >= Duration::from_millis(100), "{time:?}");
    }

    #[test]
    fn what_is_lost_is_lost_once() {
        let server = echo();
        for loss in [Loss::Reset, Loss::Stall] {
            let link = Link { loss: Some((500, loss)), losses: 1, ..Link::default() };
            let link = SlowLink::to(&server.host(), link);
            assert!(ask(&link, 1000).0.is_err(), "{loss:?}");
            ask(&link, 1000).0.expect("the second way is good");
        }
    }
}
