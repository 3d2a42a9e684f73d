//! `images`, and the names by which images of the local store are found.

use serde_json::Value;
use std::time::{Duration, Instant};
use testkit::{Command, Scratch, orlop, proof, scratch};

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root()).env("ORLOP_ROOT", it.path("store"))
}

fn build(it: &Scratch, name: &str, content: &str) {
    let folder = format!("tree-{}", name.replace(['/', ':'], "-"));
    it.folder(&folder);
    it.file(&format!("{folder}/file"), content);
    run(it, &["build", &folder, &format!("store:{name}"), "--progress=none"]).ok();
}

fn images(it: &Scratch) -> Vec<Value> {
    let told = run(it, &["images", "--format", "json"]).ok().out();
    let document: Value = serde_json::from_str(&told).expect("JSON");
    document["images"].as_array().expect("a list").clone()
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_else(|| panic!("{member} in {value}"))
}

#[test]
fn a_store_that_is_not_there_holds_no_image() {
    let it = scratch();
    assert_eq!(run(&it, &["images"]).ok().out().lines().count(), 1);
    assert_eq!(images(&it), Vec::<Value>::new());
    assert!(!it.path("store").exists(), "looking makes nothing");
}

#[test]
fn each_name_is_a_row_with_what_only_its_image_has() {
    let it = scratch();
    build(&it, "one:1", "one");
    build(&it, "two:1", "two");
    run(&it, &["tag", "store:one:1", "again:1"]).ok();
    let listed = images(&it);
    let names: Vec<&str> = listed.iter().map(|image| text(image, "name")).collect();
    assert_eq!(names, ["again:1", "one:1", "two:1"]);
    assert_eq!(listed[0]["digest"], listed[1]["digest"]);
    for image in &listed {
        let (size, unique) = (image["size"].as_u64().expect("a size"), image["unique_size"].as_u64());
        // Names of one image share all of it, and yet no other image has any of it.
        assert_eq!(unique, Some(size), "{image}");
        assert_eq!(image["manifests"].as_array().map(Vec::len), Some(1));
        assert_eq!(image["broken"], Value::Array(Vec::new()));
        assert!(text(image, "used").ends_with('Z'), "{image}");
    }
    let table = run(&it, &["images"]).ok().out();
    assert_eq!(table.lines().count(), 4, "{table}");
    let row = table.lines().find(|row| row.starts_with("two:1")).expect("a row");
    assert!(row.contains("linux/") && row.contains(" image "), "{row}");
    assert!(row.contains(&text(&listed[2], "digest")["sha256:".len()..][..12]), "{row}");
}

#[test]
fn what_images_share_is_not_their_own() {
    let it = scratch();
    build(&it, "base:1", "base");
    it.folder("more");
    it.file("more/other", "other");
    run(&it, &["build", "--base", "store:base:1", "more", "store:above:1", "--progress=none"]).ok();
    let listed = images(&it);
    let of = |name: &str| listed.iter().find(|image| text(image, "name") == name).expect("listed");
    let shared = of("base:1")["manifests"][0]["layers"][0]["size"].as_u64().expect("a size");
    for name in ["base:1", "above:1"] {
        let (size, unique) = (of(name)["size"].as_u64(), of(name)["unique_size"].as_u64());
        assert_eq!(size, unique.map(|unique| unique + shared), "{name}");
    }
}

#[test]
fn layers_tell_how_their_bytes_come_back() {
    let it = scratch();
    build(&it, "ours:1", "made here");
    let layer = images(&it)[0]["manifests"][0]["layers"][0].clone();
    assert!(text(&layer, "bytes").starts_with("made by gzip"), "{layer}");
    let table = run(&it, &["images", "--layers"]).ok().out();
    assert!(table.contains(text(&layer, "digest")) && table.contains("made by gzip"), "{table}");
    assert!(table.contains("oci.image.layer.v1.tar+gzip"), "{table}");
}

#[test]
fn a_record_that_is_damaged_is_told_and_hides_no_other() {
    let it = scratch();
    build(&it, "one:1", "one");
    build(&it, "two:1", "two");
    it.file("store/names/two%3A1", "nothing");
    let told = run(&it, &["images"]).ok();
    assert!(told.out().contains("one:1") && !told.out().contains("two:1"), "{}", told.out());
    assert!(told.err().contains("two%3A1"), "{}", told.err());
}

fn digest_of(it: &Scratch, name: &str) -> String {
    run(it, &["digest", &format!("store:{name}")]).ok().out().trim().to_owned()
}

