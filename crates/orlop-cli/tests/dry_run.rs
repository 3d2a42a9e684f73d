//! `--dry-run` of edits: what would change and move is told, and nothing is written.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use testkit::registry::Registry;
use testkit::{Command, Scratch, noise, orlop, proof, scratch};

fn line(it: &Scratch, words: &str) -> Command {
    orlop().args(words.split(' ')).env("ORLOP_ROOT", it.path("store")).current_dir(it.root())
}

/// A layout `l` with an image of three layers, and an index of it and another one.
fn images() -> Scratch {
    let it = scratch();
    for (number, folder) in ["a", "b", "c"].iter().enumerate() {
        it.folder(folder);
        it.file(&format!("{folder}/{folder}"), noise(number as u64, 100_000 * (number + 1)));
        it.file(&format!("{folder}/same"), *folder);
    }
    let created = "--created 2020-01-01T00:00:00Z";
    line(&it, &format!("build a b c oci:l:amd --platform linux/amd64 {created}")).ok();
    line(&it, &format!("build a b oci:l:arm --platform linux/arm64 {created}")).ok();
    line(&it, "index create oci:l:amd oci:l:arm oci:l:both").ok();
    it
}

/// Every file below a folder, with its content and when it was changed.
fn state(folder: &Path) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let changed = path.symlink_metadata().expect("there").modified().expect("a time");
            let content = if path.is_dir() { Vec::new() } else { fs::read(&path).expect("a file") };
            if path.is_dir() {
                open.push(path.clone());
            }
            found.insert(path.display().to_string(), (content, changed));
        }
    }
    found
}

fn foreseen(it: &Scratch, words: &str) -> Value {
    let text = line(it, &format!("{words} --dry-run --format json")).ok().out();
    let told: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(told["version"], 1);
    told["foreseen"].clone()
}

/// Verbs, and whether the digest of the result is known before.
const EDITS: [(&str, &str, bool); 10] = [
    ("config", "--env A=b", true),
    ("append", "a", false),
    ("insert", "a /new", false),
    ("flatten", "", false),
    ("flatten", "--last 2", false),
    ("convert", "--compress zstd", false),
    ("convert", "--media-types docker", true),
    ("convert", "--layer-size 150k", false),
    ("strip", "--rm-path same", false),
    ("strip", "--rm-layer 1", true),
];

