//! `verify`: every tampering is named, with both values, from whatever place the image is read.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use testkit::dump::{differences, dump};
use testkit::image::{Image, Packing};
use testkit::scratch::{Scratch, scratch};
use testkit::tarball::{Member, tar};
use testkit::{Command, Finished, is_root, orlop, proof};

/// An image of two layers in `oci:l:i`, with a bit of everything that an ordinary user can hold.
fn world() -> Scratch {
    let scratch = scratch();
    let attribute = Member::pax(&[(b"SCHILY.xattr.user.a", b"value")]);
    let base = tar([
        Member::folder("./").mode(0o755),
        Member::folder("bin/"),
        Member::file("bin/sh", vec![7; 100_000]).mode(0o755),
        Member::file("bin/su", "su").mode(0o4755),
        Member::symlink("bin/bash", "sh"),
        Member::hard_link("bin/also", "bin/sh"),
        Member::folder("etc/"),
        attribute,
        Member::file("etc/passwd", "root:x:0:0::/:/bin/sh\n").owner(0, 42),
        Member::file("etc/gone", "gone"),
        Member::fifo("fifo"),
    ]);
    let upper = tar([Member::file("etc/.wh.gone", ""), Member::file("etc/new", "new").owner(1000, 1000)]);
    let command = |mut config: Value| {
        config["config"]["Cmd"] = serde_json::json!(["/bin/sh"]);
        config
    };
    Image::of(&[base, upper], Packing::Gzip).config(command).layout().write(&scratch.path("l"));
    scratch
}

fn run(scratch: &Scratch, words: &[&str]) -> Finished {
    orlop().args(words).env("ORLOP_ROOT", scratch.path("store")).current_dir(scratch.root()).run()
}

/// The lines that `verify` prints, which must end as the number of lines says.
fn verify(scratch: &Scratch, words: &[&str]) -> Vec<String> {
    let done = run(scratch, &[&["verify"], words].concat());
    let lines: Vec<String> = done.out().lines().map(Into::into).collect();
    assert_eq!(done.code(), Some(if lines.is_empty() { 0 } else { 8 }), "{words:?}: {done}");
    lines
}

