//! The same files in another form.

use crate::world::{digest, hide, image, in_step, layers, line, manifest, of, ok, tars, three, tree};
use serde_json::json;
use testkit::image::{Image, Packing};
use testkit::tarball::Member;

/// E17: google/go-containerregistry 1501: layers kept the compression that they came with.
#[test]
fn a_converted_image_unpacks_to_the_same_tree() {
    let it = image(&three());
    let before = tree(&it, "latest");
    for form in [
        "--compress zstd",
        "--compress none",
        "--compress gzip:1",
        "--algorithm sha512",
        "--algorithm sha384 --compress zstd",
        "--media-types docker",
        "--layer-size 100k",
        "--layer-size 200k --compress zstd --algorithm sha512",
    ] {
        ok(&it, &format!("convert oci:l:latest {form} --to oci:l:new"));
        assert!(tree(&it, "new") == before, "{form}");
        in_step(&it, "new");
    }
    ok(&it, "validate oci:l");
}

/// It is the same code.
#[test]
fn convert_compresses_as_copy_does() {
    let it = image(&three());
    for codec in ["none", "gzip", "zstd:5"] {
        ok(&it, &format!("convert oci:l:latest --compress {codec} --to oci:l:converted"));
        ok(&it, &format!("copy --compress {codec} oci:l:latest oci:l:copied"));
        assert_eq!(layers(&it, "converted"), layers(&it, "copied"), "{codec}");
    }
}

/// E22: skopeo 1936, 1720 and 2683: digests changed though nobody had asked for it. They do where somebody did, and nowhere else.
#[test]
fn there_and_back_is_where_it_was() {
    let it = scratch_with_a_built_image();
    let before = digest(&it, "latest");
    for (there, back) in [
        ("--algorithm sha512", "--algorithm sha256"),
        ("--media-types docker", "--media-types oci"),
        ("--compress zstd", "--compress gzip"),
    ] {
        ok(&it, &format!("convert oci:l:latest {there} --to oci:l:there"));
        assert_ne!(digest(&it, "there"), before);
        ok(&it, &format!("convert oci:l:there {back} --to oci:l:back"));
        assert_eq!(digest(&it, "back"), before, "{there}");
        ok(&it, &format!("convert oci:l:back {back}"));
        assert_eq!(digest(&it, "back"), before, "{back}, twice");
    }
    let said = ok(&it, "convert oci:l:latest --layer-size 1G").out();
    assert!(said.trim().ends_with(&before), "{said}");
}

fn scratch_with_a_built_image() -> testkit::Scratch {
    let it = testkit::scratch();
    it.folder("a/d");
    it.file("a/d/file", "content");
    it.file("a/other", vec![7; 100_000]);
    ok(&it, "build a oci:l:latest --created 2020-01-01T00:00:00Z");
    it
}

#[test]
fn every_name_is_of_the_algorithm_that_was_asked_for() {
    let it = image(&three());
    let done = ok(&it, "convert oci:l:latest --algorithm sha512 --to oci:l:new");
    assert!(done.err().contains("diff ids"), "{done}");
    let manifest = manifest(&it, "new");
    let config = crate::world::config(&it, "new");
    let mut names = vec![digest(&it, "new"), manifest["config"]["digest"].to_string()];
    names.extend(layers(&it, "new"));
    names.extend(config["rootfs"]["diff_ids"].as_array().expect("ids").iter().map(ToString::to_string));
    assert_eq!(names.len(), 8);
    assert!(names.iter().all(|name| name.trim_start_matches('"').starts_with("sha512:")), "{names:?}");
}

/// Blobs of one algorithm and diff ids of another: after it all are of the one.
#[test]
fn diff_ids_are_of_the_algorithm_too_where_blobs_are_already() {
    let long = image(&three());
    ok(&long, "convert oci:l:latest --algorithm sha512");
    let ids = crate::world::config(&long, "latest")["rootfs"]["diff_ids"].clone();
    let mixed = Image::of(&tars(&three()), Packing::Gzip).config(move |mut config| {
        config["rootfs"]["diff_ids"] = ids;
        config
    });
    let it = of(mixed);
    let before = tree(&it, "latest");
    ok(&it, "convert oci:l:latest --algorithm sha256");
    let ids = crate::world::config(&it, "latest")["rootfs"]["diff_ids"].clone();
    assert!(ids.as_array().expect("ids").iter().all(|id| id.to_string().contains("sha256:")), "{ids}");
    assert!(tree(&it, "latest") == before);
}

