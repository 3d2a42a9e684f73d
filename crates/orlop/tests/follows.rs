//! Digests that are said elsewhere than where a blob is named: whoever writes other bytes must follow them all.

use orlop::compress::copy_compressed;
use orlop::copy::{Copy, Platforms, Subset, copy};
use orlop::image::manifest_below;
use orlop::layer::codec::Codec;
use orlop::spec::media_type::{MediaType, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use orlop::spec::port::{Catalog, Name, Origin, Result, Selector, Sink, Source};
use orlop::spec::{Algorithm, Context, Descriptor, Document, Index, Manifest};
use orlop::spec::{Platform, graph};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use testkit::suites::memory::Memory;
use testkit::suites::{Place as _, context, put, put_document};
use testkit::tarball::{Member, tar};

const SPEAKS_ABOUT: &str = "vnd.docker.reference.digest";

/// An image of one layer with one file.
fn image(sink: &dyn Sink, file: &str, architecture: &str, subject: Option<Descriptor>) -> Descriptor {
    let tar = tar([Member::file(file, b"content")]);
    let layer = put(sink, OCI_LAYER, &tar);
    let rootfs = json!({"type": "layers", "diff_ids": [layer.digest]});
    let config = json!({"architecture": architecture, "os": "linux", "rootfs": rootfs});
    let config = put(sink, OCI_CONFIG, config.to_string().as_bytes());
    let manifest = Manifest { subject, ..Manifest::new(config, vec![layer]) };
    let root =
        put_document(sink, &Document::print(manifest, MediaType::new(OCI_MANIFEST), Algorithm::Sha256));
    Descriptor { platform: Some(Platform::new("linux", architecture, None)), ..root }
}

fn index(sink: &dyn Sink, value: Index) -> Descriptor {
    put_document(sink, &Document::print(value, MediaType::new(OCI_INDEX), Algorithm::Sha256))
}

/// The document that the only name of a place leads to.
fn root<T: orlop::spec::document::Parse>(cx: &Context<'_>, place: &dyn Catalog) -> Document<T> {
    let [root] = <[_; 1]>::try_from(place.resolve(&Selector::Only).expect("one root")).expect("one root");
    graph::read(cx.limits, place, &root).expect("there")
}

#[test]
fn subjects_and_attestations_name_the_compressed_image() {
    context(|cx| {
        let (from, to) = (Memory::default(), Memory::default());
        let sink = from.sink().expect("memory");
        let about = image(&*sink, "a", "amd64", None);
        let mut speaking = image(&*sink, "b", "arm64", Some(about.clone()));
        speaking.annotations.insert(SPEAKS_ABOUT.into(), about.digest.to_string().into());
        let value = Index { subject: Some(about.clone()), ..Index::new(vec![about.clone(), speaking]) };
        let both = index(&*sink, value);
        sink.finish(&[(Name::Untagged, both.clone())]).expect("whole");
        let (source, sink) = (from.catalog().expect("memory"), to.sink().expect("memory"));
        let roots = [(Name::Untagged, both)];
        copy_compressed(cx, &*source, &roots, sink, &Copy::default(), Codec::ZSTD).expect("whole");
        let target = to.catalog().expect("memory");
        let index: Document<Index> = root(cx, &*target);
        let [new, speaking] = &index.manifests[..] else { panic!("two images") };
        assert_ne!(new.digest, about.digest);
        assert_eq!(*speaking.annotations[SPEAKS_ABOUT], *new.digest.to_string());
        assert_eq!(index.subject.as_ref().expect("kept").digest, new.digest);
        let speaking: Document<Manifest> = graph::read(cx.limits, &*target, speaking).expect("there");
        let subject = speaking.subject.as_ref().expect("kept");
        assert_eq!((&subject.digest, subject.size), (&new.digest, new.size));
    });
}

/// RFC 4648, for bytes whose number three divides after blanks were added: JSON may end in them.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert_eq!(bytes.len() % 3, 0);
    let group = |three: &[u8]| {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
    };
    bytes.chunks(3).flat_map(group).collect()
}

#[test]
fn what_a_descriptor_said_of_the_bytes_goes_when_the_index_is_pruned() {
    context(|cx| {
        let (from, to) = (Memory::default(), Memory::default());
        let sink = from.sink().expect("memory");
        let images = ["amd64", "arm64"].map(|architecture| image(&*sink, "f", architecture, None));
        let mut bytes = orlop::spec::json::print(&Index::new(images.to_vec()));
        bytes.resize(bytes.len().next_multiple_of(3), b' ');
        let mut nested = put(&*sink, OCI_INDEX, &bytes);
        nested.data = Some(base64(&bytes).into());
        nested.urls = vec!["https://example.com/index".into()];
        let outer = index(&*sink, Index::new(vec![nested.clone()]));
        sink.finish(&[(Name::Untagged, outer.clone())]).expect("whole");
        let source = from.catalog().expect("memory");
        let platforms = Platforms::Listed(vec![Platform::new("linux", "amd64", None)]);
        let how = Copy { platforms, subset: Subset::Prune, ..Copy::default() };
        let roots = [(Name::Untagged, outer)];
        copy(cx, &*source, &roots, to.sink().expect("memory"), &how).expect("whole");
        let outer: Document<Index> = root(cx, &*to.catalog().expect("memory"));
        let smaller = &outer.manifests[0];
        assert_ne!(smaller.digest, nested.digest);
        assert_eq!((&smaller.data, smaller.urls.len()), (&None, 0));
    });
}

/// A source that counts what is opened.
struct Counting<'a>(&'a dyn Source, AtomicUsize);

impl Source for Counting<'_> {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        self.0.resolve(selector)
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.origin(blob)
    }
}

#[test]
fn j3_a_search_for_a_platform_opens_no_index_twice() {
    const LEVELS: usize = 12;
    context(|cx| {
        let memory = Memory::default();
        let sink = memory.sink().expect("memory");
        let mut root = index(&*sink, Index::new(vec![image(&*sink, "f", "s390x", None)]));
        for _ in 1..LEVELS {
            // The same index under two descriptors: twice as many ways with every level.
            let mut other = root.clone();
            other.annotations.insert("x".into(), "y".into());
            root = index(&*sink, Index::new(vec![root, other]));
        }
        sink.finish(&[(Name::Untagged, root.clone())]).expect("whole");
        let catalog = memory.catalog().expect("memory");
        let source = Counting(&*catalog, AtomicUsize::new(0));
        let wanted = Platform::new("linux", "amd64", None);
        assert!(manifest_below(cx, &source, &root, &wanted).is_err());
        assert_eq!(source.1.into_inner(), LEVELS);
    });
}
