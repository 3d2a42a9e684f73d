//! What was not changed makes no layer; what was, makes just that.

use crate::world::World;
use std::fs;
use testkit::dump::{Aspect, differences, dump};
use testkit::torture::{Power, give_away, make};
use testkit::{Command, is_root, orlop, proof, scratch};

#[test]
fn of_the_torture_tree_nothing_changes_that_nobody_changed() {
    let name = "repack: the torture tree unchanged, exact and record";
    if !is_root() {
        return proof::not_offered(name, "devices and foreign owners need root");
    }
    for (power, owner) in [(Power::Root, "exact"), (Power::Root, "record"), (Power::User, "record")] {
        let it = scratch();
        make(&it.path("tree"), power);
        let is_user = power == Power::User;
        if is_user {
            give_away(it.root(), 65534, 65534);
        }
        let run = |words: &[&str]| {
            let command = orlop().args(words).current_dir(it.root());
            if is_user { command.unprivileged() } else { command }
        };
        run(&["build", "--unrepresentable", "skip", "--cmd", "sh", "tree", "oci:l:t"]).ok();
        run(&["unpack", "--owner", owner, "--track", "oci:l:t", "root"]).ok();
        run(&["bundle", "--owner", owner, "--track", "oci:l:t", "bundle"]).ok();
        let before = dump(&it.path("root"));
        for (folder, more) in
            [("root", &[][..]), ("root", &["--paranoid"]), ("root", &["--refresh"]), ("bundle", &[])]
        {
            let digest = run(&["digest", "oci:l:t"]).ok().out();
            let done = run(&[&["repack", folder, "oci:l:t"], more].concat()).ok();
            assert!(
                done.err().contains("nothing was changed"),
                "{power:?} {owner} {folder} {more:?}: {done}"
            );
            assert_eq!(run(&["digest", "oci:l:t"]).ok().out(), digest, "{power:?} {owner}");
            assert_eq!(run(&["diff", folder]).ok().out(), "", "{power:?} {owner}");
        }
        assert_eq!(differences(&before, &dump(&it.path("root")), &[]), [], "the folder was changed");
    }
    proof::ran(name, 12);
}

/// What an ordinary user cannot set, a record keeps: through an edit, too.
#[test]
fn recorded_owners_and_setuid_bits_survive_a_repack() {
    let name = "repack: recorded owners of an ordinary user";
    if !is_root() {
        return proof::not_offered(name, "foreign owners need root");
    }
    let it = World::new();
    it.sh("chown -R 5:7 tree; chmod 4755 tree/etc/b");
    it.ok(&["build", "tree", "oci:l:v1"]);
    it.sh("chmod 777 .; rm -rf root; mkdir user; chown -R 65534:65534 user l");
    let user = |words: &[&str]| it.command(words).unprivileged().ok();
    user(&["unpack", "--track", "oci:l:v1", "user/root"]);
    let edit = "echo more >> user/root/etc/b; echo new > user/root/etc/new; chmod 700 user/root/etc/d";
    Command::new("sh").args(["-ec", edit]).current_dir(it.0.root()).unprivileged().ok();
    user(&["repack", "user/root", "oci:l:v2"]);
    let theirs = it.unpacked("oci:l:v2", "again");
    let owner = |path: &str| theirs[path.as_bytes()].owner;
    assert_eq!(
        (owner("etc/b"), owner("etc/d"), owner("etc"), owner("etc/new")),
        ((5, 7), (5, 7), (5, 7), (0, 0))
    );
    assert_eq!((theirs[&b"etc/b"[..]].mode, theirs[&b"etc/d"[..]].mode), (0o4755, 0o700));
    user(&["revert", "user/root"]);
    assert_eq!(user(&["diff", "user/root"]).out(), "");
    it.ok(&["verify", "--owner", "record", "oci:l:v1", "user/root"]);
    proof::ran(name, 4);
}

#[test]
fn changes_are_told_as_between_images() {
    let it = World::new();
    it.sh("echo new > root/etc/new; rm -r root/etc/d; echo x >> root/etc/b; chmod 600 root/usr/a");
    let told = it.command(&["diff", "root"]).run();
    assert_eq!(told.code(), Some(8));
    let expected = it.ok(&["repack", "root", "oci:l:v2", "--dry-run"]);
    assert_eq!(told.out(), expected.out());
    it.fails(&["digest", "oci:l:v2"], 2);
    it.ok(&["repack", "root", "oci:l:v2"]);
    let images = it.command(&["diff", "oci:l:v1", "oci:l:v2"]).run().out();
    let files: Vec<&str> = images.lines().filter(|line| !line.starts_with("config")).collect();
    assert_eq!(told.out().lines().collect::<Vec<_>>(), files);
    let json = it.command(&["diff", "--format", "json", "root"]).run().out();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["files"].as_array().expect("files").len(), told.out().lines().count());
    it.ok(&["revert", "--dry-run", "root"]);
    assert_eq!(it.command(&["diff", "root"]).run().code(), Some(8));
    assert_eq!(it.ok(&["revert", "root"]).out(), told.out());
    assert_eq!(differences(&it.unpacked("oci:l:v1", "fresh"), &it.dump("root"), &[]), []);
}

