use super::{Answer, Body, Exchange, Http, Named};
use crate::error::{Error, Phase};
use crate::line::{Dialling, Line};
use crate::loopback::{Caller, Loopback, Plain, answer};
use crate::pool::Pool;
use orlop_spec::network::{Credential, LookUp, Proxy, ProxyKind};
use orlop_spec::port::Result;
use orlop_spec::wire::{Address, Method, Request, Scheme, Site};
use orlop_spec::{Cancel, Fault, Kind};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const STALL: Duration = Duration::from_millis(1500);

struct World {
    cancel: Cancel,
    ports: Plain,
    pool: Pool,
}

impl World {
    fn new() -> Self {
        Self { cancel: Cancel::new(), ports: Plain::default(), pool: Pool::default() }
    }

    fn http(&self) -> Http<'_> {
        Http { cancel: &self.cancel, trust: &self.ports, pool: &self.pool, stall: STALL }
    }

    fn get(&self, address: Address) -> Result<(u16, Vec<u8>)> {
        let http = self.http();
        let answer = http.send(&Request::new(Method::Get, address), Named::ByUser, Body::Empty)?;
        read(answer)
    }
}

fn read(mut answer: Answer<'_>) -> Result<(u16, Vec<u8>)> {
    let mut body = Vec::new();
    answer.body.read_to_end(&mut body).map_err(|error| Fault::io("read the body", error))?;
    Ok((answer.head.status, body))
}

fn fault(outcome: Result<(u16, Vec<u8>)>) -> Fault {
    outcome.expect_err("it must fail")
}

fn error(fault: &Fault) -> &Error {
    fault.downcast_ref().expect("an error of this crate")
}

