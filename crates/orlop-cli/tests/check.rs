//! `build --check` on a source that changes while it is looked at.

use std::fs::{File, FileTimes, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};
use testkit::scratch::{Scratch, scratch};
use testkit::{Finished, orlop};

/// A folder `tree` with a file `a` to be changed, and one that takes a while to read.
fn fixture() -> Scratch {
    let scratch = scratch();
    scratch.folder("tree");
    scratch.file("tree/a", "ab00");
    scratch.file("tree/large", vec![7; 8 << 20]);
    scratch
}

fn check(scratch: &Scratch) -> Finished {
    orlop().args(["build", "--check", "tree", "oci:new:t"]).current_dir(scratch.root()).run()
}

/// Checks while `change` changes `a` in its place, again and again, each time with another number; its time stays. A
/// reading that falls into a change is an error of its own and not what is asked here.
fn check_while(scratch: &Scratch, change: impl Fn(&File, u16) + Sync) -> Finished {
    let is_over = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| {
            let file = File::options().write(true).open(scratch.path("tree/a")).expect("there");
            let time = FileTimes::new().set_modified(UNIX_EPOCH);
            for number in 1_u16.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                change(&file, number);
                file.set_times(time).expect("ours");
                thread::sleep(Duration::from_millis(5));
            }
        });
        let mut done = check(scratch);
        for _ in 0..50 {
            if done.code() != Some(1) {
                break;
            }
            assert!(done.err().contains("changed while it was read"), "{done}");
            assert!(done.err().contains("run it again when nothing writes there"), "{done}");
            done = check(scratch);
        }
        is_over.store(true, Ordering::Relaxed);
        done
    })
}

#[test]
fn the_first_byte_that_differs_is_named() {
    let scratch = fixture();
    let done =
        check_while(&scratch, |file, number| file.write_all_at(&number.to_be_bytes(), 2).expect("ours"));
    assert_eq!(done.code(), Some(8), "{done}");
    let line = done.out();
    let place = ["a: byte 2 of the content: 0x", "a: byte 3 of the content: 0x"];
    assert!(place.iter().any(|place| line.starts_with(place)) && line.contains(", then 0x"), "{line}");
    assert!(!scratch.path("new").exists(), "something was written");
}

#[test]
fn the_first_header_field_that_differs_is_named() {
    let scratch = fixture();
    let done = check_while(&scratch, |file, number| {
        let mode = 0o600 | u32::from(number) & 0o177;
        file.set_permissions(Permissions::from_mode(mode)).expect("ours");
    });
    assert_eq!(done.code(), Some(8), "{done}");
    let line = done.out();
    assert!(line.starts_with("a: mode: 0") && line.contains(", then 0"), "{line}");
}

#[test]
fn a_source_that_stays_is_built_twice_alike() {
    let scratch = fixture();
    let done = check(&scratch);
    assert_eq!((done.code(), done.out().as_str()), (Some(0), ""), "{done}");
}
