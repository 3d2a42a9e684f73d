use super::{Errand, Payload, Redirects, Repeat};
use crate::error::Error;
use crate::exchange::Answer;
use crate::loopback::{Loopback, World, answer};
use orlop_spec::network::Credential;
use orlop_spec::port::Result;
use orlop_spec::reference::Repository;
use orlop_spec::wire::{Address, Head, Headers, Method, Request};
use orlop_spec::{Event, Fault, Kind};
use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

fn read(mut answer: Answer<'_>) -> Result<(u16, Vec<u8>)> {
    let mut body = Vec::new();
    answer.body.read_to_end(&mut body).map_err(|error| Fault::io("read the body", error))?;
    Ok((answer.head.status, body))
}

#[test]
fn item_212_a_warning_is_shown_once() {
    let warning = "HTTP/1.1 200 OK\r\nWarning: 299 - \"old\"\r\nContent-Length: 0\r\n\r\n";
    let server = Loopback::answering(move |_, _| warning.into());
    let world = World::default();
    for _ in 0..3 {
        let address = server.at("/");
        let request = Request::new(Method::Get, address.clone());
        let answer =
            world.client().call(&request, &Errand::new(address.site()), Payload::Empty).and_then(read);
        assert_eq!(answer.expect("an answer").0, 200);
    }
    let text = format!("http://{} says: old", server.socket());
    assert_eq!(world.events(), [Event::Warned(text)]);
}

#[test]
fn a_part_of_a_blob_is_what_is_sent() {
    let server = Loopback::answering(|_, _| answer("201 Created", ""));
    let world = World::default();
    let blob = b"0123456789".to_vec();
    let address = server.at("/");
    let request = Request::new(Method::Put, address.clone());
    let payload = Payload::Part { origin: &blob, at: 3, size: 4 };
    let answer = world.client().call(&request, &Errand::new(address.site()), payload).and_then(read);
    assert_eq!(answer.expect("an answer").0, 201);
    assert!(server.heads()[0].contains("Content-Length: 4\r\n"));
}

impl World {
    fn ask(&self, request: &Request, redirects: Redirects) -> Result<(u16, Vec<u8>)> {
        let client = self.client();
        let errand = Errand { redirects, ..Errand::new(request.address.site()) };
        client.call(request, &errand, Payload::Empty).and_then(read)
    }

    fn get(&self, address: Address) -> Result<(u16, Vec<u8>)> {
        self.ask(&Request::new(Method::Get, address), Redirects::Followed)
    }

    /// Bytes that moved a second time, for each time that something was asked again.
    fn again(&self) -> Vec<u64> {
        let again = |event| if let Event::Retried { again, .. } = event { Some(again) } else { None };
        self.events().into_iter().filter_map(again).collect()
    }
}

#[test]
fn what_goes_away_by_itself_is_asked_for_again_and_told() {
    for status in ["500 Oops", "502 Bad Gateway", "503 Busy", "504 Late", "429 Slow Down", "408 Timeout"] {
        let server = Loopback::answering(move |number, _| match number {
            0 | 1 => answer(status, ""),
            _ => answer("200 OK", "here"),
        });
        let world = World::default();
        assert_eq!(world.get(server.at("/")).expect(status), (200, b"here".to_vec()));
        assert_eq!(world.again(), [0, 0]);
        let waited = |event: &Event| matches!(event, Event::Waited { time, .. } if *time >= Duration::from_millis(100));
        assert_eq!(world.events().iter().filter(|event| waited(event)).count(), 2);
    }
}

#[test]
fn what_does_not_go_away_is_given_as_it_is() {
    let server = Loopback::answering(|_, _| answer("503 Busy", "sorry"));
    let world = World::default();
    assert_eq!(world.get(server.at("/")).expect("an answer"), (503, b"sorry".to_vec()));
    assert_eq!(server.heads().len(), 4);
}

