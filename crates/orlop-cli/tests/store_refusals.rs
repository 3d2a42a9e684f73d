//! The store at bad moments: clear errors, hints that fit, and nothing made that nobody asked for.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use testkit::{Command, Finished, Scratch, is_root, orlop, proof, scratch};

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root()).env("ORLOP_ROOT", it.path("store"))
}

/// A folder `tree`, and an image of it in a layout.
fn fixture() -> Scratch {
    let it = scratch();
    it.folder("tree");
    it.file("tree/file", "f".repeat(1000));
    run(&it, &["build", "tree", "oci:layout:1", "--progress=none"]).ok();
    it
}

/// What failed, why, and what to type next.
fn tells(done: &Finished, code: i32, words: &[&str]) {
    assert_eq!(done.code(), Some(code), "{done}");
    for word in words {
        assert!(done.err().contains(word), "{word:?} is not said:\n{}", done.err());
    }
}

#[test]
fn a_dry_run_makes_no_store_and_tells_the_same_as_one_into_an_empty_one() {
    let it = fixture();
    let dry = |words: &[&str]| run(&it, words).ok().out();
    let copy = dry(&["copy", "--dry-run", "oci:layout:1", "store:x:1"]);
    assert!(copy.starts_with("move ") && copy.ends_with(" in 3\n"), "{copy}");
    let sync = dry(&["sync", "--dry-run", "oci:layout", "store:"]);
    assert!(sync.contains("3 blobs to move"), "{sync}");
    assert!(!it.path("store").exists());

    run(&it, &["copy", "oci:layout:1", "store:x:1"]).ok();
    let held = dry(&["copy", "--dry-run", "oci:layout:1", "store:x:1"]);
    assert!(held.starts_with("reuse ") && held.ends_with(" in 1\n"), "{held}");
}

#[test]
fn a_place_that_is_not_there_is_told_with_what_it_should_be() {
    let it = fixture();
    tells(
        &run(&it, &["unpack", "oci:absent:1", "out"]).run(),
        2,
        &["no OCI layout at absent", "No such file", "oci:DIR:TAG"],
    );
    assert!(!it.path("out").exists());
}

#[test]
fn whatever_a_mount_refuses_its_hint_is_a_way_that_works() {
    const PROOF: &str = "mounts: hints of what is refused";
    if !is_root() {
        return proof::not_offered(PROOF, "only root mounts without a namespace");
    }
    let it = fixture();
    run(&it, &["copy", "oci:layout:1", "store:x:1"]).ok();
    let mount = |place: &str| run(&it, &["mount", "x:1", place]).run();
    tells(&mount("absent"), 2, &["absent is no folder", "name a folder that is empty"]);
    tells(&mount("tree/file"), 1, &["tree/file is no folder", "name a folder that is empty"]);
    tells(&mount("tree"), 1, &["tree is not empty", "name a folder that is empty"]);
    assert!(!it.path("absent").exists());
    it.folder("absent");
    let mounted = mount("absent");
    if !mounted.success() {
        return proof::not_offered(PROOF, mounted.err().lines().next().unwrap_or_default());
    }
    tells(&mount("absent"), 1, &["absent is a mount already", "name a folder that is empty"]);
    run(&it, &["umount", "absent"]).ok();
    let named_none = run(&it, &["mount", "x:1"]).ok().out();
    assert!(fs::read(format!("{}/file", named_none.trim_end())).is_ok(), "{named_none}");
    run(&it, &["umount", "x:1"]).ok();
    proof::ran(PROOF, 4);
}

