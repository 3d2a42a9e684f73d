//! Images to be kept, and the repositories that keep them.

use orlop_host::ostree::kept::{Kept, KeptSink};
use orlop_host::ostree::repo::{Mode, Repo};
use orlop_layer::Codec;
use orlop_layer::codec::Blocks;
use orlop_spec::digest::{Algorithm, Digest};
use orlop_spec::media_type::{OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST};
use orlop_spec::port::{Hints, Name, Put, Selector, Sink, Source};
use orlop_spec::{Cancel, Context, Descriptor, Limits, Manifest, json};
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::LazyLock;
use testkit::Peer;
use testkit::suites::{describe, read};
use testkit::tarball::{Member, tar};

pub(crate) const NAME: &str = "docker://h.example/a_b/c:1";
pub(crate) const ONE: NonZeroUsize = NonZeroUsize::MIN;

pub(crate) static CANCEL: Cancel = Cancel::new();
pub(crate) static LIMITS: LazyLock<Limits> = LazyLock::new(Limits::default);

pub(crate) fn cx() -> Context<'static> {
    Context { observer: &(), cancel: &CANCEL, limits: &LIMITS, workers: ONE }
}

pub(crate) fn repo(path: &Path, mode: Mode) -> Repo {
    Repo::create(path, mode, &LIMITS).expect("a repository")
}

pub(crate) fn sink(path: &Path, mode: Mode, name: &str) -> KeptSink<'static> {
    KeptSink::new(repo(path, mode), name, cx()).expect("it opens")
}

/// An image of layers in some compression, and everything that belongs to it.
pub(crate) struct Image {
    pub(crate) root: Descriptor,
    pub(crate) blobs: Vec<(Descriptor, Vec<u8>)>,
}

pub(crate) fn image(layers: &[&[u8]], codec: Codec) -> Image {
    let mut blobs = Vec::new();
    for layer in layers {
        let mut blob = Blocks::new(codec, Vec::new());
        blob.write_all(layer).expect("into memory");
        let kind = if codec == Codec::None { OCI_LAYER } else { OCI_LAYER_GZIP };
        let blob = blob.finish().expect("into memory");
        blobs.push((describe(kind, Algorithm::Sha256, &blob), blob));
    }
    of_blobs(layers, blobs)
}

pub(crate) fn of_blobs(layers: &[&[u8]], mut blobs: Vec<(Descriptor, Vec<u8>)>) -> Image {
    let ids: Vec<_> = layers.iter().map(|layer| Digest::of(Algorithm::Sha256, layer).to_string()).collect();
    let config = serde_json::json!({
        "created": "2001-02-03T04:05:06Z", "architecture": "amd64", "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": ids },
    });
    let config = config.to_string().into_bytes();
    let config = (describe(OCI_CONFIG, Algorithm::Sha256, &config), config);
    let descriptors = blobs.iter().map(|(blob, _)| blob.clone()).collect();
    let manifest = json::print(&Manifest::new(config.0.clone(), descriptors));
    let root = describe(OCI_MANIFEST, Algorithm::Sha256, &manifest);
    blobs.extend([config, (root.clone(), manifest)]);
    Image { root, blobs }
}

impl Image {
    pub(crate) fn put(&self, sink: &dyn Sink) -> Vec<Put> {
        let put =
            |(blob, bytes): &(Descriptor, Vec<u8>)| sink.put(blob, bytes, &Hints::default()).expect("right");
        self.blobs.iter().map(put).collect()
    }

    pub(crate) fn keep(&self, sink: KeptSink<'_>) -> Vec<Put> {
        let puts = self.put(&sink);
        Box::new(sink).finish(&[(Name::Untagged, self.root.clone())]).expect("whole");
        puts
    }

    pub(crate) fn comes_back(&self, source: &dyn Source) {
        assert_eq!(source.resolve(&Selector::Only).expect("there"), std::slice::from_ref(&self.root));
        for (blob, bytes) in &self.blobs {
            assert!(read(source, blob).expect("there") == *bytes, "{}", blob.media_type);
        }
    }
}

pub(crate) fn kept(path: &Path, name: &str) -> Kept {
    Kept::open(Repo::open(path, &LIMITS).expect("there"), name, ONE).expect("kept")
}

/// A base with what is hard to keep: long contents, equal ones, one that is replaced within the layer, links, devices.
pub(crate) fn base() -> Vec<u8> {
    let long: Vec<u8> = (0..1_200_000_u32).map(|at| (at % 251) as u8).collect();
    tar([
        Member::folder("d"),
        Member::file("d/x", "lower"),
        Member::file("empty", ""),
        Member::file("long", &long),
        Member::file("twice", "first content, which a later entry replaces"),
        Member::file("twice", "second"),
        Member::hard_link("hard", "long"),
        Member::symlink("soft", "d/x"),
        Member::device(b'3', "null", 1, 3),
        Member::fifo("pipe"),
        Member::file("gone", "soon").owner(7, 8).mode(0o4755),
    ])
}

pub(crate) fn upper() -> Vec<u8> {
    tar([
        Member::file(".wh.gone", ""),
        Member::folder("d"),
        Member::file("d/.wh..wh..opq", ""),
        Member::file("d/y", "upper"),
        Member::hard_link("again", "long"),
    ])
}

pub(crate) const MODES: [Mode; 4] = [Mode::Bare, Mode::BareUser, Mode::BareUserOnly, Mode::Archive];

pub(crate) fn modes() -> impl Iterator<Item = Mode> {
    let is_root = testkit::is_root();
    MODES.into_iter().filter(move |mode| is_root || *mode != Mode::Bare)
}

pub(crate) fn refs(repo: &Path) -> Vec<String> {
    let repo = Repo::open(repo, &LIMITS).expect("there");
    repo.refs().expect("readable").into_iter().map(|(spec, _)| spec.to_string()).collect()
}

/// Runs the real tool, and gives what it prints.
pub(crate) fn ran(ostree: &Peer, folder: &Path, arguments: &[&str]) -> String {
    let done = ostree.command().args(arguments).current_dir(folder).run();
    assert!(done.success(), "ostree {arguments:?}: {}", done.err());
    done.out()
}
