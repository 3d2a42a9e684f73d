//! A port on loopback, and a thread for each connection; all of it ends when it is dropped.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// So many connections at once; what comes beyond is closed at once.
const MOST: usize = 128;

/// Nothing on a connection waits longer for the other side.
const PATIENCE: Duration = Duration::from_secs(30);

/// A listening port.
pub struct Listener {
    address: SocketAddr,
    open: Arc<Open>,
    accepts: Option<JoinHandle<()>>,
}

/// What is to be ended.
#[derive(Default)]
struct Open {
    is_over: AtomicBool,
    next: AtomicU64,
    accepted: AtomicU64,
    streams: Mutex<Vec<(u64, TcpStream)>>,
}

impl Listener {
    /// Listens on a free port of 127.0.0.1; each connection is served once, by a thread of its own, and closed.
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = socket.local_addr().expect("a bound socket has an address");
        let open = Arc::new(Open::default());
        let accepts = thread::spawn({
            let open = Arc::clone(&open);
            move || accept(&socket, &open, &Arc::new(serve))
        });
        Self { address, open, accepts: Some(accepts) }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// How many connections there were.
    pub fn connections(&self) -> u64 {
        self.open.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.open.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        self.open.shut();
        if let Some(accepts) = self.accepts.take() {
            drop(accepts.join());
        }
    }
}

impl Open {
    fn shut(&self) {
        for (_, stream) in self.streams.lock().expect("no holder panics").iter() {
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Keeps a second handle, by which the stream is ended from outside.
    fn enter(&self, stream: &TcpStream) -> Option<u64> {
        let mut streams = self.streams.lock().expect("no holder panics");
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        (streams.len() < MOST).then(|| streams.push((id, stream.try_clone().expect("a second handle"))))?;
        Some(id)
    }

    fn leave(&self, id: u64) {
        self.streams.lock().expect("no holder panics").retain(|(it, _)| *it != id);
    }
}

fn accept<F: Fn(TcpStream) + Send + Sync + 'static>(socket: &TcpListener, open: &Arc<Open>, serve: &Arc<F>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let stream = match socket.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        if open.is_over.load(Ordering::SeqCst) {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        let Some(id) = open.enter(&stream) else { continue };
        open.accepted.fetch_add(1, Ordering::SeqCst);
        let (open, serve) = (Arc::clone(open), Arc::clone(serve));
        threads.push(thread::spawn(move || {
            drop(stream.set_nodelay(true));
            drop(stream.set_read_timeout(Some(PATIENCE)));
            drop(stream.set_write_timeout(Some(PATIENCE)));
            serve(stream);
            open.leave(id);
        }));
    }
    open.shut();
    for thread in threads {
        drop(thread.join());
    }
}

/// Makes the closing of a stream a reset.
pub fn reset(stream: &TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    #[test]
    fn a_dropped_listener_ends_its_connections_and_frees_its_port() {
        let listener = Listener::start(|mut stream| {
            let mut byte = [0];
            while stream.read(&mut byte).is_ok_and(|n| n == 1) && stream.write_all(&byte).is_ok() {}
        });
        let address = listener.address;
        let mut stream = TcpStream::connect(address).expect("it listens");
        let mut echo = [0];
        stream.write_all(b"x").expect("sent");
        stream.read_exact(&mut echo).expect("echoed");
        assert_eq!((&echo, listener.connections()), (b"x", 1));
        drop(listener);
        assert_eq!(stream.read(&mut echo).expect("an end"), 0);
        TcpListener::bind(address).expect("the port is free again");
    }

    #[test]
    fn a_reset_is_no_end() {
        let listener = Listener::start(|stream| reset(&stream));
        let mut stream = TcpStream::connect(listener.address).expect("it listens");
        let error = stream.read(&mut [0]).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}