#[test]
fn a_connection_that_breaks_before_the_answer_is_made_again_where_that_is_safe() {
    for (method, repeat, requests) in [
        (Method::Get, Repeat::ByMethod, 4),
        (Method::Post, Repeat::ByMethod, 1),
        (Method::Post, Repeat::Safe, 4),
        (Method::Put, Repeat::Never, 1),
    ] {
        let server = Loopback::new(|_, caller| drop(caller.head()));
        let world = World::default();
        let client = world.client();
        let request = Request::new(method, server.at("/v2/"));
        let errand = Errand { repeat, ..Errand::new(request.address.site()) };
        let fault = client.call(&request, &errand, Payload::Empty).and_then(read).expect_err("no answer");
        assert_eq!(fault.kind(), Kind::Unreachable);
        assert!(fault.to_string().contains("/v2/"), "{fault}");
        assert_eq!(server.heads().len(), requests, "{method} {repeat:?}");
    }
}

#[test]
fn a_part_that_is_sent_again_is_counted() {
    let server = Loopback::answering(|number, _| match number {
        0 => answer("500 Oops", ""),
        _ => answer("201 Created", ""),
    });
    let world = World::default();
    let client = world.client();
    let blob = vec![1; 1000];
    let request = Request::new(Method::Put, server.at("/"));
    let payload = Payload::Part { origin: &blob, at: 100, size: 900 };
    let answer = client.call(&request, &Errand::new(request.address.site()), payload).and_then(read);
    assert_eq!(answer.expect("an answer").0, 201);
    assert_eq!(world.again(), [900]);
}

#[test]
fn n10_a_stall_is_tried_once_more() {
    let server = Loopback::new(|_, caller| {
        caller.head();
        thread::sleep(Duration::from_secs(5));
    });
    let fault = World::default().get(server.at("/v2/")).expect_err("a stall");
    assert!(matches!(fault.downcast_ref(), Some(Error::Stalled { .. })), "{fault:?}");
    assert_eq!(server.heads().len(), 2);
}

#[test]
fn a_pause_can_be_interrupted() {
    let server = Loopback::answering(|_, _| {
        "HTTP/1.1 429 Slow Down\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n".into()
    });
    let world = World::default();
    thread::scope(|scope| {
        let request = scope.spawn(|| (world.get(server.at("/")), Instant::now()));
        thread::sleep(Duration::from_millis(200));
        let stopped = Instant::now();
        world.cancel.set();
        let (outcome, ended) = request.join().expect("no panic");
        assert_eq!(outcome.expect_err("stopped").kind(), Kind::Interrupted);
        assert!(ended - stopped < Duration::from_millis(100), "{:?}", ended - stopped);
    });
}

const SIZE: usize = 1 << 20;

/// Byte `at` of the blob that these tests serve.
fn byte(at: usize) -> u8 {
    u8::try_from(at % 251).expect("less than 251")
}

fn blob() -> Vec<u8> {
    (0..SIZE).map(byte).collect()
}

