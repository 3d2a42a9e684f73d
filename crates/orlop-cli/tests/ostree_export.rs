//! Commits of OSTree as images: what `ostree` commits is what images hold, and what flatpak imports.

use orlop::spec::base64;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use testkit::peer::{Peer, peer};
use testkit::{Command, Finished, Scratch, orlop, proof, scratch};

const MODES: [&str; 4] = ["archive", "bare", "bare-user", "bare-user-only"];

fn command(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root())
}

fn ok(it: &Scratch, words: &[&str]) -> String {
    command(it, words).ok().out()
}

fn run(it: &Scratch, words: &[&str]) -> Finished {
    command(it, words).run()
}

fn with(it: &Scratch, peer: &Peer, words: &[&str]) -> String {
    peer.command().args(words).current_dir(it.root()).ok().out()
}

/// A repository of each mode, and a commit in it of one tree.
fn fixture(ostree: &Peer) -> Scratch {
    let it = scratch();
    it.folder("tree/etc/deep");
    it.folder("tree/usr/bin");
    it.file("tree/etc/name", "value\n");
    it.file("tree/etc/deep/empty", "");
    it.file("tree/usr/bin/large", "0123456789abcdef".repeat(40_000));
    fs::set_permissions(it.path("tree/usr/bin/large"), fs::Permissions::from_mode(0o755)).expect("mode");
    symlink("../etc/name", it.path("tree/usr/link")).expect("a link");
    it.folder("tree/a");
    it.file("tree/a.b", "sorted before a/c by bytes, behind it by components");
    it.file("tree/a/c", "");
    for mode in MODES {
        let repo = format!("--repo={mode}");
        with(&it, ostree, &["init", &repo, &format!("--mode={mode}")]);
        let further = if mode == "bare-user-only" { "--canonical-permissions" } else { "--owner-uid=0" };
        let words = [
            "commit",
            &repo,
            "-b",
            "test/branch",
            "-s",
            "subject",
            "--timestamp=2020-01-02 03:04:05 +0000",
            "--add-metadata-string=z.key=first",
            "--add-metadata-string=a.key=second",
            "--add-detached-metadata-string=note=beside",
            further,
            "--owner-gid=0",
            "tree",
        ];
        with(&it, ostree, &words);
    }
    it
}

fn ostree() -> Option<Peer> {
    let found = peer("ostree");
    if found.is_none() {
        proof::skipped("ostree: commits of every mode become what ostree exports", "there is no ostree");
    }
    found
}

fn labels(it: &Scratch, reference: &str) -> Value {
    let config: Value = serde_json::from_str(&ok(it, &["inspect", reference, "--config"])).expect("JSON");
    config["config"]["Labels"].clone()
}

#[test]
fn a_commit_becomes_what_ostree_exports() {
    let Some(ostree) = ostree() else { return };
    let it = fixture(&ostree);
    let mut digests = Vec::new();
    for mode in MODES {
        let (from, to) = (format!("ostree:{mode}@test/branch"), format!("oci:img:{mode}"));
        ok(&it, &["copy", &from, &to]);
        with(
            &it,
            &ostree,
            &["export", &format!("--repo={mode}"), "-o", &format!("{mode}.tar"), "test/branch"],
        );
        ok(&it, &["diff", &format!("tar:{mode}.tar"), &to]);
        ok(&it, &["validate", &to]);
        ok(&it, &["copy", &from, &format!("oci:again:{mode}")]);
        assert_eq!(ok(&it, &["digest", &to]), ok(&it, &["digest", &format!("oci:again:{mode}")]));
        if mode != "bare-user-only" {
            digests.push(ok(&it, &["digest", &to]));
        }
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "one commit, one image");
    proof::ran("ostree: commits of every mode become what ostree exports", MODES.len());
}

#[test]
fn an_image_carries_its_commit_to_the_byte() {
    let Some(ostree) = ostree() else { return };
    let it = fixture(&ostree);
    ok(&it, &["copy", "ostree:archive@test/branch", "oci:img:t"]);
    let labels = labels(&it, "oci:img:t");
    let id = with(&it, &ostree, &["rev-parse", "--repo=archive", "test/branch"]);
    let id = id.trim();
    assert_eq!(labels["ostree.commit"], id);
    let object = |kind: &str| {
        let place = format!("archive/objects/{}/{}.{kind}", &id[..2], &id[2..]);
        base64::encode(&fs::read(it.path(&place)).expect("an object"))
    };
    assert_eq!(labels["org.ostree.commit-object"], object("commit"));
    assert_eq!(labels["org.ostree.commit-meta"], object("commitmeta"));
    let inspected = ok(&it, &["inspect", "oci:img:t", "--config"]);
    assert!(inspected.contains("\"created\":\"2020-01-02T03:04:05Z\""), "{inspected}");
}