/// What a layer says of its compressed bytes goes with these; the rest stays.
#[test]
fn what_is_said_of_compressed_bytes_goes_with_them() {
    const OF_BYTES: &str = "io.github.containers.zstd-chunked.manifest-position";
    let image = Image::of(&tars(&three()), Packing::Gzip).manifest(|mut manifest| {
        manifest["layers"][1]["annotations"] = json!({OF_BYTES: "1:2:3:1", "kept": "yes"});
        manifest
    });
    let it = of(image);
    let after = |form: &str| {
        ok(&it, &format!("convert oci:l:latest {form} --to oci:l:new"));
        manifest(&it, "new")["layers"][1]["annotations"].clone()
    };
    assert_eq!(after("--compress gzip:1"), json!({"kept": "yes"}));
    assert_eq!(after("--algorithm sha512"), json!({OF_BYTES: "1:2:3:1", "kept": "yes"}));
}

#[test]
fn docker_says_less_and_that_is_told_or_refused() {
    let image = Image::of(&tars(&three()), Packing::Gzip).manifest(|mut manifest| {
        manifest["annotations"] = json!({"a": "b"});
        manifest["layers"][0]["annotations"] = json!({"c": "d"});
        manifest
    });
    let it = of(image);
    let done = ok(&it, "convert oci:l:latest --media-types docker --to oci:l:docker");
    assert!(done.err().contains("2 annotations"), "{done}");
    let made = manifest(&it, "docker");
    assert_eq!(made["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    assert_eq!(made["config"]["mediaType"], "application/vnd.docker.container.image.v1+json");
    assert_eq!(made["layers"][2]["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.gzip");
    assert!(made.get("annotations").is_none() && made["layers"][0].get("annotations").is_none());
    assert_eq!(layers(&it, "docker"), layers(&it, "latest"));
    for unfit in ["--compress zstd", "--algorithm sha512"] {
        let done = line(&it, &format!("convert oci:l:latest --media-types docker {unfit}")).run();
        assert_eq!(done.code(), Some(64), "{unfit}: {done}");
    }
    let done = ok(&it, "convert oci:l:docker --compress zstd --to oci:l:zstd");
    assert!(done.err().contains("OCI's types"), "{done}");
    assert_eq!(
        manifest(&it, "zstd")["layers"][0]["mediaType"],
        "application/vnd.oci.image.layer.v1.tar+zstd"
    );
}

/// skopeo, podman and umoci find nothing of Docker's by a name in a layout (`peers.rs` has what they say).
#[test]
fn names_by_which_others_find_nothing_are_told() {
    let it = image(&three());
    let told = |words: &str| {
        let said = ok(&it, words).err();
        let lines = said.lines().filter(|line| line.contains("look among OCI's media types"));
        let name = |line: &str| {
            line.trim_start_matches("warning: ").split(": in a layout").next().map(str::to_owned)
        };
        lines.filter_map(name).collect::<Vec<_>>().join("; ")
    };
    for (words, names) in [
        ("convert oci:l:latest --media-types docker --to oci:l:docker", "docker"),
        ("convert oci:l:latest --media-types docker --to oci-archive:a.tar:there", "there"),
        ("convert oci:l:latest --media-types docker --to docker-archive:d.tar:app:1", ""),
        ("convert oci:l:latest --media-types docker --to dir:d", ""),
        ("copy oci:l:docker oci:m:x", "x"),
        ("copy docker-archive:d.tar:app:1 oci:m:y", "y"),
        // The one image of a place is found without a name.
        ("copy dir:d oci:n", ""),
        ("index create oci:l:docker oci:l:index", ""),
        ("config oci:l:docker --label a=b", "docker"),
        ("copy --all-tags oci:l oci-archive:b.tar", "docker"),
        // The other image of the archive is written again, and that is no news.
        ("config oci-archive:b.tar:latest --label a=b", ""),
        ("convert oci:l:docker --media-types oci", ""),
    ] {
        assert_eq!(told(words), names, "{words}");
    }
}

#[test]
fn only_layers_that_are_too_large_are_read_and_divided() {
    let it = image(&three());
    let before = layers(&it, "latest");
    hide(&it, "latest", 0);
    hide(&it, "latest", 2);
    ok(&it, "convert oci:l:latest --layer-size 500k");
    let after = layers(&it, "latest");
    assert!(after.len() > before.len(), "{after:?}");
    assert_eq!((after.first(), after.last()), (before.first(), before.last()));
    in_step(&it, "latest");
    let history = crate::world::config(&it, "latest")["history"].to_string();
    assert!(history.contains("part 2 of "), "{history}");
}

/// E9: buildkit 6358: a large layer is fetched and unpacked by one connection and one thread.
#[test]
fn parts_are_of_about_the_size_and_always_the_same() {
    let noise: Vec<u8> = (0..250_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let files = noise.chunks(20_000).enumerate().map(|(at, bytes)| Member::file(format!("f{at:03}"), bytes));
    let it = image(&[files.collect()]);
    for tag in ["one", "two"] {
        ok(&it, &format!("convert oci:l:latest --layer-size 200k --to oci:l:{tag}"));
    }
    assert_eq!(digest(&it, "one"), digest(&it, "two"));
    let made = manifest(&it, "one");
    let sizes: Vec<u64> =
        made["layers"].as_array().expect("layers").iter().filter_map(|it| it["size"].as_u64()).collect();
    assert!((5..9).contains(&sizes.len()), "{sizes:?}");
    assert!(sizes.iter().all(|size| *size < 250_000), "{sizes:?}");
    assert!(tree(&it, "one") == tree(&it, "latest"));
    // Files that are divided otherwise are the same files, and how they are divided is told to who asks.
    assert_eq!(ok(&it, "diff oci:l:latest oci:l:one").out(), "");
    let why = ok(&it, "diff --why oci:l:latest oci:l:one").out();
    assert!(why.lines().all(|line| line.starts_with("layers   ")) && why.contains("part 2 of "), "{why}");
    ok(&it, "config oci:l:one --history-comment reviewed --to oci:l:noted");
    let noted = line(&it, "diff oci:l:one oci:l:noted").run();
    assert!(noted.code() == Some(8) && noted.out().contains("reviewed"), "{noted}");
}

/// A part that holds a name of a file holds all of them.
#[test]
fn hard_links_stay_within_one_layer() {
    let it = image(&three());
    ok(&it, "convert oci:l:latest --layer-size 1 --to oci:l:parts");
    assert!(layers(&it, "parts").len() > 12);
    assert!(tree(&it, "parts") == tree(&it, "latest"));
}

#[test]
fn all_images_of_an_index_are_converted_or_those_that_are_meant() {
    let it = testkit::scratch();
    for (tag, platform) in [("amd64", "linux/amd64"), ("arm64", "linux/arm64")] {
        it.folder(tag);
        it.file(&format!("{tag}/file"), tag);
        ok(&it, &format!("build --platform {platform} {tag} oci:l:{tag} --created 2020-01-01T00:00:00Z"));
    }
    ok(&it, "index create oci:l:amd64 oci:l:arm64 oci:l:latest");
    ok(&it, "convert oci:l:latest --compress zstd --platform linux/arm64 --to oci:l:one");
    let child = |tag: &str, at: usize| manifest(&it, tag)["manifests"][at]["digest"].clone();
    assert_eq!(child("one", 0), child("latest", 0));
    assert_ne!(child("one", 1), child("latest", 1));
    ok(&it, "convert oci:l:latest --media-types docker --to oci:l:docker");
    assert_eq!(
        manifest(&it, "docker")["mediaType"],
        "application/vnd.docker.distribution.manifest.list.v2+json"
    );
    ok(&it, "convert oci:l:docker --media-types oci --to oci:l:back");
    assert_eq!(digest(&it, "back"), digest(&it, "latest"));
    ok(&it, "convert oci:l:latest --algorithm sha512 --to oci:l:long");
    assert!(digest(&it, "long").starts_with("sha512:"));
    assert!(child("long", 1).to_string().contains("sha512:"));
    ok(&it, "validate oci:l");
}

#[test]
fn something_has_to_be_said() {
    let it = image(&three());
    for words in ["convert oci:l:latest", "strip oci:l:latest", "convert oci:l:latest --layer-size 0"] {
        let done = line(&it, words).run();
        assert_eq!(done.code(), Some(64), "{words}: {done}");
    }
}
