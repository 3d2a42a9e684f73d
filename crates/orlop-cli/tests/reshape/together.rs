//! Several edits in one command are one pass, and come to what the verbs come to one after the other.

use crate::world::{config, image, in_step, layers, line, manifest, ok, run, three, tree};
use testkit::{Scratch, full, proof};

/// What is said of one edit to `copy`, and the verb.
const EDITS: [(&str, &str); 5] = [
    ("--rm-path big/more --rm-layer 2", "strip"),
    ("--flatten", "flatten"),
    ("--append more", "append"),
    ("--media-types docker --layer-size 200k", "convert"),
    ("--env A=b --label c=d", "config"),
];

/// What new and changed layers are compressed by, where it is said; not every verb writes layers.
const CODECS: [Option<&str>; 3] = [None, Some("gzip:2"), Some("none")];

fn world() -> Scratch {
    let it = image(&three());
    it.folder("more/d");
    it.file("more/d/a", "once more");
    it.file(
        "more/noise",
        (0..400_000_u32).flat_map(|n| n.wrapping_mul(97).to_le_bytes()).collect::<Vec<_>>(),
    );
    it
}

#[test]
fn edits_in_one_command_come_to_what_the_verbs_come_to() {
    const PROOF: &str = "edit: several edits at once are the verbs one after the other";
    let it = world();
    let mut cases = 0;
    for chosen in 1_u32..1 << EDITS.len() {
        let codec = CODECS[chosen as usize % CODECS.len()];
        // Every pair, and all of them; the rest takes its time.
        if !full() && chosen.count_ones() != 2 && chosen.count_ones() != 5 {
            continue;
        }
        one_after_the_other(&it, chosen, codec);
        cases += 1;
    }
    proof::ran(PROOF, cases);
}

fn one_after_the_other(it: &Scratch, chosen: u32, codec: Option<&str>) {
    let edits = EDITS.iter().enumerate().filter(|(at, _)| chosen & 1 << at != 0).map(|(_, edit)| edit);
    let compress = codec.map(|codec| format!(" --compress {codec}")).unwrap_or_default();
    let (mut together, mut is_converted) = (String::new(), false);
    ok(it, "copy oci:l:latest oci:l:steps");
    for (flags, verb) in edits {
        together.extend([" ", flags]);
        let (rest, codec) = match *verb {
            "flatten" => (String::new(), &*compress),
            "append" => (" more".to_owned(), &*compress),
            "config" => (format!(" {flags}"), ""),
            _ => (format!(" {flags}"), &*compress),
        };
        if *verb == "config" && !is_converted && !compress.is_empty() {
            ok(it, &format!("convert oci:l:steps{compress}"));
            is_converted = true;
        }
        is_converted |= *verb == "convert";
        ok(it, &format!("{verb} oci:l:steps{rest}{codec}"));
    }
    if !is_converted && !compress.is_empty() {
        ok(it, &format!("convert oci:l:steps{compress}"));
    }
    ok(it, &format!("copy oci:l:latest oci:l:once{together}{compress}"));
    assert_eq!(layers(it, "once"), layers(it, "steps"), "{together}{compress}");
    let (once, steps) = (config(it, "once"), config(it, "steps"));
    for member in ["config", "rootfs", "created"] {
        assert_eq!(once[member], steps[member], "{together}{compress}: {member}");
    }
    assert_eq!(once["history"].as_array().map(Vec::len), steps["history"].as_array().map(Vec::len));
    let types = |tag| {
        let manifest = manifest(it, tag);
        (manifest["mediaType"].clone(), manifest["layers"][0]["mediaType"].clone())
    };
    assert_eq!(types("once"), types("steps"), "{together}{compress}");
    assert!(tree(it, "once") == tree(it, "steps"), "{together}{compress}");
    in_step(it, "once");
    ok(it, "validate oci:l:once");
}

