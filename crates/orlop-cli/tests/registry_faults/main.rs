//! Every fault of the fault server against the program: it ends as the fault's row says, in time, with the exit code
//! of its kind; without a wrong byte at either end, a secret in wrong hands, or what a server said raw on a terminal
//! (N1–N4, N10, N12, L1; items 202–206, 210–215).
//!
//! The gate takes every third row, a full run all of them.

mod judge;
mod world;

use judge::judge;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use testkit::fault_server::{Fault, Walk, faults};
use testkit::{full, proof};
use world::Goods;

/// Most of a run is waiting for a server that says nothing.
const LANES: usize = 6;
/// A body of more than 64 MiB is in memory several times, at the server and on its way.
const LARGE_LANES: usize = 2;

/// Runs the rows of some walks, and tells all that went wrong.
fn run(name: &str, walks: &[Walk], goods: &Goods, lanes: usize) {
    let rows: Vec<&Fault> = chosen().filter(|fault| walks.contains(&fault.walk)).collect();
    assert!(!rows.is_empty(), "no fault is chosen");
    let (next, wrongs) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                while let Some(fault) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let wrong = judge(fault, goods);
                    wrongs.lock().unwrap_or_else(PoisonError::into_inner).extend(wrong);
                }
            });
        }
    });
    let wrongs = wrongs.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(wrongs.is_empty(), "{} of {} are wrong:\n{}", wrongs.len(), rows.len(), wrongs.join("\n"));
    proof::ran(name, rows.len());
}

/// Every third fault of the table, or all; `FAULT=some words` chooses rows while one looks for a mistake.
fn chosen() -> impl Iterator<Item = &'static Fault> {
    let words = std::env::var("FAULT").unwrap_or_default();
    let is_chosen = move |number: usize, name: &str| match words.as_str() {
        "" => full() || number.is_multiple_of(3),
        words => name.contains(words),
    };
    faults::all().enumerate().filter(move |(number, fault)| is_chosen(*number, fault.name)).map(|(_, it)| it)
}

#[test]
fn faults_of_pulling_end_well() {
    run("faults: the program pulls", &[Walk::Pull], &Goods::small(), LANES);
}

#[test]
fn faults_of_pushing_end_well() {
    run("faults: the program pushes and mounts", &[Walk::Push, Walk::Mount], &Goods::small(), LANES);
}

#[test]
fn faults_of_chunks_end_well() {
    run("faults: the program pushes in chunks", &[Walk::Chunks], &Goods::large(), LARGE_LANES);
}

/// N4, item 214.
#[test]
fn faults_of_lists_end_well() {
    run("faults: the program lists tags", &[Walk::Tags], &Goods::small(), LANES);
}
