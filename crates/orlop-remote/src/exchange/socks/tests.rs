use crate::error::{Error, Refusal};
use crate::exchange::{Body, Exchange as _, Http, Named};
use crate::loopback::{Loopback, Plain, answer};
use crate::pool::Pool;
use orlop_spec::network::{Credential, LookUp, Proxy, ProxyKind};
use orlop_spec::port::Result;
use orlop_spec::wire::{Address, Method, Request, Scheme, Site};
use orlop_spec::{Cancel, Fault, Kind};
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::{peer, proof};

struct Names(SocketAddr);

impl crate::dial::Resolve for Names {
    fn resolve(&self, _: &str, _: u16) -> std::io::Result<Vec<SocketAddr>> {
        Ok(vec![self.0])
    }
}

fn login(password: &str) -> Credential {
    Credential::Basic { user: "me".into(), password: password.into() }
}

fn through(proxy: SocketAddr, look_up: LookUp, credential: Option<Credential>) -> Plain {
    let site = Site::parse(Scheme::Http, &proxy.to_string()).expect("a site");
    Plain { proxy: Some(Proxy { site, kind: ProxyKind::Socks(look_up), credential }), ..Plain::default() }
}

fn get(ports: &Plain, at: &str, named: Named<'_>) -> Result<String> {
    let (cancel, site) = (Cancel::new(), "127.0.0.1:9".parse().expect("an address"));
    let pool = Pool::with_resolver(Arc::new(Names(site)));
    get_by(&pool, &cancel, ports, at, named)
}

fn get_by(pool: &Pool, cancel: &Cancel, ports: &Plain, at: &str, named: Named<'_>) -> Result<String> {
    let http = Http { cancel, trust: ports, pool, stall: Duration::from_millis(1500) };
    let address = Address::parse(at).expect("an address");
    let mut answer = http.send(&Request::new(Method::Get, address), named, Body::Empty)?;
    let mut body = String::new();
    answer.body.read_to_string(&mut body).map_err(|error| Fault::io("read the body", error))?;
    Ok(body)
}

/// A proxy that says each of `says` after what it reads, and then is the site.
fn scripted(says: Vec<(usize, Vec<u8>)>) -> (Loopback, Arc<Mutex<Vec<Vec<u8>>>>) {
    let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
    let hears = Arc::clone(&heard);
    let server = Loopback::new(move |_, caller| {
        for (count, say) in &says {
            let mut bytes = vec![0; *count];
            if caller.reader.read_exact(&mut bytes).is_err() || !caller.send(say) {
                return;
            }
            hears.lock().expect("no test panics with it").push(bytes);
        }
        if caller.request().is_some() {
            caller.say(&answer("200 OK", "by proxy"));
        }
    });
    (server, heard)
}

const WAY: [u8; 10] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

#[test]
fn a_name_is_looked_up_where_the_user_says() {
    let name = [&[5, 1, 0, 3, 16][..], b"registry.example", &[0, 80]].concat();
    let (proxy, heard) = scripted(vec![(3, vec![5, 0]), (name.len(), WAY.into())]);
    let ports = through(proxy.socket(), LookUp::There, None);
    assert_eq!(get(&ports, "http://registry.example/v2/", Named::ByUser).expect("an answer"), "by proxy");
    assert_eq!(*heard.lock().expect("no panic"), [vec![5, 1, 0], name]);

    let number = vec![5, 1, 0, 1, 127, 0, 0, 1, 0, 9];
    let (proxy, heard) = scripted(vec![(3, vec![5, 0]), (number.len(), WAY.into())]);
    let ports = through(proxy.socket(), LookUp::Here, None);
    assert_eq!(get(&ports, "http://registry.example/v2/", Named::ByUser).expect("an answer"), "by proxy");
    assert_eq!(heard.lock().expect("no panic")[1], number);
}

#[test]
fn what_the_proxy_says_of_itself_is_read_to_its_end_and_no_further() {
    let v6 = [&[5, 0, 0, 4][..], &[7; 18]].concat();
    let name = [&[5, 0, 0, 3, 255][..], &[b'x'; 257]].concat();
    for way in [v6, name] {
        let (proxy, _) = scripted(vec![(3, vec![5, 0]), (10, way)]);
        let ports = through(proxy.socket(), LookUp::Here, None);
        assert_eq!(get(&ports, "http://registry.example/", Named::ByUser).expect("an answer"), "by proxy");
    }
}

#[test]
fn a_login_is_told_where_it_is_wanted_alone() {
    let (proxy, heard) = scripted(vec![(4, vec![5, 2]), (7, vec![1, 0]), (10, WAY.into())]);
    let ports = through(proxy.socket(), LookUp::Here, Some(login("pw")));
    get(&ports, "http://registry.example/", Named::ByUser).expect("an answer");
    assert_eq!(heard.lock().expect("no panic")[1], b"\x01\x02me\x02pw");
    let (proxy, heard) = scripted(vec![(4, vec![5, 0]), (10, WAY.into())]);
    let ports = through(proxy.socket(), LookUp::Here, Some(login("pw")));
    get(&ports, "http://registry.example/", Named::ByUser).expect("an answer");
    assert!(!heard.lock().expect("no panic").concat().ends_with(b"pw"));
}

