//! What is written: layers in which `ostree` finds a repository, and containers their files.

use crate::read::recorded;
use crate::{imported, judge, ok, run, theirs};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use testkit::{Peer, Scratch, proof, scratch};

pub(crate) const MODES: [&str; 3] = ["archive", "bare", "bare-user"];

/// A repository of each mode, and a commit in it of one tree, from which a machine could start.
pub(crate) fn fixture(ostree: &Peer) -> Scratch {
    let it = scratch();
    for folder in ["usr/bin", "usr/etc/deep", "usr/lib", "var", "sysroot", "boot"] {
        it.folder(&format!("tree/{folder}"));
    }
    it.file("tree/usr/etc/name", "value\n");
    it.file("tree/usr/etc/deep/empty", "");
    it.file("tree/usr/bin/tool", "#!/bin/sh\n");
    fs::set_permissions(it.path("tree/usr/bin/tool"), fs::Permissions::from_mode(0o4755)).expect("a mode");
    fs::copy(it.path("tree/usr/bin/tool"), it.path("tree/usr/bin/same")).expect("copied");
    it.file("tree/usr/lib/large", "0123456789abcdef".repeat(40_000));
    symlink("usr/bin", it.path("tree/bin")).expect("a link");
    symlink("sysroot/ostree", it.path("tree/ostree")).expect("a link");
    for mode in MODES {
        let repo = format!("--repo={mode}");
        theirs(&it, ostree, &["init", &repo, &format!("--mode={mode}")]);
        let words = [
            "commit",
            &repo,
            "-b",
            "os/x",
            "-s",
            "subject",
            "--timestamp=2020-01-02 03:04:05 +0000",
            "--owner-uid=0",
            "--owner-gid=0",
            "--add-metadata=ostree.bootable=true",
            "--add-metadata-string=version=42",
            "--add-metadata=ostree.container-cmd=['/usr/bin/tool','x']",
            "--add-detached-metadata-string=note=beside",
            "--tree=dir=tree",
        ];
        theirs(&it, ostree, &words);
    }
    it
}

pub(crate) fn id(it: &Scratch, ostree: &Peer) -> String {
    theirs(it, ostree, &["rev-parse", "--repo=bare", "os/x"])
}

#[test]
fn what_is_unpacked_is_a_repository_of_its_own() {
    const PROOF: &str = "ostree: a repository in the layers of an encapsulated commit";
    let Some(ostree) = judge(PROOF) else { return };
    let it = fixture(&ostree);
    let id = id(&it, &ostree);
    for (tag, how) in [("one", &[][..]), ("many", &["--chunked=4"])] {
        let image = format!("oci:img:{tag}");
        ok(&it, &[&["copy", "--profile=encapsulated"], how, &["ostree:bare@os/x", &image]].concat());
        ok(&it, &["validate", &image]);
        ok(&it, &["unpack", &image, tag]);
        let repo = format!("--repo={tag}/sysroot/ostree/repo");
        assert!(theirs(&it, &ostree, &["fsck", &repo]).contains("no errors found"), "{tag}");
        let listed = |repo: &str, id: &str| theirs(&it, &ostree, &["ls", repo, "-RC", id]);
        assert_eq!(listed(&repo, &id), listed("--repo=bare", "os/x"), "{tag}");
        let note = ["show", &repo, "--print-detached-metadata-key=note", &id];
        assert_eq!(theirs(&it, &ostree, &note), "'beside'", "{tag}");
    }
    proof::ran(PROOF, 2);
}

/// Reading such a repository is ours, too. The commit is one whose files have attributes, whatever this file system keeps.
#[test]
fn a_repository_that_keeps_attributes_apart_is_read_in_its_own_mode() {
    const PROOF: &str = "ostree: bare-split-xattrs is read";
    let Some(ostree) = judge(PROOF) else { return };
    let it = scratch();
    ok(&it, &["ostree", "init", "--repo=kept", "--mode=archive"]);
    let id =
        imported(&it, &[&recorded("one"), "ostree:kept@x"])["commit"].as_str().expect("an id").to_owned();
    ok(&it, &["copy", "--profile=encapsulated", "ostree:kept@x", "oci:img:t"]);
    ok(&it, &["unpack", "oci:img:t", "root"]);
    let repo = "--repo=root/sysroot/ostree/repo";
    ok(&it, &["ostree", "fsck", repo]);
    assert!(theirs(&it, &ostree, &["fsck", repo]).contains("no errors found"));
    let listed = |repo: &str| ok(&it, &["ostree", "ls", repo, "-RX", &id]);
    assert_eq!(listed(repo), listed("--repo=kept"));
    assert!(listed(repo).contains("user.note"), "{}", listed(repo));
    let of = |repo: &str, tag: &str| {
        ok(&it, &["copy", &format!("ostree:{repo}@{id}"), &format!("oci:img:{tag}")]);
        ok(&it, &["digest", &format!("oci:img:{tag}")])
    };
    assert_eq!(of("root/sysroot/ostree/repo", "split"), of("kept", "kept"), "one commit, one image");
    it.folder("tree");
    let written = run(&it, &["ostree", "commit", repo, "-b", "x", "tree"]);
    assert!(!written.success() && written.err().contains("bare-split-xattrs"), "{written}");
    proof::ran(PROOF, 1);
}