/// Serves the blob as `honours` says of ranges, and breaks off after a third of what is asked for, `breaks` times.
fn breaking(breaks: usize, honours: fn(usize) -> Ranges) -> Loopback {
    Loopback::new(move |number, caller| {
        let Some(head) = caller.head() else { return };
        let asked = head.lines().find_map(|line| line.strip_prefix("Range: bytes="));
        let asked: usize = asked.and_then(|it| it.split('-').next()?.parse().ok()).unwrap_or(0);
        let ranges = honours(number);
        let first = match ranges {
            Ranges::Honoured | Ranges::Changed => asked,
            Ranges::Ignored => 0,
            Ranges::Lied => asked + 1,
        };
        let tag = if ranges == Ranges::Changed { "ETag: \"new\"\r\n" } else { "ETag: \"old\"\r\n" };
        let (status, range) = match first {
            0 => ("200 OK", String::new()),
            _ => ("206 Partial", format!("Content-Range: bytes {first}-{}/{SIZE}\r\n", SIZE - 1)),
        };
        let length = SIZE - first;
        caller.say(&format!("HTTP/1.1 {status}\r\n{tag}{range}Content-Length: {length}\r\n\r\n"));
        let count = if number < breaks { length / 3 } else { length };
        caller.send(&blob()[first..first + count]);
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ranges {
    Honoured,
    Ignored,
    Lied,
    Changed,
}

#[test]
fn a_body_that_breaks_goes_on_where_it_broke() {
    let server = breaking(6, |_| Ranges::Honoured);
    let world = World::default();
    assert_eq!(world.get(server.at("/")).expect("a body").1, blob());
    assert_eq!(world.again(), [0; 6]);
    let third = SIZE / 3;
    assert!(
        server.heads()[1].contains(&format!("Range: bytes={third}-{}\r\n", SIZE - 1)),
        "{}",
        server.heads()[1]
    );
}

#[test]
fn a_body_goes_on_where_ranges_are_not_known() {
    let server = breaking(1, |_| Ranges::Ignored);
    let world = World::default();
    assert_eq!(world.get(server.at("/")).expect("a body").1, blob());
    assert_eq!(world.again(), [SIZE as u64 / 3]);
}

#[test]
fn another_range_and_another_thing_are_not_what_goes_on() {
    for honours in [|_| Ranges::Lied, |number| if number == 0 { Ranges::Honoured } else { Ranges::Changed }] {
        let honours: fn(usize) -> Ranges = honours;
        let server = breaking(1, honours);
        let world = World::default();
        let fault = world.get(server.at("/")).expect_err("it must fail");
        assert_eq!(fault.kind(), Kind::Unreachable, "{fault}");
        assert_eq!(server.heads().len(), 2);
    }
}

#[test]
fn a_range_that_was_asked_for_goes_on_within_itself() {
    let server = Loopback::new(|number, caller| {
        let Some(head) = caller.head() else { return };
        let asked = head.lines().find_map(|line| line.strip_prefix("Range: bytes=")).expect("a range");
        let (first, last) = asked.split_once('-').expect("two ends");
        let (first, last): (usize, usize) =
            (first.parse().expect("a number"), last.parse().expect("a number"));
        let length = last - first + 1;
        caller.say(&format!(
            "HTTP/1.1 206 Partial\r\nContent-Range: bytes {first}-{last}/{SIZE}\r\nContent-Length: {length}\r\n\r\n"
        ));
        caller.send(&blob()[first..=first + if number == 0 { length / 2 } else { length - 1 }]);
    });
    let world = World::default();
    let request = Request::new(Method::Get, server.at("/")).with("Range", "bytes=1000-1999");
    assert_eq!(world.ask(&request, Redirects::Given).expect("a body"), (206, blob()[1000..2000].to_vec()));
    assert!(server.heads()[1].contains("Range: bytes=1501-1999\r\n"), "{}", server.heads()[1]);
}

fn redirect(to: &Address) -> String {
    format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

#[test]
fn item_210_a_redirect_to_another_site_takes_no_secret_along() {
    let store = Loopback::answering(|_, _| answer("200 OK", "blob"));
    let elsewhere = store.at("/blob?signature=1");
    let server = Loopback::answering(move |_, _| redirect(&elsewhere));
    let world = World::default();
    let request = Request::new(Method::Get, server.at("/"))
        .with("Authorization", "Bearer secret")
        .with("Cookie", "secret")
        .with("Accept", "a/b");
    assert_eq!(world.ask(&request, Redirects::Followed).expect("a blob"), (200, b"blob".to_vec()));
    let head = store.heads().remove(0);
    assert!(head.starts_with("GET /blob?signature=1 ") && head.contains("Accept: a/b\r\n"), "{head}");
    assert!(!head.contains("secret"), "{head}");
    assert_eq!(world.ask(&request, Redirects::Given).expect("an answer").0, 307);
}

#[test]
fn a_redirect_within_a_site_keeps_what_was_said() {
    let server = Loopback::answering(|number, _| match number {
        0 => "HTTP/1.1 302 Found\r\nLocation: ../b\r\nContent-Length: 0\r\n\r\n".into(),
        _ => answer("200 OK", ""),
    });
    let world = World::default();
    let request = Request::new(Method::Get, server.at("/x/a")).with("Authorization", "Bearer mine");
    assert_eq!(world.ask(&request, Redirects::Followed).expect("an answer").0, 200);
    assert!(server.heads()[1].starts_with("GET /b ") && server.heads()[1].contains("Bearer mine"));
}

#[test]
fn n2_redirects_end_and_do_not_lead_into_the_clear() {
    let server =
        Loopback::answering(|_, _| "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".into());
    let fault = World::default().get(server.at("/")).expect_err("a loop");
    assert!(matches!(fault.downcast_ref(), Some(Error::RedirectLoop { .. })), "{fault:?}");
    assert_eq!(server.heads().len(), 6);
    let request = Request::new(Method::Get, Address::parse("https://a/").expect("an address"));
    let mut headers = Headers::default();
    assert!(headers.add("Location", "http://a/"));
    let errand = Errand { redirects: Redirects::Followed, ..Errand::new(request.address.site()) };
    let outcome = super::redirect::next(&request, &Head { status: 302, headers }, &errand);
    assert!(matches!(outcome, Err(Error::Downgrade { .. })));
}

/// A registry that wants a token of its own realm, and keeps its blobs at `store`.
fn guarded(store: Address) -> Loopback {
    Loopback::answering(move |_, head| {
        let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).expect("a host");
        if head.starts_with("GET /token") {
            return answer("200 OK", r#"{"token":"t0k3n","expires_in":300}"#);
        }
        if head.contains("Authorization: Bearer t0k3n\r\n") {
            return redirect(&store);
        }
        format!(
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\
             WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"x\",scope=\"repository:app:pull\"\r\n\r\n"
        )
    })
}

#[test]
fn item_210_the_home_site_is_told_who_asks_once_and_nobody_else_is() {
    let store = Loopback::answering(|_, _| answer("200 OK", "blob"));
    let server = guarded(store.at("/blob"));
    let mut world = World::default();
    world.ports.credential = Some(Credential::Basic { user: "me".into(), password: "pw".into() });
    let repository = Repository::parse(&format!("{}/app", server.socket())).expect("a repository");
    let request = Request::new(Method::Get, server.at("/v2/app/blobs/x"));
    let errand = Errand {
        repository: Some(&repository),
        scopes: &["repository:app:pull".into()],
        redirects: Redirects::Followed,
        ..Errand::new(request.address.site())
    };
    for _ in 0..2 {
        let client = world.client();
        let answer = client.call(&request, &errand, Payload::Empty).and_then(read);
        assert_eq!(answer.expect("a blob"), (200, b"blob".to_vec()));
    }
    let asked: Vec<_> = server.heads().iter().map(|head| head.split(' ').nth(1).map(str::to_owned)).collect();
    assert_eq!(asked.iter().flatten().filter(|target| target.starts_with("/token?")).count(), 1, "{asked:?}");
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert!(server.heads()[1].contains("Authorization: Basic bWU6cHc=\r\n"), "{}", server.heads()[1]);
    assert!(store.heads().iter().all(|head| !head.contains("Authorization")));
}

#[test]
fn n2_what_settings_add_goes_to_the_home_site_and_to_nobody_else() {
    let store = Loopback::answering(|_, _| answer("200 OK", "blob"));
    let server = guarded(store.at("/blob"));
    let mut headers = Headers::default();
    assert!(headers.add("X-Key", "secret") && headers.add("Authorization", "Bearer t0k3n"));
    let request = Request::new(Method::Get, server.at("/v2/app/blobs/x"));
    let errand = Errand {
        headers: &headers.into(),
        redirects: Redirects::Followed,
        ..Errand::new(request.address.site())
    };
    let world = World::default();
    let client = world.client();
    let answer = client.call(&request, &errand, Payload::Empty).and_then(read).expect("a blob");
    assert_eq!(answer, (200, b"blob".to_vec()));
    assert!(server.heads().iter().all(|head| head.contains("X-Key: secret\r\n")), "{:?}", server.heads());
    assert!(store.heads().iter().all(|head| !head.contains("secret") && !head.contains("Authorization")));
}

#[test]
fn n12_who_is_never_satisfied_is_asked_three_times() {
    let server = Loopback::answering(|_, head| {
        if head.starts_with("GET /token") {
            return answer("200 OK", r#"{"token":"t","expires_in":300}"#);
        }
        let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).expect("a host");
        format!(
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer realm=\"http://{host}/token\"\r\n\r\n"
        )
    });
    let world = World::default();
    let repository = Repository::parse(&format!("{}/app", server.socket())).expect("a repository");
    let request = Request::new(Method::Get, server.at("/v2/"));
    let errand = Errand { repository: Some(&repository), ..Errand::new(request.address.site()) };
    let client = world.client();
    assert_eq!(client.call(&request, &errand, Payload::Empty).and_then(read).expect("an answer").0, 401);
    assert!(server.heads().iter().filter(|head| head.starts_with("GET /v2/")).count() <= 3);
}
