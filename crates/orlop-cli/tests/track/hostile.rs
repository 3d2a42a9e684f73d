//! Folders and snapshots that somebody tampered with.

use crate::world::World;
use std::fs;
use std::os::unix::fs::symlink;
use testkit::dump::differences;

#[test]
fn a_folder_that_was_replaced_is_not_taken_for_the_tracked_one() {
    let it = World::new();
    it.sh("mv root aside; mkdir root; cp -a aside/. root");
    let told = it.fails(&["repack", "root", "oci:l:v2"], 1);
    assert!(
        told.contains("is not the folder that the snapshot is of") && told.contains("--paranoid"),
        "{told}"
    );
    it.fails(&["revert", "root"], 1);
    // A copy is compared whole, and is what the folder was.
    assert_eq!(it.ok(&["diff", "--paranoid", "root"]).out(), "");
    it.sh("rm -r root; mkdir secret; echo s > secret/s");
    symlink(it.path("secret"), it.path("root")).expect("linked");
    let told = it.fails(&["repack", "root", "oci:l:v2"], 2);
    assert!(told.contains("is not tracked"), "{told}");
    it.fails(&["digest", "oci:l:v2"], 2);
}

#[test]
fn a_bundle_whose_root_is_a_link_is_refused() {
    let it = World::new();
    it.ok(&["build", "--cmd", "sh", "tree", "oci:l:run"]);
    it.ok(&["bundle", "--track", "oci:l:run", "bundle"]);
    it.sh("mv bundle/rootfs aside; mkdir secret; echo s > secret/s");
    symlink(it.path("secret"), it.path("bundle/rootfs")).expect("linked");
    for words in [&["repack", "bundle", "oci:l:v2"][..], &["revert", "bundle"], &["diff", "bundle"]] {
        let done = it.command(words).run();
        assert_eq!(done.code(), Some(1), "{done}");
    }
    assert_eq!(fs::read(it.path("secret/s")).expect("there"), b"s\n");
}

/// A link in the folder leads nowhere out of it, whatever it stands for.
#[test]
fn links_in_the_folder_are_not_followed() {
    let it = World::new();
    it.sh("mkdir secret; echo s > secret/c; chmod 600 secret/c; rm -r root/etc/d");
    symlink(it.path("secret"), it.path("root/etc/d")).expect("linked");
    it.ok(&["repack", "root", "oci:l:v2"]);
    let made = it.unpacked("oci:l:v2", "made");
    assert_eq!(differences(&it.dump("root"), &made, &[]), []);
    assert!(!made.contains_key(&b"etc/d/c"[..]));
    it.ok(&["revert", "root"]);
    assert_eq!(differences(&it.unpacked("oci:l:v1", "fresh"), &it.dump("root"), &[]), []);
    assert_eq!(fs::read(it.path("secret/c")).expect("there"), b"s\n");
}

#[test]
fn a_damaged_snapshot_is_told() {
    let it = World::new();
    let file = it.path(".root.orlop-snapshot");
    let bytes = fs::read(&file).expect("a snapshot");
    for (damaged, words) in [
        (bytes[..bytes.len() - 1].to_vec(), "its digest is another"),
        (Vec::new(), "it does not begin as one"),
        (b"orlop snapshot 9\n".to_vec(), "it is of another version"),
    ] {
        fs::write(&file, damaged).expect("written");
        for verb in [&["repack", "root", "oci:l:v2"][..], &["revert", "root"], &["diff", "root"]] {
            let told = it.fails(verb, 5);
            assert!(told.contains(words) && told.contains("--track"), "{told}");
        }
    }
    fs::remove_file(&file).expect("removed");
    assert!(it.fails(&["diff", "root"], 2).contains("is not tracked"));
    // What lies in a root filesystem is content.
    it.sh("mkdir root/rootfs; echo '{}' > root/config.json");
    fs::write(it.path("root/orlop.snapshot"), &bytes).expect("written");
    it.fails(&["repack", "root", "oci:l:v2"], 1);
}

#[test]
fn what_is_in_use_elsewhere_counts_as_unchanged_and_sockets_are_told() {
    let it = World::new();
    let _socket = std::os::unix::net::UnixListener::bind(it.path("root/etc/sock")).expect("bound");
    it.sh("touch -d @5 root/etc");
    let done = it.ok(&["repack", "root", "oci:l:v2"]);
    assert!(done.err().contains("etc/sock") && done.err().contains("socket"), "{done}");
    fs::write(it.path("root/.wh.b"), "").expect("written");
    let told = it.fails(&["repack", "root", "oci:l:v3"], 1);
    assert!(told.contains(".wh.b") && told.contains("--unrepresentable skip"), "{told}");
    it.ok(&["repack", "root", "oci:l:v3", "--unrepresentable", "skip"]);
}

#[test]
fn an_image_that_is_gone_is_asked_for() {
    let it = World::new();
    it.sh("echo x > root/etc/x; mv l moved");
    it.fails(&["revert", "root"], 2);
    it.ok(&["revert", "root", "--base", "oci:moved:v1"]);
    it.sh("echo x > root/etc/x");
    it.ok(&["repack", "root", "oci:new:v2", "--base", "oci:moved:v1"]);
    it.sh("mkdir tree2; echo other > tree2/o");
    it.ok(&["build", "tree2", "oci:l:v1"]);
    let told = it.fails(&["repack", "root", "oci:l:v2"], 64);
    assert!(told.contains("--base"), "{told}");
}
