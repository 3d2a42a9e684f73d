//! Every changing file operation of an import is hit once: the process dies before it, it fails with EIO, or the disk
//! is full from there on. Afterwards every object is what its name says, what was in the store is whole, and the same
//! import, done again, succeeds.
//!
//! An import that is to die runs in a child process of this test program.

mod layers;

use layers::{Form, export, import, sound_objects, sparse};
use orlop_layer::Stages;
use orlop_spec::digest::{Algorithm, DiffId, Digest};
use orlop_spec::port::Result;
use orlop_store::Store;
use orlop_store::store::Options;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use testkit::fault::under;
use testkit::scratch::scratch_in_memory;
use testkit::tarball::{Member, tar};
use testkit::{Command, noise, proof};

/// Tells a child what to do: `FAULT|FOLDER`.
const CHILD: &str = "ORLOP_STORE_IMPORT";

/// The seam is one for the whole process, so one test has it at a time.
static SEAM: Mutex<()> = Mutex::new(());

/// How an import under a fault ended.
#[derive(PartialEq, Eq)]
enum Ended {
    /// It was over before the fault came.
    NotHit,
    /// It failed, or its process died.
    Hit,
}

/// What is in the store before.
fn old() -> Vec<u8> {
    tar([Member::file("old", [1; 1000]), Member::file("both", [2; 1000])])
}

fn new() -> Vec<u8> {
    let files = [
        Member::file("both", [2; 1000]),
        Member::file("short", "short"),
        Member::file("new", [3; 1000]),
        Member::file("large", noise(1, 600_000)),
    ];
    let holes = |form| sparse(form, "sparse", 900_000, &[(500_000, vec![4; 3000])]);
    tar(files.into_iter().chain(Form::ALL.into_iter().flat_map(holes)))
}

fn diff_id(layer: &[u8]) -> DiffId {
    DiffId(Digest::of(Algorithm::Sha256, layer))
}

fn take(place: &Path, layer: &[u8]) -> Result<()> {
    import(&Store::create(place, &Options::default())?, layer, Stages::One).map(drop)
}

/// Every name in the store is of something whole; what was there is there.
fn is_sound(place: &Path, what: &str) {
    let store = Store::create(place, &Options::default()).expect("a store");
    sound_objects(place);
    assert!(export(&store, &diff_id(&old())).expect("it was there") == old(), "{what}");
    let lists = place.join("layers/sha256").read_dir().expect("a folder").count();
    if lists > 1 {
        assert!(export(&store, &diff_id(&new())).expect("its list is there") == new(), "{what}");
    }
}

fn is_done(place: &Path, what: &str) {
    is_sound(place, what);
    let store = Store::create(place, &Options::default()).expect("a store");
    assert!(export(&store, &diff_id(&new())).expect("it is there") == new(), "{what}");
    assert_eq!(sound_objects(place).len(), 5, "{what}");
    let folders = [place.join("layers"), place.join("objects")];
    let litter = folders.iter().flat_map(|folder| folder.read_dir().expect("a folder").flatten());
    assert!(litter.into_iter().all(|entry| entry.path().is_dir()), "{what}: nothing temporary is left");
}

/// Hits the first operation, then the second, until the import ends before it is hit; how many there were.
fn hit_every_step(fault: &str, run: &dyn Fn(&str, &Path) -> Ended) -> usize {
    for step in 1.. {
        let (scratch, what) = (scratch_in_memory(), format!("{fault} {step}"));
        let place = scratch.folder("store");
        take(&place, &old()).expect("taken");
        let ended = run(&format!("{fault}:{step}"), &place);
        is_sound(&place, &what);
        take(&place, &new()).unwrap_or_else(|fault| panic!("{what}, again: {fault}"));
        is_done(&place, &what);
        if ended == Ended::NotHit {
            assert!(step > 20, "{what}: the seam saw too little");
            return step - 1;
        }
    }
    unreachable!("an import ends")
}

fn failed(fault: &str, place: &Path) -> Ended {
    match under(fault, || take(place, &new())) {
        (Ok(()), false) => Ended::NotHit,
        // A folder that could not be made again was there, and a full disk does not hinder what follows.
        (Ok(()), true) => Ended::Hit,
        (Err(fault), true) => {
            assert!(fault.to_string().contains("cannot"), "the message says what failed: {fault}");
            Ended::Hit
        }
        (Err(fault), false) => panic!("an import fails by itself: {fault}"),
    }
}

/// The same in a process of its own, which dies.
fn killed(fault: &str, place: &Path) -> Ended {
    let task = format!("{fault}|{}", place.display());
    let this = std::env::current_exe().expect("a test program knows its path");
    let child = Command::new(this).args(["--exact", "child"]).env(CHILD, task).run();
    if child.success() { Ended::NotHit } else { Ended::Hit }
}

/// Not a test of its own: what a child process does.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let (fault, place) = task.split_once('|').expect("two words");
    under(fault, || take(Path::new(place), &new())).0.expect("whoever lives has done its work");
}

#[test]
fn a_killed_import_leaves_whole_objects_and_succeeds_again() {
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    proof::ran(
        "crash: an import into a store killed at every file operation",
        hit_every_step("kill", &killed),
    );
}

#[test]
fn an_import_on_a_failing_disk_leaves_whole_objects_and_succeeds_again() {
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    let cases = hit_every_step("eio", &failed) + hit_every_step("enospc", &failed);
    proof::ran("crash: an import into a store failed at every file operation with EIO and ENOSPC", cases);
}
