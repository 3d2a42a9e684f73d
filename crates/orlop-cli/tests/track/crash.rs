//! A run that is killed, or whose disk fails, leaves the image and the snapshot old or new, and is run again.

use crate::world::World;
use testkit::dump::{Dump, differences};
use testkit::{full, proof};

/// Places in the sequence of changing operations; all of them in a long run.
fn is_chosen(point: usize) -> bool {
    full() || point < 3 || point.is_multiple_of(7)
}

/// Disturbs a command at one operation after the other, until it comes through.
fn disturb(it: &World, words: &[&str], mut check: impl FnMut(&str)) -> usize {
    let mut cases = 0;
    for point in 1.. {
        if !is_chosen(point) {
            continue;
        }
        let is_done = ["kill", "eio"].into_iter().all(|fault| {
            it.sh("echo x > root/etc/x; rm -rf root/etc/d; chmod 711 root/usr");
            let done = it.command(words).env("ORLOP_FAULT", format!("{fault}:{point}")).run();
            check(&format!("{fault}:{point}: {done}"));
            cases += 1;
            done.success()
        });
        if is_done {
            break;
        }
        assert!(point < 500, "it never ends");
    }
    cases
}

#[test]
fn a_repack_may_end_at_every_operation() {
    let it = World::new();
    it.sh("cp -a l before");
    let first = it.digest("oci:l:v1");
    let cases =
        disturb(&it, &["repack", "root", "oci:l:v1", "--base", "oci:before:v1", "--refresh"], |what| {
            let now = it.digest("oci:l:v1");
            it.ok(&["unpack", "oci:l:v1", "seen"]);
            let (seen, root): (Dump, Dump) = (it.dump("seen"), it.dump("root"));
            if now != first {
                assert_eq!(differences(&root, &seen, &[]), [], "{what}");
            }
            // The snapshot is the old one or the new one: what is told now is right for the image that it is of.
            let told = it.command(&["diff", "root"]).run();
            assert!(matches!(told.code(), Some(0 | 8)), "{what}: {told}");
            it.ok(&["repack", "root", "oci:l:again"]).err();
            it.ok(&["unpack", "oci:l:again", "again"]);
            assert_eq!(differences(&root, &it.dump("again"), &[]), [], "{what}");
            it.sh("rm -rf seen again root l .root.orlop-snapshot; cp -a before l");
            it.ok(&["unpack", "--track", "oci:l:v1", "root"]);
        });
    proof::ran("crash: a repack killed and failed at file operations", cases);
}

#[test]
fn a_revert_may_end_at_every_operation() {
    let it = World::new();
    let fresh = it.unpacked("oci:l:v1", "fresh");
    let cases = disturb(&it, &["revert", "root"], |what| {
        it.ok(&["revert", "root"]);
        assert_eq!(differences(&fresh, &it.dump("root"), &[]), [], "{what}");
        assert_eq!(it.ok(&["diff", "root"]).out(), "", "{what}");
    });
    proof::ran("crash: a revert killed and failed at file operations", cases);
}
