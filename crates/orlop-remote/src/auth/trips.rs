//! Authorised requests over sockets: what leaves, and to whom.

use crate::client::{Errand, Payload, Redirects};
use crate::loopback::{Loopback, World, answer};
use orlop_spec::network::Credential;
use orlop_spec::port::Result;
use orlop_spec::reference::Repository;
use orlop_spec::wire::{Address, Method, Request};
use orlop_spec::{Fault, Kind};
use std::io::Read as _;

const LET_IN: &str = "Authorization: Bearer good\r\n";

/// Answers 401 to whoever comes without the token, and gives it at `/token`.
fn guarded(content: impl Fn(&str) -> String + Send + Sync + 'static) -> Loopback {
    Loopback::answering(move |_, head| {
        let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).expect("a host");
        match head {
            head if head.contains(" /token?") => answer("200 OK", r#"{"token":"good"}"#),
            head if head.contains(LET_IN) => content(head),
            _ => format!(
                "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"s\"\r\n\
                 Content-Length: 2\r\n\r\nno"
            ),
        }
    })
}

fn world() -> World {
    let mut world = World::default();
    world.ports.credential = Some(Credential::Basic { user: "me".into(), password: "secret".into() });
    world
}

fn visit(world: &World, method: Method, address: &Address, payload: Payload<'_>) -> Result<(u16, Vec<u8>)> {
    let repository = Repository::parse(&format!("{}/app", address.site().authority())).expect("a name");
    let errand = Errand {
        repository: Some(&repository),
        scopes: &["repository:app:pull".into()],
        redirects: Redirects::Followed,
        ..Errand::new(address.site())
    };
    let client = world.client();
    let mut answer = client.call(&Request::new(method, address.clone()), &errand, payload)?;
    let mut body = Vec::new();
    answer.body.read_to_end(&mut body).map_err(|error| Fault::io("read the body", error))?;
    Ok((answer.head.status, body))
}

#[test]
fn a_token_opens_the_door_and_the_password_is_said_to_the_realm_alone() {
    let server = guarded(|_| answer("200 OK", "here"));
    let world = world();
    for _ in 0..2 {
        assert_eq!(
            visit(&world, Method::Get, &server.at("/x"), Payload::Empty).expect("let in"),
            (200, b"here".into())
        );
    }
    let heads = server.heads();
    assert_eq!(heads.len(), 4, "401, token, answer; then the answer at once");
    assert!(heads.iter().all(|head| head.contains("Authorization: Basic") == head.contains(" /token?")));
    assert!(heads[1].contains("GET /token?service=s&scope=repository:app:pull&account=me&client_id=orlop "));
    assert_eq!(server.connections(), 1, "what a 401 says is read, so that the connection is used again");
}

#[test]
fn a_body_is_sent_again_when_a_token_is_wanted() {
    let server = guarded(|_| answer("201 Created", ""));
    let blob = b"0123456789".to_vec();
    let payload = Payload::Part { origin: &blob, at: 2, size: 5 };
    assert_eq!(visit(&world(), Method::Put, &server.at("/x"), payload).expect("let in").0, 201);
    let lengths: Vec<bool> =
        server.heads().iter().map(|head| head.contains("Content-Length: 5\r\n")).collect();
    assert_eq!(lengths, [true, false, true]);
}

/// N2.
#[test]
fn item_210_a_token_stays_at_its_site() {
    let store = Loopback::answering(|_, _| answer("200 OK", "bytes"));
    let to = store.at("/blob").to_string();
    let server =
        guarded(move |_| format!("HTTP/1.1 307 There\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"));
    let (status, body) = visit(&world(), Method::Get, &server.at("/x"), Payload::Empty).expect("bytes");
    assert_eq!((status, body), (200, b"bytes".to_vec()));
    assert!(server.heads().iter().any(|head| head.contains(LET_IN)));
    assert!(store.heads().iter().all(|head| !head.contains("Authorization")), "{:?}", store.heads());
}

#[test]
fn n1_a_password_is_not_said_to_another_host() {
    let evil = Loopback::answering(|_, _| answer("200 OK", r#"{"token":"good"}"#));
    let realm = format!("http://localhost:{}/token", evil.socket().port());
    let challenge =
        format!("HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"{realm}\"\r\nContent-Length: 0\r\n\r\n");
    let server = Loopback::answering(move |_, _| challenge.clone());
    let fault = visit(&world(), Method::Get, &server.at("/x"), Payload::Empty).expect_err("held back");
    assert_eq!(fault.kind(), Kind::Denied);
    assert!(evil.heads().iter().all(|head| !head.contains("Authorization") && !head.contains("me")));
}

#[test]
fn n12_a_registry_that_always_refuses_is_given_up() {
    let server = Loopback::answering(|number, head| match head {
        head if head.contains(" /token?") => answer("200 OK", &format!(r#"{{"token":"t{number}"}}"#)),
        _ => "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"/token\",scope=\"a:b:c\"\r\n\
              Content-Length: 0\r\n\r\n"
            .into(),
    });
    assert_eq!(visit(&world(), Method::Get, &server.at("/x"), Payload::Empty).expect("an answer").0, 401);
    assert!(server.heads().len() <= 5, "{:?}", server.heads());
}
