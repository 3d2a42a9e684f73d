//! Laws of comparing a folder with a manifest: what was not changed is not named, every change is, with or without what
//! was seen before, by any number of workers.

mod tampers;

use orlop_fs::owner::Owner;
use orlop_fs::verify::{Change, Found, Of, Seen, Shape, Verify, verify};
use orlop_fs::{Dir, FileKind};
use orlop_layer::{Time, TreeManifest};
use orlop_spec::Cancel;
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tampers::{Known, chmod, known, make, tampers};
use testkit::scratch::{Scratch, scratch_in_memory};
use testkit::torture::{self, Power};
use testkit::{is_root, proof, scratch};

fn manifest(folder: &Path) -> TreeManifest {
    let Known { tree, manifest, contents } = known(folder);
    assert!(contents.len() < manifest.len() && tree.len() == manifest.len() as u64);
    manifest
}

static NEVER: Cancel = Cancel::new();

fn how(workers: usize) -> Verify<'static> {
    let workers = NonZeroUsize::new(workers).expect("some");
    Verify {
        owner: Owner::Exact,
        shape: Shape::Whole,
        workers,
        seen: None,
        now: None,
        cancel: &NEVER,
        progress: &|_| (),
    }
}

fn compare(folder: &Path, manifest: &TreeManifest, how: &Verify<'_>) -> Found {
    verify(&Dir::open(folder).expect("opened"), manifest, how).expect("compared")
}

/// `PATH: added KIND`, `PATH: removed`, `PATH: FIELD, FIELD`
fn named(found: &Found) -> Vec<String> {
    let line = |change: &Change| match change {
        Change::Added(kind) => format!("added {kind:?}"),
        Change::Removed => "removed".to_owned(),
        Change::Changed(fields) => {
            fields.iter().map(|field| field.aspect.to_string()).collect::<Vec<_>>().join(", ")
        }
    };
    found.differences.iter().map(|it| format!("{}: {}", it.path, line(&it.change))).collect()
}

#[test]
fn every_tampering_is_named_and_nothing_else() {
    for (what, tamper, expected) in tampers() {
        let scratch = scratch_in_memory();
        let root = make(&scratch, "tree");
        let manifest = manifest(&root);
        assert_eq!(named(&compare(&root, &manifest, &how(2))), [""; 0], "{what}");
        tamper(&root);
        for workers in [1, 3] {
            assert_eq!(named(&compare(&root, &manifest, &how(workers))), *expected, "{what}");
        }
    }
    proof::ran("verify: every tampering is named", tampers().len());
}

/// The time of a file that is made now.
fn now(scratch: &Scratch) -> Time {
    let made = fs::metadata(scratch.file("now", "")).expect("made");
    Time { seconds: made.mtime(), nanoseconds: u32::try_from(made.mtime_nsec()).expect("less than a second") }
}

fn to_strings(lines: &[&str]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

/// Until what was made is not new any more.
fn wait() {
    std::thread::sleep(Duration::from_millis(150));
}

/// What a look sees of a tree that nobody changed for a while.
fn settled(scratch: &Scratch, root: &Path, manifest: &TreeManifest) -> Seen {
    let found = compare(root, manifest, &Verify { now: Some(now(scratch)), ..how(2) });
    assert_eq!((named(&found), found.seen.count()), (Vec::new(), manifest.len()));
    Seen::parse(&found.seen.to_bytes(), manifest, Of::Folder(Owner::Exact)).expect("sound")
}

#[test]
fn what_was_seen_is_not_read_again_and_every_tampering_after_it_is_named() {
    for scratch in [scratch_in_memory(), scratch()] {
        let made = tampers().into_iter().map(|tamper| (tamper, make(&scratch, tamper.0)));
        let made: Vec<_> = made.map(|(tamper, root)| (tamper, manifest(&root), root)).collect();
        wait();
        for ((what, tamper, expected), manifest, root) in &made {
            let seen = settled(&scratch, root, manifest);
            let how = Verify { seen: Some(&seen), now: Some(now(&scratch)), ..how(2) };
            let again = compare(root, manifest, &how);
            assert_eq!((named(&again), again.read, &again.seen), (Vec::new(), 0, &seen), "{what}");
            tamper(root);
            let found = compare(root, manifest, &how);
            assert_eq!(named(&found), *expected, "{what}");
        }
        // What differs is named again when it is old, too: nothing of it is noted as seen.
        wait();
        for ((what, _, expected), manifest, root) in &made {
            let first = compare(root, manifest, &Verify { now: Some(now(&scratch)), ..how(2) });
            let again = compare(root, manifest, &Verify { seen: Some(&first.seen), ..how(2) });
            assert_eq!(
                (named(&first), named(&again)),
                (named(&again), to_strings(expected)),
                "{what}, and again"
            );
        }
    }
    proof::ran("verify: tampering after a look is named", 2 * tampers().len());
}

#[test]
fn content_with_its_old_time_put_back_is_named() {
    let scratch = scratch();
    let root = make(&scratch, "tree");
    let manifest = manifest(&root);
    wait();
    let seen = settled(&scratch, &root, &manifest);
    let file = root.join("bin/su");
    let before = fs::metadata(&file).expect("there");
    fs::write(&file, "us").expect("written");
    let open = fs::File::options().write(true).open(&file).expect("opened");
    open.set_modified(before.modified().expect("a time")).expect("set");
    let found = compare(&root, &manifest, &Verify { seen: Some(&seen), ..how(1) });
    assert_eq!(named(&found), ["bin/su: content"]);
}

#[test]
fn what_is_new_is_not_believed_to_be_seen() {
    let scratch = scratch();
    let root = make(&scratch, "tree");
    let manifest = manifest(&root);
    wait();
    fs::write(root.join("bin/su"), "su").expect("written");
    let found = compare(&root, &manifest, &Verify { now: Some(now(&scratch)), ..how(1) });
    assert_eq!(found.seen.count(), manifest.len() - 1);
    assert_eq!(compare(&root, &manifest, &how(1)).seen.count(), 0, "without a clock nothing is");
}

#[test]
fn damaged_and_foreign_notes_are_not_believed() {
    let scratch = scratch();
    let root = make(&scratch, "tree");
    let before = manifest(&root);
    wait();
    let bytes = settled(&scratch, &root, &before).to_bytes();
    for byte in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[byte] ^= 1;
        assert_eq!(Seen::parse(&flipped, &before, Of::Folder(Owner::Exact)), None, "byte {byte}");
    }
    assert_eq!(Seen::parse(&bytes[..bytes.len() - 1], &before, Of::Folder(Owner::Exact)), None);
    assert_eq!(
        Seen::parse(&bytes, &before, Of::Folder(Owner::Squash)),
        None,
        "owners were not compared then"
    );
    chmod(&root.join("bin"), 0o711);
    assert_eq!(Seen::parse(&bytes, &manifest(&root), Of::Folder(Owner::Exact)), None);
}