#[test]
fn a_dry_run_writes_nothing_and_what_it_says_comes_true() {
    const PROOF: &str = "edit: a dry run writes nothing, and what it says comes true";
    let it = images();
    let before = state(&it.path("l"));
    for (verb, flags, is_known) in EDITS {
        let words = format!("{verb} oci:l:amd {flags}").trim_end().to_owned();
        let told = foreseen(&it, &words);
        let human = line(&it, &format!("{words} --dry-run")).ok().out();
        assert!(state(&it.path("l")) == before, "{words}");
        let changed = told["changed"].as_array().expect("a list");
        assert_eq!(changed.len(), 1, "{words}: {told}");
        let old = changed[0]["digest"].as_str().expect("a digest");
        assert_eq!(old, line(&it, "digest oci:l:amd").ok().out().trim(), "{words}");
        assert!(human.contains(old), "{words}: {human}");
        line(&it, &format!("{words} --to oci:new:t")).ok();
        let new = line(&it, "digest oci:new:t").ok().out();
        if is_known {
            assert_eq!(changed[0]["becomes"], new.trim(), "{words}");
        } else {
            assert!(changed[0]["becomes"].is_null(), "{words}: {told}");
        }
        assert_eq!(is_known, changed[0]["layers"].as_array().expect("a list").is_empty(), "{words}: {told}");
    }
    line(&it, "build a oci:l:base --created 2020-01-01T00:00:00Z").ok();
    line(&it, "build a --env X=y oci:l:newer --created 2020-01-01T00:00:00Z").ok();
    let rebase = "rebase oci:l:amd --old-base oci:l:base --new-base oci:l:newer";
    let becomes = foreseen(&it, rebase)["changed"][0]["becomes"].clone();
    line(&it, &format!("{rebase} --to oci:new:t")).ok();
    assert_eq!(becomes, line(&it, "digest oci:new:t").ok().out().trim());
    for words in ["copy oci:l:both oci:x:y --env A=b --rm-path a", "copy oci:l:both oci:x:y --compress zstd"]
    {
        let told = foreseen(&it, words);
        assert_eq!(told["changed"].as_array().map(Vec::len), Some(3), "{told}");
        assert!(
            told["changed"].as_array().expect("a list").iter().all(|it| it["becomes"].is_null()),
            "{told}"
        );
    }
    for words in
        ["add oci:l:both oci:l:amd --overwrite", "rm oci:l:both linux/arm64", "annotate oci:l:both a=b"]
    {
        let told = foreseen(&it, &format!("index {words}"));
        let becomes = told["changed"].as_array().expect("a list").first().map(|it| it["becomes"].clone());
        assert_eq!(becomes.is_some(), !words.starts_with("add"), "{told}");
        line(&it, &format!("index {words} --to oci:l:made")).ok();
        let made = line(&it, "digest oci:l:made").ok().out();
        assert!(becomes.is_none_or(|becomes| becomes == made.trim()), "{words}");
        line(&it, "untag oci:l:made").ok();
    }
    foreseen(&it, "index create oci:l:amd oci:other:made");
    assert!(!it.path("x").exists() && !it.path("other").exists());
    proof::ran(PROOF, EDITS.len());
}

/// What would be read and sent is told in bytes, and no request changes anything.
#[test]
fn a_dry_run_at_a_registry_only_asks() {
    const PROOF: &str = "edit: a dry run sends nothing to a registry";
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = images();
    let at = format!("docker://{}/app", registry.host());
    line(&it, &format!("copy oci:l:both {at}:1")).ok();
    let raw = line(&it, "inspect --raw oci:l:amd").ok().out();
    let manifest: Value = serde_json::from_str(&raw).expect("JSON");
    let layers = manifest["layers"].as_array().expect("layers");
    let size = |at: usize| layers[at]["size"].as_u64().expect("a size");
    let digests: Vec<&str> = layers.iter().map(|layer| layer["digest"].as_str().expect("text")).collect();
    let before = registry.requests().len();
    let told = foreseen(&it, &format!("flatten {at}:1 --last 2 --platform linux/amd64"));
    assert_eq!(told["read"]["bytes"], size(1) + size(2), "{told}");
    let told = foreseen(&it, &format!("config {at}:1 --env A=b"));
    assert_eq!((&told["read"]["items"], &told["move"]["items"]), (&0.into(), &5.into()), "{told}");
    let told = foreseen(&it, &format!("config {at}:1 --env A=b --platform linux/amd64 --to oci:here:x"));
    assert!(told["move"]["bytes"].as_u64() > Some(size(0) + size(1) + size(2)), "{told}");
    for (verb, flags, _) in EDITS {
        let words = format!("{verb} {at}:1 {flags} --platform linux/amd64").replace("  ", " ");
        line(&it, &words).arg("--dry-run").ok();
    }
    line(&it, &format!("index rm {at}:1 linux/arm64 --dry-run")).ok();
    line(&it, &format!("copy oci:l:both {at}:2 --flatten --dry-run")).ok();
    let requests = registry.requests().split_off(before);
    assert!(requests.len() > 20, "{requests:#?}");
    for request in &requests {
        assert!(request.starts_with("GET ") || request.starts_with("HEAD "), "{request}");
        let fetches = |digest: &&str| request.starts_with("GET ") && request.contains(*digest);
        assert!(!digests.iter().any(fetches), "{request}");
    }
    proof::ran(PROOF, requests.len());
}
