//! Where images and snapshots are: indexes, registries, bundles, two runs at once.

use crate::world::World;
use orlop::fs::lock::Share;
use orlop::fs::track;
use orlop::spec::Limits;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use testkit::dump::differences;
use testkit::proof;
use testkit::registry::Registry;

#[test]
fn of_an_index_one_image_is_replaced_and_the_others_stay() {
    let it = World::new();
    it.ok(&["build", "--platform", "linux/arm64", "tree", "oci:l:arm"]);
    it.ok(&["build", "--platform", "linux/amd64", "tree", "oci:l:amd"]);
    it.ok(&["index", "create", "oci:l:arm", "oci:l:amd", "oci:l:multi"]);
    it.ok(&["unpack", "--track", "--platform", "linux/arm64", "oci:l:multi", "arm"]);
    it.sh("echo new > arm/etc/new");
    it.ok(&["repack", "arm", "oci:l:multi"]);
    let index: serde_json::Value =
        serde_json::from_str(&it.ok(&["inspect", "--raw", "oci:l:multi"]).out()).expect("JSON");
    let digests: Vec<&str> = index["manifests"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|it| it["digest"].as_str().expect("text"))
        .collect();
    assert!(
        digests.contains(&it.digest("oci:l:amd").as_str())
            && !digests.contains(&it.digest("oci:l:arm").as_str())
    );
    it.ok(&["unpack", "--platform", "linux/arm64", "oci:l:multi", "again"]);
    assert_eq!(differences(&it.dump("arm"), &it.dump("again"), &[]), []);
}

/// Base layers are descriptors: a registry is asked for documents alone, and sent the new layer.
#[test]
fn a_repack_at_a_registry_moves_the_new_layer_alone() {
    const PROOF: &str = "repack: a registry is asked for no layer";
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = World::new();
    let reference = format!("docker://{}/app:1", registry.host());
    it.ok(&["copy", "oci:l:v1", &reference]);
    it.ok(&["unpack", "--track", &reference, "remote"]);
    it.sh("echo new > remote/etc/new");
    let raw: serde_json::Value =
        serde_json::from_str(&it.ok(&["inspect", "--raw", &reference]).out()).expect("JSON");
    let base = raw["layers"][0]["digest"].as_str().expect("a digest").to_owned();
    let before = registry.requests().len();
    it.ok(&["repack", "remote", &reference]);
    let requests = registry.requests().split_off(before);
    assert!(requests.iter().all(|request| !request.contains(&base)), "{requests:#?}");
    let sent = |method: &str| requests.iter().filter(|it| it.starts_with(method)).count();
    assert!(sent("PUT") <= 3 && sent("POST") == 2, "{requests:#?}");
    it.ok(&["unpack", &reference, "again"]);
    assert_eq!(differences(&it.dump("remote"), &it.dump("again"), &[]), []);
    // Into another place what it lacks is copied.
    it.ok(&["repack", "remote", "oci:other:v2", "--base", &format!("{reference}@{}", it.digest("oci:l:v1"))]);
    it.ok(&["unpack", "oci:other:v2", "other-again"]);
    assert_eq!(differences(&it.dump("remote"), &it.dump("other-again"), &[]), []);
    proof::ran(PROOF, requests.len());
}

/// A time that is said of the step of the history is no time of the image.
#[test]
fn the_time_of_a_step_is_not_that_of_the_image() {
    let it = World::new();
    it.sh("echo new > root/etc/new; touch -d 2001-02-03T04:05:06Z root/etc root/etc/new");
    let created = |reference: &str| {
        let config: serde_json::Value =
            serde_json::from_str(&it.ok(&["inspect", "--config", reference]).out()).expect("JSON");
        [&config["created"], &config["history"][1]["created"]]
            .map(|time| time.as_str().map(ToOwned::to_owned))
    };
    let times = |texts: [&str; 2]| texts.map(|text| Some(text.to_owned()));
    let (newest, said) = ("2001-02-03T04:05:06Z", "1999-01-01T00:00:00Z");
    it.ok(&["repack", "root", "oci:l:a", "--history-created", said]);
    assert_eq!(created("oci:l:a"), times([newest, said]));
    it.ok(&["repack", "root", "oci:l:b", "--created", said]);
    assert_eq!(created("oci:l:b"), times([said, said]));
}

