//! What programs read that drive orlop: one document on standard output, one error on the last line of standard error.

use serde_json::{Value, json};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use testkit::image::{Image, Packing};
use testkit::tarball::{Member, tar};
use testkit::{Command, Scratch, orlop, scratch};

/// A layout `img` with one image, tagged `t`, that holds what no plain folder can.
fn fixture() -> Scratch {
    let it = scratch();
    it.folder("tree");
    let layer = tar([
        Member::file("tool", "x").mode(0o4711).owner(1000, 100),
        Member::file("secret", "y").mode(0o000).owner(1000, 100),
        Member::device(b'3', "null", 1, 3),
        Member::fifo("pipe"),
    ]);
    Image::of(&[layer], Packing::Gzip).layout().write(&it.path("other"));
    command(&it, &["copy", "oci:other", "oci:img:t", "--progress=none"]).ok();
    it
}

fn command(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root())
}

fn told(it: &Scratch, words: &[&str]) -> Value {
    let text = command(it, &[words, &["--format=json"]].concat()).ok().out();
    let value: Value = serde_json::from_str(&text).expect("one JSON document");
    assert_eq!(value["version"], 1, "{text}");
    value
}

#[test]
fn copy_tells_what_it_copied_and_what_it_would() {
    let it = fixture();
    let digest = told(&it, &["digest", "oci:img:t"]);
    let foreseen = told(&it, &["copy", "oci:img:t", "oci:to:new", "--dry-run"]);
    assert_eq!(foreseen["foreseen"]["move"]["items"], 3, "{foreseen}");
    let copied = told(&it, &["copy", "oci:img:t", "oci:to:new", "--progress=none"]);
    let name = format!("oci:to:new@{}", digest["digest"].as_str().expect("a digest"));
    let image = &copied["copied"][0];
    assert_eq!((&image["name"], &image["tag"]), (&json!(name), &json!("new")));
    for member in ["digest", "media_type", "size"] {
        assert_eq!(image[member], digest[member], "{member}");
    }
    let again = told(&it, &["copy", "oci:img:t", "oci:to:new", "--dry-run"]);
    assert_eq!(again["foreseen"]["reuse"]["items"], 3, "{again}");
}

#[test]
fn build_tells_what_it_made_and_where_two_builds_part() {
    let it = fixture();
    let built = told(&it, &["build", "tree", "oci:to:new", "--progress=none"]);
    let digest = told(&it, &["digest", "oci:to:new"]);
    for member in ["digest", "media_type", "size"] {
        assert_eq!(built["built"][member], digest[member], "{member}");
    }
    assert_eq!(
        told(&it, &["build", "tree", "oci:to:new", "--check", "--progress=none"])["differs"],
        json!(null)
    );
}

#[test]
fn a_reduced_tree_is_the_callers_and_what_was_left_out_is_counted() {
    let it = fixture();
    let unpacked = told(&it, &["unpack", "oci:img:t", "root", "--reduced", "--progress=none"]);
    let count = |kind: &str| unpacked["lost"][kind]["count"].as_u64();
    assert_eq!(["device", "fifo", "setuid bit"].map(count), [Some(1); 3], "{unpacked}");
    assert_eq!(unpacked["lost"]["fifo"]["examples"], json!(["pipe"]));
    let own = it.root().metadata().expect("there").uid();
    for (path, mode) in [("root", 0o755), ("root/tool", 0o755), ("root/secret", 0o644)] {
        let meta = it.path(path).metadata().expect("unpacked");
        assert_eq!((meta.permissions().mode() & 0o7777, meta.uid()), (mode, own), "{path}");
    }
    assert_eq!(std::fs::read_dir(it.path("root")).expect("a folder").count(), 2);
    let both = command(&it, &["unpack", "oci:img:t", "x", "--reduced", "--owner=exact"]).run();
    assert_eq!(both.code(), Some(64), "{both}");
}

#[test]
fn a_failure_is_one_object_on_the_last_line_with_its_kind_and_exit_code() {
    let it = fixture();
    for words in [&["unpack", "oci:img:none", "root"][..], &["copy", "oci:img:none", "oci:to:t"]] {
        let failed = command(&it, &[words, &["--format=json", "--progress=none"]].concat()).run();
        let (text, code) = (failed.err(), failed.code());
        let error: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("an object");
        assert_eq!((code, &error["kind"], &error["exit_code"]), (Some(2), &json!("not-found"), &json!(2)));
        assert!(failed.out().is_empty(), "{failed}");
    }
}

/// What an edit makes is told as what `copy` makes, and is what the place then names.
#[test]
fn every_verb_that_edits_tells_programs_what_it_made() {
    let it = fixture();
    for (words, did) in [
        (&["config", "oci:img:t", "--label", "a=b"][..], "edited"),
        (&["append", "oci:img:t", "tree"], "edited"),
        (&["insert", "oci:img:t", "tree", "/srv"], "edited"),
        (&["insert", "oci:img:t", "--whiteout", "/srv"], "edited"),
        (&["rebase", "oci:img:t", "--old-base", "oci:img:t", "--new-base", "oci:img:t"], "edited"),
        (&["strip", "oci:img:t", "--rm-path", "/srv"], "edited"),
        (&["convert", "oci:img:t", "--compress", "zstd"], "edited"),
        (&["flatten", "oci:img:t"], "edited"),
        (&["index", "create", "oci:img:t", "oci:img:all"], "built"),
        (&["index", "annotate", "oci:img:all", "a=b"], "edited"),
        (&["index", "filter", "oci:img:all", "--platform=host"], "edited"),
    ] {
        let edited = told(&it, words);
        let name = words.iter().rfind(|word| word.starts_with("oci:")).expect("a name");
        let digest = told(&it, &["digest", name]);
        for member in ["digest", "media_type", "size"] {
            assert_eq!(edited[did][member], digest[member], "{words:?} {member}");
        }
        assert_eq!(edited[did]["name"], format!("{name}@{}", digest["digest"].as_str().expect("text")));
    }
}
