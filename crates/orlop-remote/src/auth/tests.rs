use super::*;
use crate::loopback::Plain;
use orlop_spec::network::Secrets;
use orlop_spec::wire::Headers;
use orlop_spec::{Diagnose as _, Kind, Timestamp};
use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

/// Secrets that remember, and a clock that is set.
#[derive(Default)]
struct Ports {
    plain: Plain,
    credential: Option<Credential>,
    asked: AtomicUsize,
    kept: Mutex<HashMap<TokenKey, Token>>,
}

impl Secrets for Ports {
    fn credential(&self, _: &Repository) -> Result<Option<Credential>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(self.credential.clone())
    }

    fn token(&self, key: &TokenKey) -> Option<Token> {
        self.kept.lock().expect("no test panics with it").get(key).cloned()
    }

    fn keep(&self, key: &TokenKey, token: &Token) {
        self.kept.lock().expect("no test panics with it").insert(key.clone(), token.clone());
    }
}

/// A registry and its authorisation server.
struct World {
    ports: Ports,
    tokens: Tokens,
    home: Site,
    repository: Repository,
    clock: AtomicI64,
    /// What the authorisation server was asked: the request, and its body.
    asked: Mutex<Vec<(Request, String)>>,
    life: i64,
}

const SCOPE: &str = "repository:app:pull";
const BEARER: &str = r#"Bearer realm="https://reg.example/token",service="reg",scope="repository:app:pull""#;

impl World {
    fn new(credential: Option<Credential>) -> Self {
        Self {
            ports: Ports { credential, ..Ports::default() },
            tokens: Tokens::default(),
            home: Site::parse(Scheme::Https, "reg.example").expect("a site"),
            repository: Repository::parse("reg.example/app").expect("a name"),
            clock: AtomicI64::new(1000),
            asked: Mutex::default(),
            life: 300,
        }
    }

    /// Asks the registry, which answers 401 with `challenge` to whatever it does not take; gives what it took.
    fn visit(&self, challenge: &str, takes: impl Fn(Option<&str>) -> bool) -> Result<(u16, Vec<String>)> {
        let clock = || self.now();
        let plain = self.ports.plain.network();
        let network = Network { secrets: &self.ports, clock: &clock, ..plain };
        let scopes = [SCOPE.into()];
        let errand =
            Errand { repository: Some(&self.repository), scopes: &scopes, ..Errand::new(&self.home) };
        let mut pass = Pass::new(network, &self.tokens, &errand);
        let mut sent = Vec::new();
        loop {
            let header = pass.header(&|request, body| Ok(self.token(request, body)))?;
            sent.push(header.clone().unwrap_or_default());
            if takes(header.as_deref()) {
                return Ok((200, sent));
            }
            if pass.refused(&head(401, "WWW-Authenticate", challenge))? == Again::No {
                return Ok((401, sent));
            }
            assert!(sent.len() < 10, "it does not end: {sent:?}");
        }
    }

    /// The authorisation server: tokens `t1`, `t2` …, and none for the password `wrong`.
    fn token(&self, request: &Request, body: &[u8]) -> Answer<'static> {
        let mut asked = self.asked.lock().expect("no test panics with it");
        asked.push((request.clone(), String::from_utf8_lossy(body).into()));
        let is_wrong = request.headers.get("Authorization") == Some(&token::basic("me", "wrong"));
        let text = format!(r#"{{"token":"t{}","expires_in":{}}}"#, asked.len(), self.life);
        Answer {
            head: head(if is_wrong { 401 } else { 200 }, "X", "y"),
            body: Box::new(Cursor::new(text.into_bytes())),
        }
    }

    fn asked(&self) -> Vec<(Request, String)> {
        self.asked.lock().expect("no test panics with it").clone()
    }

    fn now(&self) -> Timestamp {
        Timestamp::new(self.clock.load(Ordering::Relaxed), 0).expect("a time")
    }
}

fn head(status: u16, name: &str, value: &str) -> Head {
    let mut headers = Headers::default();
    assert!(headers.add(name, value), "{value}");
    Head { status, headers }
}

fn basic(password: &str) -> Credential {
    Credential::Basic { user: "me".into(), password: password.into() }
}

