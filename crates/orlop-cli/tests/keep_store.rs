//! `du` and `gc` of the local store: what is where, and what goes.

use serde_json::Value;
use testkit::{Command, Scratch, orlop, scratch};

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root()).env("ORLOP_ROOT", it.path("store"))
}

fn told(it: &Scratch, words: &[&str]) -> Value {
    let told = run(it, &[words, &["--format=json"]].concat()).ok().out();
    serde_json::from_str(&told).expect("JSON")
}

const OWN: u64 = 90_000;
const SHARED: u64 = 30_000;

/// Two images with a content of their own each, and one that both have.
fn filled() -> Scratch {
    let it = scratch();
    for name in ["a", "b"] {
        it.folder(name);
        it.file(&format!("{name}/own"), name.repeat(usize::try_from(OWN).expect("small")));
        it.file(&format!("{name}/same"), "s".repeat(usize::try_from(SHARED).expect("small")));
        run(&it, &["build", name, &format!("store:{name}:1"), "--progress=none"]).ok();
    }
    it
}

/// Count and bytes of a part of the store.
fn part(it: &Scratch, what: &str) -> (u64, u64) {
    let document = told(it, &["du"]);
    let parts = document["parts"].as_array().expect("a list");
    let part = parts.iter().find(|part| part["what"] == what).expect("told");
    (part["count"].as_u64().expect("a number"), part["bytes"].as_u64().expect("a number"))
}

#[test]
fn du_tells_what_is_where_and_what_only_one_image_needs() {
    let it = filled();
    run(&it, &["tag", "a:1", "again:1"]).ok();
    assert_eq!(part(&it, "contents"), (3, 2 * OWN + SHARED));
    assert_eq!(part(&it, "names").0, 3);
    assert_eq!((part(&it, "layers").0, part(&it, "forms").0), (2, 2));
    assert_eq!((part(&it, "documents").0, part(&it, "kept blobs").0), (4, 0));
    let document = told(&it, &["du"]);
    let images = document["images"].as_array().expect("a list");
    assert_eq!(images.len(), 2, "names of one image are told together");
    assert_eq!(images[0]["names"].as_array().map(Vec::len), Some(2));
    for image in images {
        let (bytes, unique) =
            (image["bytes"].as_u64().expect("told"), image["unique"].as_u64().expect("told"));
        assert_eq!(bytes - unique, SHARED, "{image}");
        assert!(unique > OWN && unique < OWN + 5000, "{image}");
    }
    let tables = run(&it, &["du"]).ok().out();
    assert!(tables.contains("contents") && tables.contains("a:1, again:1"), "{tables}");
}

#[test]
fn du_of_a_store_that_is_not_there_is_nothing() {
    let it = scratch();
    assert_eq!(told(&it, &["du"])["images"], Value::Array(Vec::new()));
    assert!(!it.path("store").exists());
}

#[test]
fn gc_frees_what_du_called_unique_and_no_more() {
    let it = filled();
    run(&it, &["rm", "a:1"]).ok();
    let nothing = told(&it, &["gc"]);
    assert_eq!(nothing["bytes"], 0, "everything is younger than the grace");
    let foreseen = told(&it, &["gc", "--grace", "0", "--dry-run"]);
    assert_eq!(part(&it, "contents").0, 3, "a dry run removes nothing");
    let swept = told(&it, &["gc", "--grace", "0"]);
    assert_eq!(swept["bytes"], foreseen["bytes"]);
    assert!(swept["bytes"].as_u64() > Some(OWN), "{swept}");
    assert_eq!(part(&it, "contents"), (2, OWN + SHARED));
    assert_eq!(told(&it, &["gc", "store:", "--grace", "0"])["bytes"], 0);
    run(&it, &["fsck"]).ok();
    let out = it.path("out");
    run(&it, &["unpack", "store:b:1", out.to_str().expect("text"), "--progress=none"]).ok();
    assert_eq!(std::fs::read(out.join("same")).expect("there").len() as u64, SHARED);
}

#[test]
fn one_image_of_the_store_is_not_swept() {
    let it = filled();
    let refused = run(&it, &["gc", "a:1"]).run();
    assert_eq!(refused.code(), Some(64), "{}", refused.err());
    assert!(refused.err().contains("orlop rm NAME"), "{}", refused.err());
}

/// What our compressor wrote straight into the store is not kept, and comes out again to the bit.
#[test]
fn whatever_is_built_into_the_store_is_made_again_by_what_made_it() {
    let it = scratch();
    it.folder("tree");
    it.file("tree/large", testkit::noise(5, 700_000));
    it.file("tree/text", "text ".repeat(40_000));
    for codec in ["none", "gzip:1", "gzip:6", "gzip:9", "zstd:1", "zstd:3", "zstd:12"] {
        let (stored, there) = (format!("store:{codec}"), format!("oci:l:{codec}"));
        let built = ["build", "tree", &stored, "--compress", codec, "--progress=none"];
        run(&it, &built).ok();
        run(&it, &["copy", &stored, &there, "--progress=none"]).ok();
        run(&it, &["validate", &there]).ok();
        let layer = &told(&it, &["images"])["images"];
        let layers =
            layer.as_array().expect("a list").iter().map(|image| &image["manifests"][0]["layers"][0]);
        assert!(layers.clone().all(|layer| layer["bytes"] != "kept"), "{codec}: {layer}");
    }
    assert_eq!(part(&it, "kept blobs").0, 0);
}