#[test]
fn a_connection_is_used_again_after_a_whole_answer() {
    let world = World::new();
    let server = Loopback::answering(|number, _| {
        match number {
        0 => answer("200 OK", "first"),
        1 => answer("404 Not Found", "nothing here"),
        2 => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nA: b\r\n\r\n".into(),
        _ => "HTTP/1.1 204 No Content\r\n\r\n".into(),
    }
    });
    let bodies: Vec<_> = (0..4).map(|_| world.get(server.at("/")).expect("an answer")).collect();
    let expected = [(200, "first"), (404, "nothing here"), (200, "abcdefg"), (204, "")]
        .map(|(status, text)| (status, text.into()));
    assert_eq!(bodies, expected);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_short_body_that_nobody_reads_keeps_the_connection() {
    let world = World::new();
    let server = Loopback::answering(|_, _| answer("404 Not Found", "{}"));
    for _ in 0..3 {
        let http = world.http();
        let request = Request::new(Method::Get, server.at("/"));
        drop(http.send(&request, Named::ByUser, Body::Empty).expect("an answer"));
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_connection_that_the_server_closed_is_not_used_again() {
    let world = World::new();
    let server = Loopback::new(|_, caller| {
        caller.request();
        caller.say(&answer("200 OK", "x"));
    });
    for _ in 0..3 {
        assert_eq!(world.get(server.at("/")).expect("an answer").0, 200);
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(server.connections(), 3);
}

#[test]
fn the_head_says_host_length_and_what_was_asked() {
    let world = World::new();
    let server = Loopback::answering(|_, _| answer("201 Created", ""));
    let request = Request::new(Method::Put, server.at("/v2/a?digest=x"))
        .with("Content-Type", "a/b")
        .with("Host", "evil");
    let sent =
        world.http().send(&request, Named::ByUser, Body::Bytes(b"12345")).map(|answer| answer.head.status);
    assert_eq!(sent.expect("an answer"), 201);
    let head = server.heads().remove(0);
    assert!(head.starts_with("PUT /v2/a?digest=x HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("Host: {}\r\n", server.socket())), "{head}");
    assert!(head.contains("Content-Type: a/b\r\n") && head.contains("Content-Length: 5\r\n"), "{head}");
    assert!(!head.contains("evil"));
}

#[test]
fn a_large_body_streams_both_ways() {
    const SIZE: u64 = 24 << 20;
    let world = World::new();
    let server = Loopback::new(|_, caller| {
        caller.request().expect("a whole body");
        caller.say(&format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
        for _ in 0..SIZE >> 14 {
            caller.send(&[7; 1 << 14]);
        }
    });
    let http = world.http();
    let mut source = io::repeat(1).take(SIZE);
    let request = Request::new(Method::Put, server.at("/"));
    let mut answer = http
        .send(&request, Named::ByUser, Body::Stream { size: SIZE, read: &mut source })
        .expect("an answer");
    assert_eq!(io::copy(&mut answer.body, &mut io::sink()).expect("a body"), SIZE);
    assert!(server.heads()[0].contains(&format!("Content-Length: {SIZE}\r\n")));
}

#[test]
fn an_answer_that_comes_before_the_body_was_sent_is_given() {
    let refuse_and_stay: fn(usize, &mut Caller) = |_, caller| {
        caller.head();
        caller.say("HTTP/1.1 100 Continue\r\n\r\n");
        caller.say(&answer("413 Content Too Large", "no"));
        thread::sleep(Duration::from_secs(5));
    };
    let refuse_and_leave: fn(usize, &mut Caller) = |_, caller| {
        caller.head();
        caller.say("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
    };
    for serve in [refuse_and_stay, refuse_and_leave] {
        let world = World::new();
        let server = Loopback::new(serve);
        let http = world.http();
        let mut source = io::repeat(1);
        let request = Request::new(Method::Put, server.at("/"));
        let answer = http.send(&request, Named::ByUser, Body::Stream { size: 1 << 40, read: &mut source });
        assert_eq!(read(answer.expect("an answer")).expect("a body"), (413, b"no".to_vec()));
    }
}

#[test]
fn a_body_that_ends_early_is_an_error() {
    let cases = [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
    ];
    for text in cases {
        let server = Loopback::new(move |_, caller| {
            caller.request();
            caller.say(text);
        });
        let fault = fault(World::new().get(server.at("/")));
        assert!(matches!(error(&fault), Error::Truncated { got: 5, .. }), "{text}: {fault:?}");
    }
}

#[test]
fn what_is_sent_must_be_as_long_as_was_said() {
    let server = Loopback::answering(|_, _| answer("201 Created", ""));
    let world = World::new();
    let http = world.http();
    let mut source = io::repeat(1).take(10);
    let request = Request::new(Method::Put, server.at("/"));
    let outcome = http.send(&request, Named::ByUser, Body::Stream { size: 11, read: &mut source });
    let fault = fault(outcome.and_then(read));
    assert!(matches!(error(&fault), Error::ShortPayload { got: 10, size: 11, .. }), "{fault:?}");
}

#[test]
fn n12_a_head_is_bounded_and_understood_in_one_way() {
    let flood = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(300));
    let cases: Vec<(String, Kind)> = vec![
        (flood, Kind::Limit),
        (format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(70_000)), Kind::Limit),
        (format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(200_000)), Kind::Limit),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".into(), Kind::Unreachable),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            Kind::Unreachable,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na".into(), Kind::Unreachable),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n".into(),
            Kind::Unreachable,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n".into(),
            Kind::Unreachable,
        ),
        ("HTTP/1.1 100 Continue\r\n\r\n".repeat(100), Kind::Unreachable),
        ("SSH-2.0-OpenSSH_9.2\r\n".into(), Kind::Unreachable),
        ("HTTP/1.1 999 Odd\r\n\r\n".into(), Kind::Unreachable),
    ];
    for (text, kind) in cases {
        let shown = text.chars().take(60).collect::<String>();
        let server = Loopback::new(move |_, caller| {
            caller.request();
            caller.say(&text);
            thread::sleep(Duration::from_secs(1));
        });
        assert_eq!(fault(World::new().get(server.at("/"))).kind(), kind, "{shown:?}");
    }
}

#[test]
fn n10_silence_is_a_stall_in_whatever_phase() {
    let nothing: fn(usize, &mut Caller) = |_, caller| {
        caller.head();
        thread::sleep(Duration::from_secs(5));
    };
    let half_a_head: fn(usize, &mut Caller) = |_, caller| {
        caller.head();
        caller.say("HTTP/1.1 200 OK\r\nContent-");
        thread::sleep(Duration::from_secs(5));
    };
    let drips: fn(usize, &mut Caller) = |_, caller| {
        caller.head();
        caller.say("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while caller.say("x") {
            thread::sleep(Duration::from_millis(50));
        }
    };
    for (serve, phase) in
        [(nothing, Phase::Waiting), (half_a_head, Phase::Waiting), (drips, Phase::Receiving)]
    {
        let server = Loopback::new(serve);
        let began = Instant::now();
        let fault = fault(World::new().get(server.at("/v2/")));
        assert!(matches!(error(&fault), Error::Stalled { phase: it, .. } if *it == phase), "{fault:?}");
        assert_eq!(fault.kind(), Kind::Unreachable);
        assert!(fault.to_string().contains("/v2/"), "{fault}");
        assert!((STALL..STALL * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
    }
}

#[test]
fn n10_an_upload_that_nobody_reads_is_a_stall() {
    let server = Loopback::new(|_, caller| {
        caller.head();
        thread::sleep(Duration::from_secs(5));
    });
    let world = World::new();
    let http = world.http();
    let request = Request::new(Method::Put, server.at("/"));
    let outcome =
        http.send(&request, Named::ByUser, Body::Stream { size: 1 << 40, read: &mut io::repeat(1) });
    let fault = fault(outcome.and_then(read));
    assert!(matches!(error(&fault), Error::Stalled { phase: Phase::Sending, .. }), "{fault:?}");
}

#[test]
fn a_slow_transfer_that_moves_is_not_cut() {
    let server = Loopback::new(|_, caller| {
        caller.head();
        caller.say("HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n");
        for _ in 0..6 {
            thread::sleep(Duration::from_millis(500));
            caller.say(&"x".repeat(1000));
        }
    });
    assert_eq!(World::new().get(server.at("/")).expect("a body").1.len(), 6000);
}

#[test]
fn the_user_can_stop_it_at_any_moment() {
    let server = Loopback::new(|_, caller| {
        caller.head();
        thread::sleep(Duration::from_secs(5));
    });
    let world = World::new();
    thread::scope(|scope| {
        let request = scope.spawn(|| (world.get(server.at("/")), Instant::now()));
        thread::sleep(Duration::from_millis(200));
        let stopped = Instant::now();
        world.cancel.set();
        let (outcome, ended) = request.join().expect("no panic");
        assert_eq!(fault(outcome).kind(), Kind::Interrupted);
        assert!(ended - stopped < Duration::from_millis(100), "{:?}", ended - stopped);
    });
}

#[test]
fn nobody_there_is_unreachable_and_says_when() {
    let fault = fault(World::new().get(Address::parse("http://127.0.0.1:1/v2/").expect("an address")));
    assert!(matches!(error(&fault), Error::Broken { phase: Phase::Connecting, .. }), "{fault:?}");
    assert_eq!(fault.kind(), Kind::Unreachable);
}

#[test]
fn connecting_takes_no_longer_than_settings_allow() {
    use rustix::net::{AddressFamily, SocketType, bind, connect, getsockname, listen, socket};
    let family = AddressFamily::INET;
    let full = socket(family, SocketType::STREAM, None).expect("a socket");
    bind(&full, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    listen(&full, 0).expect("it listens");
    let address = SocketAddr::try_from(getsockname(&full).expect("a name")).expect("an address");
    let first = socket(family, SocketType::STREAM, None).expect("a socket");
    connect(&first, &address).expect("there is space for one, and nobody takes it away");
    let mut world = World::new();
    world.ports.dial_timeout = Some(Duration::from_millis(300));
    let began = Instant::now();
    let fault = fault(world.get(Address::parse(&format!("http://{address}/")).expect("an address")));
    assert!(matches!(error(&fault), Error::Stalled { phase: Phase::Connecting, .. }), "{fault:?}");
    assert!((Duration::from_millis(300)..STALL).contains(&began.elapsed()), "{:?}", began.elapsed());
}

/// Tells names that only a test knows.
struct Names(Vec<(&'static str, SocketAddr)>);

impl crate::dial::Resolve for Names {
    fn resolve(&self, host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(self.0.iter().filter(|(name, _)| *name == host).map(|(_, address)| *address).collect())
    }
}

#[test]
fn n5_a_public_server_does_not_lead_inside_whatever_the_name() {
    let trap = Loopback::answering(|_, _| answer("200 OK", "secret"));
    let public: SocketAddr = "192.0.2.1:443".parse().expect("an address");
    let metadata: SocketAddr = "169.254.169.254:80".parse().expect("an address");
    let names = vec![
        ("registry.example", public),
        ("blobs.example", trap.socket()),
        ("meta.example", metadata),
        ("inner.example", trap.socket()),
    ];
    let mut world = World { pool: Pool::with_resolver(Arc::new(Names(names))), ..World::new() };
    let site = |name: &str| Site::parse(Scheme::Http, name).expect("a site");
    let get = |world: &World, by: &str, host: &str| {
        let request = Request::new(Method::Get, Address::at(site(host), "/").expect("an address"));
        world.http().send(&request, Named::BySite(&site(by)), Body::Empty).and_then(read)
    };
    let port = trap.socket().port();
    for host in
        ["blobs.example", "meta.example", &format!("127.0.0.1:{port}"), &format!("[::ffff:127.0.0.1]:{port}")]
    {
        let fault = fault(get(&world, "registry.example", host));
        assert!(matches!(error(&fault), Error::Inside { .. }), "{host}: {fault:?}");
        assert_eq!(fault.kind(), Kind::Policy);
    }
    assert_eq!(trap.connections(), 0);
    assert_eq!(get(&world, "inner.example", "blobs.example").expect("an answer").0, 200);
    let fault = fault(get(&world, "registry.example", "blobs.example"));
    assert!(matches!(error(&fault), Error::Inside { .. }), "a connection that is there leads inside too");
    world.ports.insecure.insert(site("blobs.example"));
    assert_eq!(get(&world, "registry.example", "blobs.example").expect("an answer").0, 200);
}

/// A blob's address elsewhere is often signed, and whoever reads it in a log could fetch the blob.
#[test]
fn an_address_that_a_server_made_is_said_without_its_query() {
    let server = Loopback::new(|_, caller| drop(caller.request()));
    let world = World::new();
    let request = Request::new(Method::Get, server.at("/blob?X-Amz-Signature=secret"));
    let home = Site::parse(Scheme::Http, "127.0.0.1:1").expect("a site");
    let said = |named| {
        let fault = fault(world.http().send(&request, named, Body::Empty).and_then(read));
        format!("{fault} {:?}", error(&fault))
    };
    let (by_site, by_user) = (said(Named::BySite(&home)), said(Named::ByUser));
    assert!(by_site.contains("/blob") && !by_site.contains("secret"), "{by_site}");
    assert!(by_user.contains("secret"), "what the user typed is said as it was: {by_user}");
    assert!(server.heads().iter().all(|head| head.contains("secret")), "and asked for whole");
}

#[test]
fn a_proxy_is_asked_for_whole_addresses_and_for_tunnels() {
    let proxy = Loopback::answering(|_, head| {
        if head.starts_with("CONNECT") {
            answer("407 Proxy Authentication Required", "")
        } else {
            answer("200 OK", "by proxy")
        }
    });
    let credential = Credential::Basic { user: "me".into(), password: "pw".into() };
    let mut world = World::new();
    let (site, kind) = (proxy.at("/").site().clone(), ProxyKind::Http);
    world.ports.proxy = Some(Proxy { site, kind, credential: Some(credential) });
    let asked = Address::parse("http://registry.example/v2/?n=1").expect("an address");
    assert_eq!(world.get(asked).expect("an answer").1, b"by proxy");
    let secured = Address::parse("https://registry.example/v2/").expect("an address");
    let fault = fault(world.get(secured));
    assert!(matches!(error(&fault), Error::Proxy { status: 407, .. }), "{fault:?}");
    let heads = proxy.heads();
    assert!(heads[0].starts_with("GET http://registry.example/v2/?n=1 HTTP/1.1\r\n"), "{}", heads[0]);
    assert!(heads[1].starts_with("CONNECT registry.example:443 HTTP/1.1\r\n"), "{}", heads[1]);
    assert!(heads.iter().all(|head| head.contains("Proxy-Authorization: Basic bWU6cHc=\r\n")));
}

#[test]
fn who_does_not_speak_tls_is_said_to() {
    let server = Loopback::new(|_, caller| {
        caller.say("HTTP/1.0 400 Bad Request\r\n\r\n");
        thread::sleep(Duration::from_secs(1));
    });
    let server = server.at("/").to_string().replace("http://", "https://");
    let fault = fault(World::new().get(Address::parse(&server).expect("an address")));
    assert!(matches!(error(&fault), Error::NoTls { .. }), "{fault:?}");
}

/// A resolver that nobody may ask.
struct Nobody;

impl crate::dial::Resolve for Nobody {
    fn resolve(&self, host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        panic!("{host} was looked up")
    }
}

#[test]
fn who_is_offline_connects_to_nobody_and_looks_nothing_up() {
    let server = Loopback::answering(|_, _| answer("200 OK", ""));
    let offline = Line { dialling: Dialling::Forbidden, ..Line::default() };
    let pool = Pool::with_resolver(Arc::new(Nobody)).on(offline);
    let mut world = World { pool, ..World::new() };
    let named = Address::parse("https://registry.example:444/v2/").expect("an address");
    let proxy = |kind| Some(Proxy { site: server.at("/").site().clone(), kind, credential: None });
    for proxy in [None, proxy(ProxyKind::Http), proxy(ProxyKind::Socks(LookUp::Here))] {
        world.ports.proxy = proxy;
        for address in [server.at("/"), named.clone()] {
            let fault = fault(world.get(address.clone()));
            assert!(matches!(error(&fault), Error::Offline { .. }), "{fault:?}");
            assert_eq!(fault.kind(), Kind::Unreachable);
            assert!(fault.to_string().starts_with(&address.site().authority()), "{fault}");
        }
    }
    assert_eq!(server.connections(), 0);
}

/// The sum of what passes is bounded, whoever carries it, and waiting for our own limit is no stall.
#[test]
fn all_connections_share_one_rate_in_both_directions() {
    const SIZE: usize = 40 << 10;
    let server = Loopback::answering(|_, _| answer("200 OK", &"x".repeat(SIZE)));
    let line = Line { rate: std::num::NonZeroU64::new(160 << 10), ..Line::default() };
    let world = World { pool: Pool::default().on(line), ..World::new() };
    let body = "x".repeat(SIZE);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let request = Request::new(Method::Put, server.at("/"));
                let http = world.http();
                let sent = http.send(&request, Named::ByUser, Body::Bytes(body.as_bytes()));
                assert_eq!(read(sent.expect("an answer")).expect("a body").1, body.as_bytes());
            });
        }
    });
    let time = began.elapsed();
    assert_eq!(server.connections(), 4);
    // 320 KiB and some heads.
    assert!((Duration::from_millis(1800)..Duration::from_secs(6)).contains(&time), "{time:?}");
}