#[test]
fn n12_a_proxy_that_refuses_or_speaks_otherwise_is_named() {
    type Case = (Option<Credential>, Vec<(usize, Vec<u8>)>, Refusal, Kind);
    let hello = |say: [u8; 2]| vec![(3, say.into())];
    let replies = |reply| vec![(3, vec![5, 0]), (10, vec![5, reply, 0, 1, 0, 0, 0, 0, 0, 0])];
    let cases: Vec<Case> = vec![
        (None, hello([5, 0xff]), Refusal::WantsLogin, Kind::Denied),
        (None, hello([5, 2]), Refusal::WantsLogin, Kind::Denied),
        (None, hello([4, 0]), Refusal::NoSocks, Kind::Unreachable),
        (None, hello(*b"HT"), Refusal::NoSocks, Kind::Unreachable),
        (Some(login("no")), vec![(4, vec![5, 2]), (7, vec![1, 1])], Refusal::Login, Kind::Denied),
        (Some(login("no")), vec![(4, vec![5, 0xff])], Refusal::Login, Kind::Denied),
        (None, replies(2), Refusal::Reply(2), Kind::Denied),
        (None, replies(5), Refusal::Reply(5), Kind::Unreachable),
        (None, vec![(3, vec![5, 0]), (10, vec![5, 0, 0, 9])], Refusal::NoSocks, Kind::Unreachable),
    ];
    for (credential, says, refusal, kind) in cases {
        let (proxy, _) = scripted(says);
        let ports = through(proxy.socket(), LookUp::Here, credential);
        let fault = get(&ports, "http://registry.example/", Named::ByUser).expect_err("it refuses");
        assert_eq!(fault.kind(), kind, "{fault}");
        let Some(Error::Socks { refusal: found, .. }) = fault.downcast_ref() else { panic!("{fault:?}") };
        assert_eq!(*found, refusal);
        assert!(fault.to_string().contains(&proxy.socket().to_string()), "{fault}");
    }
    let long =
        through("127.0.0.1:9".parse().expect("an address"), LookUp::Here, Some(login(&"x".repeat(256))));
    get(&long, "http://registry.example/", Named::ByUser).expect_err("it cannot be said");
    let (silent, _) = scripted(vec![(3, vec![5])]);
    let ports = through(silent.socket(), LookUp::Here, None);
    let fault = get(&ports, "http://registry.example/", Named::ByUser).expect_err("it ends early");
    assert_eq!(fault.kind(), Kind::Unreachable);
}

#[test]
fn n5_a_public_server_does_not_lead_inside_through_a_proxy() {
    let (proxy, _) = scripted(vec![(3, vec![5, 0]), (10, WAY.into())]);
    let by = Site::parse(Scheme::Http, "192.0.2.1").expect("a site");
    let named = Named::BySite(&by);
    for (look_up, at) in [
        (LookUp::Here, "http://blobs.example/"),
        (LookUp::Here, "http://10.0.0.1/"),
        (LookUp::There, "http://169.254.169.254/"),
    ] {
        let fault = get(&through(proxy.socket(), look_up, None), at, named).expect_err("it is inside");
        assert!(matches!(fault.downcast_ref(), Some(Error::Inside { .. })), "{at}: {fault:?}");
    }
    assert_eq!(proxy.connections(), 0);
}

const SERVER: &str = "socks: microsocks, and curl beside us";

/// microsocks on a free port; it ends when it is dropped.
struct Microsocks(Child, SocketAddr);

impl Microsocks {
    fn start(program: &std::path::Path, words: &[&str]) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = free.local_addr().expect("an address");
        drop(free);
        let mut command = std::process::Command::new(program);
        command.args(["-i", "127.0.0.1", "-p", &at.port().to_string()]).args(words);
        let child = command.stderr(Stdio::null()).spawn().expect("an installed program starts");
        let (it, end) = (Self(child, at), Instant::now() + Duration::from_secs(10));
        while TcpStream::connect(at).is_err() {
            assert!(Instant::now() < end, "microsocks does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        it
    }
}

impl Drop for Microsocks {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_real_server_lets_through_whom_it_lets_through_with_curl() {
    // It has no `--version`, and so is no peer that could be asked for one.
    let program = ["/usr/bin/microsocks", "/usr/local/bin/microsocks"].map(std::path::Path::new);
    let Some(program) = program.into_iter().find(|it| it.exists()) else {
        return proof::skipped(SERVER, "microsocks is missing");
    };
    let Some(curl) = peer("curl") else { return proof::skipped(SERVER, "curl is missing") };
    let site = Loopback::answering(|_, _| answer("200 OK", "the site"));
    let at = site.at("/v2/").to_string();
    let mut cases = 0;
    for (words, credentials) in [
        (&[][..], vec![None, Some(login("pw"))]),
        (&["-u", "me", "-P", "pw"][..], vec![None, Some(login("pw")), Some(login("no"))]),
    ] {
        let server = Microsocks::start(program, words);
        for credential in credentials {
            for look_up in [LookUp::Here, LookUp::There] {
                let login = match &credential {
                    Some(Credential::Basic { user, password }) => format!("{user}:{password}@"),
                    _ => String::new(),
                };
                let scheme = if look_up == LookUp::Here { "socks5" } else { "socks5h" };
                let by = format!("{scheme}://{login}{}", server.1);
                let curl = curl.command().args(["-sS", "-f", "--noproxy", "", "-x", &by, &at]).run();
                let ours = get(&through(server.1, look_up, credential.clone()), &at, Named::ByUser);
                assert_eq!(ours.is_ok(), curl.success(), "{by}: {ours:?}, {curl}");
                assert!(ours.is_err() || ours.is_ok_and(|it| it == "the site" && curl.out() == it), "{by}");
                cases += 1;
            }
        }
    }
    proof::ran(SERVER, cases);
}
