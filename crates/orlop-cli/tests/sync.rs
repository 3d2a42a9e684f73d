//! `sync` between local places: what is taken, left, removed, told, and what a failure stops.

use serde_json::Value;
use std::fs;
use testkit::registry::Registry;
use testkit::{Command, Scratch, orlop, proof, scratch};

const TAGS: [&str; 4] = ["v1.0.0", "v1.1.0", "v2.0.0-rc1", "latest"];

/// A layout `from` with four tags.
fn fixture() -> Scratch {
    let scratch = scratch();
    scratch.folder("tree");
    for tag in TAGS {
        scratch.file("tree/version", tag);
        command(&scratch, &["build", "tree", &format!("oci:from:{tag}"), "--progress=none"]).ok();
    }
    scratch
}

fn command(scratch: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(scratch.root())
}

fn tags(scratch: &Scratch, place: &str) -> Vec<String> {
    let text = command(scratch, &["ls", place, "--format=json"]).ok().out();
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let images = value["images"].as_array().expect("a list").iter();
    let mut tags: Vec<String> =
        images.map(|image| image["tag"].as_str().expect("a tag").to_owned()).collect();
    tags.sort();
    tags
}

#[test]
fn what_is_meant_is_copied_once() {
    let it = fixture();
    let words = ["sync", "oci:from", "oci:to", "--include=v*", "--exclude=*-rc*"];
    assert_eq!(command(&it, &words).ok().out().lines().count(), 2);
    assert_eq!(tags(&it, "oci:to"), ["v1.0.0", "v1.1.0"]);
    command(&it, &["validate", "oci:to"]).ok();
    assert_eq!(command(&it, &words).ok().out(), "", "the second time there is nothing to do");

    command(&it, &["sync", "oci:from", "oci:ranged", "--semver=>=1.1.0"]).ok();
    assert_eq!(tags(&it, "oci:ranged"), ["v1.1.0"]);
}

#[test]
fn ls_lists_versions_of_a_range_the_newest_first() {
    let it = scratch();
    it.folder("root");
    command(&it, &["build", "root", "oci:from:1.2.0"]).ok();
    for tag in ["1.10.0", "v1.9.1", "1.9", "2.0.0", "1.11.0-rc1", "1", "latest", "1.2.3.4"] {
        command(&it, &["tag", "oci:from:1.2.0", tag]).ok();
    }
    let listed = |words: &[&str]| -> Vec<String> {
        let text = command(&it, &[&["ls", "oci:from", "--format=json"], words].concat()).ok().out();
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let images = value["images"].as_array().expect("a list").iter();
        images.map(|image| image["tag"].as_str().expect("a tag").to_owned()).collect()
    };
    assert_eq!(listed(&["--semver=^1"]), ["1.10.0", "v1.9.1", "1.9", "1.2.0", "1"]);
    assert_eq!(listed(&["--semver=^1", "--exclude=1.10*"])[0], "v1.9.1");
    assert_eq!(listed(&["--semver=~1.9"]), ["v1.9.1", "1.9"]);
    assert_eq!(listed(&["--semver=>=1.11.0-rc0, <2"]), ["1.11.0-rc1"]);
    assert_eq!(listed(&["--semver=^3"]), [""; 0]);
    assert_eq!(listed(&["--include=late*"]), ["latest"]);
    assert_eq!(command(&it, &["ls", "oci:from", "--semver=latest"]).run().code(), Some(64));
}

#[test]
fn a_tag_that_moved_is_moved() {
    let it = fixture();
    command(&it, &["sync", "oci:from", "oci:to"]).ok();
    command(&it, &["tag", "oci:from:v1.0.0", "latest"]).ok();
    let told = command(&it, &["sync", "oci:from", "oci:to", "--format=json"]).ok().out();
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["places"][0]["copied"][0]["tag"], "latest");
    assert_eq!(told["places"][0]["held"].as_array().expect("a list").len(), 3);
    let digest = |place| command(&it, &["digest", place]).ok().out();
    assert_eq!(digest("oci:to:latest"), digest("oci:from:v1.0.0"));
}

