//! `delta`: what comes of an older image and a delta is the newer image, or nothing; and flatpak's client takes deltas.

use serde_json::Value;
use std::fs;
use testkit::image::Packing;
use testkit::noise::noise;
use testkit::registry::{Guard, Registry, Wire};
use testkit::{Command, Scratch, orlop, proof, scratch};

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root()).env("SOURCE_DATE_EPOCH", "1600000000")
}

fn build(it: &Scratch, words: &[&str]) {
    run(it, &["build"]).args(words).ok();
}

fn digest(it: &Scratch, reference: &str) -> String {
    run(it, &["digest", reference]).ok().out().trim().to_owned()
}

fn raw(it: &Scratch, reference: &str) -> Value {
    serde_json::from_str(&run(it, &["inspect", "--raw", reference]).ok().out()).expect("JSON")
}

/// Folders `one`, `two`, `three`, each a version of a tree, as images `oci:l:one` and so on.
fn versions() -> Scratch {
    let it = scratch();
    let (program, data) = (noise(1, 300_000), noise(2, 200_000));
    for (number, name) in (0..).zip(["one", "two", "three"]) {
        it.folder(name);
        it.folder(&format!("{name}/bin"));
        let program = [&program[..100_000], &noise(10 + number, 50), &program[100_000..]].concat();
        it.file(&format!("{name}/bin/program"), program);
        it.file(&format!("{name}/data-{number}"), &data);
        it.file(&format!("{name}/version"), name);
        build(&it, &[name, &format!("oci:l:{name}")]);
    }
    it
}

/// Bytes of everything below a folder.
fn bytes(it: &Scratch, folder: &str) -> u64 {
    let entries =
        fs::read_dir(it.path(folder)).expect("a folder").map(|entry| entry.expect("an entry").metadata());
    entries.map(|meta| meta.expect("there").len()).sum()
}

#[test]
fn an_image_comes_back_with_its_digest() {
    let it = versions();
    for (compress, number) in [("none", 0), ("gzip", 1), ("gzip:9", 2), ("zstd", 3)] {
        let (new, delta, back) =
            (format!("oci:n{number}:x"), format!("oci:d{number}"), format!("oci:b{number}:x"));
        build(&it, &["--compress", compress, "two", &new]);
        run(&it, &["delta", "make", "oci:l:one", &new, &delta]).ok();
        run(&it, &["validate", &delta]).ok();
        let size = bytes(&it, &format!("d{number}/blobs/sha256"));
        assert!(size < 20_000, "{compress}: {size} bytes");
        run(&it, &["delta", "apply", "oci:l:one", &delta, &back]).ok();
        assert_eq!(digest(&it, &back), digest(&it, &new), "{compress}");
        run(&it, &["validate", &back]).ok();
    }
}

#[test]
fn deltas_stand_beside_the_image_and_beside_each_other() {
    let it = versions();
    run(&it, &["delta", "make", "oci:l:one", "oci:l:two"]).ok();
    run(&it, &["delta", "make", "oci:l:one", "oci:l:three"]).ok();
    run(&it, &["delta", "make", "oci:l:two", "oci:l:three"]).ok();
    let index = raw(&it, "oci:l:_deltaindex");
    let targets: Vec<&str> = index["manifests"]
        .as_array()
        .expect("entries")
        .iter()
        .filter_map(|entry| entry["annotations"]["io.github.containers.delta.target"].as_str())
        .collect();
    assert_eq!(targets, [digest(&it, "oci:l:two"), digest(&it, "oci:l:three")]);
    let several = run(&it, &["delta", "apply", "oci:l:one", "oci:l:_deltaindex", "oci:b:x"]).run();
    assert_eq!(several.code(), Some(64), "{}", several.err());
    for (older, newer) in [("one", "two"), ("one", "three"), ("two", "three")] {
        let (place, wanted) = (format!("oci:b-{older}-{newer}:x"), digest(&it, &format!("oci:l:{newer}")));
        // Only what the index holds: the image itself is not there.
        let only = format!("oci:only-{older}-{newer}");
        run(&it, &["copy", "oci:l:_deltaindex", &only]).ok();
        let older = format!("oci:l:{older}");
        run(&it, &["delta", "apply", &older, &only, &place, "--target", &wanted]).ok();
        assert_eq!(digest(&it, &place), wanted);
    }
}