#[test]
fn a_commit_comes_back_with_its_id_and_what_was_said_beside_it() {
    let Some(ostree) = ostree() else { return };
    let it = fixture(&ostree);
    let id = with(&it, &ostree, &["rev-parse", "--repo=archive", "test/branch"]);
    for (number, further) in ["--compress=zstd", "--chunked=3"].into_iter().enumerate() {
        let image = format!("oci:img:{number}");
        ok(&it, &["copy", "ostree:bare@test/branch", &image, further]);
        let repo = format!("back-{number}");
        with(&it, &ostree, &["init", &format!("--repo={repo}"), "--mode=archive"]);
        ok(&it, &["copy", "--verify-id=require", &image, &format!("ostree:{repo}@test")]);
        assert_eq!(with(&it, &ostree, &["rev-parse", &format!("--repo={repo}"), "test"]), id);
        with(&it, &ostree, &["fsck", &format!("--repo={repo}")]);
        let id = id.trim();
        let beside = format!("objects/{}/{}.commitmeta", &id[..2], &id[2..]);
        let read = |repo: &str| fs::read(it.path(&format!("{repo}/{beside}"))).expect("detached metadata");
        assert_eq!(read(&repo), read("archive"));
    }
    proof::ran("ostree: a commit comes back out of an image with its id", 2);
}

#[test]
fn a_commit_is_looked_at_as_an_image_is() {
    let Some(ostree) = ostree() else { return };
    let it = fixture(&ostree);
    let id = with(&it, &ostree, &["rev-parse", "--repo=bare", "test/branch"]);
    ok(&it, &["copy", "ostree:bare@test/branch", "oci:img:t", "--compress=none"]);
    for name in ["test/branch", id.trim(), &id[..9]] {
        let reference = format!("ostree:bare@{name}");
        assert_eq!(ok(&it, &["digest", &reference]), ok(&it, &["digest", "oci:img:t"]), "{name}");
    }
    let place = "ostree:bare@test/branch";
    assert_eq!(ok(&it, &["cat", place, "usr/link"]), "value\n");
    assert_eq!(ok(&it, &["cat", "ostree:bare@test/branch:/etc", "name"]), "value\n");
    assert!(ok(&it, &["files", place]).contains("usr/bin/large"));
    ok(&it, &["diff", place, "oci:img:t"]);
    ok(&it, &["unpack", place, "out"]);
    ok(&it, &["diff", "rootfs:out", place]);
    ok(&it, &["build", "--base", place, "--env=A=1", "tree/a", "oci:built:t"]);
    ok(&it, &["build", "ostree:bare@test/branch:/etc", "oci:built:etc"]);
    assert_eq!(ok(&it, &["cat", "oci:built:etc", "name"]), "value\n");
    ok(&it, &["copy", place, "oci:chunked:t", "--chunked=4"]);
    ok(&it, &["diff", place, "oci:chunked:t"]);
    ok(&it, &["copy", "ostree:bare@test/branch:/etc", "oci:img:etc"]);
    assert!(labels(&it, "oci:img:etc").is_null(), "a part is no commit");
}

#[test]
fn what_is_not_there_is_named() {
    let Some(ostree) = ostree() else { return };
    let it = fixture(&ostree);
    it.folder("empty");
    for (reference, code) in [
        ("ostree:empty@x", 2),
        ("ostree:bare@nothing", 2),
        ("ostree:bare@test/branch:/etc/name", 2),
        ("ostree:bare@test/branch:/etc/../usr", 2),
    ] {
        let done = run(&it, &["inspect", reference]);
        assert_eq!(done.code(), Some(code), "{reference}: {done}");
    }
    for words in [
        &["copy", "--profile=flatpak", "ostree:bare@test/branch", "oci:x:t"][..],
        &["copy", "--profile=flatpak", "ostree:bare@test/branch:/etc", "oci:x:t"],
        &["copy", "--profile=flatpak", "rootfs:tree", "oci:x:t"],
        &["tag", "ostree:bare@test/branch", "x"],
    ] {
        let done = run(&it, words);
        assert_eq!(done.code(), Some(64), "{words:?}: {done}");
    }
    assert!(!it.path("x/index.json").exists());
}

