//! `copy --chunked`: files as several layers, so that images which are alike share most of them.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use testkit::{Command, Scratch, orlop, scratch};

/// A folder `tree` with packages of dpkg, files that none owns, a link instead of a folder, and names of one file.
fn fixture() -> Scratch {
    let it = scratch();
    for package in ["bash", "coreutils", "libc6"] {
        it.folder(&format!("tree/usr/share/{package}"));
        for number in 0..40 {
            it.file(
                &format!("tree/usr/share/{package}/f{number}"),
                format!("{package} {number}\n").repeat(9),
            );
        }
    }
    it.folder("tree/usr/bin");
    std::os::unix::fs::symlink("usr/bin", it.path("tree/bin")).expect("a link");
    it.file("tree/usr/bin/bash", "bash");
    it.folder("tree/srv/deep/er");
    for number in 0..900 {
        it.file(&format!("tree/srv/deep/f{number}"), format!("{number}"));
        it.file(&format!("tree/srv/deep/er/f{number}"), format!("{number}"));
    }
    fs::hard_link(it.path("tree/usr/share/bash/f1"), it.path("tree/srv/twin")).expect("a hard link");
    it.folder("tree/var/lib/dpkg/info");
    it.file("tree/var/lib/dpkg/status", "Package: bash\n");
    for package in ["bash", "coreutils", "libc6"] {
        let mut list: Vec<String> = (0..40).map(|number| format!("/usr/share/{package}/f{number}")).collect();
        if package == "bash" {
            list.push("/bin/bash".into());
        }
        it.file(&format!("tree/var/lib/dpkg/info/{package}.list"), list.join("\n"));
    }
    it
}

fn command(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root())
}

fn ok(it: &Scratch, words: &[&str]) -> String {
    command(it, words).ok().out()
}

fn manifest(it: &Scratch, reference: &str) -> Value {
    serde_json::from_str(&ok(it, &["inspect", reference, "--raw"])).expect("JSON")
}

fn layers(it: &Scratch, reference: &str) -> BTreeSet<String> {
    let manifest = manifest(it, reference);
    let layers = manifest["layers"].as_array().expect("a list").iter();
    layers.map(|layer| layer["digest"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn the_layers_of_an_image_that_was_divided_are_the_files() {
    let it = fixture();
    ok(&it, &["copy", "rootfs:tree", "oci:one:t", "--chunked=8", "--progress=none"]);
    ok(&it, &["copy", "rootfs:tree", "oci:two:t", "--chunked=8", "--progress=none"]);
    assert_eq!(ok(&it, &["digest", "oci:one:t"]), ok(&it, &["digest", "oci:two:t"]));
    ok(&it, &["diff", "rootfs:tree", "oci:one:t", "--progress=none"]);
    ok(&it, &["validate", "oci:one:t", "--progress=none"]);
    let manifest = manifest(&it, "oci:one:t");
    let layers = manifest["layers"].as_array().expect("a list");
    assert!((3..=8).contains(&layers.len()), "{manifest}");
    let of = |name: &str| {
        let is_in = |list: &str| list.split(',').any(|it| it == name);
        layers.iter().filter(|it| it["annotations"]["ostree.components"].as_str().is_some_and(is_in)).count()
    };
    assert_eq!((of("bash"), of("coreutils"), of("libc6")), (1, 1, 1), "{manifest}");
    assert!(layers.last().expect("one").get("annotations").is_none(), "the layer on top: {manifest}");
}

#[test]
fn an_update_of_a_package_changes_its_layer_and_the_one_on_top() {
    let it = fixture();
    ok(&it, &["copy", "rootfs:tree", "oci:img:1", "--chunked=16", "--progress=none"]);
    it.file("tree/usr/share/bash/f7", "newer");
    it.file("tree/usr/share/bash/new", "new");
    it.file("tree/var/lib/dpkg/status", "Package: bash\nVersion: 2\n");
    let list = fs::read_to_string(it.path("tree/var/lib/dpkg/info/bash.list")).expect("a list");
    it.file("tree/var/lib/dpkg/info/bash.list", format!("{list}\n/usr/share/bash/new\n"));
    let words =
        ["copy", "rootfs:tree", "oci:img:2", "--chunked=16", "--previous=oci:img:1", "--progress=none"];
    ok(&it, &words);
    let (before, after) = (layers(&it, "oci:img:1"), layers(&it, "oci:img:2"));
    assert_eq!(after.difference(&before).count(), 2, "{before:?} {after:?}");
    assert_eq!(after.len(), before.len());
    ok(&it, &["diff", "rootfs:tree", "oci:img:2", "--progress=none"]);
}

/// Of few layers, other ones would be divided otherwise by what has grown: an older image says where things stay.
#[test]
fn what_has_grown_stays_where_the_image_before_had_it() {
    let it = fixture();
    ok(&it, &["copy", "rootfs:tree", "oci:img:1", "--chunked=4", "--progress=none"]);
    let before = layers(&it, "oci:img:1");
    it.file("tree/usr/share/libc6/f7", "newer and larger\n".repeat(20_000));
    let changed = |tag: &str, flags: &[&str]| {
        let to = format!("oci:img:{tag}");
        ok(&it, &[&["copy", "rootfs:tree", &to, "--chunked=4", "--progress=none"], flags].concat());
        ok(&it, &["diff", "rootfs:tree", &to, "--progress=none"]);
        layers(&it, &to).difference(&before).count()
    };
    let (pinned, anew) = (changed("2", &["--previous=oci:img:1"]), changed("3", &[]));
    assert!(pinned <= 2, "the layer of what has grown and the one on top, not {pinned}");
    assert!(anew > pinned, "divided anew, {anew} layers are others: this proves nothing");
}

#[test]
fn a_list_says_what_belongs_together() {
    let it = fixture();
    it.file("list", "data srv\nrest /\n");
    let words = ["copy", "rootfs:tree", "oci:img:t", "--chunked=4", "--components=list", "--progress=none"];
    ok(&it, &words);
    let text = manifest(&it, "oci:img:t").to_string();
    assert!(text.contains("\"data\"") && text.contains("\"rest\""), "{text}");
    ok(&it, &["diff", "rootfs:tree", "oci:img:t", "--progress=none"]);
    it.file("list", "data\n");
    let refused = command(&it, &words).run();
    assert!(refused.code() == Some(1) && refused.err().contains("line 1"), "{refused}");
}

#[test]
fn what_cannot_be_divided_is_refused() {
    let it = fixture();
    ok(&it, &["build", "tree/usr/bin", "oci:img:t", "--progress=none"]);
    for words in [
        &["copy", "rootfs:tree", "oci:out:t", "--chunked=1"][..],
        &["copy", "rootfs:tree", "oci:out:t", "--chunked=128"],
        &["copy", "oci:img:t", "oci:out:t", "--chunked=8"],
        &["copy", "rootfs:tree", "oci:out:t", "--components=x"],
    ] {
        let done = command(&it, words).run();
        assert_eq!(done.code(), Some(64), "{words:?}: {done}");
    }
    assert!(!it.path("out").exists());
}
