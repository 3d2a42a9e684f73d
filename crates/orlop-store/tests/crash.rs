//! Every changing file operation of every work on a store is hit once: the process dies before it, it fails with
//! EIO, or the disk is full from there on. Afterwards the place is what it was or what it was to be, and the
//! same work, done again, succeeds.
//!
//! A work that is to die runs in a child process of this test program.

use orlop_layer::Time;
use orlop_spec::Limits;
use orlop_spec::port::{Catalog, Hints, Keeper as _, Name, Result, Selector, Sink, Source as _, Sweep};
use orlop_store::{DockerArchive, Exploded, Layout, OciArchive, Options, archive};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use testkit::fault::under;
use testkit::scratch::scratch_in_memory;
use testkit::suites::copy::{by_tag, tag};
use testkit::suites::{Sample, read};
use testkit::{Command, proof};

/// Tells a child what to do: `WORK|FAULT|FOLDER`.
const CHILD: &str = "ORLOP_STORE_CRASH";

/// Something that changes a place.
struct Work {
    name: &'static str,
    /// What is there before.
    prepare: fn(&Path),
    run: fn(&Path) -> Result<()>,
    /// The place after a fault: old or new, and whole.
    between: fn(&Path),
    /// The place after the work was done again.
    after: fn(&Path),
}

const WORKS: &[Work] = &[
    Work {
        name: "a new layout",
        prepare: nothing,
        run: fill_layout,
        between: layout_if_any,
        after: layout_new,
    },
    Work {
        name: "a second image in a layout",
        prepare: old_layout,
        run: fill_layout,
        between: layout_keeps_old,
        after: layout_both,
    },
    Work {
        name: "tag in a layout",
        prepare: old_layout,
        run: tag_layout,
        between: layout_keeps_old,
        after: layout_tagged,
    },
    Work {
        name: "untag in a layout",
        prepare: both_layout,
        run: untag_layout,
        between: layout_keeps_old,
        after: layout_untagged,
    },
    Work {
        name: "gc of a layout",
        prepare: unnamed_layout,
        run: sweep_layout,
        between: layout_keeps_old,
        after: layout_untagged,
    },
    Work {
        name: "a new OCI archive",
        prepare: nothing,
        run: write_archive,
        between: archive_if_any,
        after: archive_new,
    },
    Work {
        name: "an OCI archive replaced",
        prepare: old_archive,
        run: write_archive,
        between: archive_old_or_new,
        after: archive_new,
    },
    Work {
        name: "tag in an OCI archive",
        prepare: new_archive,
        run: tag_archive,
        between: archive_old_or_new,
        after: archive_tagged,
    },
    Work {
        name: "a Docker archive",
        prepare: nothing,
        run: write_docker,
        between: nothing,
        after: docker_new,
    },
    Work { name: "a new dir", prepare: nothing, run: write_dir, between: dir_if_any, after: dir_new },
    Work {
        name: "a dir replaced",
        prepare: old_dir,
        run: write_dir,
        between: dir_old_or_new,
        after: dir_new,
    },
];

/// The seam is one for the whole process, so one test has it at a time.
static SEAM: Mutex<()> = Mutex::new(());

#[test]
fn a_killed_work_leaves_old_or_new_and_succeeds_again() {
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    let cases = WORKS.iter().map(|work| hit_every_step(work, "kill", &killed)).sum();
    proof::ran("crash: store killed at every file operation", cases);
}

#[test]
fn a_failing_disk_leaves_old_or_new_and_succeeds_again() {
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    let each = |work| hit_every_step(work, "eio", &failed) + hit_every_step(work, "enospc", &failed);
    proof::ran(
        "crash: store failed at every file operation with EIO and ENOSPC",
        WORKS.iter().map(each).sum(),
    );
}

/// How a work under a fault ended.
enum Ended {
    /// It was over before the fault came.
    NotHit,
    /// It said that it succeeded: the fault was in what is only tidying up.
    Done,
    /// It failed, or its process died.
    Hit,
}

