//! Several layers as one.

use crate::world::{
    config, digest, hide, image, in_step, layers, line, manifest, of, ok, random, tars, three, tree,
};
use serde_json::json;
use std::fs;
use testkit::image::{Image, Packing};
use testkit::noise::noise;
use testkit::proof;
use testkit::tarball::Member;

#[test]
fn a_flattened_image_unpacks_to_the_same_tree() {
    let it = image(&three());
    let before = tree(&it, "latest");
    for (extent, left) in [("", 1), (" --last 2", 2), (" --last 9", 1), (" --compress zstd", 1)] {
        ok(&it, &format!("flatten oci:l:latest --to oci:l:flat{extent}"));
        assert!(tree(&it, "flat") == before, "{extent}");
        assert_eq!(layers(&it, "flat").len(), left, "{extent}");
        in_step(&it, "flat");
    }
    ok(&it, "validate oci:l");
}

#[test]
fn so_do_images_of_random_layers() {
    const CASES: usize = 24;
    let mut drawn = noise(7, 100_000).into_iter().map(usize::from);
    let (mut merged, mut reads_below) = (0, 0);
    for case in 0..CASES {
        let layers: Vec<Vec<Member>> = (0..4).map(|_| random(&mut drawn, case % 2 == 0)).collect();
        let it = image(&layers);
        // What is no image is refused by whoever reads it.
        if line(&it, "files oci:l:latest").run().code() != Some(0) {
            continue;
        }
        let before = tree(&it, "latest");
        for words in ["flatten --last 2", "flatten", "convert --layer-size 100"] {
            let done = ok(&it, &format!("{words} oci:l:latest --to oci:l:new"));
            reads_below += usize::from(done.err().contains("layers below are read"));
            assert!(tree(&it, "new") == before, "{case}: {words}: {layers:?}");
            in_step(&it, "new");
            merged += 1;
        }
    }
    assert!(merged > CASES && reads_below > 0, "{merged}, {reads_below}");
    proof::ran("edit: flatten and divide random layers", merged);
}

#[test]
fn layers_that_stay_are_never_read() {
    let it = image(&three());
    let before = layers(&it, "latest");
    hide(&it, "latest", 0);
    ok(&it, "flatten oci:l:latest --last 2");
    let after = layers(&it, "latest");
    assert_eq!(after.len(), 2);
    assert_eq!(after[0], before[0]);
}

#[test]
fn the_base_stays_that_is_named_or_that_annotations_name() {
    let it = image(&three());
    let base = of(Image::of(&tars(&three()[..1]), Packing::Gzip));
    let place = base.path("l").display().to_string();
    let before = layers(&it, "latest");
    ok(&it, &format!("flatten oci:l:latest --base oci:{place}:latest --to oci:l:flat"));
    let after = layers(&it, "flat");
    assert_eq!((after.len(), &after[0]), (2, &before[0]));
    assert!(tree(&it, "flat") == tree(&it, "latest"));
    let other = image(&three()[1..]);
    let done = line(&other, &format!("flatten oci:l:latest --base oci:{place}:latest")).run();
    assert_eq!(done.code(), Some(64), "{done}");
    let done = line(&it, "flatten oci:l:latest --keep-base").run();
    assert_eq!(done.code(), Some(64), "{done}");
    assert!(done.err().contains("--base REF"), "{done}");
}

#[test]
fn item_37_one_step_stands_for_those_of_the_layers() {
    let image = Image::of(&tars(&three()), Packing::Gzip).config(|mut config| {
        config["history"] = json!([
            {"created": "2020-01-01T00:00:00Z", "created_by": "ADD base"},
            {"created": "2020-01-02T00:00:00Z", "created_by": "ENV A=b", "empty_layer": true},
            {"created": "2020-01-03T00:00:00Z", "created_by": "RUN one"},
            {"created": "2020-01-04T00:00:00Z", "created_by": "ENV C=d", "empty_layer": true},
            {"created": "2020-01-05T00:00:00Z", "created_by": "RUN two"},
            {"created": "2020-01-06T00:00:00Z", "created_by": "CMD", "empty_layer": true},
        ]);
        config["org.example.unknown"] = json!({"kept": 1.50});
        config
    });
    let it = of(image);
    ok(&it, "flatten oci:l:latest --last 2 --to oci:l:flat");
    in_step(&it, "flat");
    let config = config(&it, "flat");
    let steps: Vec<_> =
        config["history"].as_array().expect("steps").iter().map(|step| &step["created_by"]).collect();
    assert_eq!(steps, ["ADD base", "ENV A=b", "orlop flatten", "CMD"]);
    assert_eq!(config["history"][2]["created"], "2020-01-05T00:00:00Z");
    assert_eq!(config["history"][2]["comment"], "2 layers as one");
    assert_eq!(config["org.example.unknown"]["kept"], 1.5);
    let said = "flatten oci:l:latest --to oci:l:said --history-comment why --history-author me";
    ok(&it, said);
    assert_eq!(self::config(&it, "said")["history"][0]["comment"], "why");
}

#[test]
fn what_a_base_was_is_not_said_of_an_image_that_shares_nothing_with_it() {
    let image = Image::of(&tars(&three()), Packing::Gzip).manifest(|mut manifest| {
        manifest["annotations"] =
            json!({"org.opencontainers.image.base.name": "example.com/base:1", "kept": "yes"});
        manifest
    });
    let it = of(image);
    ok(&it, "flatten oci:l:latest --last 2 --to oci:l:part");
    assert_eq!(
        manifest(&it, "part")["annotations"]["org.opencontainers.image.base.name"],
        "example.com/base:1"
    );
    ok(&it, "flatten oci:l:latest --to oci:l:all");
    assert_eq!(manifest(&it, "all")["annotations"], json!({"kept": "yes"}));
}

#[test]
fn one_layer_stays_as_it_is() {
    let it = image(&three()[..1]);
    let before = digest(&it, "latest");
    ok(&it, "flatten oci:l:latest");
    assert_eq!(digest(&it, "latest"), before);
}

#[test]
fn the_same_layers_give_the_same_bytes_whoever_compresses_them() {
    let it = image(&three());
    for workers in ["1", "4"] {
        ok(&it, &format!("flatten oci:l:latest --to oci:l:by{workers} -j {workers}"));
    }
    assert_eq!(digest(&it, "by1"), digest(&it, "by4"));
}

/// Damage and bombs are found before anything is published.
#[test]
fn what_is_hostile_leaves_the_place_as_it_was() {
    let bomb = vec![vec![Member::file("a", "a")], vec![Member::file("zeros", vec![0; 4 << 20])]];
    let damaged = Image::of(&tars(&three()), Packing::Gzip).config(|mut config| {
        config["rootfs"]["diff_ids"][1] = config["rootfs"]["diff_ids"][0].clone();
        config
    });
    for (it, extra, code) in [(image(&bomb), " --max-size 1M", 9), (of(damaged), "", 5)] {
        let before = fs::read(it.path("l/index.json")).expect("a layout");
        let verbs = [
            "flatten oci:l:latest",
            "convert oci:l:latest --compress zstd",
            "convert oci:l:latest --layer-size 1",
            "convert oci:l:latest --algorithm sha512",
            "strip oci:l:latest --rm-path /a",
        ];
        for verb in verbs {
            let done = line(&it, &format!("{verb}{extra}")).run();
            assert_eq!(done.code(), Some(code), "{verb}: {done}");
            assert_eq!(fs::read(it.path("l/index.json")).expect("a layout"), before, "{verb}");
        }
    }
}
