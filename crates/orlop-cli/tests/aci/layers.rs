//! An App Container of each layer: the chain means what the layers mean.

use crate::{QUIET, actool, digests, read, run, tells};
use orlop::spec::{Algorithm, Digest};
use serde_json::{Value, json};
use std::fs;
use testkit::dump::dump;
use testkit::image::{Image, Packing};
use testkit::tarball::{Member, tar};
use testkit::{Scratch, proof, scratch};

/// Files of the chain `NAME.aci` of that many layers, the last one first.
fn files(name: &str, layers: usize) -> Vec<String> {
    let beneath = (1..layers).map(|number| format!("{name}.layer-{number}.aci"));
    [format!("{name}.aci")].into_iter().chain(beneath).collect()
}

/// What makes a chain readable again.
fn given(name: &str, layers: usize) -> Vec<String> {
    files(name, layers).into_iter().skip(1).map(|file| format!("--aci-dependency={file}")).collect()
}

fn with<'a>(words: &[&'a str], more: &'a [String]) -> Vec<&'a str> {
    words.iter().copied().chain(more.iter().map(String::as_str)).collect()
}

fn manifest(scratch: &Scratch, file: &str) -> Value {
    serde_json::from_str(&run(scratch, &["aci", "cat-manifest", file], 0)).expect("JSON")
}

/// The base of all cases.
fn base() -> Vec<u8> {
    tar([
        Member::folder("./").mode(0o750),
        Member::folder("./d/").mode(0o700).owner(5, 6),
        Member::file("./d/x", "1"),
        Member::file("./d/deep/y", "2"),
        Member::file("./a", "both"),
        Member::hard_link("./b", "./a"),
        Member::hard_link("./c", "./a"),
        Member::symlink("./lib", "d"),
        Member::file("./turns", "a file"),
    ])
}

/// What a case is called, its layers over the base, and the lists of the files over the base.
type Case = (&'static str, Vec<Vec<Member>>, Vec<Option<Vec<&'static str>>>);

fn cases() -> Vec<Case> {
    let file = Member::file;
    let all = || vec!["/a", "/b", "/c", "/d", "/d/deep", "/d/deep/y", "/d/x", "/lib", "/turns"];
    let without = |gone: &[&str]| Some(all().into_iter().filter(|path| !gone.contains(path)).collect());
    vec![
        ("a whiteout", vec![vec![file("d/.wh.x", "")]], vec![without(&["/d/x"])]),
        (
            "an opaque folder",
            vec![vec![file("d/.wh..wh..opq", ""), file("d/x", "new")]],
            vec![without(&["/d/deep", "/d/deep/y"])],
        ),
        ("a file over a folder", vec![vec![file("d", "")]], vec![without(&["/d/x", "/d/deep", "/d/deep/y"])]),
        ("a folder over a file", vec![vec![file("turns/in", "")]], vec![None]),
        (
            "a folder in the place of a folder",
            vec![vec![file(".wh.d", ""), file("d/x", "new")]],
            vec![without(&["/d/deep", "/d/deep/y"])],
        ),
        ("the first name of a file", vec![vec![file(".wh.a", "")]], vec![without(&["/a"])]),
        (
            "one more name of a file, and one less",
            vec![vec![Member::hard_link("a2", "a"), file(".wh.b", "")]],
            vec![Some(vec!["/a", "/a2", "/c", "/d", "/d/deep", "/d/deep/y", "/d/x", "/lib", "/turns"])],
        ),
        ("a file through a link", vec![vec![file("lib/x", "through")]], vec![None]),
        ("a whiteout of nothing", vec![vec![file("d/.wh.none", "")]], vec![None]),
        ("a root with other rights", vec![vec![Member::folder("./").mode(0o711)]], vec![None]),
        (
            "gone, back, and gone again",
            vec![vec![file("d/.wh.x", "")], vec![file("d/x", "back")], vec![file("d/.wh.x", "")]],
            vec![without(&["/d/x"]), None, without(&["/d/x"])],
        ),
        ("nothing at all is left", vec![vec![file(".wh..wh..opq", "")]], vec![Some(vec!["/"])]),
    ]
}