#[test]
fn a_flipped_bit_of_an_object_is_named_and_nothing_is_written() {
    let Some(ostree) = ostree() else { return };
    let it = fixture(&ostree);
    let listed = with(&it, &ostree, &["ls", "--repo=bare", "-C", "test/branch", "/etc/name"]);
    let id = listed.split_whitespace().find(|word| word.len() == 64).expect("an id").to_owned();
    let place = it.path(&format!("bare/objects/{}/{}.file", &id[..2], &id[2..]));
    fs::write(place, "valuf\n").expect("damaged");
    let done = run(&it, &["copy", "ostree:bare@test/branch", "oci:x:t"]);
    assert_eq!(done.code(), Some(5), "{done}");
    assert!(done.err().contains(&id), "{done}");
    assert!(!it.path("x/index.json").exists() || run(&it, &["digest", "oci:x:t"]).code() != Some(0));
}

const HELLO: &str = "app/org.test.Hello/x86_64/master";

#[test]
fn flatpak_imports_what_is_exported_for_it() {
    const PROOF: &str = "flatpak: an exported commit is imported with the same content";
    let (Some(ostree), Some(flatpak)) = (peer("ostree"), peer("flatpak")) else {
        return proof::skipped(PROOF, "there is no flatpak");
    };
    let it = scratch();
    it.folder("app/files/bin");
    it.folder("app/export/share");
    it.file("app/metadata", "[Application]\nname=org.test.Hello\nruntime=org.test.Platform/x86_64/master\n");
    it.file("app/files/bin/hello.sh", "#!/bin/sh\necho hello\n");
    symlink("hello.sh", it.path("app/files/bin/hi")).expect("a link");
    it.folder("home");
    let flatpak = |words: &[&str]| {
        let root = it.root().display();
        let mut command = flatpak.command().args(words).current_dir(it.root());
        command = command.env("HOME", it.path("home")).env("XDG_RUNTIME_DIR", it.path("home"));
        for (name, place) in [("USER", "user"), ("SYSTEM", "system"), ("CONFIG", "config")] {
            command = command.env(format!("FLATPAK_{name}_DIR"), format!("{root}/{place}"));
        }
        command.ok()
    };
    flatpak(&["build-export", "--no-update-summary", "--disable-sandbox", "repo", "app", "master"]);
    let (from, to) = (format!("ostree:repo@{HELLO}"), format!("oci:img:{HELLO}"));
    ok(&it, &["copy", "--profile=flatpak", &from, &to]);
    let labels = labels(&it, &to);
    let id = with(&it, &ostree, &["rev-parse", "--repo=repo", HELLO]);
    assert_eq!(
        (&labels["org.flatpak.ref"], &labels["org.flatpak.commit"]),
        (&HELLO.into(), &id.trim().into())
    );
    let config: Value = serde_json::from_str(&ok(&it, &["inspect", &to, "--config"])).expect("JSON");
    assert_eq!(config["architecture"], "amd64");
    with(&it, &ostree, &["init", "--repo=other", "--mode=archive"]);
    flatpak(&["build-import-bundle", "--oci", "other", "img"]);
    let listed = |repo: &str| with(&it, &ostree, &["ls", &format!("--repo={repo}"), "-R", "-C", HELLO]);
    assert_eq!(listed("repo"), listed("other"));
    ok(&it, &["flatpak", "export", "repo", HELLO, "oci:bundle"]);
    assert_eq!(ok(&it, &["digest", &format!("oci:bundle:{HELLO}")]), ok(&it, &["digest", &to]));
    with(&it, &ostree, &["init", "--repo=same", "--mode=archive"]);
    ok(&it, &["copy", &to, "ostree:same@test"]);
    assert_eq!(
        with(&it, &ostree, &["rev-parse", "--repo=same", "test"]),
        id,
        "what flatpak itself does not keep"
    );
    proof::ran(PROOF, 1);
}