#[test]
fn surplus_tags_go_only_after_a_yes() {
    let it = fixture();
    command(&it, &["copy", "oci:from:latest", "oci:to:old"]).ok();
    command(&it, &["copy", "oci:from:latest", "oci:to:w"]).ok();
    let refused = command(&it, &["sync", "oci:from", "oci:to", "--delete"]).run();
    assert_eq!(refused.code(), Some(64));
    assert_eq!(tags(&it, "oci:to"), ["old", "w"]);

    let words = ["sync", "oci:from", "oci:to", "--exclude=w", "--delete"];
    let told = command(&it, &[&words[..], &["--dry-run"]].concat()).ok().out();
    assert!(told.contains("removed oci:to:old\n") && !told.contains(":w\n"), "{told}");
    assert_eq!(tags(&it, "oci:to"), ["old", "w"], "a dry run changes nothing");

    command(&it, &[&words[..], &["--yes"]].concat()).ok();
    assert_eq!(tags(&it, "oci:to"), ["latest", "v1.0.0", "v1.1.0", "v2.0.0-rc1", "w"]);
}

#[test]
fn one_that_fails_stops_the_others_or_is_told_at_the_end() {
    let it = fixture();
    let broken = command(&it, &["digest", "oci:from:v1.1.0"]).ok().out();
    let path = it.path("from/blobs/sha256").join(broken.trim().trim_start_matches("sha256:"));
    fs::remove_file(path).expect("it is there");
    let words = ["sync", "oci:from", "oci:to"];
    assert_eq!(command(&it, &words).run().code(), Some(5));

    let partial = command(&it, &[&words[..], &["--keep-going"]].concat()).run();
    assert_eq!(partial.code(), Some(7));
    assert!(partial.err().contains("v1.1.0: "), "{}", partial.err());
    assert_eq!(tags(&it, "oci:to"), ["latest", "v1.0.0", "v2.0.0-rc1"]);

    let words = ["sync", "oci:from", "oci:none", "--include=v1.1.0", "--keep-going"];
    assert_eq!(
        command(&it, &words).run().code(),
        Some(5),
        "nothing went well, so it is no part of a success"
    );
}

#[test]
fn a_pair_that_cannot_be_read_leaves_the_others_alone() {
    let it = fixture();
    it.file(
        "plan.yaml",
        "- {from: oci:nowhere, to: oci:a}\n- {from: oci:from, to: oci:b, include: [latest]}\n",
    );
    assert_eq!(command(&it, &["sync", "--plan=plan.yaml"]).run().code(), Some(2));
    assert!(!it.path("b").exists());

    let words = ["sync", "--plan=plan.yaml", "--keep-going", "--format=json"];
    let done = command(&it, &words).run();
    assert_eq!(done.code(), Some(7), "{done}");
    assert!(done.err().contains("oci:nowhere: "), "{}", done.err());
    let told: Value = serde_json::from_str(&done.out()).expect("JSON");
    assert!(told["places"][0]["error"].is_string() && told["places"][1]["error"].is_null(), "{told}");
    assert_eq!(tags(&it, "oci:b"), ["latest"]);
}

#[test]
fn nothing_is_removed_when_something_failed() {
    let it = fixture();
    command(&it, &["copy", "oci:from:latest", "oci:to:old"]).ok();
    let broken = command(&it, &["digest", "oci:from:v1.1.0"]).ok().out();
    let path = it.path("from/blobs/sha256").join(broken.trim().trim_start_matches("sha256:"));
    fs::remove_file(path).expect("it is there");
    let words = ["sync", "oci:from", "oci:to", "--keep-going", "--delete", "--yes"];
    assert_eq!(command(&it, &words).run().code(), Some(7));
    assert!(tags(&it, "oci:to").contains(&"old".to_owned()));
}