#[test]
fn a_container_has_the_files_where_it_looks_for_them() {
    let Some(ostree) = judge("ostree: files of an encapsulated commit") else { return };
    let it = fixture(&ostree);
    ok(&it, &["copy", "--profile=encapsulated", "ostree:bare@os/x", "oci:img:t"]);
    assert_eq!(ok(&it, &["cat", "oci:img:t", "/etc/name"]), "value\n");
    ok(&it, &["unpack", "oci:img:t", "root"]);
    let mode = |path: &str| fs::metadata(it.path(path)).expect("there").permissions().mode() & 0o7777;
    assert_eq!((mode("root/usr/bin/tool"), mode("root/var/tmp")), (0o4755, 0o1777));
    assert_eq!(fs::read_link(it.path("root/bin")).expect("a link").to_str(), Some("usr/bin"));
    assert!(!it.path("root/usr/etc").exists());
    proof::ran("ostree: files of an encapsulated commit", 1);
}

#[test]
fn one_commit_is_one_image_whatever_the_repository_and_the_threads() {
    let Some(ostree) = judge("ostree: one encapsulated image") else { return };
    let it = fixture(&ostree);
    let mut digests = Vec::new();
    for (number, mode) in MODES.into_iter().enumerate() {
        for jobs in ["1", "4"] {
            let (from, to) = (format!("ostree:{mode}@os/x"), format!("oci:img{number}{jobs}:t"));
            let words = ["copy", "--profile=encapsulated", "--chunked=3", "--jobs", jobs, &from, &to];
            ok(&it, &words);
            digests.push(ok(&it, &["digest", &to]));
        }
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
    proof::ran("ostree: one encapsulated image", MODES.len() * 2);
}

#[test]
fn labels_and_annotations_say_where_the_commit_ends() {
    let Some(ostree) = judge("ostree: labels of an encapsulated commit") else { return };
    let it = fixture(&ostree);
    ok(&it, &["copy", "--profile=encapsulated", "--chunked=4", "ostree:bare@os/x", "oci:img:t"]);
    let json = |words: &[&str]| -> Value { serde_json::from_str(&ok(&it, words)).expect("JSON") };
    let config = json(&["inspect", "oci:img:t", "--config"]);
    let manifest = json(&["inspect", "oci:img:t", "--raw"]);
    let labels = &config["config"]["Labels"];
    let layers = config["rootfs"]["diff_ids"].as_array().expect("layers");
    assert!(layers.len() > 1);
    assert_eq!(labels["ostree.final-diffid"], *layers.last().expect("one"));
    assert_eq!(labels["ostree.commit"], id(&it, &ostree));
    assert_eq!((&labels["containers.bootc"], &labels["version"]), (&"1".into(), &"42".into()));
    assert_eq!(manifest["annotations"], *labels);
    assert_eq!(config["config"]["Cmd"], serde_json::json!(["/usr/bin/tool", "x"]));
    assert_eq!(config["created"], "2020-01-02T03:04:05Z");
    assert_eq!(manifest["layers"][0]["annotations"], Value::Null, "the folders are first");
    assert!(manifest["layers"][1]["annotations"]["ostree.components"].is_string());
    proof::ran("ostree: labels of an encapsulated commit", 1);
}

#[test]
fn what_cannot_be_encapsulated_is_refused_before_anything_is_written() {
    let Some(ostree) = judge("ostree: what is not encapsulated") else { return };
    let it = fixture(&ostree);
    it.folder("taken/sysroot/ostree");
    theirs(&it, &ostree, &["commit", "--repo=bare", "-b", "taken", "--tree=dir=taken"]);
    let refusals: [(&[&str], i32, &str); 5] = [
        (&["ostree:bare@os/x:/usr", "oci:no:t"], 64, "part of one"),
        (&["--owner=squash", "ostree:bare@os/x", "oci:no:t"], 64, "--owner"),
        (&["rootfs:tree", "oci:no:t"], 64, "only a commit of OSTree"),
        (&["ostree:bare@os/x", "ostree:archive@y"], 64, "--profile"),
        (&["ostree:bare@taken", "oci:no:t"], 1, "`sysroot/ostree`"),
    ];
    for (words, code, told) in refusals {
        let done = run(&it, &[&["copy", "--profile=encapsulated"], words].concat());
        assert!(done.code() == Some(code) && done.err().contains(told), "{words:?}: {done}");
        assert!(!it.path("no/index.json").exists(), "{words:?}");
    }
    proof::ran("ostree: what is not encapsulated", refusals.len());
}