/// What a later step takes away is not sent: a layer that was written and made one with others goes nowhere.
#[test]
fn only_what_is_left_at_the_end_goes_to_the_target() {
    let it = world();
    ok(&it, "copy oci:l:latest oci:new:flat --rm-path big/more --flatten --append more --layer-size 100M");
    let manifest: serde_json::Value =
        serde_json::from_str(&ok(&it, "inspect --raw oci:new:flat").out()).expect("JSON");
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(2));
    let blobs = std::fs::read_dir(it.path("new/blobs/sha256")).expect("blobs").count();
    assert_eq!(blobs, 4, "two layers, a config and a manifest");
}

#[test]
fn what_cannot_be_together_is_refused_before_anything_is_read() {
    let it = world();
    for unfit in ["--compress zstd", "--algorithm sha512"] {
        for words in [
            format!("copy oci:nowhere:x oci:l:new --media-types docker {unfit}"),
            format!("convert oci:nowhere:x --media-types docker {unfit}"),
            format!("build nowhere oci:l:new --media-types docker {unfit}"),
        ] {
            let done = line(&it, &words).run();
            assert_eq!(done.code(), Some(64), "{words}: {done}");
            assert!(done.err().contains("Docker's manifests"), "{words}: {done}");
        }
    }
}

/// The flags of `convert` are those of `build`: one pass, and the same image as two verbs make.
#[test]
fn what_is_built_gets_its_form_in_the_same_pass() {
    let it = world();
    ok(&it, "build more oci:l:base --created 2020-01-01T00:00:00Z");
    let shape = "--media-types docker --layer-size 200k";
    for (words, codec) in [("more", "gzip"), ("--base oci:l:base more", "gzip:9"), ("more more", "none")] {
        let build = format!("build {words} --created 2020-01-01T00:00:00Z --compress {codec}");
        ok(&it, &format!("{build} oci:l:once {shape}"));
        ok(&it, &format!("{build} oci:l:steps"));
        ok(&it, &format!("convert oci:l:steps {shape} --compress {codec}"));
        assert_eq!(layers(&it, "once"), layers(&it, "steps"), "{words}");
        assert_eq!(manifest(&it, "once"), manifest(&it, "steps"), "{words}");
        assert!(layers(&it, "once").len() > 1, "{words}");
        assert_eq!(
            manifest(&it, "once")["mediaType"],
            "application/vnd.docker.distribution.manifest.v2+json"
        );
        ok(&it, "validate oci:l:once");
    }
    // Layers of the base go from its place to the target, and nowhere else.
    ok(&it, "build --base oci:l:base more oci:other:x --media-types docker");
    ok(&it, "validate oci:other:x");
    let both = ["build", "--platform", "linux/amd64=more", "--platform", "linux/arm64=more", "oci:l:both"];
    run(&it, &both).args(["--media-types", "docker"]).ok();
    assert_eq!(
        manifest(&it, "both")["mediaType"],
        "application/vnd.docker.distribution.manifest.list.v2+json"
    );
}

/// Docker's manifests know no zstd: whichever verb writes such a layer, the image gets OCI's types, and that is told.
#[test]
fn every_verb_gives_an_image_the_types_that_its_layers_need() {
    let it = world();
    ok(&it, "convert oci:l:latest --media-types docker --to oci:l:docker");
    for verb in [
        "append oci:l:docker more",
        "insert oci:l:docker more /new",
        "strip oci:l:docker --rm-path big/more",
        "flatten oci:l:docker",
        "convert oci:l:docker",
    ] {
        let done = ok(&it, &format!("{verb} --compress zstd --to oci:l:zstd"));
        assert!(done.err().contains("OCI's types"), "{verb}: {done}");
        let made = manifest(&it, "zstd");
        assert_eq!(made["mediaType"], "application/vnd.oci.image.manifest.v1+json", "{verb}");
        let types = made["layers"].as_array().expect("layers").iter().map(|layer| &layer["mediaType"]);
        assert!(
            types.clone().all(|it| it.as_str().expect("text").contains(".oci.image.layer.v1.tar")),
            "{verb}: {made}"
        );
        let done = ok(&it, &format!("{verb} --compress gzip --to oci:l:gzip"));
        assert!(!done.err().contains("OCI's types"), "{verb}: {done}");
        assert_eq!(
            manifest(&it, "gzip")["mediaType"],
            "application/vnd.docker.distribution.manifest.v2+json"
        );
        ok(&it, "validate oci:l");
    }
}
