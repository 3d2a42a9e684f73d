//! One large blob by several connections.

use crate::ports::World;
use orlop_remote::Wide;
use orlop_spec::media_type::OCI_LAYER;
use orlop_spec::port::{Result, Source as _};
use orlop_spec::{Algorithm, Cancelled, Descriptor, Fault, Kind};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use testkit::http::{Asked, Reply};
use testkit::shelf_server::ShelfServer;
use testkit::suites::describe;

const SIZE: usize = 100_003;

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| u8::try_from((at * at) >> 7 & 0xff).expect("masked")).collect()
}

/// Pieces of `piece` bytes, whatever the size and the speed.
fn world(piece: u64) -> World {
    World { wide: Wide { from: 1 << 10, piece, fast: Duration::ZERO }, ..World::default() }
}

fn hold(server: &ShelfServer, content: &[u8]) -> Descriptor {
    let blob = describe(OCI_LAYER, Algorithm::Sha256, content);
    server.shelf().blobs.insert(("app".into(), blob.digest.to_string()), content.to_vec());
    blob
}

/// What is given from `at` on, up to `most` bytes.
fn pour(world: &World, server: &ShelfServer, blob: &Descriptor, at: u64, most: usize) -> Result<Vec<u8>> {
    let remote = world.open(&server.app());
    let mut given = Vec::new();
    remote.origin(blob)?.pour(at, &mut |bytes| {
        given.extend(bytes);
        Ok(if given.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(given)
}

#[test]
fn the_bytes_come_in_order_whatever_the_pieces() {
    let server = ShelfServer::right();
    for (size, piece, at) in [
        (SIZE, 10_000, 0),
        (SIZE, 10_000, 5),
        (SIZE, 99_999, 7),
        (SIZE, SIZE, 0),
        (SIZE, 1 << 20, 0),
        (SIZE, 7001, 98_000),
        (2048, 1, 1000),
    ] {
        let (content, world) = (content(size), world(piece as u64));
        let blob = hold(&server, &content);
        let given = pour(&world, &server, &blob, at as u64, usize::MAX).expect("all of it");
        assert!(given == content[at..], "{size} bytes in pieces of {piece} from {at}: {}", given.len());
    }
}

#[test]
fn pieces_are_asked_for_by_four_connections_and_each_once() {
    let asked = std::sync::Arc::new(Mutex::new(Vec::new()));
    let notes = std::sync::Arc::clone(&asked);
    let server = ShelfServer::that(move |asked: &Asked, reply| {
        notes.lock().expect("no panic").extend(asked.header("Range").map(str::to_owned));
        std::thread::sleep(Duration::from_millis(5));
        reply
    });
    let (content, world) = (content(SIZE), world(10_000));
    let blob = hold(&server, &content);
    assert!(pour(&world, &server, &blob, 0, usize::MAX).expect("all of it") == content);
    let asked = asked.lock().expect("no panic");
    let once: BTreeSet<_> = asked.iter().collect();
    assert_eq!((asked.len(), once.len()), (11, 11), "{asked:?}");
    assert!((2..=5).contains(&server.connections()), "{}", server.connections());
}

#[test]
fn a_fast_or_a_small_blob_stays_with_one_connection() {
    let server = ShelfServer::right();
    let content = content(SIZE);
    let blob = hold(&server, &content);
    for (wide, questions) in [
        (Wide { from: 1 << 10, piece: 10_000, fast: Duration::MAX }, 2),
        (Wide { from: SIZE as u64, piece: 10_000, fast: Duration::ZERO }, 1),
        (Wide::default(), 1),
    ] {
        let world = World { wide, ..World::default() };
        server.asked();
        assert!(pour(&world, &server, &blob, 0, usize::MAX).expect("all of it") == content);
        assert_eq!(server.asked().len(), questions);
    }
}

#[test]
fn who_has_enough_or_stops_is_given_no_more() {
    let server = ShelfServer::right();
    let (content, world) = (content(SIZE), world(1000));
    let blob = hold(&server, &content);
    for most in [1, 1000, 4321, 99_999] {
        let given = pour(&world, &server, &blob, 0, most).expect("some of it");
        assert!(given.len() >= most && given == content[..given.len()], "{most}");
    }
    let remote = world.open(&server.app());
    let mut count = 0;
    let stopped = remote.origin(&blob).expect("no question").pour(0, &mut |bytes| {
        count += bytes.len();
        if count > 5000 { Err(Fault::from(Cancelled)) } else { Ok(ControlFlow::Continue(())) }
    });
    assert_eq!(stopped.map_err(|fault| fault.kind()), Err(Kind::Interrupted));
}

/// What a server makes of a question for a part; `number` counts them.
type Lie = fn(usize, &Asked, Reply) -> Reply;

#[test]
fn servers_without_parts_and_those_that_lie_about_them_give_the_whole_to_one_connection() {
    let cases: [(&str, Lie); 7] = [
        ("it ignores parts", |_, _, _| Reply::new(200).body(content(SIZE))),
        ("it refuses parts", |_, _, _| Reply::new(416)),
        ("it fails at some", |number, _, reply| if number == 3 { Reply::new(404) } else { reply }),
        ("it gives other parts", |_, _, reply| reply.with("Content-Range", format!("bytes 1-10000/{SIZE}"))),
        (
            "it tells no part",
            |number, _, reply| {
                if number > 2 { Reply::new(206).body(reply.body) } else { reply }
            },
        ),
        ("a piece is short", |number, _, mut reply| {
            if number == 4 {
                reply.body.truncate(10);
            }
            reply
        }),
        (
            "it gives all at the end",
            |number, _, reply| {
                if number > 5 { Reply::new(200).body(content(SIZE)) } else { reply }
            },
        ),
    ];
    for (name, lie) in cases {
        let number = AtomicUsize::new(0);
        let server = ShelfServer::that(move |asked: &Asked, reply| {
            // Of a part with both its ends: the rest of a blob is another question.
            let is_part = asked.header("Range").is_some_and(|range| !range.ends_with('-'));
            if is_part { lie(number.fetch_add(1, Ordering::SeqCst), asked, reply) } else { reply }
        });
        let (content, world) = (content(SIZE), world(10_000));
        let blob = hold(&server, &content);
        let given = pour(&world, &server, &blob, 0, usize::MAX);
        assert!(given.is_ok_and(|given| given == content), "{name}");
    }
}

#[test]
fn n10_one_blob_at_a_time_has_several_connections() {
    let server = ShelfServer::right();
    let (content, world) = (content(SIZE), world(10_000));
    let blob = hold(&server, &content);
    let remote = world.open(&server.app());
    let mut inner = None;
    server.asked();
    remote
        .origin(&blob)
        .expect("no question")
        .pour(0, &mut |_| {
            if inner.is_none() {
                server.asked();
                let given = pour(&world, &server, &blob, 0, usize::MAX)?;
                inner = Some((given == content, server.asked().len()));
            }
            Ok(ControlFlow::Break(()))
        })
        .expect("enough");
    assert_eq!(inner, Some((true, 1)));
}
