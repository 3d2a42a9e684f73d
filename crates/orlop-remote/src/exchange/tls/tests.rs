use crate::client::{Errand, Payload};
use crate::dial::Resolve;
use crate::error::Error;
use crate::loopback::{Caller, Loopback, World, answer};
use crate::pool::Pool;
use orlop_spec::network::{Check, Proxy, ProxyKind, Tls};
use orlop_spec::port::Result;
use orlop_spec::wire::{Address, Method, Request};
use orlop_spec::{Diagnose as _, Fault, Kind};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use testkit::authority::Authority;
use testkit::proof;

type Line = rustls::Stream<'static, ServerConnection, TcpStream>;

/// Who may ask.
#[derive(Clone, Copy)]
enum Asks {
    Anybody,
    Known,
}

/// A server under TLS; `serve` is given every connection.
fn server(authority: &Authority, asks: Asks, serve: fn(&mut Line)) -> Loopback {
    server_as("site", authority, asks, serve)
}

/// A server that shows one of the certificates.
fn server_as(name: &str, authority: &Authority, asks: Asks, serve: fn(&mut Line)) -> Loopback {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_slice(&authority.pem(&format!("{name}.pem")));
    let certificate = certificate.expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(&authority.pem(&format!("{name}.key"))).expect("a key");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&authority.pem("root.pem")).expect("a root")).expect("a root");
    let known = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("the provider's own versions");
    let config = match asks {
        Asks::Anybody => config.with_no_client_auth(),
        Asks::Known => config.with_client_cert_verifier(known.expect("one root")),
    };
    let config = Arc::new(config.with_single_cert(vec![certificate], key).expect("they belong together"));
    Loopback::new(move |_, caller: &mut Caller| {
        let tls = ServerConnection::new(Arc::clone(&config)).expect("a right config");
        let socket = caller.reader.get_ref().try_clone().expect("a handle");
        // It lives as long as the test, which is not long.
        serve(&mut rustls::Stream::new(Box::leak(Box::new(tls)), Box::leak(Box::new(socket))));
    })
}

/// Reads a request with its body; false at the end.
fn request(line: &mut Line) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if !line.read(&mut byte).is_ok_and(|count| count == 1) {
            return false;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.map_or(0, |length| length.parse().expect("a number"));
    io::copy(&mut Read::by_ref(line).take(length), &mut io::sink()).is_ok_and(|count| count == length)
}

fn greets(line: &mut Line) {
    while request(line) {
        line.write_all(answer("200 OK", "hello").as_bytes()).expect("somebody listens");
    }
}

fn at(server: &Loopback, host: &str) -> Address {
    Address::parse(&format!("https://{host}:{}/v2/", server.socket().port())).expect("an address")
}

fn send(world: &World, request: &Request, payload: Payload<'_>) -> Result<Vec<u8>> {
    let client = world.client();
    let mut answer = client.call(request, &Errand::new(request.address.site()), payload)?;
    let mut body = Vec::new();
    answer.body.read_to_end(&mut body).map_err(|error| Fault::io("read", error))?;
    Ok(body)
}

fn get(world: &World, address: Address) -> Result<Vec<u8>> {
    send(world, &Request::new(Method::Get, address), Payload::Empty)
}

fn trusting(authority: &Authority) -> World {
    let mut world = World::default();
    world.ports.tls = Tls { roots: vec![authority.pem("root.pem")], ..Tls::default() };
    world
}

fn authority(proof: &str) -> Option<Authority> {
    let authority = Authority::new();
    match &authority {
        Some(_) => proof::ran(proof, 1),
        None => proof::skipped(proof, "openssl is not installed"),
    }
    authority
}

/// Every name is this machine.
struct Here(SocketAddr);

impl Resolve for Here {
    fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![self.0])
    }
}

/// As skopeo and podman do with the same `certs.d`.
#[test]
fn a_certificate_that_is_its_own_authority_is_taken_where_it_was_configured() {
    let Some(authority) = authority("tls: a certificate that is its own authority") else { return };
    let server = server_as("alone", &authority, Asks::Anybody, greets);
    let with = |roots: &[&str]| {
        let mut world = World::default();
        world.ports.tls.roots = roots.iter().map(|name| authority.pem(name)).collect();
        world
    };
    let mut world = with(&["root.pem", "alone.pem"]);
    assert_eq!(get(&world, at(&server, "127.0.0.1")).expect("an answer"), b"hello");
    world.pool = Pool::with_resolver(Arc::new(Here(server.socket())));
    for (world, host) in [(&world, "other.example"), (&with(&["root.pem"]), "127.0.0.1")] {
        let fault = get(world, at(&server, host)).expect_err("it is not configured for that");
        assert!(matches!(fault.downcast_ref(), Some(Error::Untrusted { .. })), "{host}: {fault:?}");
    }
}