/// What images hold is nobody else's to read, and who may not write is told where.
#[test]
fn a_store_of_somebody_else_is_refused_by_its_path() {
    const PROOF: &str = "store: wrong permissions";
    if !is_root() {
        return proof::not_offered(PROOF, "only root can be another user");
    }
    let it = fixture();
    run(&it, &["copy", "oci:layout:1", "store:x:1"]).ok();
    let store = it.path("store");
    assert_eq!(fs::metadata(&store).expect("made").permissions().mode() & 0o7777, 0o700);
    let verbs: [&[&str]; 6] = [
        &["images"],
        &["copy", "oci:layout:1", "store:y:1"],
        &["inspect", "store:x:1"],
        &["gc", "store:"],
        &["fsck"],
        &["untag", "x:1"],
    ];
    for words in verbs {
        let done = run(&it, words).unprivileged().run();
        tells(&done, 1, &["store", "Permission denied", "run as the owner of that path"]);
    }
    // It can be looked at, and not written.
    fs::set_permissions(&store, fs::Permissions::from_mode(0o755)).expect("the owner may");
    run(&it, &["images"]).unprivileged().ok();
    let words = ["copy", "oci:layout:1", "store:y:1"];
    tells(&run(&it, &words).unprivileged().run(), 1, &["store/", "Permission denied"]);
    run(&it, &["validate", "store:x:1"]).ok();
    proof::ran(PROOF, verbs.len() + 2);
}

#[test]
fn what_is_no_store_is_refused_and_stays() {
    let it = fixture();
    let at = |root: &str, words: &[&str]| run(&it, words).env("ORLOP_ROOT", it.path(root)).run();
    let copy = ["copy", "oci:layout:1", "store:x:1"];
    tells(&at("tree", &copy), 1, &["tree is no store, and not empty", "does not exist"]);
    tells(&at("tree", &["images"]), 5, &["tree is no store", "`format` is missing"]);
    tells(&at("tree/file", &copy), 1, &["tree/file", "Not a directory"]);
    assert_eq!(fs::read_dir(it.path("tree")).expect("there").count(), 1);
}

#[test]
fn a_store_of_a_newer_form_is_refused_by_every_verb_and_stays() {
    let it = fixture();
    run(&it, &["copy", "oci:layout:1", "store:x:1"]).ok();
    it.file("store/format", "orlop store 9\n");
    let verbs: [&[&str]; 8] = [
        &["images"],
        &["copy", "oci:layout:1", "store:y:1"],
        &["inspect", "store:x:1"],
        &["mount", "x:1"],
        &["run", "x:1", "true"],
        &["gc", "store:"],
        &["fsck", "--repair"],
        &["untag", "x:1"],
    ];
    for words in verbs {
        let done = run(&it, words).run();
        let code = if words[0] == "run" { 125 } else { 1 };
        tells(&done, code, &["store/format", "\"orlop store 9\"", "hint: use the version that wrote it"]);
    }
    it.file("store/format", "orlop store 1\n");
    run(&it, &["validate", "store:x:1"]).ok();
    assert_eq!(run(&it, &["fsck"]).ok().err(), "");
}

/// Names that some file systems and some escapes would take for one another.
#[test]
fn names_that_look_alike_are_different_images() {
    let it = fixture();
    let long = format!("registry.example/{}", "deep/".repeat(40));
    let names = ["a:1", "A:1", "a/1:1", "a:1.", "a_1:1", &format!("{long}x:1"), &format!("{long}y:1")];
    let mut digests = Vec::new();
    for (number, name) in names.iter().enumerate() {
        it.file("tree/file", format!("{number}"));
        run(&it, &["build", "tree", &format!("store:{name}"), "--progress=none"]).ok();
        digests.push(run(&it, &["digest", &format!("store:{name}")]).ok().out());
    }
    for (name, digest) in names.iter().zip(&digests) {
        assert_eq!(run(&it, &["digest", &format!("store:{name}")]).ok().out(), *digest, "{name}");
        assert_eq!(digests.iter().filter(|other| *other == digest).count(), 1, "{name}");
    }
    run(&it, &["untag", "a:1"]).ok();
    assert_eq!(run(&it, &["digest", "store:A:1"]).ok().out(), digests[1]);
    // Two images in one copy that claim one name.
    let words = ["copy", "store:A:1", "store:a_1:1", "oci:both:1"];
    assert_eq!(run(&it, &words).run().code(), Some(64));
    assert!(!it.path("both").exists());
}
