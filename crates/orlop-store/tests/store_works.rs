//! Every changing file operation of every work on the names of a store is hit once: the process dies before it, it fails
//! with EIO, or the disk is full from there on. Afterwards every name stands for a whole image, the old or the new one; the
//! same work, done again, succeeds; and a sweep leaves exactly what an undisturbed run does.
//!
//! A work that is to die runs in a child process of this test program.

mod stored;

use orlop_spec::Kind;
use orlop_spec::port::{Keeper as _, Result, Source as _};
use orlop_store::Store;
use orlop_store::store::Options;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use stored::{files, forget, holds, image, publish, settle, sweep, try_publish, try_sweep};
use testkit::fault::under;
use testkit::scratch::scratch_in_memory;
use testkit::suites::copy::{by_tag, tag};
use testkit::{Command, proof};

/// Tells a child what to do: `WORK|FAULT|FOLDER`.
const CHILD: &str = "ORLOP_STORE_WORK";

/// Something that changes a store, in which `old` is an image of the files `ab`.
struct Work {
    name: &'static str,
    prepare: fn(&Path),
    run: fn(&Path) -> Result<()>,
    /// Names that are there when it is done.
    done: &'static [(&'static str, &'static str)],
}

const WORKS: &[Work] = &[
    Work {
        name: "an image more",
        prepare: |_| (),
        run: |place| try_publish(place, "new", &image("bc")),
        done: &[("new", "bc"), ("old", "ab")],
    },
    Work {
        name: "another image of the name",
        prepare: |_| (),
        run: |place| try_publish(place, "old", &image("bc")),
        done: &[("old", "bc")],
    },
    Work { name: "a further name", prepare: |_| (), run: assign, done: &[("new", "ab"), ("old", "ab")] },
    Work {
        name: "a name less",
        prepare: |place| publish(place, "gone", &image("bc")),
        run: untag,
        done: &[("old", "ab")],
    },
    Work {
        name: "a sweep",
        prepare: unnamed,
        run: |place| try_sweep(place).map(drop),
        done: &[("old", "ab")],
    },
];

fn assign(place: &Path) -> Result<()> {
    let store = Store::open(place, &Options::default())?;
    let roots = store.resolve(&by_tag("old"))?;
    store.assign(&tag("new"), &roots[0])
}

fn untag(place: &Path) -> Result<()> {
    match Store::open(place, &Options::default())?.forget(&by_tag("gone")) {
        Err(fault) if fault.kind() == Kind::NotFound => Ok(()),
        outcome => outcome.map(drop),
    }
}

fn unnamed(place: &Path) {
    publish(place, "gone", &image("bc"));
    forget(place, "gone");
    settle();
}

/// The seam is one for the whole process, so one test has it at a time.
static SEAM: Mutex<()> = Mutex::new(());

#[test]
fn a_killed_work_leaves_old_or_new_and_succeeds_again() {
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    let cases = WORKS.iter().map(|work| hit_every_step(work, "kill", &killed)).sum();
    proof::ran("crash: works on names of a store killed at every file operation", cases);
}

#[test]
fn a_failing_disk_leaves_old_or_new_and_succeeds_again() {
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    let each = |work| hit_every_step(work, "eio", &failed) + hit_every_step(work, "enospc", &failed);
    let cases = WORKS.iter().map(each).sum();
    proof::ran("crash: works on names of a store failed at every file operation with EIO and ENOSPC", cases);
}

fn prepared(work: &Work, place: &Path) {
    publish(place, "old", &image("ab"));
    (work.prepare)(place);
}

/// What a sweep leaves when nothing disturbed the work.
fn undisturbed(work: &Work) -> BTreeSet<PathBuf> {
    let scratch = scratch_in_memory();
    let place = scratch.path("store");
    prepared(work, &place);
    (work.run)(&place).expect("nothing disturbs it");
    swept(&place)
}

fn swept(place: &Path) -> BTreeSet<PathBuf> {
    settle();
    sweep(place);
    files(place)
}

/// Hits the first operation, then the second, until the work ends before it is hit; how many there were.
fn hit_every_step(work: &Work, fault: &str, run: &dyn Fn(&Work, &str, &Path) -> Ended) -> usize {
    let clean = undisturbed(work);
    for step in 1.. {
        let (scratch, what) = (scratch_in_memory(), format!("{}: {fault} {step}", work.name));
        let place = scratch.path("store");
        prepared(work, &place);
        let ended = run(work, &format!("{fault}:{step}"), &place);
        between(work, &place, &what);
        (work.run)(&place).unwrap_or_else(|fault| panic!("{what}, again: {fault}"));
        for (name, files) in work.done {
            assert!(holds(&place, name, &image(files)), "{what}: {name}");
        }
        assert_eq!(swept(&place), clean, "{what}: what a sweep leaves");
        if ended == Ended::NotHit {
            // A full disk hinders no removal.
            assert!(step > 2 || fault == "enospc", "{what}: the seam saw too little");
            return step - 1;
        }
    }
    unreachable!("a work ends")
}

/// Every name stands for what it did before, or will.
fn between(work: &Work, place: &Path, what: &str) {
    let store = stored::open(place);
    let (records, faults) = store.records().all().expect("read");
    assert!(faults.is_empty(), "{what}: {faults:?}");
    let was = [("old", "ab"), ("gone", "bc")];
    for record in &records {
        let name = record.name.tag().expect("tagged");
        let is =
            |(known, files): &(&str, &str)| *known == name && image(files).root.digest == record.root.digest;
        let (_, files) =
            was.iter().chain(work.done).find(|known| is(known)).unwrap_or_else(|| panic!("{what}: {name}"));
        image(files).check(&store);
    }
    assert!(records.iter().any(|record| record.name.tag() == Some("old")), "{what}: old is lost");
}

/// How a work under a fault ended.
#[derive(PartialEq, Eq)]
enum Ended {
    /// It was over before the fault came.
    NotHit,
    Hit,
}

fn failed(work: &Work, fault: &str, place: &Path) -> Ended {
    match under(fault, || (work.run)(place)) {
        (Ok(()), false) => Ended::NotHit,
        // What was in the way was only tidying up, or there already.
        (Ok(()), true) => Ended::Hit,
        (Err(fault), true) => {
            assert!(fault.to_string().contains("cannot"), "the message says what failed: {fault}");
            Ended::Hit
        }
        (Err(fault), false) => panic!("{} fails by itself: {fault}", work.name),
    }
}

/// The same in a process of its own, which dies.
fn killed(work: &Work, fault: &str, place: &Path) -> Ended {
    let task = format!("{}|{fault}|{}", work.name, place.display());
    let this = std::env::current_exe().expect("a test program knows its path");
    let child = Command::new(this).args(["--exact", "child"]).env(CHILD, task).run();
    if child.success() { Ended::NotHit } else { Ended::Hit }
}

/// Not a test of its own: what a child process does.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let [work, fault, place] = task.splitn(3, '|').collect::<Vec<_>>()[..] else { panic!("{task}") };
    let work = WORKS.iter().find(|known| known.name == work).expect("a known work");
    under(fault, || (work.run)(Path::new(place))).0.expect("whoever lives has done its work");
}