#[test]
fn a_site_that_is_vouched_for_is_spoken_to_and_no_other() {
    let Some(authority) = authority("tls: sites that are vouched for") else { return };
    let server = server(&authority, Asks::Anybody, greets);
    let mut world = trusting(&authority);
    for _ in 0..2 {
        assert_eq!(get(&world, at(&server, "127.0.0.1")).expect("an answer"), b"hello");
    }
    assert_eq!(server.connections(), 1);
    world.pool = Pool::with_resolver(Arc::new(Here(server.socket())));
    let strangers = [(&world, "other.example"), (&World::default(), "127.0.0.1")];
    for (world, host) in strangers {
        let fault = get(world, at(&server, host)).expect_err("nobody vouches for it");
        assert!(matches!(fault.downcast_ref(), Some(Error::Untrusted { .. })), "{host}: {fault:?}");
        assert_eq!(fault.kind(), Kind::Policy);
        assert!(fault.hint().is_some_and(|hint| hint.contains("--insecure")));
    }
    let mut careless = World::default();
    careless.ports.tls.check = Check::None;
    assert_eq!(get(&careless, at(&server, "127.0.0.1")).expect("an answer"), b"hello");
}

#[test]
fn a_site_may_want_to_know_who_asks() {
    let Some(authority) = authority("tls: a client certificate") else { return };
    let server = server(&authority, Asks::Known, greets);
    let mut world = trusting(&authority);
    let fault = get(&world, at(&server, "127.0.0.1")).expect_err("we do not say");
    assert!(matches!(fault.downcast_ref(), Some(Error::Untrusted { .. })), "{fault:?}");
    assert_eq!(server.connections(), 1);
    world = trusting(&authority);
    world.ports.tls.client = Some((authority.pem("site.pem"), authority.pem("site.key")));
    assert_eq!(get(&world, at(&server, "127.0.0.1")).expect("an answer"), b"hello");
}

#[test]
fn what_cannot_be_used_as_a_certificate_is_named() {
    let Some(authority) = authority("tls: a bad certificate of an authority") else { return };
    let server = server(&authority, Asks::Anybody, greets);
    for (roots, client) in [
        (vec![b"no certificate".to_vec()], None),
        (vec![authority.pem("root.pem")], Some((authority.pem("site.pem"), b"no key".to_vec()))),
    ] {
        let mut world = World::default();
        world.ports.tls = Tls { roots, client, ..Tls::default() };
        let fault = get(&world, at(&server, "127.0.0.1")).expect_err("of no use");
        assert!(matches!(fault.downcast_ref(), Some(Error::BadTrust { .. })), "{fault:?}");
    }
}

#[test]
fn an_end_that_tls_did_not_announce_is_no_end() {
    let Some(authority) = authority("tls: an end that was not announced") else { return };
    let cut: fn(&mut Line) = |line| {
        request(line);
        line.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf").expect("somebody listens");
        drop(line.sock.shutdown(std::net::Shutdown::Write));
    };
    let ended: fn(&mut Line) = |line| {
        request(line);
        line.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole").expect("somebody listens");
        line.conn.send_close_notify();
        line.flush().expect("somebody listens");
        drop(line.sock.shutdown(std::net::Shutdown::Write));
    };
    let world = trusting(&authority);
    let whole = server(&authority, Asks::Anybody, ended);
    assert_eq!(get(&world, at(&whole, "127.0.0.1")).expect("an answer"), b"whole");
    let half = server(&authority, Asks::Anybody, cut);
    let fault = get(&world, at(&half, "127.0.0.1")).expect_err("it was cut");
    assert!(matches!(fault.downcast_ref(), Some(Error::Truncated { got: 4, .. })), "{fault:?}");
}

#[test]
fn a_large_body_goes_both_ways_under_tls() {
    const SIZE: usize = 6 << 20;
    let Some(authority) = authority("tls: large bodies") else { return };
    let server = server(&authority, Asks::Anybody, |line| {
        assert!(request(line));
        let body = "x".repeat(SIZE);
        line.write_all(answer("200 OK", &body).as_bytes()).expect("somebody listens");
    });
    let world = trusting(&authority);
    let blob = vec![7; SIZE];
    let put = Request::new(Method::Put, at(&server, "localhost"));
    let payload = Payload::Part { origin: &blob, at: 0, size: SIZE as u64 };
    assert_eq!(send(&world, &put, payload).expect("an answer").len(), SIZE);
}

#[test]
fn a_proxy_gives_a_tunnel_to_a_site_under_tls() {
    let Some(authority) = authority("tls: through a proxy") else { return };
    let server = server(&authority, Asks::Anybody, greets);
    let behind = server.socket();
    let proxy = Loopback::new(move |_, caller| {
        caller.head();
        caller.say("HTTP/1.1 200 Connection Established\r\n\r\n");
        let mut from = TcpStream::connect(behind).expect("it is there");
        let (mut to, mut back) =
            (from.try_clone().expect("a handle"), caller.reader.get_ref().try_clone().expect("a handle"));
        thread::spawn(move || io::copy(&mut from, &mut back));
        drop(io::copy(&mut caller.reader, &mut to));
    });
    let mut world = trusting(&authority);
    let (site, kind) = (proxy.at("/").site().clone(), ProxyKind::Http);
    world.ports.proxy = Some(Proxy { site, kind, credential: None });
    for _ in 0..2 {
        assert_eq!(get(&world, at(&server, "localhost")).expect("an answer"), b"hello");
    }
    assert_eq!((proxy.connections(), server.connections()), (1, 1));
}
