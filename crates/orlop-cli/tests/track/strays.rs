//! What an image cannot hold was not in the image: sockets, and names that mean a removal there.

use crate::world::World;
use std::os::unix::net::UnixListener;
use testkit::dump::differences;

/// In the place of a file, of a folder, in folders old and new, and in one whose times were put back.
fn strewn() -> World {
    let it = World::new();
    it.sh("rm -r root; mkdir tree/usr/share; echo s > tree/usr/share/s");
    it.ok(&["build", "tree", "oci:l:v1"]);
    it.ok(&["unpack", "--track", "oci:l:v1", "root"]);
    it.sh("rm root/etc/b; rm -r root/etc/d; mkdir -p root/new root/.wh.d/e root/usr/.wh.dir; echo x > root/.wh.d/e/f
        echo x > root/etc/.wh.a; ln root/etc/a root/.wh..wh..opq; ln -s /nowhere root/usr/.wh.l; mkfifo root/new/.wh.p");
    for name in ["etc/b", "etc/d", "etc/sock", "usr/share/sock", "new/sock", ".wh.d/sock", ".wh.s"] {
        // Whoever listened may be gone.
        drop(UnixListener::bind(it.path(&format!("root/{name}"))).expect("bound"));
    }
    it.sh("touch -r tree/usr/share root/usr/share");
    it
}

#[test]
fn what_no_image_can_hold_is_told_as_added_and_taken_away() {
    let it = strewn();
    let fresh = it.unpacked("oci:l:v1", "fresh");
    let told = it.command(&["diff", "root"]).run();
    assert_eq!(told.code(), Some(8), "{told}");
    let lines: Vec<String> = told.out().lines().map(ToOwned::to_owned).collect();
    let expected = [
        "changed  /: mtime",
        "added    .wh..wh..opq",
        "added    .wh.d",
        "added    .wh.d/e",
        "added    .wh.d/e/f",
        "added    .wh.d/sock",
        "added    .wh.s",
        "changed  etc: mtime",
        "added    etc/.wh.a",
        "changed  etc/b: type",
        "changed  etc/d: type",
        "removed  etc/d/c",
        "added    etc/sock",
        "added    new",
        "added    new/.wh.p",
        "added    new/sock",
        "changed  usr: mtime",
        "added    usr/.wh.dir",
        "added    usr/.wh.l",
        "added    usr/share/sock",
    ];
    assert_eq!(lines, expected);
    assert!(!told.err().contains("cannot"), "nothing is lost: {told}");
    assert!(it.command(&["diff", "--why", "root"]).run().out().contains("type: folder → socket"));
    assert_eq!(it.ok(&["revert", "--dry-run", "root"]).out(), told.out());
    assert_eq!(it.ok(&["revert", "root"]).out(), told.out());
    assert_eq!(differences(&fresh, &it.dump("root"), &[]), []);
    assert_eq!(it.ok(&["diff", "root"]).out(), "");
    assert_eq!(it.ok(&["diff", "--paranoid", "root"]).out(), "");
}

/// A layer cannot hold them, so that `repack` must be told to leave them out; to `revert` there is nothing to be said.
#[test]
fn a_layer_lacks_them_and_a_revert_is_not_asked() {
    let it = strewn();
    let told = it.fails(&["repack", "root", "oci:l:v2"], 1);
    assert!(told.contains("6 names begin with `.wh.`") && told.contains("--unrepresentable skip"), "{told}");
    let done = it.ok(&["repack", "root", "oci:l:v2", "--unrepresentable", "skip", "--refresh"]);
    assert!(done.err().contains("etc/b (no image can hold a socket)"), "{done}");
    let made = it.unpacked("oci:l:v2", "made");
    assert!(made.contains_key(&b"new"[..]) && !made.contains_key(&b"etc/b"[..]));
    // The snapshot is of the image as it is now, and that lacks them.
    let left = it.command(&["diff", "root"]).run();
    assert!(left.out().contains("added    etc/d\n") && !left.out().contains("removed"), "{left}");
    it.ok(&["revert", "root"]);
    assert_eq!(differences(&made, &it.dump("root"), &[]), []);
    it.fails(&["revert", "root", "--unrepresentable", "skip"], 64);
}

/// They are in no tree, and its limits hold for them all the same.
#[test]
fn d1_more_of_them_than_a_tree_may_hold_is_a_limit() {
    let it = World::new();
    it.sh("mkdir root/.wh.d; for number in $(seq 40); do : > root/.wh.d/$number; done");
    let before = it.dump("root");
    for words in [&["diff", "root"][..], &["revert", "root"]] {
        let done = it.command(words).args(["--max-entries", "40"]).run();
        assert!(done.code() == Some(9) && done.err().contains("the number of entries"), "{done}");
    }
    assert_eq!(differences(&before, &it.dump("root"), &[]), []);
    it.ok(&["revert", "root", "--max-entries", "41"]);
    assert_eq!(it.ok(&["diff", "root"]).out(), "");
}

#[test]
fn what_is_masked_stays_whatever_it_is_and_wherever() {
    let it = World::new();
    it.sh("mkdir -p root/new/a root/.wh.d; rm -r root/etc/d; rm root/usr/l
        for name in new/x new/a/keep .wh.d/x .wh.d/keep .wh.keep; do echo x > root/$name; done");
    drop(UnixListener::bind(it.path("root/usr/l")).expect("bound"));
    let masks = ["new/a/keep", ".wh.d/keep", ".wh.keep", "usr/l", "etc/d"];
    let flags: Vec<&str> = masks.iter().flat_map(|mask| ["--mask-path", mask]).collect();
    let done = it.command(&["revert", "root"]).args(&flags).run();
    assert_eq!(done.code(), Some(7), "folders that hold what is masked stay: {done}");
    let root = it.dump("root");
    for (path, is_there) in [
        ("new/a/keep", true),
        (".wh.d/keep", true),
        (".wh.keep", true),
        ("usr/l", true),
        ("etc/d", false),
        ("new/x", false),
        (".wh.d/x", false),
    ] {
        assert_eq!(root.contains_key(path.as_bytes()), is_there, "{path}");
    }
    it.sh("rm root/.wh.keep");
    it.command(&["repack", "root", "oci:l:v2", "--mask-path", ".wh.d"]).args(&flags).ok();
    assert!(it.unpacked("oci:l:v2", "made").contains_key(&b"etc/d/c"[..]), "what is masked was not removed");
}