#[test]
fn the_same_images_give_the_same_delta() {
    let it = versions();
    let made = |place: &str, jobs: &str| {
        run(&it, &["delta", "make", "oci:l:one", "oci:l:two", place, "--jobs", jobs]).ok();
        digest(&it, &format!("{place}:_deltaindex"))
    };
    assert_eq!(made("oci:a", "1"), made("oci:b", "5"));
    // What is made once more changes nothing.
    assert_eq!(made("oci:a", "2"), digest(&it, "oci:b:_deltaindex"));
}

#[test]
fn layers_that_both_have_are_in_no_delta() {
    let it = versions();
    it.folder("top");
    it.file("top/new", noise(7, 9000));
    build(&it, &["--base", "oci:l:one", "--compress", "zstd:12", "top", "oci:l:more"]);
    run(&it, &["delta", "make", "oci:l:one", "oci:l:more", "oci:d"]).ok();
    run(&it, &["delta", "apply", "oci:l:one", "oci:d", "oci:b:x"]).ok();
    assert_eq!(digest(&it, "oci:b:x"), digest(&it, "oci:l:more"));
    // The new layer is noise: it stands there as it is.
    let entry =
        raw(&it, "oci:d:_deltaindex")["manifests"][0]["digest"].as_str().expect("a digest").to_owned();
    let layers = raw(&it, &format!("oci:d@{entry}"))["layers"].clone();
    let types: Vec<&str> =
        layers.as_array().expect("layers").iter().filter_map(|it| it["mediaType"].as_str()).collect();
    assert_eq!(
        types,
        [
            "application/json",
            "application/vnd.oci.image.config.v1+json",
            "application/vnd.oci.image.layer.v1.tar+zstd"
        ]
    );
}

#[test]
fn a_layer_of_another_compressor_is_made_anew_where_that_was_said() {
    let it = versions();
    let tar = testkit::tarball::tar([testkit::tarball::Member::file("data", noise(2, 200_000))]);
    testkit::image::Image::of(&[tar], Packing::Gzip).layout().write(&it.path("foreign"));
    run(&it, &["delta", "make", "oci:l:one", "oci:foreign", "oci:d"]).ok();
    let refused = run(&it, &["delta", "apply", "oci:l:one", "oci:d", "oci:b:x"]).run();
    assert_eq!(refused.code(), Some(64), "{}", refused.err());
    assert!(refused.err().contains("--compress"), "{}", refused.err());
    assert_eq!(run(&it, &["digest", "oci:b:x"]).run().code(), Some(2), "no name stands");
    let made = run(&it, &["delta", "apply", "oci:l:one", "oci:d", "oci:c:x", "--compress", "zstd"]).ok();
    assert!(made.err().contains("the digest changes"), "{}", made.err());
    let config = |reference: &str| run(&it, &["inspect", "--config", reference]).ok().out();
    assert_eq!(config("oci:c:x"), config("oci:foreign"));
    run(&it, &["validate", "oci:c:x"]).ok();
}

