//! Whatever the order of their steps, runs that import, name, read, forget and sweep do each other no harm: a name stands
//! for a whole image at every moment, and nobody meets an error.
//!
//! Steps are what the seam sees: looks, lists, locks and changes. All orders are tried in which a run that could go on is
//! made to wait once, in a full run up to three times, each state once; the grace is nothing, so that everything that is not relied on is old.
//!
//! All orders are out of reach, though each state is had once. An import of one small content beside a sweep has 4390 states
//! with one switch and 541919 with three, which take two and a half minutes of CPU; two imports beside a sweep have 42997
//! with one, and did not end in five minutes with two. Each switch is about eleven times the states of the one before.

mod orders;
mod stored;

use orders::{Act, Stage, Switches, explore};
use orlop_spec::port::{Keeper as _, Name, Result, Source as _};
use orlop_spec::{Fault, Kind};
use orlop_store::Store;
use orlop_store::store::Options;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use stored::{files, forget, holds, image, publish, sweep, try_publish, try_sweep};
use testkit::scratch::scratch_in_memory;
use testkit::suites::copy::{by_tag, tag};
use testkit::suites::read;
use testkit::{full, proof};

/// The seam is one for the whole process.
static SEAM: Mutex<()> = Mutex::new(());

const FILES: &str = "a";

/// What the gate tries of a scene, and what a full run does.
const TWO: [Switches; 2] = [Switches(1), Switches(3)];
const THREE: [Switches; 2] = [Switches(1), Switches(1)];
const MANY: [Switches; 2] = [Switches(0), Switches(1)];

fn import_a(place: &Path) -> std::result::Result<(), String> {
    try_publish(place, "a", &image(FILES)).map_err(|fault| fault.to_string())
}

fn import_b(place: &Path) -> std::result::Result<(), String> {
    try_publish(place, "b", &image(FILES)).map_err(|fault| fault.to_string())
}

fn collect(place: &Path) -> std::result::Result<(), String> {
    try_sweep(place).map(drop).map_err(|fault| fault.to_string())
}

/// A name that another run has taken away is no error.
fn unless_gone<T>(outcome: Result<T>) -> std::result::Result<Option<T>, String> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(fault) if fault.kind() == Kind::NotFound => Ok(None),
        Err(fault) => Err(fault.to_string()),
    }
}

fn forget_a(place: &Path) -> std::result::Result<(), String> {
    let store = Store::open(place, &Options::default()).map_err(|fault| fault.to_string())?;
    unless_gone(store.forget(&by_tag("a"))).map(drop)
}

fn tag_b(place: &Path) -> std::result::Result<(), String> {
    let store = Store::open(place, &Options::default()).map_err(|fault| fault.to_string())?;
    let Some(roots) = unless_gone(store.resolve(&by_tag("a")))? else { return Ok(()) };
    let name: Name = tag("b");
    store.assign(&name, &roots[0]).map_err(|fault| fault.to_string())
}

/// Whoever is told of an image can read all of it.
fn read_a(place: &Path) -> std::result::Result<(), String> {
    let store = Store::open(place, &Options::default()).map_err(|fault| fault.to_string())?;
    if unless_gone(store.resolve(&by_tag("a")))?.is_none() {
        return Ok(());
    }
    for (blob, content) in &image(FILES).blobs {
        let found = read(&store, blob).map_err(|fault: Fault| fault.to_string())?;
        assert!(found == *content, "{}", blob.digest);
    }
    Ok(())
}

/// Nothing is there but what an older run left.
fn unnamed(place: &Path) {
    publish(place, "a", &image(FILES));
    forget(place, "a");
}

fn named(place: &Path) {
    publish(place, "a", &image(FILES));
}

fn empty(place: &Path) {
    publish(place, "a", &image(FILES));
    forget(place, "a");
    stored::settle();
    sweep(place);
}

fn whole(place: &Path) {
    for name in ["a", "b"] {
        holds(place, name, &image(FILES));
    }
    try_sweep(place).expect("a sound store is swept");
    for name in ["a", "b"] {
        holds(place, name, &image(FILES));
    }
}

/// What a name of the image needs.
fn needed() -> std::collections::BTreeSet<std::path::PathBuf> {
    let scratch = scratch_in_memory();
    let place = scratch.path("store");
    publish(&place, "a", &image(FILES));
    files(&place)
}

/// Which of the runs sweep is their place in the list.
fn try_all(what: &str, prepare: fn(&Path), acts: &[Act], sweepers: &[usize], [few, most]: [Switches; 2]) {
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    let proof = format!("store: orders of {what}");
    let stage = Stage::new(prepare, &needed(), sweepers.to_vec(), whole);
    if !stage.clock.is_fine() {
        proof::not_offered(&proof, "the clock of this kernel's files does not tell steps apart");
        return;
    }
    let explored = explore(&stage, acts, if full() { most } else { few });
    assert!(explored.orders > 1, "{explored:?}");
    if std::env::var_os("ORLOP_SHOW").is_some() {
        std::io::Write::write_all(&mut std::io::stderr(), format!("{what}: {explored:?}\n").as_bytes())
            .expect("shown");
    }
    proof::ran(&proof, explored.states);
}

#[test]
fn an_import_beside_a_sweep() {
    try_all("an import and a sweep", unnamed, &[import_a, collect], &[1], TWO);
}

#[test]
fn a_reader_beside_one_that_forgets_and_a_sweep() {
    try_all("a reader, one that forgets, and a sweep", named, &[read_a, forget_a, collect], &[2], THREE);
}

#[test]
fn a_further_name_beside_one_that_forgets_and_a_sweep() {
    try_all("a further name, one that forgets, and a sweep", named, &[tag_b, forget_a, collect], &[2], THREE);
}

#[test]
fn two_imports_beside_a_sweep() {
    try_all("two imports and a sweep", unnamed, &[import_a, import_b, collect], &[2], THREE);
}

#[test]
fn two_imports_into_an_empty_store_beside_a_sweep() {
    try_all(
        "two imports into an empty store, and a sweep",
        empty,
        &[import_a, import_b, collect],
        &[2],
        MANY,
    );
}

#[test]
fn an_import_beside_two_sweeps() {
    try_all("an import and two sweeps", unnamed, &[import_a, collect, collect], &[1, 2], MANY);
}