type Tamper = (&'static str, fn(&Path), &'static [&'static str]);

const TAMPERS: &[Tamper] = &[
    (
        "content",
        |root| fs::write(root.join("bin/sh"), vec![8; 100_000]).expect("written"),
        &["changed  bin/also: content: sha256:2c4b101169bf328c"],
    ),
    (
        "size",
        |root| fs::write(root.join("etc/new"), "newer").expect("written"),
        &["changed  etc/new: size: 3 → 5"],
    ),
    (
        "mode",
        |root| fs::set_permissions(root.join("etc"), fs::Permissions::from_mode(0o777)).expect("set"),
        &["changed  etc: mode: 0755 → 0777"],
    ),
    (
        "xattr",
        |root| {
            let (path, flags) = (root.join("etc/passwd"), rustix::fs::XattrFlags::REPLACE);
            rustix::fs::setxattr(path, "user.a", b"other", flags).expect("set");
        },
        &["changed  etc/passwd: xattr user.a: value → other"],
    ),
    ("added", |root| fs::write(root.join("bin/evil"), "").expect("written"), &["added    bin/evil (file)"]),
    ("removed", |root| fs::remove_file(root.join("fifo")).expect("removed"), &["removed  fifo"]),
    (
        "whiteout brought back",
        |root| fs::write(root.join("etc/gone"), "gone").expect("written"),
        &["added    etc/gone (file)"],
    ),
    (
        "symbolic link",
        |root| {
            fs::remove_file(root.join("bin/bash")).expect("removed");
            symlink("/evil", root.join("bin/bash")).expect("linked");
        },
        &["changed  bin/bash: target: sh → /evil"],
    ),
    (
        "type",
        |root| {
            fs::remove_file(root.join("etc/new")).expect("removed");
            symlink("/etc/shadow", root.join("etc/new")).expect("linked");
        },
        &["changed  etc/new: type: file → symbolic link"],
    ),
    (
        "hard link",
        |root| {
            let content = fs::read(root.join("bin/sh")).expect("read");
            fs::remove_file(root.join("bin/sh")).expect("removed");
            fs::write(root.join("bin/sh"), content).expect("written");
        },
        &["changed  bin/sh: hard link of: bin/also → nothing"],
    ),
];

const OWNER: Tamper = (
    "owner",
    |root| std::os::unix::fs::lchown(root.join("etc/new"), Some(0), Some(0)).expect("given"),
    &["changed  etc/new: uid: 1000 → 0", "changed  etc/new: gid: 1000 → 0"],
);

#[test]
fn every_tampering_of_an_unpacked_folder_is_named() {
    let scratch = world();
    let mut tampers: Vec<&Tamper> = TAMPERS.iter().collect();
    if is_root() {
        tampers.push(&OWNER);
    }
    for (number, (what, tamper, expected)) in tampers.iter().enumerate() {
        let folder = format!("root{number}");
        let done = run(&scratch, &["unpack", "oci:l", &folder]);
        assert!(done.success(), "{done}");
        assert_eq!(verify(&scratch, &["oci:l", &folder]), [""; 0], "{what}");
        tamper(&scratch.path(&folder));
        let lines = verify(&scratch, &["oci:l", &folder]);
        assert_eq!(lines.len(), expected.len(), "{what}: {lines:?}");
        for (line, expected) in lines.iter().zip(*expected) {
            assert!(line.starts_with(expected), "{what}: {line}");
        }
    }
    proof::ran("verify: every tampering through the binary", tampers.len());
}

#[test]
fn every_tampering_is_repaired_from_the_store_and_only_there() {
    let scratch = world();
    assert!(run(&scratch, &["unpack", "oci:l", "alien"]).success());
    fs::write(scratch.path("alien/etc/new"), "NEW").expect("written");
    let refused = run(&scratch, &["verify", "oci:l", "alien", "--repair"]);
    assert_eq!(refused.code(), Some(64), "{refused}");
    assert!(refused.err().contains("orlop copy REF store:NAME"), "{refused}");
    assert!(run(&scratch, &["copy", "oci:l", "store:i"]).success());
    let mut tampers: Vec<&Tamper> = TAMPERS.iter().collect();
    if is_root() {
        tampers.push(&OWNER);
    }
    for (number, (what, tamper, expected)) in tampers.iter().enumerate() {
        let folder = format!("root{number}");
        assert!(run(&scratch, &["unpack", "store:i", &folder]).success());
        let before = dump(&scratch.path(&folder));
        tamper(&scratch.path(&folder));
        assert_eq!(verify(&scratch, &["i", &folder]).len(), expected.len(), "{what}");
        let done = run(&scratch, &["verify", "i", &folder, "--repair"]);
        assert_eq!((done.code(), done.out().lines().count()), (Some(0), expected.len()), "{what}: {done}");
        assert_eq!(verify(&scratch, &["i", &folder, "--paranoid"]), [""; 0], "{what}");
        let left = differences(&before, &dump(&scratch.path(&folder)), &[]);
        assert!(left.is_empty(), "{what}: {left:?}");
    }
    // What the store knows serves any reference to the same layers.
    assert!(run(&scratch, &["verify", "oci:l", "alien", "--repair"]).success());
    proof::ran("verify: every tampering is repaired through the binary", tampers.len());
}

/// Whether a run read contents, by its events.
fn has_read(done: &Finished) -> bool {
    let event = |line: &str| serde_json::from_str::<Value>(line).expect("an event");
    done.err().lines().any(|line| event(line)["event"] == "advanced")
}

#[test]
fn what_was_verified_is_not_read_again_unless_that_is_asked_for() {
    let scratch = world();
    assert!(run(&scratch, &["copy", "oci:l", "store:i"]).success());
    assert!(run(&scratch, &["unpack", "store:i", "root"]).success());
    std::thread::sleep(std::time::Duration::from_millis(150));
    for words in [&["verify", "i", "root"][..], &["verify", "i"]] {
        let read = |more: &[&str]| {
            let done = run(&scratch, &[words, &["--progress", "json"], more].concat());
            assert_eq!(done.code(), Some(0), "{words:?}: {done}");
            has_read(&done)
        };
        let reads = [read(&[]), read(&[]), read(&["--paranoid"]), read(&[])];
        assert_eq!(reads, [true, false, true, false], "{words:?}");
    }
    fs::write(scratch.path("root/etc/new"), "NEW").expect("written");
    assert_eq!(verify(&scratch, &["i", "root"]).len(), 1);
}

#[test]
fn what_the_store_keeps_of_an_image_is_verified() {
    let scratch = world();
    assert_eq!(run(&scratch, &["verify", "oci:l"]).code(), Some(64), "nothing is named to compare with");
    assert!(run(&scratch, &["copy", "oci:l", "store:i"]).success());
    assert_eq!(verify(&scratch, &["i"]), [""; 0]);
    assert_eq!(verify(&scratch, &["oci:l"]), [""; 0], "the layers are the same");
    let name = testkit::image::sha256(&vec![7; 100_000]);
    let hex = name.strip_prefix("sha256:").expect("a sha256");
    let object = scratch.path("store/objects").join(&hex[..2]).join(&hex[2..]);
    let sound = fs::read(&object).expect("read");
    let harms: [(&str, &dyn Fn()); 2] = [
        ("damaged", &|| {
            fs::remove_file(&object).expect("removed");
            fs::write(&object, vec![8; 100_000]).expect("written");
        }),
        ("missing", &|| fs::remove_file(&object).expect("removed")),
    ];
    for (word, harm) in harms {
        harm();
        let expected = format!("object   {name}: {word} (needed by bin/also)");
        assert_eq!(verify(&scratch, &["i"]), [expected], "{word}");
    }
    let done = run(&scratch, &["verify", "i", "--format", "json"]);
    let found: Value = serde_json::from_str(&done.out()).expect("a document");
    let expected =
        serde_json::json!([{ "digest": name, "harm": "missing", "needed_by": [{ "path": "bin/also" }] }]);
    assert_eq!(found["objects"], expected);
    fs::write(&object, sound).expect("put back");
    assert_eq!(verify(&scratch, &["i"]), [""; 0]);
    assert_eq!(run(&scratch, &["verify", "none"]).code(), Some(2));
}

#[test]
fn what_is_said_depends_on_no_place() {
    let scratch = world();
    for copy in ["oci-archive:a.tar", "docker-archive:d.tar:r/i:t", "dir:d"] {
        assert!(run(&scratch, &["copy", "oci:l", copy]).success());
    }
    assert!(run(&scratch, &["unpack", "oci:l", "root"]).success());
    fs::write(scratch.path("root/etc/new"), "NEW").expect("written");
    fs::remove_dir_all(scratch.path("root/bin")).expect("removed");
    let expected = verify(&scratch, &["oci:l", "root"]);
    assert_eq!(expected.len(), 2, "{expected:?}");
    for place in ["oci-archive:a.tar", "docker-archive:d.tar", "dir:d"] {
        assert_eq!(verify(&scratch, &[place, "root"]), expected, "{place}");
    }
    for jobs in ["1", "7"] {
        assert_eq!(verify(&scratch, &["oci:l", "root", "-j", jobs]), expected);
    }
}

#[test]
fn both_values_are_in_the_document() {
    let scratch = world();
    assert!(run(&scratch, &["unpack", "oci:l", "root"]).success());
    fs::write(scratch.path("root/etc/new"), "NEW").expect("written");
    fs::write(scratch.path("root/x\n"), "").expect("written");
    let done = run(&scratch, &["verify", "oci:l", "root", "--format", "json"]);
    assert_eq!(done.code(), Some(8), "{done}");
    let found: Value = serde_json::from_str(&done.out()).expect("a document");
    let content = |text: &str| testkit::image::sha256(text.as_bytes());
    let expected = serde_json::json!({ "version": 1, "config": [], "objects": [], "trees": [], "left": true, "files": [
        { "path": "etc/new", "change": "changed", "type": null,
          "fields": [{ "name": "content", "expected": content("new"), "found": content("NEW") }] },
        { "path": "x\n", "change": "added", "type": "file", "fields": [] },
    ] });
    assert_eq!(found, expected);
    assert!(run(&scratch, &["verify", "oci:l", "root"]).out().contains(r"added    x\x0a (file)"));
}

#[test]
fn trees_that_were_made_without_owners_are_as_they_should_be() {
    let scratch = world();
    for owner in ["squash", "record"] {
        assert!(run(&scratch, &["unpack", "oci:l", owner, "--owner", owner]).success());
        assert_eq!(verify(&scratch, &["oci:l", owner, "--owner", owner]), [""; 0]);
        fs::set_permissions(scratch.path(owner).join("bin/su"), fs::Permissions::from_mode(0o4755))
            .expect("set");
        let expected = ["changed  bin/su: mode: 0755 → 4755"];
        assert_eq!(verify(&scratch, &["oci:l", owner, "--owner", owner]), expected);
    }
    let (path, flags) = (scratch.path("record/etc/new"), rustix::fs::XattrFlags::REPLACE);
    rustix::fs::setxattr(path, "user.rootlesscontainers", b"\x08\x01\x10\x01", flags).expect("set");
    let lines = verify(&scratch, &["oci:l", "record", "--owner", "record"]);
    assert!(lines.iter().any(|line| line.contains("etc/new: xattr user.rootlesscontainers")), "{lines:?}");
}

#[test]
fn an_ordinary_user_verifies_what_it_unpacked() {
    if !is_root() {
        return proof::not_offered("verify: an ordinary user", "only root becomes another user");
    }
    let scratch = world();
    scratch.folder("own");
    fs::set_permissions(scratch.path("own"), fs::Permissions::from_mode(0o777)).expect("set");
    let run = |words: &[&str]| {
        orlop()
            .args(words)
            .env("ORLOP_ROOT", scratch.path("own/store"))
            .current_dir(scratch.root())
            .unprivileged()
            .run()
    };
    assert!(run(&["unpack", "oci:l", "own/root"]).success());
    let done = run(&["verify", "oci:l", "own/root"]);
    assert_eq!((done.code(), done.out()), (Some(0), String::new()), "{done}");
    fs::write(scratch.path("own/root/bin/su"), "us").expect("written");
    let done = run(&["verify", "oci:l", "own/root"]);
    assert_eq!(done.code(), Some(8), "{done}");
    assert!(done.out().starts_with("changed  bin/su: content"), "{done}");
    proof::ran("verify: an ordinary user", 2);
}

#[test]
fn what_is_mounted_over_the_tree_is_named() {
    if !is_root() {
        return proof::not_offered("verify: mounts over the tree", "only root mounts");
    }
    let scratch = world();
    assert!(run(&scratch, &["unpack", "oci:l", "root"]).success());
    assert!(run(&scratch, &["copy", "oci:l", "store:i"]).success());
    let judged = |mount: &str, words: &str| {
        let orlop = testkit::command::orlop_path();
        let script = format!("{mount}; exec {} verify {words} i root", orlop.display());
        let command = Command::new("unshare").args(["-m", "--propagation", "private", "sh", "-ec", &script]);
        command.env("ORLOP_ROOT", scratch.path("store")).current_dir(scratch.root()).run()
    };
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert_eq!(judged(":", "").code(), Some(0));
    let theirs = scratch.folder("theirs");
    fs::write(theirs.join("evil"), "evi").expect("written");
    fs::write(theirs.join("like"), "new").expect("written");
    fs::set_permissions(theirs.join("like"), fs::Permissions::from_mode(0o606)).expect("ours");
    let before = ["theirs", "root"].map(|folder| dump(&scratch.path(folder)));
    for (mount, expected) in [
        ("mount -t tmpfs x root/etc", "changed  etc: mount: none → another file system\n"),
        ("mount --bind root/etc root/etc", "changed  etc: mount: none → another file system\n"),
        ("mount --bind theirs/evil root/etc/new", "changed  etc/new: mount: none → something else\n"),
        ("mount --bind theirs/like root/etc/new", "changed  etc/new: mount: none → something else\n"),
        ("mount --bind root/bin/su root/etc/new", "changed  etc/new: mount: none → something else\n"),
        ("mount --bind theirs/evil root/bin/also", "changed  bin/also: mount: none → something else\n"),
        ("mount --bind theirs/evil root/bin/sh", "changed  bin/sh: mount: none → something else\n"),
    ] {
        let done = judged(mount, "");
        assert!(done.code() == Some(8) && done.out() == expected, "{mount}: {done}");
        let refused = judged(mount, "--repair");
        let told = "which hides what is to be made right";
        assert!(refused.code() == Some(1) && refused.err().contains(told), "{mount}: {refused}");
    }
    for (folder, before) in ["theirs", "root"].iter().zip(&before) {
        assert_eq!(differences(before, &dump(&scratch.path(folder)), &[]), [], "{folder} is not touched");
    }
    assert_eq!(judged(":", "").code(), Some(0));
    proof::ran("verify: mounts over the tree", 7);
}

#[test]
fn the_configuration_of_a_bundle_is_covered() {
    let scratch = world();
    let flags = ["--cmd", "/bin/bash", "--read-only"];
    assert!(run(&scratch, &[&["bundle", "oci:l", "b"], &flags[..]].concat()).success());
    let judge = |more: &[&str]| verify(&scratch, &[&["oci:l", "b"], more].concat());
    assert_eq!(judge(&flags), [""; 0]);
    let lines = judge(&[]);
    assert_eq!(
        lines,
        [r#"config   process.args[0]: "/bin/sh" → "/bin/bash""#, "config   root.readonly: absent → true"]
    );
    let path = scratch.path("b/config.json");
    let config = fs::read_to_string(&path).expect("a bundle");
    let mut changed: Value = serde_json::from_str(&config).expect("a document");
    fs::write(&path, serde_json::to_string_pretty(&changed).expect("printed")).expect("written");
    assert_eq!(judge(&flags), [""; 0], "blanks change nothing");
    changed["process"]["user"]["uid"] = 7.into();
    changed["hooks"] = serde_json::json!({ "prestart": [{ "path": "/evil" }] });
    fs::write(&path, changed.to_string()).expect("written");
    let lines = judge(&flags);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("config   hooks: absent → ") && lines[0].contains("/evil"), "{lines:?}");
    assert_eq!(lines[1], "config   process.user.uid: 0 → 7");
    fs::write(&path, "{").expect("written");
    assert_eq!(judge(&flags), ["config   config.json: a file → no JSON"]);
    fs::remove_file(&path).expect("removed");
    assert_eq!(judge(&flags), ["config   config.json: a file → absent"]);
    fs::write(&path, config).expect("written");
    fs::write(scratch.path("b/rootfs/etc/new"), "NEW").expect("written");
    assert!(judge(&flags)[0].starts_with("changed  etc/new: content: "));
}

#[test]
fn a_folder_that_is_none_and_an_image_that_is_damaged_are_errors() {
    let scratch = world();
    assert_eq!(run(&scratch, &["verify", "oci:l", "nothing"]).code(), Some(2));
    fs::write(scratch.path("file"), "").expect("written");
    assert_eq!(run(&scratch, &["verify", "oci:l", "file"]).code(), Some(1));
    assert!(run(&scratch, &["unpack", "oci:l", "root"]).success());
    let blobs = scratch.path("l/blobs/sha256").read_dir().expect("a layout").flatten();
    let largest = blobs.max_by_key(|blob| blob.metadata().expect("there").len()).expect("a blob").path();
    let mut layer = fs::read(&largest).expect("read");
    let middle = layer.len() / 2;
    layer[middle] ^= 1;
    fs::write(&largest, layer).expect("written");
    assert_eq!(run(&scratch, &["verify", "oci:l", "root"]).code(), Some(5));
}