#[test]
fn a_layer_that_stands_as_it_is_serves_every_older_image() {
    let it = versions();
    for (folder, content) in [("near", noise(7, 9000)), ("far", noise(8, 50)), ("new", noise(7, 9000))] {
        it.folder(folder);
        it.file(&format!("{folder}/{folder}"), content);
        build(&it, &["--compress", "zstd:12", folder, &format!("oci:l:{folder}")]);
    }
    // From one image it is a delta, from the other it is none.
    run(&it, &["delta", "make", "oci:l:near", "oci:l:new", "oci:d"]).ok();
    let made = run(&it, &["delta", "make", "oci:l:far", "oci:l:new", "oci:d", "--format", "json"]).ok().out();
    let made: Value = serde_json::from_str(&made).expect("JSON");
    assert_eq!(made["layers"][0]["delta"], Value::Null, "{made}");
    for older in ["oci:l:near", "oci:l:far"] {
        run(&it, &["delta", "apply", older, "oci:d", "oci:b:x"]).ok();
        assert_eq!(digest(&it, "oci:b:x"), digest(&it, "oci:l:new"), "{older}");
        fs::remove_dir_all(it.path("b")).expect("it is ours");
    }
    // Beside one of another image that stands as it is, the delta from the older image is the one that is meant.
    it.folder("other");
    it.file("other/other", noise(9, 9000));
    build(&it, &["--compress", "zstd:12", "other", "oci:l:other"]);
    run(&it, &["delta", "make", "oci:l:far", "oci:l:other", "oci:d"]).ok();
    run(&it, &["delta", "apply", "oci:l:near", "oci:d", "oci:b:x"]).ok();
    assert_eq!(digest(&it, "oci:b:x"), digest(&it, "oci:l:new"));
    let several = run(&it, &["delta", "apply", "oci:l:far", "oci:d", "oci:b:x"]).run();
    assert_eq!(several.code(), Some(64), "{}", several.err());
}

#[test]
fn a_layer_that_stands_as_it_is_serves_nobody_who_needs_another() {
    let it = versions();
    it.folder("top");
    it.file("top/new", noise(7, 9000));
    build(&it, &["--base", "oci:l:two", "--compress", "zstd:12", "top", "oci:l:more"]);
    run(&it, &["delta", "make", "oci:l:one", "oci:l:more", "oci:d"]).ok();
    let other = run(&it, &["delta", "apply", "oci:l:three", "oci:d", "oci:b:x"]).run();
    assert_eq!(other.code(), Some(64), "{}", other.err());
    assert!(other.err().contains("none of the deltas is from the older image"), "{}", other.err());
    // The layer below is all that lacks.
    run(&it, &["delta", "apply", "oci:l:two", "oci:d", "oci:b:x"]).ok();
    assert_eq!(digest(&it, "oci:b:x"), digest(&it, "oci:l:more"));
}

#[test]
fn a_layer_in_another_form_comes_from_where_the_delta_is() {
    let it = versions();
    build(&it, &["--compress", "zstd", "one", "oci:z:one"]);
    it.folder("top");
    it.file("top/new", noise(7, 9000));
    build(&it, &["--base", "oci:z:one", "top", "oci:z:more"]);
    run(&it, &["delta", "make", "oci:l:one", "oci:z:more"]).ok();
    run(&it, &["delta", "apply", "oci:l:one", "oci:z", "oci:b:x"]).ok();
    assert_eq!(digest(&it, "oci:b:x"), digest(&it, "oci:z:more"));
    // So does one that nobody can compress to the byte.
    let tar = testkit::tarball::tar([testkit::tarball::Member::file("data", noise(2, 200_000))]);
    testkit::image::Image::of(&[tar], Packing::Gzip).layout().write(&it.path("foreign"));
    run(&it, &["copy", "oci:foreign", "oci:f:x"]).ok();
    run(&it, &["delta", "make", "oci:l:one", "oci:f:x"]).ok();
    run(&it, &["delta", "apply", "oci:l:one", "oci:f", "oci:c:x"]).ok();
    assert_eq!(digest(&it, "oci:c:x"), digest(&it, "oci:f:x"));
}

#[test]
fn a_layer_that_is_there_twice_is_compared_once() {
    let it = versions();
    let tar = testkit::tarball::tar([testkit::tarball::Member::file("data", noise(2, 200_000))]);
    testkit::image::Image::of(&[tar.clone(), tar], Packing::Plain).layout().write(&it.path("twice"));
    let made = run(&it, &["delta", "make", "oci:l:one", "oci:twice", "oci:d", "--format", "json"]).ok().out();
    let made: Value = serde_json::from_str(&made).expect("JSON");
    assert_eq!(made["layers"].as_array().map(Vec::len), Some(1), "{made}");
    run(&it, &["delta", "apply", "oci:l:one", "oci:d", "oci:b:x"]).ok();
    assert_eq!(digest(&it, "oci:b:x"), digest(&it, "oci:twice"));
}

