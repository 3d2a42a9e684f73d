//! Images through the store come out with every digest that they came in with, whoever compressed them.

use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use testkit::image::{Image, Layer, Packing, gzip, sha256};
use testkit::registry::Registry;
use testkit::scratch::scratch_in_memory;
use testkit::tarball::{Member, tar};
use testkit::{Command, Scratch, is_root, noise, orlop, peer, proof};

/// The blobs of a layout, by algorithm and digits.
type Blobs = BTreeMap<PathBuf, Vec<u8>>;

fn blobs(layout: &Path) -> Blobs {
    let folders = fs::read_dir(layout.join("blobs")).expect("a layout").flatten();
    let blobs = folders.flat_map(|folder| fs::read_dir(folder.path()).expect("a folder").flatten());
    blobs
        .filter(|blob| blob.path().is_file())
        .map(|blob| {
            (
                blob.path().strip_prefix(layout).expect("below it").into(),
                fs::read(blob.path()).expect("there"),
            )
        })
        .collect()
}

fn root(layout: &Path) -> String {
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(layout.join("index.json")).expect("a layout")).expect("JSON");
    index["manifests"][0]["digest"].as_str().expect("a digest").into()
}

/// A command that works with the store of a scratch.
fn with_store(scratch: &Scratch, words: &[&str]) -> Command {
    orlop().env("ORLOP_ROOT", scratch.path("store")).args(words)
}

/// A tree of several megabytes: text, noise, and what compresses to nothing.
fn large() -> Vec<u8> {
    let text = "It was the best of times, it was the worst of times. ".repeat(30_000);
    tar([
        Member::folder("d/"),
        Member::file("d/text", text),
        Member::file("d/noise", noise(1, 1 << 20)),
        Member::file("d/zeros", vec![0; 5 << 20]),
        Member::symlink("link", "d/text"),
    ])
}

fn small() -> Vec<u8> {
    tar([Member::file("hello", "hello, world\n")])
}

/// Images in layouts of a scratch, each in a folder of its name.
struct Images<'a> {
    scratch: &'a Scratch,
    names: Vec<String>,
}

impl Images<'_> {
    fn folder(&mut self, name: &str) -> PathBuf {
        self.names.push(name.into());
        self.scratch.path(name)
    }

    fn add(&mut self, name: &str, image: Image) {
        let folder = self.folder(name);
        image.layout().write(&folder);
    }

    /// What the program makes of a tar, as a layer.
    fn compressed(&mut self, program: &str, arguments: &[&str], packing: Packing) -> bool {
        let Some(peer) = peer(program) else { return false };
        let layer = |tar: &[u8]| Layer {
            blob: peer.command().args(arguments).input(tar).ok().stdout,
            media_type: packing.media_type().into(),
            diff_id: sha256(tar),
        };
        let image = Image::new().layer(layer(&large())).layer(layer(&small()));
        self.add(&format!("{program}{}", arguments.concat()), image);
        true
    }
}

/// Takes each into the store and out of it again, and sees that nothing changed.
fn go_round(images: &Images<'_>) {
    let scratch = images.scratch;
    for name in &images.names {
        let (from, to) = (scratch.path(name), scratch.path(&format!("{name}.back")));
        let (expected, digest) = (blobs(&from), root(&from));
        let stored = format!("store:{}:1", name.to_lowercase().replace([':', '-'], "."));
        with_store(scratch, &["copy", &format!("oci:{}:@0", from.display()), &stored]).ok();
        with_store(scratch, &["copy", &stored, &format!("oci:{}:1", to.display())]).ok();
        assert_eq!(root(&to), digest, "{name}");
        assert!(blobs(&to) == expected, "{name}: {:?} and not {:?}", blobs(&to).keys(), expected.keys());
    }
}

