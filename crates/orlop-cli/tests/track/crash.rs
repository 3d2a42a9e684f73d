//! A run that is killed, or whose disk fails, leaves the folder, the image and the snapshot so that what comes after it is
//! right: no change is lost, and none is invented, whoever goes on with the folder.

use crate::world::World;
use testkit::dump::{Dump, differences};
use testkit::fault::operations;
use testkit::{full, proof};

/// What is done to the folder before the run. Times are set, so that each run makes the same layer.
const CHANGE: &str = "echo x > root/etc/x; rm -rf root/etc/d; chmod 711 root/usr; ln root/etc/x root/usr/x
    touch -d @7 root/etc/x root/etc root/usr";

/// And what is done behind it: a content of the same length and time, another name of a file, and what was taken away
/// before is there again.
const MORE: &str = "printf 'B\\n' > root/etc/b; touch -d @9 root/etc/b; ln root/etc/a root/etc/too; mkdir root/etc/d; echo c > root/etc/d/c";

/// Faults at places in the sequence of changing operations; at all of them in a long run.
fn faults(count: usize) -> Vec<String> {
    let kinds = ["kill", "eio", "enospc"];
    let is_chosen = |point: &usize| full() || point.is_multiple_of(5) || point + 4 > count;
    let points = (1..=count).filter(is_chosen).enumerate();
    let kinds = |turn: usize| if full() { kinds.to_vec() } else { vec![kinds[turn % 3]] };
    points
        .flat_map(|(turn, point)| kinds(turn).into_iter().map(move |kind| format!("{kind}:{point}")))
        .collect()
}

/// A folder that is tracked anew, in the same world.
fn again(it: &World) {
    it.sh("rm -rf l store root again .root.orlop-snapshot; cp -a before l; touch -d @9 tree/etc/b");
    it.ok(&["copy", "oci:l:v1", "store:v1"]);
    it.ok(&["unpack", "--track", "oci:l:v1", "root"]);
    it.sh(CHANGE);
}

fn world() -> World {
    let it = World::new();
    it.sh("cp -a l before");
    again(&it);
    it
}

/// The digest of an image that may not be there.
fn digest(it: &World, reference: &str) -> Option<String> {
    let asked = it.command(&["digest", reference]).run();
    asked.success().then(|| asked.out())
}

/// A repack to a new name, over the image itself, and into another place; with the snapshot renewed, and as it was.
const REPACKS: [(&[&str], &str); 5] = [
    (&["repack", "root", "oci:l:v2"], "oci:l:v2"),
    (&["repack", "root", "oci:l:v2", "--refresh"], "oci:l:v2"),
    (&["repack", "root", "oci:l:v1", "--refresh"], "oci:l:v1"),
    (&["repack", "root", "store:v1", "--refresh"], "store:v1"),
    (
        &["repack", "root", "oci-archive:a.tar:v2", "--refresh", "--base", "oci:before:v1"],
        "oci-archive:a.tar:v2",
    ),
];

#[test]
fn a_repack_may_end_at_every_operation() {
    let it = world();
    let mut cases = 0;
    for (words, target) in REPACKS {
        again(&it);
        let before = digest(&it, target);
        let count = operations(it.command(words), &it.path("notes")).len();
        let after = digest(&it, target);
        assert!(after.is_some() && after != before, "{words:?}: nothing happens");
        for fault in faults(count) {
            again(&it);
            it.sh("rm -f a.tar");
            repack(&it, (words, target), &fault, [&before, &after]);
            cases += 1;
        }
        it.sh("rm -f a.tar");
    }
    proof::ran("crash: a repack killed and failed at file operations", cases);
}

fn repack(it: &World, (words, target): (&[&str], &str), fault: &str, [before, after]: [&Option<String>; 2]) {
    let folder = it.dump("root");
    let broken = it.command(words).env("ORLOP_FAULT", fault).run();
    let what = format!("{words:?} {fault}: {broken}");
    assert!(matches!(broken.code(), None | Some(0 | 1)), "{what}");
    assert_eq!(differences(&folder, &it.dump("root"), &[]), [], "{what}");
    let now = digest(it, target);
    assert!(now == *before || now == *after, "{what}: neither old nor new");
    assert!(now == *after || !broken.success(), "{what}: told to be done, and is not");
    it.ok(&["validate", "oci:l"]);
    if now.is_some() {
        it.ok(&["validate", target]);
    }
    // The snapshot is the old one or the new one: what is told is what is between it and the folder.
    let told = it.command(&["diff", "root"]).run();
    assert!(matches!(told.code(), Some(0 | 8)), "{what}: {told}");
    let is_renewed = told.out().is_empty();
    assert!(!is_renewed || now == *after, "{what}: the snapshot is of what nobody published");
    assert!(is_renewed || told.out().contains("etc/d/c") && told.out().contains("etc/x"), "{what}: {told}");
    if !is_renewed {
        // The same again finishes.
        it.ok(words);
        assert_eq!(digest(it, target), *after, "{what}");
    }
    it.sh(MORE);
    // Whether that is on the image that was, or on the one that was just made.
    let words: Vec<&str> =
        words.iter().copied().filter(|it| !["--base", "oci:before:v1"].contains(it)).collect();
    it.ok(&words);
    it.ok(&["unpack", target, "again"]);
    let (made, root): (Dump, Dump) = (it.dump("again"), it.dump("root"));
    assert_eq!(differences(&root, &made, &[]), [], "{what}");
}

#[test]
fn a_revert_may_end_at_every_operation() {
    let it = world();
    let fresh = it.unpacked("oci:l:v1", "fresh");
    let words = ["revert", "root"];
    let count = operations(it.command(&words), &it.path("notes")).len();
    let faults = faults(count);
    for fault in &faults {
        again(&it);
        let broken = it.command(&words).env("ORLOP_FAULT", fault).run();
        let what = format!("{fault}: {broken}");
        assert!(matches!(broken.code(), None | Some(0 | 1)), "{what}");
        let told = it.command(&["diff", "root"]).run();
        assert!(matches!(told.code(), Some(0 | 8)), "{what}: {told}");
        let is_done = differences(&fresh, &it.dump("root"), &[]).is_empty();
        assert_eq!(told.out().is_empty(), is_done, "{what}: {told}");
        assert!(is_done || !broken.success(), "{what}: told to be done, and is not");
        it.sh(MORE.replace("mkdir", "mkdir -p").as_str());
        it.ok(&words);
        assert_eq!(differences(&fresh, &it.dump("root"), &[]), [], "{what}");
        assert_eq!(it.ok(&["diff", "root"]).out(), "", "{what}");
        it.ok(&["validate", "oci:l"]);
    }
    proof::ran("crash: a revert killed and failed at file operations", faults.len());
}
