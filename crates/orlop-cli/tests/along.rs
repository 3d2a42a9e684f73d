//! What goes along with an image when it is copied, every tag of a place, and telling before doing.

use serde_json::{Value, json};
use testkit::image::{Image, Layout, Packing};
use testkit::registry::Registry;
use testkit::{Command, Scratch, orlop, proof, scratch, tarball};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const SIGNATURE: &str = "application/vnd.example.signature";

/// An artifact that speaks of `subject`, or of nothing.
fn artifact(layout: &mut Layout, content: &str, subject: Option<&Value>) -> Value {
    let empty = layout.add("application/vnd.oci.empty.v1+json", b"{}".to_vec());
    let blob = layout.add("text/plain", content.as_bytes().to_vec());
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": SIGNATURE, "config": empty, "layers": [blob],
    });
    if let Some(subject) = subject {
        manifest["subject"] = subject.clone();
    }
    layout.add(MANIFEST, manifest.to_string().into_bytes())
}

/// `v1` with a signature, a signature of that, and one by a tag; `v2` without.
fn signed(scratch: &Scratch) -> Value {
    let tar = tarball::tar([tarball::Member::file("a", "1")]);
    let mut layout = Image::of(&[tar], Packing::Plain).layout();
    let mut image = layout.index()["manifests"][0].clone();
    let first = artifact(&mut layout, "one", Some(&image));
    let second = artifact(&mut layout, "two", Some(&first));
    let mut by_tag = artifact(&mut layout, "three", None);
    let mut other = artifact(&mut layout, "four", None);
    let hex = image["digest"].as_str().expect("a digest").replace(':', "-");
    by_tag["annotations"] = json!({ "org.opencontainers.image.ref.name": format!("{hex}.sig") });
    image["annotations"] = json!({ "org.opencontainers.image.ref.name": "v1" });
    other["annotations"] = json!({ "org.opencontainers.image.ref.name": "v2" });
    let index = json!({ "schemaVersion": 2, "manifests": [image, first, second, by_tag, other] });
    layout.put("index.json", index.to_string());
    layout.write(&scratch.path("from"));
    json!({ "image": image["digest"], "first": first["digest"], "second": second["digest"], "tagged": by_tag["digest"], "other": other["digest"] })
}

fn command(scratch: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(scratch.root())
}

/// The digests that a layout lists.
fn listed(scratch: &Scratch, place: &str) -> Vec<Value> {
    let text = command(scratch, &["ls", place, "--format=json"]).ok().out();
    let value: Value = serde_json::from_str(&text).expect("JSON");
    value["images"].as_array().expect("a list").iter().map(|image| image["digest"].clone()).collect()
}

/// What stands under the tag of the referrers and is no list of them is not written over, and is named.
#[test]
fn item_208_what_has_the_tag_of_the_referrers_is_named_by_its_digest() {
    const PROOF: &str = "registry: a tag of referrers that names no list";
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let scratch = scratch();
    let it = signed(&scratch);
    let text = |name: &str| it[name].as_str().expect("a digest").to_owned();
    let place = format!("docker://{}/app", registry.host());
    let tag = format!("{place}:{}", text("image").replace(':', "-"));
    command(&scratch, &["copy", "oci:from:v2", &tag]).ok();
    let done = command(&scratch, &["copy", "--referrers=all", "oci:from:v1", &format!("{place}:v1")]).run();
    assert_eq!(done.code(), Some(5), "{done}");
    assert!(done.err().contains(&format!("the manifest {} cannot be read", text("other"))), "{done}");
    proof::ran(PROOF, 1);
}