#[test]
fn a_masked_path_counts_as_unchanged() {
    let it = World::new();
    it.sh("echo new > root/etc/new; rm root/etc/d/c; mkdir root/tmp; echo x > root/tmp/x; touch -d @5 root/etc root");
    let masks = ["--mask-path", "etc/d", "--mask-path", "/tmp"];
    it.command(&["repack", "root", "oci:l:v2", "--refresh"]).args(masks).ok();
    let made = it.unpacked("oci:l:v2", "made");
    assert!(made.contains_key(&b"etc/new"[..]) && made.contains_key(&b"etc/d/c"[..]));
    assert!(!made.contains_key(&b"tmp"[..]));
    let left = it.command(&["diff", "root"]).run().out();
    assert!(left.contains("etc/d/c") && left.contains("tmp/x") && !left.contains("etc/new"), "{left}");
    it.fails(&["repack", "root", "oci:l:v3", "--mask-path", "/"], 64);
}

/// E8: umoci 172: what was changed in a folder could not be taken back. Only layers that hold what is needed are read: the other
/// one may be gone.
#[test]
fn revert_reads_the_layers_that_hold_what_was_changed() {
    let it = World::new();
    it.sh("mkdir top; echo top > top/top");
    it.ok(&["build", "--base", "oci:l:v1", "top", "oci:l:two"]);
    it.ok(&["unpack", "--track", "oci:l:two", "both"]);
    let fresh = it.dump("both");
    let raw = it.ok(&["inspect", "--raw", "oci:l:two"]).out();
    let raw: serde_json::Value = serde_json::from_str(&raw).expect("JSON");
    let base = raw["layers"][0]["digest"].as_str().expect("a digest").replace(':', "/");
    fs::rename(it.path(&format!("l/blobs/{base}")), it.path("aside")).expect("moved");
    it.sh("echo y > both/top; rm -r both/usr/l; chmod 640 both/etc/b; touch both/etc/extra");
    it.ok(&["repack", "both", "oci:l:repacked"]);
    it.ok(&["revert", "both"]);
    assert_eq!(differences(&fresh, &it.dump("both"), &[]), []);
    it.sh("rm both/etc/d/c");
    let before = it.dump("both");
    it.fails(&["revert", "both"], 5);
    assert_eq!(
        differences(&before, &it.dump("both"), &[]),
        [],
        "nothing is touched where a content is missing"
    );
    fs::rename(it.path("aside"), it.path(&format!("l/blobs/{base}"))).expect("moved");
    it.ok(&["revert", "both"]);
    assert_eq!(differences(&fresh, &it.dump("both"), &[]), []);
}

/// Contents that the store keeps as files are tracked and brought back as those of blobs are.
#[test]
fn folders_unpacked_from_the_store_are_tracked_alike() {
    let it = World::new();
    it.ok(&["copy", "oci:l:v1", "store:v1"]);
    it.ok(&["unpack", "--track", "store:v1", "stored"]);
    let fresh = it.dump("stored");
    it.sh("echo y > stored/etc/b; rm -r stored/etc/d; truncate -s 1M stored/hole");
    it.ok(&["repack", "stored", "store:v2"]);
    let changed = it.dump("stored");
    assert_eq!(differences(&changed, &it.unpacked("store:v2", "again"), &[Aspect::Holes]), []);
    it.ok(&["revert", "stored"]);
    assert_eq!(differences(&fresh, &it.dump("stored"), &[]), []);
}

#[test]
fn history_and_config_say_what_was_asked() {
    let it = World::new();
    it.sh("echo new > root/etc/new");
    let said = ["--history-comment", "why", "--history-author", "me", "--created", "2020-01-01T00:00:00Z"];
    it.command(&["repack", "root", "oci:l:v2", "--compress", "zstd"]).args(said).ok();
    let config = it.ok(&["inspect", "--config", "oci:l:v2"]).out();
    let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    let step = &config["history"][1];
    assert_eq!(
        (&step["comment"], &step["author"], &step["created_by"]),
        (&"why".into(), &"me".into(), &"orlop repack".into())
    );
    assert_eq!(
        (&step["created"], &config["created"]),
        (&"2020-01-01T00:00:00Z".into(), &"2020-01-01T00:00:00Z".into())
    );
    assert!(it.ok(&["inspect", "--raw", "oci:l:v2"]).out().contains("tar+zstd"));
    it.ok(&["repack", "root", "oci:l:v3", "--no-history"]);
    let config = it.ok(&["inspect", "--config", "oci:l:v3"]).out();
    let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config["history"][1], serde_json::json!({}));
    it.ok(&["validate", "oci:l"]);
}
