//! Layers of every media type that the specification and Docker know, on their way through local places.

use orlop::copy::{Copy, copy};
use orlop::image::Image;
use orlop::layer::codec::Codec;
use orlop::layer::encode::{Encode, recompress};
use orlop::layers;
use orlop::spec::config::{Config, RootFs};
use orlop::spec::json::Extra;
use orlop::spec::media_type::{MediaType, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use orlop::spec::port::{Hints, Name, Selector, Sink};
use orlop::spec::{Algorithm, Cancel, Context, Descriptor, Document, Kind, Limits, Manifest, Platform};
use orlop::validate;
use std::num::NonZeroUsize;
use testkit::suites::Place as _;
use testkit::suites::memory::Memory;
use testkit::tarball::{Member, tar};

const TYPES: [(&str, &str); 12] = [
    ("application/vnd.oci.image.layer.v1.tar", "none"),
    ("application/vnd.oci.image.layer.v1.tar+gzip", "gzip"),
    ("application/vnd.oci.image.layer.v1.tar+zstd", "zstd"),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar", "none"),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "gzip"),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", "zstd"),
    ("application/vnd.docker.image.rootfs.diff.tar", "none"),
    ("application/vnd.docker.image.rootfs.diff.tar.gzip", "gzip"),
    ("application/vnd.docker.image.rootfs.diff.tar.zstd", "zstd"),
    ("application/vnd.docker.image.rootfs.foreign.diff.tar", "none"),
    ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "gzip"),
    ("application/vnd.docker.image.rootfs.foreign.diff.tar.zstd", "zstd"),
];

/// Whether the layer's blob is put.
#[derive(Clone, Copy, PartialEq)]
enum Blob {
    There,
    Elsewhere,
}

fn context<R>(work: impl FnOnce(&Context<'_>) -> R) -> R {
    let (cancel, limits) = (Cancel::new(), Limits::default());
    work(&Context { observer: &(), cancel: &cancel, limits: &limits, workers: NonZeroUsize::MIN })
}

/// An image of one layer with one file, in memory.
fn image(cx: &Context<'_>, media_type: &str, codec: &str, blob: Blob, urls: &[&str]) -> Memory {
    let tar = tar([Member::file("hello", b"hello")]);
    let how = Encode {
        codec: codec.parse::<Codec>().expect("a codec"),
        algorithm: Algorithm::Sha256,
        workers: cx.workers,
        limits: cx.limits,
        cancel: cx.cancel,
        progress: &|_| {},
    };
    let mut bytes = Vec::new();
    let compressed = recompress(&mut tar.as_slice(), &how, &mut bytes).expect("memory");
    let mut layer = Descriptor::new(MediaType::new(media_type), compressed.blob.digest, compressed.blob.size);
    layer.urls = urls.iter().map(|url| (*url).into()).collect();
    let memory = Memory::default();
    let sink = memory.sink().expect("memory");
    if blob == Blob::There {
        sink.put(&layer, &bytes, &Hints::default()).expect("it is what it is called");
    }
    let rootfs =
        RootFs { kind: "layers".into(), diff_ids: vec![compressed.diff_id], extra: Extra::default() };
    let text = serde_json::json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
    let config = Config { rootfs, ..serde_json::from_value(text).expect("a config") };
    let config = put(&*sink, &Document::print(config, MediaType::new(OCI_CONFIG), Algorithm::Sha256));
    let manifest = Manifest::new(config, vec![layer]);
    let root = put(&*sink, &Document::print(manifest, MediaType::new(OCI_MANIFEST), Algorithm::Sha256));
    sink.finish(&[(Name::Tag("x".into()), root)]).expect("it is whole");
    memory
}

fn put<T>(sink: &dyn Sink, document: &Document<T>) -> Descriptor {
    sink.put(document.descriptor(), &document.raw().to_vec(), &Hints::default())
        .expect("it was just printed");
    document.descriptor().clone()
}

fn copied(cx: &Context<'_>, memory: &Memory) -> Result<Memory, Kind> {
    let (from, to) = (memory.catalog().expect("memory"), Memory::default());
    let roots = from.names().expect("memory");
    let outcome = copy(cx, &*from, &roots, to.sink().expect("memory"), &Copy::default());
    outcome.map(|_| to).map_err(|fault| orlop::spec::Diagnose::kind(&fault))
}

fn paths(cx: &Context<'_>, memory: &Memory) -> Result<u64, Kind> {
    let catalog = memory.catalog().expect("memory");
    let platform = Platform::new("linux", "amd64", None);
    let image = Image::fetch(cx, &*catalog, &Selector::Only, &platform).expect("its documents are there");
    let merged = layers::merged(cx, &image).map_err(|fault| orlop::spec::Diagnose::kind(&fault))?;
    Ok(merged.len())
}

#[test]
fn item_22_every_type_of_layer_is_copied_and_unpacked() {
    context(|cx| {
        for (media_type, codec) in TYPES {
            let memory = image(cx, media_type, codec, Blob::There, &[]);
            assert_eq!(paths(cx, &memory), Ok(2), "{media_type}");
            let there = copied(cx, &memory).unwrap_or_else(|kind| panic!("{media_type}: {kind:?}"));
            assert_eq!(paths(cx, &there), Ok(2), "{media_type}");
        }
    });
}

#[test]
fn item_22_an_unknown_type_is_copied_and_not_unpacked() {
    context(|cx| {
        let memory = image(cx, "application/vnd.oci.image.layer.v9.tar", "gzip", Blob::There, &[]);
        assert_eq!(paths(cx, &memory), Err(Kind::Other));
        assert_eq!(paths(cx, &copied(cx, &memory).expect("bytes are bytes")), Err(Kind::Other));
    });
}

#[test]
fn item_54_a_restricted_layer_that_is_kept_elsewhere_does_not_stop_a_copy() {
    let urls = ["https://example.com/layer"];
    context(|cx| {
        for (media_type, codec) in TYPES {
            let memory = image(cx, media_type, codec, Blob::Elsewhere, &urls);
            let restricted = media_type.contains("nondistributable") || media_type.contains("foreign");
            assert_eq!(copied(cx, &memory).is_ok(), restricted, "{media_type}");
        }
        // Without an address nobody could ever find it: something is wrong.
        let nowhere = image(cx, TYPES[3].0, TYPES[3].1, Blob::Elsewhere, &[]);
        assert!(copied(cx, &nowhere).is_err());
        // A layer that anybody may have must be there.
        assert!(copied(cx, &image(cx, OCI_LAYER, "none", Blob::Elsewhere, &urls)).is_err());
    });
}

#[test]
fn item_54_a_check_warns_of_a_layer_that_is_kept_elsewhere_and_refuses_one_that_is_lost() {
    let found = |cx: &Context<'_>, memory: &Memory| {
        let verdict = validate::place(cx, &*memory.catalog().expect("memory")).expect("it can be looked at");
        let rules: Vec<_> = verdict.problems.iter().map(|problem| problem.rule).collect();
        (rules.contains(&"kept-elsewhere"), rules.contains(&"missing"), verdict.is_broken())
    };
    context(|cx| {
        let urls = ["https://example.com/layer"];
        for (media_type, codec) in TYPES {
            let restricted = media_type.contains("nondistributable") || media_type.contains("foreign");
            let memory = image(cx, media_type, codec, Blob::Elsewhere, &urls);
            assert_eq!(found(cx, &memory), (restricted, !restricted, !restricted), "{media_type}");
            let nowhere = image(cx, media_type, codec, Blob::Elsewhere, &[]);
            assert_eq!(found(cx, &nowhere), (false, true, true), "{media_type}");
        }
    });
}
