//! For tests: a server on this machine that does what a closure says, and ports that know nothing.

use crate::client::{Client, Options};
use crate::pool::Pool;
use orlop_spec::network::{
    Access, Credential, Endpoint, Hosts, Network, Proxy, Secrets, Tls, Token, TokenKey, Trust,
};
use orlop_spec::port::Result;
use orlop_spec::reference::Repository;
use orlop_spec::wire::{Address, Site};
use orlop_spec::{Cancel, Context, Event, Limits, Observer, Timestamp};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A server that lives as long as the test program.
pub(crate) struct Loopback {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

/// One connection of it.
pub(crate) struct Caller {
    pub(crate) reader: BufReader<TcpStream>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Loopback {
    /// Serves each connection in a thread of its own; `number` counts from 0.
    pub(crate) fn new(serve: impl Fn(usize, &mut Caller) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (counted, noted) = (Arc::clone(&connections), Arc::clone(&heads));
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(std::result::Result::ok) {
                let number = counted.fetch_add(1, Ordering::SeqCst);
                let mut caller = Caller { reader: BufReader::new(socket), heads: Arc::clone(&noted) };
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(number, &mut caller));
            }
        });
        Self { address, connections, heads }
    }

    /// Answers every request of every connection as `answer` says: given the number of the request and its head.
    pub(crate) fn answering(answer: impl Fn(usize, &str) -> String + Send + Sync + 'static) -> Self {
        let count = AtomicUsize::new(0);
        Self::new(move |_, caller| {
            while let Some(head) = caller.request() {
                let text = answer(count.fetch_add(1, Ordering::SeqCst), &head);
                if !caller.say(&text) || text.contains("Connection: close") {
                    break;
                }
            }
        })
    }

    pub(crate) fn at(&self, target: &str) -> Address {
        Address::parse(&format!("http://{}{target}", self.address)).expect("an address")
    }

    pub(crate) fn socket(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The heads of all requests that came.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no test panics with it").clone()
    }
}

impl Caller {
    /// Reads a request with its body, which is thrown away; `None` at the end.
    pub(crate) fn request(&mut self) -> Option<String> {
        let head = self.head()?;
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(0, |length| length.parse().expect("a length"));
        let count = std::io::copy(&mut self.reader.by_ref().take(length), &mut std::io::sink());
        count.ok().filter(|count| *count == length).map(|_| head)
    }

    /// Reads the head of a request.
    pub(crate) fn head(&mut self) -> Option<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        self.heads.lock().expect("no test panics with it").push(head.clone());
        Some(head)
    }

    /// Sends text; false where nobody listens any more.
    pub(crate) fn say(&mut self, text: &str) -> bool {
        self.send(text.as_bytes())
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.reader.get_mut().write_all(bytes).is_ok()
    }
}

/// An answer with a body.
pub(crate) fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Ports that know nothing, or the little that a test says.
#[derive(Default)]
pub(crate) struct Plain {
    pub(crate) insecure: HashSet<Site>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) credential: Option<Credential>,
    pub(crate) tls: Tls,
    pub(crate) dial_timeout: Option<Duration>,
}

impl Plain {
    pub(crate) fn network(&self) -> Network<'_> {
        Network { hosts: self, trust: self, secrets: self, journal: &(), clock: &|| Timestamp::EPOCH }
    }
}

impl Hosts for Plain {
    fn endpoints(&self, _: &Repository, _: Access) -> Result<Vec<Endpoint>> {
        Ok(Vec::new())
    }
}

impl Trust for Plain {
    fn tls(&self, _: &Site) -> Result<Tls> {
        Ok(self.tls.clone())
    }

    fn proxy(&self, _: &Site) -> Result<Option<Proxy>> {
        Ok(self.proxy.clone())
    }

    fn dial_timeout(&self, _: &Site) -> Option<Duration> {
        self.dial_timeout
    }

    fn is_insecure(&self, site: &Site) -> bool {
        self.insecure.contains(site)
    }
}

impl Secrets for Plain {
    fn credential(&self, _: &Repository) -> Result<Option<Credential>> {
        Ok(self.credential.clone())
    }

    fn token(&self, _: &TokenKey) -> Option<Token> {
        None
    }

    fn keep(&self, _: &TokenKey, _: &Token) {}
}

/// All that a client is given.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) cancel: Cancel,
    pub(crate) ports: Plain,
    pub(crate) pool: Pool,
    limits: Limits,
    seen: Seen,
}

/// Keeps every event.
#[derive(Default)]
struct Seen(Mutex<Vec<Event>>);

impl Observer for Seen {
    fn event(&self, event: Event) {
        self.0.lock().expect("no test panics with it").push(event);
    }
}

impl World {
    /// A client that is patient for a second and a half.
    pub(crate) fn client(&self) -> Client<'_> {
        let cx = Context {
            observer: &self.seen,
            cancel: &self.cancel,
            limits: &self.limits,
            workers: NonZeroUsize::MIN,
        };
        let options = Options { stall: Duration::from_millis(1500), ..Options::default() };
        Client::new(cx, self.ports.network(), &self.pool, options)
    }

    /// What was told.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.seen.0.lock().expect("no test panics with it").clone()
    }
}
