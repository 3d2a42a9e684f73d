use super::{Pinned, WebFile, WebFolder};
use crate::error::Error;
use crate::loopback::{Loopback, World, answer};
use orlop_spec::network::Credential;
use orlop_spec::port::{Origin as _, Result};
use orlop_spec::{Algorithm, Digest, Fault, Kind};
use std::io::Read;

const CONTENT: &str = "0123456789";

fn all(mut read: impl Read) -> Result<String> {
    let mut text = String::new();
    read.read_to_string(&mut text).map_err(|error| Fault::io("read", error))?;
    Ok(text)
}

fn file<'a>(world: &'a World, server: &Loopback, most: u64) -> WebFile<'a> {
    WebFile::new(world.client(), server.at("/x.tar"), most)
}

/// Serves ranges from some byte on.
fn with_ranges() -> Loopback {
    Loopback::answering(|_, head| {
        let asked = head.lines().find_map(|line| line.strip_prefix("Range: bytes=")?.strip_suffix('-'));
        let size = CONTENT.len();
        match asked.map(|at| at.parse::<usize>().expect("a number")) {
            None => answer("200 OK", CONTENT),
            Some(at) if at >= size => {
                format!("HTTP/1.1 416 No\r\nContent-Range: bytes */{size}\r\nContent-Length: 0\r\n\r\n")
            }
            Some(at) => format!(
                "HTTP/1.1 206 Part\r\nContent-Range: bytes {at}-{}/{size}\r\nContent-Length: {}\r\n\r\n{}",
                size - 1,
                size - at,
                &CONTENT[at..]
            ),
        }
    })
}

#[test]
fn a_file_is_read_from_anywhere_whether_ranges_are_known_or_not() {
    for server in [with_ranges(), Loopback::answering(|_, _| answer("200 OK", CONTENT))] {
        let world = World::default();
        let file = file(&world, &server, 10);
        for (at, rest) in [(0, CONTENT), (4, "456789"), (9, "9"), (10, ""), (11, "")] {
            let body = file.get(at).expect("a file");
            assert_eq!(body.size, Some(10));
            assert_eq!(all(body.read).expect("its bytes"), rest);
        }
        assert_eq!(all(file.open(7).expect("a file")).expect("its bytes"), "789");
    }
}

#[test]
fn a_file_may_be_of_unknown_size_but_not_of_any() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n";
    let server = Loopback::answering(move |_, _| chunked.into());
    let world = World::default();
    let whole = file(&world, &server, 10);
    let body = whole.get(0).expect("a file");
    assert_eq!((body.size, all(body.read).expect("its bytes").as_str()), (None, CONTENT));
    let bounded = file(&world, &server, 9);
    let fault = bounded.open(0).and_then(all).expect_err("one byte too many");
    assert!(matches!(fault.downcast_ref(), Some(Error::TooLarge { limit: 9, .. })), "{fault:?}");
    assert_eq!(fault.kind(), Kind::Limit);
    let told = Loopback::answering(|_, _| answer("200 OK", CONTENT));
    let fault = file(&world, &told, 9).get(0).map(|_| ()).expect_err("the server says so");
    assert_eq!(fault.kind(), Kind::Limit);
}

#[test]
fn a_range_that_was_not_asked_for_is_refused() {
    let lie = "HTTP/1.1 206 Part\r\nContent-Range: bytes 1-9/10\r\nContent-Length: 9\r\n\r\n123456789";
    let server = Loopback::answering(move |_, _| lie.into());
    let world = World::default();
    for at in [0, 2] {
        let fault = file(&world, &server, 99).get(at).map(|_| ()).expect_err("a lie");
        assert_eq!(fault.kind(), Kind::Integrity, "{fault}");
    }
}

#[test]
fn a_server_that_refuses_is_quoted_and_told_no_secret() {
    for (status, kind) in [("404 Not Found", Kind::NotFound), ("403 Forbidden", Kind::Denied)] {
        let server = Loopback::answering(move |_, _| answer(status, "gone fishing"));
        let mut world = World::default();
        let credential = Credential::Basic { user: "me".into(), password: "pw".into() };
        world.ports.credential = Some(credential);
        let fault = file(&world, &server, 99).get(0).map(|_| ()).expect_err("refused");
        assert_eq!(fault.kind(), kind, "{fault}");
        assert!(fault.to_string().contains("/x.tar"), "{fault}");
        assert!(!server.heads()[0].contains("Authorization"));
    }
}

#[test]
fn files_of_a_folder_lie_beneath_it() {
    let server = Loopback::answering(|_, _| answer("200 OK", ""));
    let world = World::default();
    for folder in ["/a/b", "/a/b/"] {
        let folder = WebFolder::new(world.client(), &server.at(folder), 9);
        folder.file("blobs/sha256/00").get(0).map(drop).expect("a file");
    }
    assert!(server.heads().iter().all(|head| head.starts_with("GET /a/b/blobs/sha256/00 HTTP/1.1\r\n")));
}

#[test]
fn a_pinned_file_is_the_one_that_was_named() {
    let world = World::default();
    let server = with_ranges();
    let file = file(&world, &server, 99);
    let read = |content: &[u8]| {
        let digest = Digest::of(Algorithm::Sha256, content);
        file.open(0).and_then(|read| all(Pinned::new(read, file.address().clone(), digest)))
    };
    assert_eq!(read(CONTENT.as_bytes()).expect("the right file"), CONTENT);
    let fault = read(b"another").expect_err("not this one");
    assert!(matches!(fault.downcast_ref(), Some(Error::WrongFile { .. })), "{fault:?}");
    assert_eq!(fault.kind(), Kind::Integrity);
}