#[test]
fn a_name_is_found_as_it_stands_then_with_its_host_then_by_a_digests_beginning() {
    let it = scratch();
    build(&it, "docker.io/library/tool:12", "of docker");
    build(&it, "docker.io/library/tool:latest", "latest");
    build(&it, "plain", "plain");
    let (twelve, latest) =
        (digest_of(&it, "docker.io/library/tool:12"), digest_of(&it, "docker.io/library/tool:latest"));
    assert_eq!(digest_of(&it, "tool:12"), twelve);
    assert_eq!(digest_of(&it, "library/tool:12"), twelve);
    assert_eq!(digest_of(&it, "tool"), latest);
    let hex = twelve.strip_prefix("sha256:").expect("a digest");
    for beginning in [&hex[..12], &hex[..5], hex, &twelve[..20]] {
        assert_eq!(digest_of(&it, beginning), twelve, "{beginning}");
    }
    let config = text(&images(&it)[0]["manifests"][0], "config").to_owned();
    assert_eq!(digest_of(&it, &config["sha256:".len()..][..16]), twelve, "the image id");
    // A name as it stands comes before everything else.
    build(&it, "tool:12", "literal");
    assert_ne!(digest_of(&it, "tool:12"), twelve);
    build(&it, &hex[..12], "called like a digest");
    assert_ne!(digest_of(&it, &hex[..12]), twelve);
}

#[test]
fn an_unknown_name_lists_near_ones() {
    let it = scratch();
    build(&it, "docker.io/library/tool:12", "x");
    let told = run(&it, &["digest", "store:tool:13"]).run();
    assert_eq!(told.code(), Some(2), "{}", told.err());
    assert!(told.err().contains("docker.io/library/tool:12"), "{}", told.err());
}

#[test]
fn a_beginning_that_several_images_have_is_refused_and_lists_them() {
    let it = scratch();
    // Of so many images some two begin alike in their first four digits.
    let folder = it.folder("tree");
    let mut seen = std::collections::HashMap::<String, String>::new();
    let alike = (0..2000).find_map(|number| {
        std::fs::write(folder.join("file"), number.to_string()).expect("written");
        let name = format!("image:{number}");
        let told = run(&it, &["build", "tree", &format!("store:{name}"), "--progress=none"]).ok().out();
        let digest = told.trim().rsplit_once('@').expect("REF@DIGEST").1.to_owned();
        let beginning = digest["sha256:".len()..][..4].to_owned();
        seen.insert(beginning.clone(), digest.clone()).map(|other| (beginning, [digest, other]))
    });
    let (beginning, both) = alike.expect("4 digits are soon used up");
    let told = run(&it, &["digest", &format!("store:{beginning}")]).run();
    assert_eq!(told.code(), Some(64), "{}", told.err());
    assert!(both.iter().all(|digest| told.err().contains(digest)), "{}", told.err());
}

#[test]
fn names_of_the_store_are_given_and_taken_by_short_names_too() {
    let it = scratch();
    build(&it, "docker.io/library/tool:12", "x");
    run(&it, &["tag", "tool:12", "mine"]).ok();
    assert_eq!(digest_of(&it, "mine"), digest_of(&it, "tool:12"));
    run(&it, &["untag", "tool:12"]).ok();
    let names: Vec<String> = images(&it).iter().map(|image| text(image, "name").to_owned()).collect();
    assert_eq!(names, ["mine"]);
    let id = digest_of(&it, "mine")["sha256:".len()..][..12].to_owned();
    run(&it, &["tag", &id, "other"]).ok();
    let told = run(&it, &["rm", &id]).run();
    assert_eq!(told.code(), Some(64), "{}", told.err());
    assert!(told.err().contains("mine") && told.err().contains("other"), "{}", told.err());
    run(&it, &["rm", "--yes", &id]).ok();
    assert_eq!(images(&it), Vec::<Value>::new());
}

#[test]
fn a_thousand_names_are_listed_at_once() {
    let it = scratch();
    build(&it, "first", "x");
    let names: Vec<String> = (0..1000).map(|number| format!("name:{number}")).collect();
    for some in names.chunks(100) {
        let words = ["tag", "store:first"].into_iter().chain(some.iter().map(String::as_str));
        run(&it, &words.collect::<Vec<_>>()).ok();
    }
    let began = Instant::now();
    assert_eq!(images(&it).len(), 1001);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    proof::ran("images: a thousand names", 1001);
}