#[test]
fn a_token_is_asked_for_once_and_used_at_once_afterwards() {
    let world = World::new(None);
    let takes = |header: Option<&str>| header == Some("Bearer t1");
    assert_eq!(world.visit(BEARER, takes).expect("let in"), (200, vec![String::new(), "Bearer t1".into()]));
    assert_eq!(world.visit(BEARER, takes).expect("let in"), (200, vec!["Bearer t1".into()]));
    let [(request, _)] = &world.asked()[..] else { panic!("one question") };
    assert_eq!(request.headers.get("Authorization"), None);
    assert_eq!(world.ports.asked.load(Ordering::Relaxed), 1, "helpers are asked once");
}

#[test]
fn a_password_goes_to_the_realm_and_a_token_to_the_registry() {
    let world = World::new(Some(basic("right")));
    let (status, sent) = world.visit(BEARER, |it| it == Some("Bearer t1")).expect("let in");
    assert_eq!((status, sent.len()), (200, 2));
    let (request, _) = &world.asked()[0];
    assert_eq!(request.headers.get("Authorization"), Some(&*token::basic("me", "right")));
    assert_eq!(request.address.site().host(), "reg.example");
}

#[test]
fn a_password_is_said_where_the_registry_wants_no_token() {
    let world = World::new(Some(basic("right")));
    let right = token::basic("me", "right");
    let takes = |header: Option<&str>| header == Some(&right);
    assert_eq!(world.visit("Basic realm=x", takes).expect("let in").0, 200);
    assert_eq!(world.visit("Basic realm=x", takes).expect("let in").1.len(), 1);
    let wrong = World::new(Some(basic("wrong")));
    assert_eq!(
        wrong.visit("Basic realm=x", takes).expect("an answer"),
        (401, vec![String::new(), token::basic("me", "wrong")])
    );
    let nobody = World::new(None);
    assert_eq!(nobody.visit("Basic realm=x", takes).expect("an answer"), (401, vec![String::new()]));
}

#[test]
fn a_refresh_token_goes_in_a_form_and_a_fixed_token_as_it_is() {
    let world = World::new(Some(Credential::Refresh("r".into())));
    assert_eq!(world.visit(BEARER, |it| it.is_some()).expect("let in").0, 200);
    assert!(world.asked()[0].1.starts_with("grant_type=refresh_token&refresh_token=r&"));
    let fixed = World::new(Some(Credential::Bearer("given".into())));
    assert_eq!(fixed.visit(BEARER, |it| it == Some("Bearer given")).expect("let in").0, 200);
    assert!(fixed.asked().is_empty());
    let broken = World::new(Some(Credential::Bearer("a\r\nb".into())));
    assert_eq!(broken.visit(BEARER, |_| false).expect_err("it cannot be sent").kind(), Kind::Denied);
}

#[test]
fn a_token_is_renewed_before_it_ends_and_when_it_is_refused() {
    let world = World::new(None);
    world.visit(BEARER, |it| it == Some("Bearer t1")).expect("let in");
    world.clock.fetch_add(284, Ordering::Relaxed);
    assert_eq!(world.visit(BEARER, |_| true).expect("let in").1, ["Bearer t1"]);
    world.clock.fetch_add(1, Ordering::Relaxed);
    assert_eq!(world.visit(BEARER, |_| true).expect("let in").1, ["Bearer t2"]);
    let early = world.visit(BEARER, |it| it == Some("Bearer t3")).expect("let in");
    assert_eq!(early.1, ["Bearer t2", "Bearer t3"], "a token that ended early");
}

#[test]
fn a_token_of_an_earlier_run_is_used_unless_it_is_refused() {
    let first = World::new(None);
    first.visit(BEARER, |it| it.is_some()).expect("let in");
    let mut second = World::new(None);
    second.ports.kept = first.ports.kept;
    assert_eq!(second.visit(BEARER, |it| it.is_some()).expect("let in").1, ["", "Bearer t1"]);
    assert!(second.asked().is_empty());
    let mut third = World::new(None);
    third.ports.kept = second.ports.kept;
    third.asked.get_mut().expect("unused").extend([(
        Request::new(orlop_spec::wire::Method::Get, Address::at(third.home.clone(), "/").expect("root")),
        String::new(),
    )]);
    let (_, sent) = third.visit(BEARER, |it| it == Some("Bearer t2")).expect("let in");
    assert_eq!(sent, ["", "Bearer t1", "Bearer t2"]);
}

#[test]
fn another_user_is_not_given_this_ones_token() {
    let mut world = World::new(Some(basic("right")));
    world.visit(BEARER, |it| it.is_some()).expect("let in");
    let mut other = World::new(Some(basic("other")));
    other.ports.kept = std::mem::take(&mut world.ports.kept);
    other.visit(BEARER, |it| it.is_some()).expect("let in");
    assert_eq!(other.asked().len(), 1);
}