#[test]
fn a_chain_is_assembled_to_the_tree_of_the_layers() {
    let actool = actool();
    let cases = cases();
    for (name, layers, lists) in &cases {
        let it = scratch();
        let tars = [base()].into_iter().chain(layers.iter().map(|members| tar(members.iter().cloned())));
        Image::of(&tars.collect::<Vec<_>>(), Packing::Gzip).layout().write(&it.path("l"));
        let count = layers.len() + 1;
        let make =
            |target: &str| run(&it, &["copy", QUIET, "--layered", "--compress=none", "oci:l", target], 0);
        let id = Digest::of(Algorithm::Sha512, &{
            make("aci:t.aci");
            read(&it, "t.aci")
        })
        .hex();
        assert_eq!(
            make("aci:again.aci"),
            format!("aci:again.aci sha512-{id}\n").replace("t.aci", "again.aci")
        );
        for (file, again) in files("t", count).iter().zip(files("again", count)).skip(1) {
            assert!(read(&it, file) == read(&it, &again), "{name}: {file} is the same twice");
        }
        let above = files("t", count);
        let in_order = above[1..].iter().chain(&above[..1]).collect::<Vec<_>>();
        let mut below: Option<(Value, String)> = None;
        for (at, file) in in_order.into_iter().enumerate() {
            if let Some(actool) = &actool {
                actool.command().arg("validate").arg(it.path(file)).ok();
            }
            run(&it, &["aci", "validate", file], 0);
            let says = manifest(&it, file);
            let expected =
                below.map_or(Value::Null, |(name, id)| json!([{ "imageName": name, "imageID": id }]));
            assert_eq!(says["dependencies"], expected, "{name}: {file}");
            let list = at.checked_sub(1).and_then(|at| lists[at].clone());
            assert_eq!(says["pathWhitelist"], list.map_or(Value::Null, |list| json!(list)), "{name}: {file}");
            let id = Digest::of(Algorithm::Sha512, &read(&it, file)).hex();
            below = Some((says["name"].clone(), format!("sha512-{id}")));
        }
        run(&it, &["unpack", QUIET, "oci:l", "expected"], 0);
        run(&it, &with(&["unpack", QUIET, "aci:t.aci", "found"], &given("t", count)), 0);
        assert_eq!(dump(&it.path("found")), dump(&it.path("expected")), "{name}");
    }
    if actool.is_some() {
        proof::ran("aci: a chain of layers", cases.len());
    }
}

#[test]
fn images_that_share_layers_share_their_files_and_the_compression_changes_no_id() {
    let it = scratch();
    let upper = |content: &str| tar([Member::file("top", content)]);
    for (name, content) in [("one", "1"), ("two", "2")] {
        Image::of(&[base(), upper("0"), upper(content)], Packing::Gzip).layout().write(&it.path(name));
        run(&it, &["copy", QUIET, "--layered", &format!("oci:{name}"), &format!("aci:{name}.aci")], 0);
    }
    for number in 1..3 {
        let file = |name| read(&it, &format!("{name}.layer-{number}.aci"));
        assert!(file("one") == file("two"), "layer {number}");
    }
    assert!(read(&it, "one.aci") != read(&it, "two.aci"));
    let told = |how: &str| run(&it, &["copy", QUIET, "--layered", how, "oci:one", "aci:how"], 0);
    assert_eq!(told("--compress=xz"), told("--compress=none"));
    assert_eq!(
        manifest(&it, "how.layer-2")["dependencies"],
        manifest(&it, "one.layer-2.aci")["dependencies"]
    );
}

#[test]
fn a_chain_comes_back_with_its_config_and_over_another_layer() {
    let it = scratch();
    it.folder("r/bin");
    it.file("r/bin/sh", "#!");
    fs::create_dir(it.path("s")).expect("a folder");
    it.file("s/more", "1");
    run(&it, &["build", QUIET, "r", "s", "oci:l:1", "--entrypoint=/bin/sh", "--env=A=b", "--expose=80"], 0);
    let words = ["copy", QUIET, "--layered", "oci:l:1", "aci:a.aci", "--aci-name=example.com/a:1"];
    tells(&it, &words, 0, &["a.aci lies over a.layer-1.aci", "--aci-dependency"]);
    tells(&it, &["copy", QUIET, "aci:a.aci", "oci:back:1"], 2, &["oci-layer/sha256-", "--aci-dependency"]);
    let given = given("a", 2);
    let back = with(&["copy", QUIET, "aci:a.aci", "oci:back:1"], &given);
    tells(&it, &back, 0, &["the config is the one that was carried, over another layer"]);
    let config = |reference| -> Value {
        serde_json::from_str(&run(&it, &["inspect", "--config", reference], 0)).expect("JSON")
    };
    assert_eq!(config("oci:back:1")["config"], config("oci:l:1")["config"]);
    assert_eq!(run(&it, &["files", "oci:back:1"], 0), run(&it, &["files", "oci:l:1"], 0));

    run(&it, &["build", QUIET, "r", "oci:l:2", "--entrypoint=/bin/sh"], 0);
    run(&it, &["copy", QUIET, "--layered", "oci:l:2", "aci:one.aci"], 0);
    run(&it, &["copy", QUIET, "aci:one.aci", "oci:back:2"], 0);
    assert_eq!(digests(&it, "oci:back:2"), digests(&it, "oci:l:2"), "one layer lies over nothing");
    assert!(!it.path("one.layer-1.aci").exists());
}

#[test]
fn what_cannot_be_a_chain_is_refused_and_leaves_nothing() {
    let it = scratch();
    let layers = [
        tar([Member::file(b"\xff".as_slice(), ""), Member::file("x", "")]),
        tar([Member::file(".wh.x", "")]),
    ];
    Image::of(&layers, Packing::Gzip).layout().write(&it.path("l"));
    tells(&it, &["copy", "--layered", "oci:l", "aci:-"], 64, &["one stream", "aci:FILE"]);
    tells(&it, &["copy", "--layered", "oci:l", "oci:m:1"], 64, &["--layered"]);
    tells(&it, &["copy", "--layered", "oci:l", "tar:t"], 64, &["--layered"]);
    tells(&it, &["copy", "--layered", "oci:l", "aci:a.aci"], 64, &["no text", "leave --layered out"]);
    let names = fs::read_dir(it.root()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["l"]);
    run(&it, &["copy", QUIET, "oci:l", "aci:a.aci"], 0);
}
