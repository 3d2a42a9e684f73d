//! Several writers, sweepers and readers of one layout: no tag is ever lost, and no name stands for something
//! that is not whole.

use orlop_layer::Time;
use orlop_spec::port::{Catalog as _, Keeper as _, Name, Sink as _, Source as _, Sweep};
use orlop_store::{Layout, Options};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use testkit::scratch::scratch_in_memory;
use testkit::suites::Sample;
use testkit::suites::copy::{by_tag, tag};
use testkit::{Command, full, peer, proof};

/// Tells a child what to do: `NUMBER|ROUNDS|FOLDER`.
const CHILD: &str = "ORLOP_STORE_WRITER";

/// By this clock everything was made long ago, so that only the locks protect what writers are at.
fn options() -> Options {
    Options { now: Time::from_seconds(4_102_444_800), ..Options::default() }
}

fn rounds() -> usize {
    if full() { 200 } else { 40 }
}

/// An image that shares a layer with all others.
fn image(writer: usize, round: usize) -> (Name, Sample) {
    (tag(&format!("{writer}.{round}")), Sample::new(&format!("image {round} of {writer}")))
}

fn write(layout: &Path, writer: usize, rounds: usize) {
    for round in 0..rounds {
        let (name, sample) = image(writer, round);
        let sink = Layout::create(layout, &options()).expect("a layout, or none yet");
        sample.put(&sink);
        if round % 5 == 4 {
            // Some give up, and try again.
            drop(sink);
            let sink = Layout::create(layout, &options()).expect("a layout, or none yet");
            sample.put(&sink);
            Box::new(sink).finish(&[(name, sample.root)]).expect("published");
        } else {
            Box::new(sink).finish(&[(name, sample.root)]).expect("published");
        }
    }
}

fn check(layout: &Path, writers: usize, rounds: usize) {
    let opened = Layout::open(layout, &options()).expect("it is a layout");
    assert_eq!(opened.names().expect("a listing").len(), writers * rounds);
    for writer in 0..writers {
        for round in 0..rounds {
            let (name, sample) = image(writer, round);
            let Name::Tag(name) = name else { unreachable!("images are tagged") };
            let roots =
                opened.resolve(&by_tag(&name)).unwrap_or_else(|fault| panic!("{name} was lost: {fault}"));
            assert_eq!(roots[0].digest, sample.root.digest);
            sample.check(&opened);
        }
    }
}

#[test]
fn threads_that_write_and_sweep_lose_no_tag() {
    let (scratch, rounds, writers) = (scratch_in_memory(), rounds(), 4);
    let (layout, done) = (scratch.path("layout"), AtomicBool::new(false));
    thread::scope(|threads| {
        let sweeper = threads.spawn(|| {
            let mut sweeps = 0;
            while !done.load(Ordering::Relaxed) {
                if let Ok(opened) = Layout::open(&layout, &options())
                    && let Ok(swept) = opened.sweep(Duration::ZERO, Sweep::Remove)
                {
                    sweeps += 1;
                    assert_eq!(swept.litter, 0, "a temporary file of a writer at work was found");
                }
                thread::sleep(Duration::from_millis(1));
            }
            sweeps
        });
        let threads: Vec<_> = (0..writers)
            .map(|writer| {
                let layout = &layout;
                threads.spawn(move || write(layout, writer, rounds))
            })
            .collect();
        let ended: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(sweeper.join().expect("a sweeper does not panic") > 0, "sweeps ran beside the writers");
        assert!(ended.into_iter().all(|ended| ended.is_ok()));
    });
    check(&layout, writers, rounds);
    proof::ran("writers: threads and sweeps on one layout", writers * rounds);
}

#[test]
fn processes_that_write_lose_no_tag() {
    let (scratch, rounds, writers) = (scratch_in_memory(), rounds(), 4);
    let layout = scratch.path("layout");
    thread::scope(|threads| {
        for writer in 0..writers {
            let task = format!("{writer}|{rounds}|{}", layout.display());
            let this = std::env::current_exe().expect("a test program knows its path");
            threads.spawn(move || Command::new(this).args(["--exact", "child"]).env(CHILD, task).ok());
        }
    });
    check(&layout, writers, rounds);
    proof::ran("writers: processes on one layout", writers * rounds);
}

#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let [writer, rounds, layout] = task.splitn(3, '|').collect::<Vec<_>>()[..] else { panic!("{task}") };
    write(Path::new(layout), writer.parse().expect("a number"), rounds.parse().expect("a number"));
}

#[test]
fn a_writer_that_knows_no_lock_is_noticed() {
    let name = "writers: skopeo beside us on one layout";
    let Some(skopeo) = peer("skopeo") else { return proof::skipped(name, "skopeo is missing") };
    let scratch = scratch_in_memory();
    let (layout, source, rounds) = (scratch.path("layout"), scratch.path("source"), 8);
    write(&source, 9, 1);
    write(&layout, 0, 1);
    thread::scope(|threads| {
        let ours = threads.spawn(|| write(&layout, 1, rounds));
        for round in 0..rounds {
            let from = format!("oci:{}:9.0", source.display());
            let to = format!("oci:{}:skopeo-{round}", layout.display());
            skopeo.command().args(["--insecure-policy", "copy", "--quiet", &from, &to]).ok();
        }
        ours.join().expect("our writer does not panic");
    });
    let opened = Layout::open(&layout, &options()).expect("it is a layout");
    // skopeo may overwrite what we wrote between its reading and its writing; we never do that to it.
    for round in 0..rounds {
        opened.resolve(&by_tag(&format!("skopeo-{round}"))).expect("skopeo's tag is there");
    }
    opened.resolve(&by_tag("0.0")).expect("what nobody touched is there");
    proof::ran(name, rounds);
}