/// Hits the first operation, then the second, until the work ends before it is hit; how many there were.
fn hit_every_step(work: &Work, fault: &str, run: &dyn Fn(&Work, &str, &Path) -> Ended) -> usize {
    for step in 1.. {
        let (scratch, what) = (scratch_in_memory(), format!("{}: {fault} {step}", work.name));
        let place = scratch.folder("place");
        (work.prepare)(&place);
        match run(work, &format!("{fault}:{step}"), &place) {
            Ended::NotHit => {
                // A sweep takes no space, so that a full disk does not hinder it.
                assert!(step > 3 || fault == "enospc", "{what}: the seam saw too little");
                (work.after)(&place);
                no_litter(&place, &what);
                return step - 1;
            }
            Ended::Done => (work.after)(&place),
            Ended::Hit => (work.between)(&place),
        }
        (work.run)(&place).unwrap_or_else(|fault| panic!("{what}, again: {fault}"));
        (work.after)(&place);
        no_litter(&place, &what);
    }
    unreachable!("a work ends")
}

fn failed(work: &Work, fault: &str, place: &Path) -> Ended {
    match under(fault, || (work.run)(place)) {
        (Ok(()), false) => Ended::NotHit,
        (Ok(()), true) => Ended::Done,
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

/// After a sweep nothing temporary is left, in the place or beside it; and in a `dir:` nothing of another image.
fn no_litter(place: &Path, what: &str) {
    if let Ok(layout) = Layout::open(place.join("layout"), &options()) {
        layout.sweep(Duration::ZERO, Sweep::Remove).expect("a sound layout is swept");
    }
    if let Ok(entries) = place.join("dir").read_dir() {
        let names: BTreeSet<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names.len(), 5, "{what}: version, root, config and two layers: {names:?}");
    }
    let mut folders = vec![place.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder of ours").flatten() {
            let name = entry.file_name().into_string().expect("our names are text");
            assert!(!name.contains(".orlop-"), "{what}: {name}");
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
    }
}

fn options() -> Options {
    Options { now: Time::from_seconds(4_102_444_800), ..Options::default() }
}

fn old() -> Sample {
    Sample::new("the old image")
}

fn new() -> Sample {
    Sample::new("the new image")
}

fn nothing(_: &Path) {}

fn publish(sink: impl Sink, sample: &Sample, name: Name) -> Result<()> {
    for (blob, content) in &sample.blobs {
        sink.put(blob, content, &Hints::default())?;
    }
    Box::new(sink).finish(&[(name, sample.root.clone())])
}

/// Whether a name stands for a sample, whole.
fn holds(catalog: &dyn Catalog, name: &str, sample: &Sample) -> bool {
    match catalog.resolve(&by_tag(name)) {
        Ok(roots) if roots[0].digest == sample.root.digest => {
            sample.check(catalog);
            true
        }
        _ => false,
    }
}

fn layout(place: &Path) -> Layout {
    Layout::open(place.join("layout"), &options()).expect("it is a layout")
}

fn fill_layout(place: &Path) -> Result<()> {
    publish(Layout::create(place.join("layout"), &options())?, &new(), tag("new"))
}

fn old_layout(place: &Path) {
    let sink = Layout::create(place.join("layout"), &options()).expect("made");
    publish(sink, &old(), tag("old")).expect("published");
}

fn both_layout(place: &Path) {
    old_layout(place);
    fill_layout(place).expect("published");
}

fn unnamed_layout(place: &Path) {
    both_layout(place);
    untag_layout(place).expect("it is there");
}

fn tag_layout(place: &Path) -> Result<()> {
    let layout = Layout::open(place.join("layout"), &options())?;
    layout.assign(&tag("more"), &old().root)
}

fn untag_layout(place: &Path) -> Result<()> {
    let layout = Layout::open(place.join("layout"), &options())?;
    match layout.forget(&by_tag("new")) {
        Err(fault) if fault.kind() == orlop_spec::Kind::NotFound => Ok(()),
        outcome => outcome.map(drop),
    }
}

fn sweep_layout(place: &Path) -> Result<()> {
    let layout = Layout::open(place.join("layout"), &options())?;
    layout.sweep(Duration::ZERO, Sweep::Remove).map(drop)
}

/// Every name of a layout is whole.
fn layout_if_any(place: &Path) {
    if place.join("layout/oci-layout").exists() {
        let layout = layout(place);
        assert!(holds(&layout, "new", &new()) || layout.names().expect("a listing").is_empty());
    }
}

fn layout_keeps_old(place: &Path) {
    let layout = layout(place);
    assert!(holds(&layout, "old", &old()));
    let names = layout.names().expect("a listing");
    assert!(names.len() == 1 || holds(&layout, "new", &new()) || holds(&layout, "more", &old()));
}

fn layout_new(place: &Path) {
    assert!(holds(&layout(place), "new", &new()));
}

fn layout_both(place: &Path) {
    layout_keeps_old(place);
    layout_new(place);
}

fn layout_tagged(place: &Path) {
    assert!(holds(&layout(place), "more", &old()));
    layout_keeps_old(place);
}

fn layout_untagged(place: &Path) {
    sweep_layout(place).expect("a sound layout is swept");
    let layout = layout(place);
    assert!(holds(&layout, "old", &old()) && layout.names().expect("a listing").len() == 1);
    assert!(read(&layout, &new().root).is_err());
}

fn archives(place: &Path) -> archive::Options {
    archive::Options { tmpdir: place.into(), limits: Limits::default(), cancel: None }
}

fn opened(place: &Path) -> OciArchive {
    OciArchive::open(place.join("a.tar"), &archives(place)).expect("it is an archive")
}

fn write_archive(place: &Path) -> Result<()> {
    publish(OciArchive::create(place.join("a.tar"), &archives(place))?, &new(), tag("new"))
}

fn old_archive(place: &Path) {
    let sink = OciArchive::create(place.join("a.tar"), &archives(place)).expect("made");
    publish(sink, &old(), tag("old")).expect("published");
}

fn new_archive(place: &Path) {
    write_archive(place).expect("published");
}

fn tag_archive(place: &Path) -> Result<()> {
    OciArchive::open(place.join("a.tar"), &archives(place))?.assign(&tag("more"), &new().root)
}

fn archive_if_any(place: &Path) {
    if place.join("a.tar").exists() {
        archive_new(place);
    }
}

fn archive_old_or_new(place: &Path) {
    let archive = opened(place);
    assert!(holds(&archive, "old", &old()) || holds(&archive, "new", &new()));
}

fn archive_new(place: &Path) {
    assert!(holds(&opened(place), "new", &new()));
}

fn archive_tagged(place: &Path) {
    archive_new(place);
    assert!(holds(&opened(place), "more", &new()));
}

fn write_docker(place: &Path) -> Result<()> {
    publish(DockerArchive::create(place.join("a.tar"), &archives(place))?, &new(), tag("app"))
}

fn docker_new(place: &Path) {
    let archive = DockerArchive::open(place.join("a.tar"), &archives(place)).expect("it is an archive");
    assert!(holds(&archive, "app", &new()));
}

fn write_dir(place: &Path) -> Result<()> {
    publish(Exploded::create(place.join("dir"), &Limits::default())?, &new(), Name::Untagged)
}

fn old_dir(place: &Path) {
    let sink = Exploded::create(place.join("dir"), &Limits::default()).expect("made");
    publish(sink, &old(), Name::Untagged).expect("published");
}

fn dir_if_any(place: &Path) {
    if place.join("dir/manifest.json").exists() {
        dir_new(place);
    }
}

fn dir_old_or_new(place: &Path) {
    let dir = Exploded::open(place.join("dir"), &Limits::default()).expect("it is a dir:");
    let root = dir.resolve(&Selector::Only).expect("one image").remove(0);
    let sample = if root.digest == new().root.digest { new() } else { old() };
    assert_eq!(root.digest, sample.root.digest);
    sample.check(&dir);
}

fn dir_new(place: &Path) {
    let dir = Exploded::open(place.join("dir"), &Limits::default()).expect("it is a dir:");
    assert_eq!(dir.resolve(&Selector::Only).expect("one image")[0].digest, new().root.digest);
    new().check(&dir);
}