#[test]
fn a_bundle_holds_its_snapshot_and_may_be_moved() {
    let it = World::new();
    it.ok(&["build", "--cmd", "sh", "tree", "oci:l:run"]);
    it.ok(&["bundle", "--track", "oci:l:run", "bundle"]);
    it.sh("mv bundle elsewhere; echo new > elsewhere/rootfs/etc/new");
    it.ok(&["repack", "elsewhere", "oci:l:v2", "--refresh"]);
    assert_eq!(it.ok(&["diff", "elsewhere"]).out(), "");
    it.ok(&["unpack", "oci:l:v2", "again"]);
    assert_eq!(differences(&it.dump("elsewhere/rootfs"), &it.dump("again"), &[]), []);
    it.sh("echo newer > elsewhere/rootfs/etc/new");
    it.ok(&["repack", "elsewhere", "oci:l:v2"]);
    let layers = it.ok(&["inspect", "--raw", "oci:l:v2"]).out().matches("image.layer").count();
    assert_eq!(layers, 3, "one layer for each repack");
}

/// However the place of the image was typed: it is found from any folder.
#[test]
fn the_image_is_found_from_any_folder() {
    let it = World::new();
    it.ok(&["copy", "oci:l:v1", "oci-archive:a.tar:v1"]);
    it.ok(&["copy", "oci:l:v1", "docker-archive:d.tar:me/app:1"]);
    it.ok(&["copy", "oci:l:v1", "dir:d"]);
    it.sh("mkdir -p below/deep");
    let here = it.0.root().file_name().expect("a name").to_string_lossy().into_owned();
    let fresh = it.dump("root");
    for (number, (folder, reference)) in [
        (".", "oci:l:v1"),
        (".", "oci:./below/../l:v1"),
        (".", "./l:v1"),
        ("l", "oci:.:v1"),
        ("below/deep", "oci:../../l:v1"),
        ("below", &format!("../../{here}/l:v1")),
        (".", "oci-archive:a.tar:v1"),
        (".", "./a.tar"),
        ("below", "docker-archive:../d.tar"),
        (".", "dir:d"),
    ]
    .into_iter()
    .enumerate()
    {
        let root = it.path(&format!("root-{number}"));
        let root = root.to_str().expect("text");
        it.command(&["unpack", "--track", reference, root]).current_dir(it.path(folder)).ok();
        it.sh(&format!("echo more >> {root}/etc/b; rm {root}/etc/d/c"));
        let elsewhere = |words: &[&str]| it.command(words).current_dir("/").run();
        let other = format!("oci:{}:{number}", it.path("other").display());
        let done = elsewhere(&["repack", root, &other]);
        assert!(done.success(), "{reference}: {done}");
        let done = elsewhere(&["revert", root]);
        assert!(done.success(), "{reference}: {done}");
        assert_eq!(differences(&fresh, &it.dump(&format!("root-{number}")), &[]), [], "{reference}");
    }
    // A bundle, and a snapshot that went on to another image.
    it.ok(&["bundle", "--track", "--cmd", "sh", "oci:l:v1", "bundle"]);
    it.sh("echo more >> bundle/rootfs/etc/b");
    it.command(&["repack", "--refresh", "../bundle", "oci:../new:v2"]).current_dir(it.path("below")).ok();
    let made = it.dump("bundle/rootfs");
    it.sh("rm bundle/rootfs/etc/b; mv l moved");
    let bundle = it.path("bundle");
    it.command(&["revert", bundle.to_str().expect("text")]).current_dir("/").ok();
    assert_eq!(differences(&made, &it.dump("bundle/rootfs"), &[]), []);
}

