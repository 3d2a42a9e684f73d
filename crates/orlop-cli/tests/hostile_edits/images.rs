//! The hostile corpus through every edit.

use crate::world::World;
use serde_json::{Value, json};
use testkit::hostile::{Case, EDITS, Effect, Expected, Trial, User, corpus};
use testkit::image::{Image, Layer, Packing};
use testkit::tarball::{Member, tar};
use testkit::{full, proof};

/// Which edit of a case the gate sees: the next one for every other case; of the others, what must be refused is given to
/// the edit that looks at no layer.
fn sampled(case: &Case, number: usize) -> usize {
    let beside = EDITS.iter().position(|edit| edit.effect == Effect::Beside).expect("there is one");
    match &case.expected {
        _ if !(number / EDITS.len() + number).is_multiple_of(2) => number % EDITS.len(),
        Expected::Refused(_) => beside,
        _ => EDITS.len(),
    }
}

/// Every case by every edit in a long run; in the gate a part of them, in one compression.
#[test]
fn hostile_images_are_refused_or_edited_as_they_are_meant() {
    let trial = Trial::new(User::Same);
    let only = std::env::var("ORLOP_CASE").unwrap_or_default();
    let (mut cases, mut wrong) = (0, Vec::new());
    for (number, case) in corpus(&trial.canary()).iter().enumerate() {
        let is_seen = full() || !case.name.ends_with("/plain") && !case.name.ends_with("/zstd");
        if !case.name.contains(&only) || !trial.concerns(case) || !is_seen {
            continue;
        }
        for (turn, edit) in EDITS.iter().enumerate() {
            if !full() && turn != sampled(case, number) {
                continue;
            }
            cases += 1;
            let complaints = trial.edit(case, edit);
            if !complaints.is_empty() {
                wrong.push(format!("{}: {}\n    {}", case.name, edit.words, complaints.join("\n    ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} cases:\n{}", wrong.len(), wrong.join("\n"));
    proof::ran("hostile: corpus through every edit", cases);
}

fn laid_out(image: Image, folder: &str) -> World {
    let it = World::new();
    image.layout().write(&it.path(folder));
    it
}

/// What whoever reads the image would refuse is not written.
#[test]
fn j3_what_could_not_be_read_again_is_not_written() {
    let pad = |mut manifest: Value| {
        manifest["annotations"] = json!({"pad": ""});
        let length = (4 << 20) - manifest.to_string().len();
        manifest["annotations"]["pad"] = json!("p".repeat(length));
        manifest
    };
    let layer = || Layer::new(&tar([Member::file("f", "1")]), Packing::Gzip);
    let it = laid_out(Image::new().layer(layer()).manifest(pad), "full");
    let edits: [&[&str]; 4] = [
        &["config", "oci:full:latest", "--annotation", "a=b"],
        &["append", "oci:full:latest", "up"],
        &["copy", "--append", "up", "oci:full:latest", "oci:full:new"],
        &["build", "--base", "oci:full:latest", "up", "oci:full:new"],
    ];
    for words in edits {
        let done = it.refused(it.command(words), (9, "the manifest would be"), &["full"]);
        assert!(done.err().contains("--max-document"), "{done}");
    }
    it.command(edits[0]).args(["--max-document", "16M"]).ok();
    let long = format!("k={}", "v".repeat(100_000));
    let index =
        ["index", "create", "oci:l:app", "oci:l:multi", "--max-document", "64k", "--annotation", &long];
    it.refused(it.command(&index), (9, "the index would be"), &["l"]);
    let label = ["config", "oci:l:app", "--max-document", "64k", "--label", &long];
    it.refused(it.command(&label), (9, "the config would be"), &["l"]);

    let most = (0..4096).fold(Image::new(), |image, _| image.layer(layer()));
    let it = laid_out(most, "most");
    for words in [
        &["append", "oci:most:latest", "up"][..],
        &["build", "--base", "oci:most:latest", "up", "oci:most:new"],
    ] {
        let done = it.refused(it.command(words), (9, "4097 layers"), &["most"]);
        assert!(done.err().contains("orlop flatten"), "{done}");
    }
    it.command(&["flatten", "oci:most:latest", "--last", "2"]).ok();
    it.command(&["append", "oci:most:latest", "up"]).ok();
    it.command(&["inspect", "oci:most:latest"]).ok();
    proof::ran("hostile: images that are full", edits.len() + 5);
}

/// A layer that nobody may pass on stays what it is, or the edit is refused: it is not made one that everybody may.
#[test]
fn item_54_a_layer_that_nobody_may_pass_on_is_made_no_other() {
    const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let layers = [
        tar([Member::file("f", "1"), Member::file("g", "2")]),
        tar([Member::file("h", "3")]),
        tar([Member::file("i", "4")]),
    ];
    let it = laid_out(
        Image::of(&layers, Packing::Gzip).manifest(|mut manifest| {
            manifest["layers"][0]["mediaType"] = json!(FOREIGN);
            manifest["layers"][0]["urls"] = json!(["https://example.com/layer"]);
            manifest
        }),
        "foreign",
    );
    let refusals: [(&[&str], &str); 3] = [
        (&["flatten", "oci:foreign:latest"], "--last N"),
        (&["flatten", "oci:foreign:latest", "--last", "3"], "--last N"),
        (&["strip", "oci:foreign:latest", "--rm-path", "/f"], "--rm-layer N"),
    ];
    for (words, hint) in refusals {
        let done = it.refused(it.command(words), (64, "not to be distributed"), &["foreign"]);
        assert!(done.err().contains(hint), "{done}");
    }
    let before = it.command(&["inspect", "--raw", "oci:foreign:latest"]).ok().out();
    let before: Value = serde_json::from_str(&before).expect("JSON");
    for words in [
        &["flatten", "oci:foreign:latest", "--last", "2"][..],
        &["strip", "oci:foreign:latest", "--rm-path", "/h"],
        &["convert", "oci:foreign:latest", "--compress", "zstd"],
        &["append", "oci:foreign:latest", "up"],
    ] {
        it.command(words).ok();
        let now = it.command(&["inspect", "--raw", "oci:foreign:latest"]).ok().out();
        let now: Value = serde_json::from_str(&now).expect("JSON");
        assert_eq!(now["layers"][0], before["layers"][0], "{words:?}");
    }
    it.command(&["strip", "oci:foreign:latest", "--rm-layer", "0"]).ok();
    proof::ran("hostile: layers that nobody may pass on", refusals.len() + 5);
}