/// E10: podman 18809, 20611 and 3761, buildah 3866: what was pulled could not be pushed again as it was.
#[test]
fn what_we_and_others_compressed_comes_out_as_it_came_in() {
    let name = "store: every digest stays, whoever compressed";
    let scratch = scratch_in_memory();
    let mut images = Images { scratch: &scratch, names: Vec::new() };
    for codec in ["none", "gzip:1", "gzip", "gzip:12", "zstd", "zstd:12"] {
        scratch.file(&format!("{codec}.tar"), large());
        let folder = images.folder(&format!("ours-{}", codec.replace(':', "-")));
        let build = orlop()
            .args(["build", "--compress", codec])
            .arg(format!("tar:{}", scratch.path(&format!("{codec}.tar")).display()));
        build.arg(format!("oci:{}:1", folder.display())).ok();
    }
    // They begin as ours do, and are not what we would make: all of a blob has to be compared.
    let empty_frame = b"\x50\x2a\x4d\x18\0\0\0\0".to_vec();
    for (ours, packing, tail) in
        [("ours-gzip", Packing::Gzip, gzip(b"")), ("ours-zstd", Packing::Zstd, empty_frame)]
    {
        let layer = blobs(&scratch.path(ours)).into_values().max_by_key(Vec::len).expect("a layer");
        let layer = Layer {
            blob: [layer, tail].concat(),
            media_type: packing.media_type().into(),
            diff_id: sha256(b"the store finds out"),
        };
        images.add(&format!("{ours}-and-more"), Image::new().layer(layer));
    }
    images.add("none", Image::of(&[], Packing::Plain));
    images.add("empty", Image::of(&[Vec::new(), vec![0; 1024], tar([])], Packing::Plain));
    images.add("empty-gzip", Image::of(&[vec![0; 1024], tar([])], Packing::Gzip));
    let garbage = Layer {
        blob: noise(3, 70_000),
        media_type: Packing::Gzip.media_type().into(),
        diff_id: sha256(b"what nobody knows"),
    };
    images.add("garbage", Image::new().layer(garbage));
    images.add(
        "docker",
        Image::of(&[large()], Packing::Gzip)
            .manifest(|mut manifest| {
                manifest["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json".into();
                manifest["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json".into();
                manifest["layers"][0]["mediaType"] =
                    "application/vnd.docker.image.rootfs.diff.tar.gzip".into();
                manifest
            })
            .index(|mut index| {
                index["manifests"][0]["mediaType"] =
                    "application/vnd.docker.distribution.manifest.v2+json".into();
                index
            }),
    );
    images.add(
        "artifact",
        Image::of(&[small()], Packing::Plain).manifest(|mut manifest| {
            manifest["artifactType"] = "application/vnd.example".into();
            manifest["config"] = json!({
                "mediaType": "application/vnd.example.config", "digest": manifest["config"]["digest"],
                "size": manifest["config"]["size"],
            });
            manifest["layers"][0]["mediaType"] = "text/plain".into();
            manifest
        }),
    );
    let others = [
        images.compressed("gzip", &["-nc9"], Packing::Gzip),
        images.compressed("pigz", &["-nc"], Packing::Gzip),
        images.compressed("zstd", &["-qc"], Packing::Zstd),
        images.compressed("zstd", &["-qc", "--no-check", "-9"], Packing::Zstd),
    ];
    let of_platforms = images.folder("index");
    for machine in ["amd64", "arm64"] {
        scratch.folder(machine);
        scratch.file(&format!("{machine}/f"), machine);
    }
    let platforms =
        ["amd64", "arm64"].map(|it| format!("--platform=linux/{it}={}", scratch.path(it).display()));
    orlop().arg("build").args(platforms).arg(format!("oci:{}:1", of_platforms.display())).ok();
    let long = images.folder("sha512");
    let build = orlop().args(["build", "--algorithm", "sha512"]).arg(scratch.path("amd64"));
    build.arg(format!("oci:{}:1", long.display())).ok();
    go_round(&images);
    if others.contains(&false) {
        return proof::skipped(name, "gzip, pigz or zstd is missing");
    }
    proof::ran(name, images.names.len());
}

#[test]
fn images_of_skopeo_umoci_and_buildah_come_out_as_they_came_in() {
    let name = "store: every digest stays of skopeo, umoci and buildah";
    if let Some(missing) = ["skopeo", "umoci", "buildah"].into_iter().find(|tool| peer(tool).is_none()) {
        return proof::skipped(name, &format!("{missing} is missing"));
    }
    if !is_root() {
        return proof::not_offered(name, "buildah's folders need root");
    }
    let scratch = testkit::scratch();
    let mut images = Images { scratch: &scratch, names: Vec::new() };
    Image::of(&[large(), small()], Packing::Plain).layout().write(&scratch.path("plain"));
    let plain = format!("oci:{}:latest", scratch.path("plain").display());
    for format in ["gzip", "zstd"] {
        let folder = images.folder(&format!("skopeo-{format}"));
        let skopeo = Command::new("skopeo").args([
            "--insecure-policy",
            "copy",
            "--dest-compress-format",
            format,
            &plain,
        ]);
        skopeo.arg(format!("oci:{}:x", folder.display())).ok();
    }
    let folder = images.folder("umoci");
    let umoci = |words: &[&str]| Command::new("umoci").args(words).ok();
    let image = format!("{}:x", folder.display());
    umoci(&["init", "--layout", &folder.display().to_string()]);
    umoci(&["new", "--image", &image]);
    let bundle = scratch.path("bundle").display().to_string();
    umoci(&["unpack", "--image", &image, &bundle]);
    scratch.file("bundle/rootfs/noise", noise(7, 900_000));
    scratch.file("bundle/rootfs/text", "what umoci packs\n".repeat(90_000));
    umoci(&["repack", "--image", &image, &bundle]);
    umoci(&["gc", "--layout", &folder.display().to_string()]);
    let folder = images.folder("buildah");
    let path = |name: &str| scratch.path(name).display().to_string();
    let (home, run) = (path("containers"), path("run"));
    let buildah = |words: &[&str]| {
        let own = ["--root", &home, "--runroot", &run, "--storage-driver", "vfs"];
        Command::new("buildah").args(own).args(words).ok().out().trim().to_owned()
    };
    let container = buildah(&["from", "scratch"]);
    buildah(&["copy", &container, &path("bundle/rootfs"), "/"]);
    buildah(&["commit", &container, &format!("oci:{}:x", folder.display())]);
    buildah(&["rm", &container]);
    go_round(&images);
    proof::ran(name, images.names.len());
}

#[test]
fn what_goes_from_the_store_to_a_registry_and_back_keeps_its_digests() {
    let name = "store: every digest stays through docker-registry";
    let Some(registry) = Registry::plain() else { return proof::skipped(name, "docker-registry is missing") };
    let scratch = scratch_in_memory();
    let mut images = Images { scratch: &scratch, names: Vec::new() };
    for (name, packing) in [("gzip", Packing::Gzip), ("zstd", Packing::Zstd), ("plain", Packing::Plain)] {
        images.add(name, Image::of(&[large(), small()], packing));
    }
    scratch.file("ours.tar", large());
    let folder = images.folder("ours");
    let build = orlop().arg("build").arg(format!("tar:{}", scratch.path("ours.tar").display()));
    build.arg(format!("oci:{}:1", folder.display())).ok();
    for name in &images.names {
        let whole = format!("{}/some/{name}:1", registry.host());
        let (from, back) = (scratch.path(name), scratch.path(&format!("{name}.back")));
        with_store(&scratch, &["copy", &format!("oci:{}:@0", from.display()), &format!("store:{whole}")])
            .ok();
        with_store(&scratch, &["push", &whole]).ok();
        fs::remove_dir_all(scratch.path("store")).expect("ours");
        with_store(&scratch, &["pull", &whole]).ok();
        with_store(&scratch, &["copy", &format!("store:{whole}"), &format!("oci:{}:1", back.display())]).ok();
        assert_eq!(root(&back), root(&from), "{name}");
        assert!(blobs(&back) == blobs(&from), "{name}");
    }
    proof::ran(name, images.names.len());
}

/// Files of the store's blobs: documents, and layers that are kept.
fn kept(scratch: &Scratch) -> usize {
    blobs(&scratch.path("store")).len()
}

#[test]
fn only_blobs_that_cannot_be_made_again_are_kept_and_what_is_said_decides() {
    for (said, foreign, ours) in
        [(&[][..], 3, 2), (&["--keep-blobs", "all"], 3, 3), (&["--keep-blobs", "none"], 2, 2)]
    {
        for (is_ours, expected) in [(false, foreign), (true, ours)] {
            let scratch = scratch_in_memory();
            let image = format!("oci:{}:@0", scratch.path("layout").display());
            if is_ours {
                scratch.folder("tree");
                scratch.file("tree/f", noise(1, 700_000));
                orlop()
                    .arg("build")
                    .arg(scratch.path("tree"))
                    .arg(format!("oci:{}:1", scratch.path("layout").display()))
                    .ok();
            } else {
                Image::of(&[large()], Packing::Gzip).layout().write(&scratch.path("layout"));
            }
            with_store(&scratch, &["copy", &image, "store:x"]).args(said).ok();
            assert_eq!(kept(&scratch), expected, "{said:?}, ours: {is_ours}");
        }
    }
}

#[test]
fn what_was_not_kept_says_so_before_anything_moves_and_goes_on_when_compressed_anew() {
    let scratch = scratch_in_memory();
    Image::of(&[small(), large()], Packing::Gzip).layout().write(&scratch.path("layout"));
    let image = format!("oci:{}:@0", scratch.path("layout").display());
    with_store(&scratch, &["copy", "--keep-blobs", "none", &image, "store:x"]).ok();
    let to = format!("oci:{}:1", scratch.path("out").display());
    for words in [&["copy", "store:x", &to][..], &["copy", "--dry-run", "store:x", &to]] {
        let done = with_store(&scratch, words).run();
        assert_eq!(done.code(), Some(64), "{}", done.err());
        assert!(done.err().contains("--compress") && done.err().contains("was not kept"), "{}", done.err());
        assert!(!scratch.path("out").exists(), "nothing moved");
    }
    // What is in it is there: its tree, and its layers in another form.
    for image in [&image[..], "store:x"] {
        let out = scratch.path(if image == "store:x" { "from-store" } else { "from-layout" });
        with_store(&scratch, &["unpack", image]).arg(out).ok();
    }
    let [one, other] = ["from-layout", "from-store"].map(|folder| testkit::dump::dump(&scratch.path(folder)));
    assert_eq!(testkit::dump::differences(&one, &other, &[]), []);
    with_store(&scratch, &["copy", "--compress", "zstd", "store:x", &to]).ok();
    with_store(&scratch, &["diff", &image, &to]).ok();
    // A target that has the blobs needs none of them.
    let has = format!("oci:{}:again", scratch.path("layout").display());
    with_store(&scratch, &["copy", "store:x", &has]).ok();
    // When it comes again and may be kept, it is.
    with_store(&scratch, &["copy", &image, "store:x"]).ok();
    with_store(&scratch, &["copy", "store:x", &to]).ok();
    assert_eq!(root(&scratch.path("layout")), with_store(&scratch, &["digest", &to]).ok().out().trim());
}

#[test]
fn only_the_store_is_told_what_to_keep() {
    let scratch = scratch_in_memory();
    Image::of(&[small()], Packing::Gzip).layout().write(&scratch.path("layout"));
    let image = format!("oci:{}:@0", scratch.path("layout").display());
    let to = format!("oci:{}:1", scratch.path("out").display());
    let done = with_store(&scratch, &["copy", "--keep-blobs", "all", &image, &to]).run();
    assert!(
        done.code() == Some(64) && done.err().contains("--keep-blobs"),
        "{:?} {}",
        done.code(),
        done.err()
    );
    let help = orlop().args(["push", "--help"]).ok().out();
    assert!(!help.contains("--keep-blobs"));
}

/// A layer that is more than is allowed is refused, and not kept as something that is no layer.
#[test]
fn limits_hold_for_layers_that_the_store_takes_apart() {
    let scratch = scratch_in_memory();
    Image::of(&[small(), large()], Packing::Gzip).layout().write(&scratch.path("layout"));
    let image = format!("oci:{}:@0", scratch.path("layout").display());
    for limit in [["--max-size", "1k"], ["--max-entries", "1"]] {
        let done = with_store(&scratch, &["copy", limit[0], limit[1], &image, "store:x"]).run();
        assert_eq!(done.code(), Some(9), "{limit:?}: {done}");
        assert_eq!(with_store(&scratch, &["digest", "store:x"]).run().code(), Some(2), "{limit:?}");
    }
    with_store(&scratch, &["copy", "--max-size", "1G", "--max-entries", "1000", &image, "store:x"]).ok();
    let to = format!("oci:{}:1", scratch.path("out").display());
    let done = with_store(&scratch, &["copy", "--max-size", "1k", &image, &to]).run();
    assert_eq!(done.code(), Some(64), "no layer is opened there: {done}");
}