/// What older versions wrote is a path from where the user was.
#[test]
fn a_relative_reference_of_an_older_snapshot_is_read_as_it_was() {
    let it = World::new();
    let place =
        track::Tracked::open(&it.path("root"), Share::Exclusive, &Limits::default()).expect("tracked");
    let mut snapshot = place.snapshot;
    let text = String::from_utf8(snapshot.about).expect("JSON");
    let whole = format!("oci:{}:v1", it.0.root().canonicalize().expect("there").join("l").display());
    assert!(text.contains(&whole), "{text}");
    snapshot.about = text.replace(&whole, "oci:l:v1").into_bytes();
    place.place.write(&snapshot).expect("written");
    it.sh("echo more >> root/etc/b");
    let root = it.path("root");
    let root = root.to_str().expect("text");
    let done = it.command(&["revert", root]).current_dir("/").run();
    assert!(done.code() == Some(2) && done.err().contains("--base REF"), "{done}");
    it.ok(&["revert", "root"]);
    assert_eq!(it.ok(&["diff", "root"]).out(), "");
}

/// Layout and folder that went elsewhere together: the path is another one, and nothing is guessed.
#[test]
fn an_image_that_was_moved_is_asked_for_by_name() {
    let it = World::new();
    it.sh("mkdir moved; mv l root .root.orlop-snapshot moved; echo more >> moved/root/etc/b");
    for words in [&["revert", "moved/root"][..], &["repack", "moved/root", "oci:new:v2"]] {
        let told = it.fails(words, 2);
        assert!(told.contains("is not where it was") && told.contains("--base REF"), "{told}");
    }
    it.ok(&["repack", "moved/root", "oci:new:v2", "--base", "oci:moved/l:v1"]);
    it.ok(&["revert", "moved/root", "--base", "oci:moved/l:v1"]);
    assert_eq!(it.ok(&["diff", "moved/root"]).out(), "");
}

/// A path that no text says is told when the folder is made, and not when it is missed.
#[test]
fn a_place_that_no_text_says_is_told_at_once() {
    let it = World::new();
    let odd = OsStr::from_bytes(b"odd-\xff");
    it.sh("mkdir a:b; cp -a l a:b/l; : > a");
    std::os::unix::fs::symlink("l", it.0.root().join(odd)).expect("linked");
    let odd = OsString::from_vec([b"oci:", odd.as_bytes(), b":v1"].concat());
    for (folder, reference, name) in [(".", odd, "one"), ("a:b", "./l:v1".into(), "two")] {
        let root = it.path(name);
        let command = it.command(&["unpack", "--track"]).arg(&reference).arg(&root);
        let done = command.current_dir(it.path(folder)).ok();
        assert!(done.err().contains("--base REF"), "{done}");
        it.sh(&format!("echo more >> {name}/etc/b"));
        it.ok(&["revert", name, "--base", "oci:l:v1"]);
    }
}

/// Whoever comes second waits; both have what is in the folder.
#[test]
fn two_repacks_of_one_folder_come_one_after_the_other() {
    let it = World::new();
    it.sh("head -c 3000000 /dev/urandom > root/etc/big");
    let one = std::thread::scope(|scope| {
        let one = scope.spawn(|| it.command(&["repack", "root", "oci:l:one", "--refresh"]).run());
        let two = scope.spawn(|| it.command(&["repack", "root", "oci:l:two", "--refresh"]).run());
        [one.join().expect("ran"), two.join().expect("ran")]
    });
    assert!(one.iter().all(testkit::Finished::success), "{} {}", one[0], one[1]);
    for tag in ["one", "two"] {
        it.ok(&["unpack", &format!("oci:l:{tag}"), tag]);
        assert_eq!(differences(&it.dump("root"), &it.dump(tag), &[]), []);
    }
    assert_eq!(it.ok(&["diff", "root"]).out(), "");
}