#[test]
fn who_loses_a_delta_to_another_image_is_told() {
    let it = versions();
    it.folder("top");
    it.file("top/new", noise(7, 9000));
    for base in ["one", "two"] {
        build(&it, &["--base", &format!("oci:l:{base}"), "top", &format!("oci:l:{base}-top")]);
    }
    let make = |older: &str| run(&it, &["delta", "make", older, "oci:l:three", "oci:d"]).ok().err();
    assert!(!make("oci:l:one-top").contains("gives way"));
    assert!(!make("oci:l:one-top").contains("gives way"), "it is the same one");
    let told = make("oci:l:two-top");
    assert!(told.contains("gives way") && told.contains(&digest(&it, "oci:l:one-top")), "{told}");
    run(&it, &["delta", "apply", "oci:l:two-top", "oci:d", "oci:b:x"]).ok();
    assert_eq!(digest(&it, "oci:b:x"), digest(&it, "oci:l:three"));
}

#[test]
fn what_does_not_fit_or_is_damaged_makes_nothing() {
    let it = versions();
    run(&it, &["delta", "make", "oci:l:one", "oci:l:two", "oci:d"]).ok();
    let other = run(&it, &["delta", "apply", "oci:l:three", "oci:d", "oci:b:x"]).run();
    assert_eq!(other.code(), Some(64), "{}", other.err());
    let none = run(&it, &["delta", "apply", "oci:l:one", "oci:l:two", "oci:b:x"]).run();
    assert_eq!(none.code(), Some(64), "{}", none.err());
    let entry =
        raw(&it, "oci:d:_deltaindex")["manifests"][0]["digest"].as_str().expect("a digest").to_owned();
    let layers = raw(&it, &format!("oci:d@{entry}"))["layers"].clone();
    for layer in layers.as_array().expect("layers") {
        let name = layer["digest"].as_str().expect("a digest").trim_start_matches("sha256:").to_owned();
        let path = it.path(&format!("d/blobs/sha256/{name}"));
        let right = fs::read(&path).expect("a blob");
        let mut wrong = right.clone();
        wrong[right.len() / 2] ^= 4;
        fs::write(&path, wrong).expect("writes");
        let damaged = run(&it, &["delta", "apply", "oci:l:one", "oci:d", "oci:b:x"]).run();
        assert_eq!(damaged.code(), Some(5), "{name}: {}", damaged.err());
        fs::write(&path, right).expect("writes");
    }
    let there = run(&it, &["digest", "oci:b:x"]).run();
    assert_eq!(there.code(), Some(2), "no name stands: {}", there.out());
}

#[test]
fn deltas_go_through_a_registry() {
    const PROOF: &str = "delta: through a registry";
    let Some(registry) = Registry::start(Wire::Clear, Guard::Open) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = versions();
    let at = |tag: &str| format!("docker://{}/app:{tag}", registry.host());
    run(&it, &["copy", "oci:l:one", &at("one")]).ok();
    run(&it, &["copy", "oci:l:two", &at("two")]).ok();
    run(&it, &["delta", "make", &at("one"), &at("two")]).ok();
    // A repository of its own, which has neither image.
    let apart = format!("docker://{}/deltas", registry.host());
    run(&it, &["copy", &at("_deltaindex"), &format!("{apart}:_deltaindex")]).ok();
    let before = registry.requests().len();
    run(&it, &["delta", "apply", "oci:l:one", &apart, "oci:b:x"]).ok();
    assert_eq!(digest(&it, "oci:b:x"), digest(&it, "oci:l:two"));
    let asked = registry.requests().split_off(before);
    assert!(asked.len() < 20, "{asked:?}");
    proof::ran(PROOF, asked.len());
}