/// E21: skopeo 1674, 1994 and 2227: signatures stayed behind.
#[test]
fn signatures_go_along_where_they_are_asked_for() {
    let scratch = scratch();
    let it = signed(&scratch);
    command(&scratch, &["copy", "oci:from:v1", "oci:alone:v1"]).ok();
    assert_eq!(listed(&scratch, "oci:alone"), [it["image"].clone()]);

    command(&scratch, &["copy", "--referrers=all", "oci:from:v1", "oci:all:v1"]).ok();
    let found = listed(&scratch, "oci:all");
    for name in ["image", "first", "second", "tagged"] {
        assert!(found.contains(&it[name]), "{name} is missing");
    }
    assert!(!found.contains(&it["other"]));
    command(&scratch, &["validate", "oci:all"]).ok();

    let kind = format!("--referrers={SIGNATURE}");
    command(&scratch, &["copy", &kind, "oci:from:v1", "oci:typed:v1"]).ok();
    assert_eq!(listed(&scratch, "oci:typed").len(), 3, "a tag says no type");
    command(&scratch, &["copy", "--referrers=text/x-none", "oci:from:v1", "oci:none:v1"]).ok();
    assert_eq!(listed(&scratch, "oci:none").len(), 1);
    assert_eq!(
        command(&scratch, &["copy", "--referrers=some", "oci:from:v1", "oci:x:v1"]).run().code(),
        Some(64)
    );
}

#[test]
fn a_signature_that_is_newer_than_its_image_is_synced() {
    let scratch = scratch();
    let it = signed(&scratch);
    command(&scratch, &["sync", "oci:from", "oci:to", "--include=v*"]).ok();
    assert!(!listed(&scratch, "oci:to").contains(&it["first"]));
    let words = ["sync", "oci:from", "oci:to", "--include=v*", "--referrers=all"];
    let lines = command(&scratch, &words).ok().out();
    assert_eq!(lines.lines().count(), 1, "nothing speaks of v2: {lines}");
    let found = listed(&scratch, "oci:to");
    for name in ["first", "second", "tagged"] {
        assert!(found.contains(&it[name]), "{name} is missing");
    }
    assert_eq!(command(&scratch, &words).ok().out(), "", "the second time there is nothing to do");
}

/// E20: skopeo 556, 1295 and 2072: of many images in one archive or repository each had to be named.
#[test]
fn every_tag_of_a_place_is_copied_under_its_own_name() {
    let scratch = scratch();
    signed(&scratch);
    let lines = command(&scratch, &["copy", "--all-tags", "oci:from", "oci:to"]).ok().out();
    assert_eq!(lines.lines().count(), 3, "{lines}");
    let tags = command(&scratch, &["ls", "oci:to"]).ok().out();
    assert!(tags.contains("v1 ") && tags.contains("v2 ") && tags.contains(".sig "), "{tags}");
    for words in [["oci:from:v1", "oci:to"], ["oci:from", "oci:to:v1"]] {
        let refused = command(&scratch, &["copy", "-A", words[0], words[1]]).run();
        assert_eq!(refused.code(), Some(64), "{}", refused.err());
    }
}

#[test]
fn a_dry_run_tells_bytes_and_changes_nothing() {
    let scratch = scratch();
    signed(&scratch);
    let text = command(&scratch, &["copy", "--dry-run", "oci:from:v1", "oci:to:v1"]).ok().out();
    assert!(text.starts_with("move ") && text.ends_with("in 3\n"), "{text}");
    assert!(!scratch.path("to").exists());

    command(&scratch, &["copy", "oci:from:v1", "oci:to:v1"]).ok();
    let before = command(&scratch, &["ls", "oci:to"]).ok().out();
    let text =
        command(&scratch, &["copy", "--dry-run", "--referrers=all", "oci:from:v1", "oci:to:v9"]).ok().out();
    let fates: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(fates, ["move", "reuse"], "{text}");
    assert_eq!(command(&scratch, &["ls", "oci:to"]).ok().out(), before);
}

#[test]
fn the_family_of_an_image_is_drawn_and_told() {
    let scratch = scratch();
    let it = signed(&scratch);
    let text = command(&scratch, &["tree", "oci:from:v1"]).ok().out();
    let lines: Vec<&str> = text.lines().collect();
    let digest = |name: &str| it[name].as_str().expect("a digest").to_owned();
    assert!(lines[0].starts_with(&digest("image")), "{text}");
    assert!(lines[1].starts_with(&format!("├── {}  {SIGNATURE}", digest("first"))), "{text}");
    assert!(lines[2].starts_with(&format!("│   └── {}", digest("second"))), "{text}");
    assert!(lines[3].starts_with(&format!("└── {}  sha256-", digest("tagged"))), "{text}");
    assert_eq!(lines.len(), 4);
    let text = command(&scratch, &["tree", "oci:from:v1", "--format=json"]).ok().out();
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["roots"][0]["referrers"][0]["referrers"][0]["digest"], it["second"]);
}
