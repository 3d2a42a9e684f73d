//! Images in the form of skopeo's `ostree:` (A15).

use crate::world::*;
use orlop_host::ostree::kept::{self, Kept, KeptSink, Style};
use orlop_host::ostree::repo::{Mode, Repo};
use orlop_layer::{Codec, Verified};
use orlop_spec::media_type::{Compression, OCI_INDEX, OCI_LAYER_GZIP, Role};
use orlop_spec::port::{Depth, Hints, Name, Put, Selector, Sink, Source};
use orlop_spec::{Algorithm, Descriptor, Diagnose as _, Kind, Manifest, base64};
use std::io::Read as _;
use std::path::Path;
use testkit::suites::{describe, read};
use testkit::tarball::{Member, tar};
use testkit::{proof, scratch};

/// A repository that skopeo's code wrote; `record-ociimage.sh` made it.
const RECORDED: &str = include_str!("ociimage.txt");

fn recorded(place: &Path) {
    for folder in ["objects", "refs/heads", "refs/remotes", "refs/mirrors", "state", "tmp", "extensions"] {
        std::fs::create_dir_all(place.join(folder)).expect("made");
    }
    for line in RECORDED.lines() {
        let (path, bytes) = line.split_once(' ').expect("a path and bytes");
        let path = place.join(path);
        std::fs::create_dir_all(path.parent().expect("beneath")).expect("made");
        std::fs::write(path, base64::decode(bytes).expect("base64")).expect("written");
    }
}

fn former(path: &Path, mode: Mode, name: &str) -> KeptSink<'static> {
    KeptSink::with_style(repo(path, mode), name, Style::Former, cx()).expect("it opens")
}

/// The uncompressed bytes of a layer, proven.
fn unpacked(kept: &Kept, layer: &Descriptor) -> Vec<u8> {
    let unpacked = kept.unpacked(layer).expect("readable").expect("kept");
    let (mut bytes, mut outline) = (Vec::new(), Vec::new());
    let mut proven = Verified::of_digest(unpacked.open().expect("it opens"), unpacked.diff_id().0);
    proven.read_to_end(&mut bytes).expect("the layer");
    let read = unpacked.outline(&mut |_, _| Ok(())).expect("it opens").read_to_end(&mut outline);
    assert_eq!(read.expect("proven"), bytes.len());
    bytes
}

#[test]
fn a15_what_skopeo_wrote_is_read_to_the_exact_tar() {
    let place = scratch();
    let r = place.path("r");
    recorded(&r);
    for name in ["docker://h.example/app:1", "ociimage/h.example_2Fapp_3A1"] {
        let kept = kept(&r, name);
        let root = kept.resolve(&Selector::Only).expect("there").remove(0);
        let bytes = read(&kept, &root).expect("proven");
        let manifest: Manifest = serde_json::from_slice(&bytes).expect("a manifest");
        let config = read(&kept, &manifest.config).expect("proven");
        let config: serde_json::Value = serde_json::from_slice(&config).expect("a config");
        assert_eq!(manifest.layers.len(), 2);
        for (number, layer) in manifest.layers.iter().enumerate() {
            let bytes = unpacked(&kept, layer);
            let found = orlop_spec::Digest::of(Algorithm::Sha256, &bytes).to_string();
            assert_eq!(config["rootfs"]["diff_ids"][number], found);
            // Its compressor is not known.
            assert!(
                matches!(layer.media_type.role(), Role::Layer(form) if form.compression == Compression::Gzip)
            );
            let gone = kept.gives(layer).expect_err("only the files are there");
            assert_eq!(gone.hint().as_deref(), Some("compress the layer anew: --compress gzip"));
        }
    }
    let listed = kept::images(&Repo::open(&r, &LIMITS).expect("there")).expect("readable");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].name.as_deref(), Some("docker://h.example/app:1"));
    proof::ran("ostree: an image that skopeo wrote", 4);
}