#[test]
fn a_plan_makes_several_places_equal() {
    let it = fixture();
    it.file(
        "plan.yaml",
        "- from: oci:from\n  to: oci:a\n  include: [latest]\n- {from: oci:from, to: oci:b, semver: '1'}\n",
    );
    command(&it, &["sync", "--plan=plan.yaml"]).ok();
    assert_eq!((tags(&it, "oci:a").len(), tags(&it, "oci:b").len()), (1, 2));
    it.file("bad.yaml", "- from: oci:from\n  too: oci:a\n");
    let refused = command(&it, &["sync", "--plan=bad.yaml"]).run();
    assert_eq!(refused.code(), Some(64));
    assert!(refused.err().contains("`too`: nobody knows"), "{}", refused.err());
}

/// An index of two platforms under two tags.
fn platforms() -> Scratch {
    let it = scratch();
    for platform in ["amd64", "arm64"] {
        it.folder(platform);
        it.file(&format!("{platform}/file"), platform);
    }
    let sources = ["--platform", "linux/amd64=amd64", "--platform", "linux/arm64=arm64"];
    command(&it, &[&["build"], &sources[..], &["oci:from:1", "--progress=none"]].concat()).ok();
    command(&it, &["tag", "oci:from:1", "2"]).ok();
    it
}

/// That the entry of an index stands says nothing of the platforms that are wanted now.
#[test]
fn another_platform_of_an_index_that_stands_is_copied() {
    let it = platforms();
    let sync = |platform: &str| {
        let told =
            command(&it, &["sync", "oci:from", "oci:to", "--platform", platform, "--format=json"]).ok().out();
        let told: Value = serde_json::from_str(&told).expect("JSON");
        let count = |what: &str| told["places"][0][what].as_array().expect("a list").len();
        (count("copied"), count("held"))
    };
    let has = |platform: &str| {
        let words = ["cat", "oci:to:2", "file", "--platform", &format!("linux/{platform}")];
        command(&it, &words).run().code()
    };
    assert_eq!(sync("linux/amd64"), (2, 0));
    assert_eq!((has("amd64"), has("arm64")), (Some(0), Some(5)));
    assert_eq!(sync("linux/amd64"), (0, 2), "the second time there is nothing to do");
    let (copied, held) = sync("linux/arm64,linux/amd64");
    assert!(copied >= 1 && copied + held == 2, "{copied} {held}");
    assert_eq!((has("amd64"), has("arm64")), (Some(0), Some(0)));
    assert_eq!(sync("linux/arm64"), (0, 2));
    assert_eq!(sync("all"), (0, 2), "all of it is there");
}

#[test]
fn a_registry_is_asked_before_it_is_told_what_would_move() {
    const PROOF: &str = "sync: a dry run at a registry";
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = platforms();
    let place = format!("docker://{}/app:1", registry.host());
    let foreseen = || -> Vec<String> {
        let told = command(&it, &["copy", "--dry-run", "oci:from:1", &place, "--referrers=all"]).ok().out();
        told.lines().map(|line| line.split_whitespace().next().expect("a word").to_owned()).collect()
    };
    assert_eq!(foreseen(), ["move"]);
    command(&it, &["push", "oci:from:1", &place]).ok();
    assert_eq!(foreseen(), ["reuse"]);
    let place = format!("docker://{}/app", registry.host());
    let words = ["sync", "oci:from", &place, "--platform=linux/arm64"];
    assert_eq!(command(&it, &words).ok().out().lines().count(), 1, "tag 2 is new");
    let before = registry.requests().len();
    assert_eq!(command(&it, &words).ok().out(), "");
    let asked = registry.requests().split_off(before);
    assert!(asked.iter().all(|it| it.starts_with("HEAD ") || it.starts_with("GET /v2/ ")), "{asked:?}");
    assert_eq!(
        asked.iter().filter(|it| it.starts_with("HEAD ")).count(),
        4,
        "index and platform, twice: {asked:?}"
    );
    proof::ran(PROOF, 4);
}
