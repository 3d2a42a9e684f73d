//! Every fault of the fault server against the client: it ends as its row says, in time, without a wrong byte, and
//! without a secret in wrong hands (N1–N4, N10, N12; items 201–206, 210, 213–215).

mod judge;
mod tls;
mod walk;
mod world;

use judge::judge;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use testkit::fault_server::{Fault, FaultServer, Guard, Part, Walk, faults};
use testkit::proof;

/// Who is let in: a secret that nobody asks for cannot get lost.
const GUARD: Guard = Guard::Open;

/// Most of a run is waiting for a server that says nothing.
const LANES: usize = 8;

/// Runs every fault of a walk, and tells all that went wrong.
fn run(name: &str, walk: Walk) {
    let rows: Vec<&Fault> = faults::all().filter(|fault| fault.walk == walk && is_chosen(fault)).collect();
    let (next, wrongs) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(fault) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let wrong = judge(fault);
                    wrongs.lock().unwrap_or_else(PoisonError::into_inner).extend(wrong);
                }
            });
        }
    });
    let wrongs = wrongs.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(wrongs.is_empty(), "{} of {} are wrong:\n{}", wrongs.len(), rows.len(), wrongs.join("\n"));
    proof::ran(name, rows.len());
}

/// `FAULT=some words` chooses rows while one looks for a mistake.
fn is_chosen(fault: &Fault) -> bool {
    let needs_tokens = fault.at == Part::Stranger || fault.name.contains("401");
    let is_named = std::env::var("FAULT").map_or(true, |words| fault.name.contains(&words));
    is_named && (GUARD == Guard::Token || !needs_tokens)
}

#[test]
fn n10_faults_of_reading_end_well() {
    run("faults: reading an image", Walk::Pull);
}

#[test]
fn n3_faults_of_writing_end_well() {
    run("faults: writing an image", Walk::Push);
}

#[test]
fn item_215_faults_of_chunks_end_well() {
    run("faults: writing in chunks", Walk::Chunks);
}

#[test]
fn faults_of_mounting_end_well() {
    run("faults: mounting", Walk::Mount);
}

#[test]
fn n4_item_214_faults_of_lists_end_well() {
    run("faults: listing tags", Walk::Tags);
}

/// What is listed by pages is listed whole.
#[test]
fn a_hundred_thousand_tags_are_listed() {
    let server = FaultServer::start(None, GUARD);
    let count = 100_000;
    server
        .shelf()
        .tags
        .extend((0..count).map(|number| (("app".into(), format!("t{number:06}")), String::new())));
    let world = world::World::new(server);
    let tags = walk::tags(&world).expect("they are listed");
    assert_eq!(tags.len(), count);
    assert!(tags.windows(2).all(|pair| pair[0] < pair[1]));
}
