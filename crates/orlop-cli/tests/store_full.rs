//! A full disk below the store while an image comes in: nothing gets a name, what was there is whole, and when there is room
//! again the same command goes on. Below a repository of OSTree what can be removed is said too.

use std::fs;
use testkit::disk::SmallDisk;
use testkit::scratch::scratch_in_memory;
use testkit::{Command, Finished, Scratch, full, noise, orlop, proof};

/// Kilobytes of the disk; the image needs about half.
const DISK: usize = 16 << 10;

fn at(scratch: &Scratch, words: &[&str]) -> Command {
    let root = scratch.path("disk/store");
    orlop().args(words).env("ORLOP_ROOT", root).env("HOME", scratch.path("")).current_dir(scratch.path(""))
}

/// Images of many files and a large one.
fn images(scratch: &Scratch) {
    for (name, seed, files) in [("old", 1, 5), ("new", 2, 60)] {
        let tree = scratch.folder(name);
        for file in 0..files {
            fs::write(tree.join(file.to_string()), noise(seed * 1000 + file, 20_000)).expect("written");
        }
        fs::write(tree.join("large"), noise(seed, 2 << 20)).expect("written");
        at(scratch, &["build", "--compress=none", name, &format!("oci:images:{name}")]).ok();
    }
}

/// The room is missing below the store, not where spools are made.
fn assert_hint(done: &Finished, room: usize) {
    for word in ["No space left", "cannot grow", "--root", "orlop gc"] {
        assert!(done.err().contains(word), "with {room} bytes, {word:?} is not said: {done}");
    }
    assert!(!done.err().contains("--tmpdir"), "with {room} bytes: {done}");
}

#[test]
fn a_full_disk_names_nothing_and_a_rerun_goes_on() {
    let name = "crash: a full disk below the store, of each size";
    let scratch = scratch_in_memory();
    images(&scratch);
    let steps = if full() { 64 } else { 10 };
    let mut refused = 0;
    for step in 0..steps {
        let Some(disk) = SmallDisk::at(scratch.folder("disk"), DISK) else {
            return proof::not_offered(name, "this user or container may not mount");
        };
        at(&scratch, &["copy", "oci:images:old", "store:old"]).ok();
        let filler = scratch.path("disk/filler");
        let room = (8 << 20) * step / steps;
        fs::write(&filler, vec![1; 13 * (1 << 20) - room]).expect("written");
        let copy = at(&scratch, &["copy", "oci:images:new", "store:new"]).run();
        let is_there = at(&scratch, &["digest", "store:new"]).run().success();
        assert_eq!(copy.success(), is_there, "with {room} bytes: {copy}");
        if !copy.success() {
            refused += 1;
            assert_hint(&copy, room);
            // So is what is built straight into it.
            let build = at(&scratch, &["build", "new", "store:built", "--progress=none"]).run();
            assert!(!build.success(), "with {room} bytes: {build}");
            assert_hint(&build, room);
        }
        at(&scratch, &["validate", "store:old"]).ok();
        // A sweep needs no room, but for the file by which it tells the time.
        at(&scratch, &["gc", "store:"]).ok();
        fs::remove_file(filler).expect("removed");
        at(&scratch, &["copy", "oci:images:new", "store:new"]).ok();
        for image in ["old", "new"] {
            at(&scratch, &["validate", &format!("store:{image}")]).ok();
        }
        drop(disk);
    }
    assert!(0 < refused && refused < steps, "{refused} of {steps} sizes were too small");
    proof::ran(name, steps);
}

#[test]
fn a_full_disk_below_a_repository_says_what_can_be_removed() {
    const PROOF: &str = "crash: a full disk below a repository";
    let scratch = scratch_in_memory();
    images(&scratch);
    let Some(_disk) = SmallDisk::at(scratch.folder("disk"), 1 << 10) else {
        return proof::not_offered(PROOF, "this user or container may not mount");
    };
    at(&scratch, &["ostree", "init", "--repo=disk/r", "--mode=bare-user"]).ok();
    let ways: [&[&str]; 3] = [
        &["copy", "oci:images:new", "ostree:disk/r@merged"],
        &["copy", "oci:images:new", "ostree:disk/r@docker://host/kept:1"],
        &["ostree", "commit", "--repo=disk/r", "-b", "made", "new"],
    ];
    for words in ways {
        let done = at(&scratch, words).run();
        assert_eq!(done.code(), Some(1), "{words:?}: {done}");
        for told in ["No space left", "disk/r cannot grow", "orlop ostree prune --repo=disk/r --refs-only"] {
            assert!(done.err().contains(told), "{words:?}, {told:?} is not said: {done}");
        }
        assert_eq!(at(&scratch, &["ostree", "refs", "--repo=disk/r"]).ok().out(), "", "{words:?}");
    }
    proof::ran(PROOF, ways.len());
}
