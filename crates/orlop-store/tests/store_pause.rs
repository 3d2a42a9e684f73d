//! A sweep of many contents stops nobody: a reader and an importer beside it go on, and wait for no lock for long.

mod stored;

use orlop_fs::seam::{self, Glance, Operation, Verdict};
use orlop_spec::port::Source as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use stored::{files, forget, holds, image, image_of, open, publish, settle, sweep};
use testkit::scratch::scratch_in_memory;
use testkit::suites::copy::by_tag;
use testkit::tarball::{Member, tar};
use testkit::{full, proof};

/// The longest of many runs of some work, and how many there were.
fn longest(done: &AtomicBool, mut work: impl FnMut(usize)) -> (Duration, usize) {
    let (mut longest, mut count) = (Duration::ZERO, 0);
    while !done.load(Ordering::Relaxed) {
        let begun = Instant::now();
        work(count);
        longest = longest.max(begun.elapsed());
        count += 1;
    }
    (longest, count)
}

/// The seam is one for the whole process.
static SEAM: Mutex<()> = Mutex::new(());

/// What is removed under one lock takes a few milliseconds, however much a folder holds.
#[test]
fn no_lock_is_held_for_more_than_a_few_removals() {
    const FEW: usize = 32;
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    let scratch = scratch_in_memory();
    let place = scratch.path("store");
    let images: usize = 60;
    for number in 0..images {
        let content = [&number.to_le_bytes()[..], &[7; 92]].concat();
        publish(&place, "old", &image_of(&[tar([Member::file("file", content)])]));
    }
    forget(&place, "old");
    settle();
    let counts = Arc::new(Mutex::new((0, 0, 0)));
    let (locked, removed) = (counts.clone(), counts.clone());
    seam::watch(Box::new(move |glance, _| {
        if glance == Glance::Lock {
            locked.lock().unwrap_or_else(PoisonError::into_inner).0 = 0;
        }
        Verdict::Go
    }));
    seam::install(Box::new(move |operation, _| {
        if operation == Operation::Remove {
            let mut counts = removed.lock().unwrap_or_else(PoisonError::into_inner);
            counts.0 += 1;
            counts.1 = counts.1.max(counts.0);
            counts.2 += 1;
        }
        Verdict::Go
    }));
    sweep(&place);
    seam::clear();
    let (_, most, all) = *counts.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(all >= 5 * images, "{all} removals");
    assert!((2..=FEW).contains(&most), "{most} of {all} removals under one lock");
    proof::ran("store: few removals under one lock", all);
}

#[test]
fn nobody_waits_long_for_a_sweep_of_many_contents() {
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    let objects = if full() { 100_000 } else { 5000 };
    let scratch = scratch_in_memory();
    let place = scratch.path("store");
    publish(&place, "kept", &image("abc"));
    let many = (0..objects).map(|number: usize| {
        Member::file(number.to_string(), [&number.to_le_bytes()[..], &[7; 92]].concat())
    });
    publish(&place, "many", &image_of(&[tar(many)]));
    forget(&place, "many");
    settle();
    let done = AtomicBool::new(false);
    let (swept, took, reading, importing) = thread::scope(|threads| {
        let reading = threads.spawn(|| {
            longest(&done, |_| {
                let store = open(&place);
                store.resolve(&by_tag("kept")).expect("it has a name");
                image("abc").check(&store);
            })
        });
        let importing = threads.spawn(|| {
            longest(&done, |round| {
                let files = char::from(b'd' + u8::try_from(round % 20).expect("few"));
                publish(&place, "more", &image(&format!("ab{files}")));
            })
        });
        let begun = Instant::now();
        let swept = sweep(&place);
        let took = begun.elapsed();
        done.store(true, Ordering::Relaxed);
        (swept, took, reading.join().expect("no error"), importing.join().expect("no error"))
    });
    let contents = swept.heaps.iter().find(|heap| heap.what == "contents").expect("some went").count;
    assert!(contents >= objects, "{contents}");
    assert!(files(&place).len() < objects / 10, "what is kept, and what came since");
    assert!(holds(&place, "kept", &image("abc")));
    assert!(reading.1 > 0 && importing.1 > 0);
    if std::env::var_os("ORLOP_SHOW").is_some() {
        let shown = format!("{objects} contents in {took:?}; reader {reading:?}, importer {importing:?}\n");
        std::io::Write::write_all(&mut std::io::stderr(), shown.as_bytes()).expect("shown");
    }
    // The sweep of all takes seconds; who waited for it would too. Machines under load are slow as well.
    let most = took.max(Duration::from_secs(1)) / 2;
    assert!(
        reading.0 < most && importing.0 < most,
        "of {took:?}: reader {reading:?}, importer {importing:?}"
    );
    proof::ran("store: nobody waits for a sweep of many contents", reading.1 + importing.1);
}