#[test]
fn an_image_in_the_former_form_comes_back() {
    let layers = [
        tar([Member::folder("d"), Member::file("d/x", "lower"), Member::hard_link("hard", "d/x")]),
        upper_alone(),
    ];
    let layers = [&layers[0][..], &layers[1][..]];
    for (mode, codec) in [(Mode::Archive, Codec::GZIP), (Mode::BareUserOnly, Codec::None)] {
        let (place, image) = (scratch(), image(&layers, codec));
        let r = place.path("r");
        assert_eq!(image.keep(former(&r, mode, "docker://h.example/a"))[..2], [Put::Copied, Put::Copied]);
        let hex = |blob: &Descriptor| format!("ociimage/{}", blob.digest.encoded());
        let mut names: Vec<_> = image.blobs[..3].iter().map(|(blob, _)| hex(blob)).collect();
        names.push("ociimage/h.example_2Fa_3Alatest".into());
        names.sort();
        assert_eq!(refs(&r), names);
        let kept = kept(&r, "docker://h.example/a:latest");
        image.comes_back(&kept);
        for ((layer, _), bytes) in image.blobs.iter().zip(layers) {
            assert!(unpacked(&kept, layer) == bytes);
        }
        let again = former(&r, mode, "docker://h.example/a");
        assert!(again.has(&Name::Untagged, &image.root, Depth::default()).expect("readable"));
        assert_eq!(image.put(&again)[..2], [Put::Held, Put::Held]);
        if let Some(ostree) = testkit::peer("ostree") {
            ran(&ostree, place.root(), &["fsck", "--repo=r"]);
            let said = |key: &str| {
                let key = format!("--print-metadata-key={key}");
                ran(&ostree, place.root(), &["show", "--repo=r", &hex(&image.blobs[0].0), &key])
            };
            assert_eq!(said("docker.uncompressed_size").trim(), format!("'{}'", layers[0].len()));
            assert_eq!(said("docker.size").trim(), format!("'{}'", image.blobs[0].0.size));
        }
    }
}

/// A layer with a whiteout, and no link to what is below.
fn upper_alone() -> Vec<u8> {
    tar([Member::folder("d"), Member::file("d/.wh.x", ""), Member::file("long", vec![b'x'; 300_000])])
}

#[test]
fn a_blob_that_no_codec_of_ours_made_comes_back_without_compression_alone() {
    let layer = tar([Member::file("a", "content")]);
    let foreign = testkit::image::gzip(&layer);
    let blob = describe(OCI_LAYER_GZIP, Algorithm::Sha256, &foreign);
    let (place, image) = (scratch(), of_blobs(&[&layer], vec![(blob.clone(), foreign)]));
    image.keep(former(&place.path("r"), Mode::Archive, "a"));
    let kept = kept(&place.path("r"), "docker://a");
    assert!(unpacked(&kept, &blob) == layer);
    assert_eq!(kept.gives(&blob).expect_err("it was not kept").kind(), Kind::Usage);
}

#[test]
fn what_the_former_form_cannot_hold_is_refused_and_leaves_nothing() {
    let place = scratch();
    let r = place.path("r");
    let twice = tar([Member::file("twice", "first"), Member::file("twice", "second")]);
    let nameless = tar([Member::file(&b"\xff"[..], "content")]);
    for layer in [twice, nameless] {
        let image = image(&[&layer], Codec::None);
        let sink = former(&r, Mode::Archive, "a");
        let (blob, bytes) = &image.blobs[0];
        let refused = sink.put(blob, bytes, &Hints::default()).expect_err("its content has no name");
        assert_eq!((refused.kind(), refs(&r).len()), (Kind::Usage, 0), "{refused}");
    }
    let index = describe(OCI_INDEX, Algorithm::Sha256, b"{}");
    let refused = former(&r, Mode::Archive, "a").has(&Name::Untagged, &index, Depth::default());
    assert_eq!(refused.map_err(|fault| fault.kind()), Err(Kind::Usage));
}