#[test]
fn n12_a_registry_that_is_never_content_is_asked_three_times() {
    let world = World::new(Some(basic("right")));
    let count = AtomicUsize::new(0);
    let clock = || world.now();
    let network = Network { secrets: &world.ports, clock: &clock, ..world.ports.plain.network() };
    let errand = Errand { repository: Some(&world.repository), ..Errand::new(&world.home) };
    let mut pass = Pass::new(network, &world.tokens, &errand);
    loop {
        pass.header(&|request, body| Ok(world.token(request, body))).expect("a header");
        let number = count.fetch_add(1, Ordering::Relaxed);
        let challenge = format!("{BEARER}, Bearer realm=x");
        let challenge = challenge.replace("app:pull", &format!("app{number}:pull"));
        if pass.refused(&head(401, "WWW-Authenticate", &challenge)).expect("no error") == Again::No {
            break;
        }
    }
    assert_eq!(count.into_inner(), 3);
}

#[test]
fn a_denial_is_not_asked_for_twice() {
    let world = World::new(None);
    assert_eq!(world.visit(BEARER, |_| false).expect("an answer").1, ["", "Bearer t1"]);
    let wrong = World::new(Some(basic("wrong")));
    let fault = wrong.visit(BEARER, |_| false).expect_err("denied");
    assert_eq!(
        (fault.kind(), fault.hint()),
        (
            Kind::Denied,
            Some(
                "orlop login reg.example, or give --creds USER:PASSWORD, or a file of credentials with --authfile"
                    .into()
            )
        )
    );
}

#[test]
fn n1_a_strangers_realm_is_asked_without_a_credential_and_that_is_said() {
    let world = World::new(Some(basic("right")));
    let challenge = r#"Bearer realm="https://evil.example/token",service="reg""#;
    let fault = world.visit(challenge, |_| false).expect_err("held back");
    assert!(matches!(fault.downcast_ref::<Error>(), Some(Error::Withheld { .. })), "{fault}");
    let [(request, body)] = &world.asked()[..] else { panic!("one question") };
    assert_eq!((request.headers.get("Authorization"), &**body), (None, ""));
    assert!(!request.address.target().contains("me"));
    let public = World::new(Some(basic("right")));
    assert_eq!(public.visit(challenge, |it| it.is_some()).expect("let in").0, 200);
}

#[test]
fn n1_a_realm_in_the_clear_is_never_asked() {
    for realm in ["http://reg.example/token", "https://127.0.0.1/token", "http://10.0.0.1/t", "ftp://x/"] {
        let world = World::new(Some(basic("right")));
        let fault = world.visit(&format!("Bearer realm=\"{realm}\""), |_| false).expect_err("refused");
        assert!(world.asked().is_empty(), "{fault}");
    }
}

#[test]
fn n1_a_password_does_not_go_to_a_registry_in_the_clear_that_nobody_named() {
    let mut world = World::new(Some(basic("right")));
    world.home = Site::parse(Scheme::Http, "reg.example").expect("a site");
    assert_eq!(world.visit("Basic realm=x", |_| false).expect("an answer").1, ["", ""]);
    let mut named = World::new(Some(basic("right")));
    named.home = world.home.clone();
    named.ports.plain.insecure.insert(named.home.clone());
    assert_eq!(named.visit("Basic realm=x", |it| it.is_some()).expect("let in").0, 200);
}

#[test]
fn one_thread_asks_and_the_others_wait() {
    let world = World::new(None);
    world.visit(BEARER, |it| it.is_some()).expect("let in");
    world.clock.fetch_add(299, Ordering::Relaxed);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(1));
                assert_eq!(world.visit(BEARER, |_| true).expect("let in").1, ["Bearer t2"]);
            });
        }
    });
    assert_eq!(world.asked().len(), 2);
}

#[test]
fn nobody_is_spoken_for_without_a_repository() {
    let world = World::new(Some(basic("right")));
    let errand = Errand::new(&world.home);
    let network = Network { secrets: &world.ports, ..world.ports.plain.network() };
    let mut pass = Pass::new(network, &world.tokens, &errand);
    assert_eq!(pass.refused(&head(401, "WWW-Authenticate", BEARER)).expect("no error"), Again::No);
    assert_eq!(pass.header(&|_, _| panic!("nobody is asked")).expect("no error"), None);
}