#[test]
fn what_harms_nobody_is_not_named() {
    let scratch = scratch();
    let root = make(&scratch, "tree");
    let manifest = manifest(&root);
    wait();
    let seen = settled(&scratch, &root, &manifest);
    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let times = fs::FileTimes::new().set_accessed(past).set_modified(past);
    fs::File::open(root.join("bin/sh")).and_then(|file| file.set_times(times)).expect("set");
    fs::read(root.join("etc/passwd")).expect("read");
    fs::write(root.join("gone/for-a-moment"), "").expect("written");
    fs::remove_file(root.join("gone/for-a-moment")).expect("removed");
    fs::hard_link(root.join("bin/su"), scratch.path("outside")).expect("linked");
    assert_eq!(named(&compare(&root, &manifest, &how(1))), [""; 0]);
    assert_eq!(named(&compare(&root, &manifest, &Verify { seen: Some(&seen), ..how(1) })), [""; 0]);
}

#[test]
fn the_torture_tree_is_as_it_is() {
    let scratch = scratch();
    let root = scratch.path("tree");
    torture::make(&root, if is_root() { Power::Root } else { Power::User });
    let manifest = manifest(&root);
    let found = compare(&root, &manifest, &how(2));
    // What no image can hold was left out of the manifest.
    let is_left_out = |line: &String| line.contains("added Socket") || line.contains(".wh.");
    let others: Vec<_> = named(&found).into_iter().filter(|line| !is_left_out(line)).collect();
    assert_eq!(others, [""; 0]);
    assert!(
        named(&found).iter().any(|line| line.contains("added Socket")),
        "a socket is no part of an image"
    );
    proof::ran("verify: the torture tree is as it is", 1);
}

#[test]
fn a_look_stops_when_it_is_asked_to() {
    let scratch = scratch();
    let root = make(&scratch, "tree");
    let (manifest, cancel) = (manifest(&root), Cancel::new());
    cancel.set();
    let how = Verify { cancel: &cancel, ..how(3) };
    let error = verify(&Dir::open(&root).expect("opened"), &manifest, &how).expect_err("it was asked to");
    assert_eq!(orlop_spec::Diagnose::kind(&error), orlop_spec::Kind::Interrupted);
}

#[test]
fn a_deep_folder_takes_few_handles() {
    let scratch = scratch_in_memory();
    let root = scratch.folder("tree");
    let mut at = root.clone();
    for _ in 0..600 {
        at.push("d");
        fs::create_dir(&at).expect("made");
    }
    fs::write(at.join("f"), "deep").expect("written");
    let manifest = manifest(&root);
    assert_eq!(named(&compare(&root, &manifest, &how(2))), [""; 0]);
    fs::write(at.join("f"), "DEEP").expect("written");
    let found = compare(&root, &manifest, &how(2));
    assert_eq!(found.differences.len(), 1);
    assert_eq!(found.differences[0].path.components().count(), 601);
    assert!(matches!(&found.differences[0].change, Change::Changed(fields) if fields.len() == 1));
    assert!(found.differences.iter().all(|it| it.change != Change::Added(FileKind::File)));
}
