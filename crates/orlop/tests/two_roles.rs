//! One blob may be a layer to one parent and a manifest to another: neither copy nor gc may take the one for the
//! other.

use orlop::compress::copy_compressed;
use orlop::copy::{Copy, copy};
use orlop::network::{Given, Surroundings, WhichPolicy};
use orlop::spec::media_type::{MediaType, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use orlop::spec::port::{Name, Sink, Source, Sweep};
use orlop::spec::reference::{Bare, LoneStream, Reference};
use orlop::spec::{Algorithm, Cancel, Context, Descriptor, Document, Index, Limits, Manifest};
use orlop::transport::{self, Opened, Outside, Purpose};
use std::num::NonZeroUsize;
use std::time::Duration;
use testkit::scratch::{Scratch, scratch};
use testkit::suites::memory::Memory;
use testkit::suites::{Place as _, context, put, put_document};

const OPAQUE: &str = "application/octet-stream";

/// A manifest, and an artifact that has the manifest's blob as a layer.
fn image_and_artifact(sink: &dyn Sink) -> (Descriptor, Descriptor, [Descriptor; 2]) {
    let config = put(
        sink,
        OCI_CONFIG,
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#,
    );
    let layer = put(sink, OCI_LAYER, b"not a tar, and nobody looks");
    let manifest = Manifest::new(config.clone(), vec![layer.clone()]);
    let manifest = Document::print(manifest, MediaType::new(OCI_MANIFEST), Algorithm::Sha256);
    let image = put_document(sink, &manifest);
    let empty = put(sink, "application/vnd.example", b"{}");
    let as_layer = Descriptor { media_type: MediaType::new(OPAQUE), ..image.clone() };
    let artifact = Manifest::new(empty, vec![as_layer]);
    let artifact = Document::print(artifact, MediaType::new(OCI_MANIFEST), Algorithm::Sha256);
    (image, put_document(sink, &artifact), [config, layer])
}

fn index(sink: &dyn Sink, children: Vec<Descriptor>) -> Descriptor {
    put_document(sink, &Document::print(Index::new(children), MediaType::new(OCI_INDEX), Algorithm::Sha256))
}

fn is_there(source: &dyn Source, blob: &Descriptor) -> bool {
    source.origin(blob).and_then(|origin| origin.open(0).map(drop)).is_ok()
}

#[test]
fn copy_opens_a_manifest_that_was_met_as_a_layer() {
    context(|cx| {
        let (from, to) = (Memory::default(), Memory::default());
        let sink = from.sink().expect("memory");
        let (image, artifact, needed) = image_and_artifact(&*sink);
        let root = index(&*sink, vec![artifact, image]);
        sink.finish(&[(Name::Untagged, root)]).expect("whole");
        let source = from.catalog().expect("memory");
        let roots = source.names().expect("memory");
        copy(cx, &*source, &roots, to.sink().expect("memory"), &Copy::default())
            .expect("everything is there");
        let target = to.catalog().expect("memory");
        assert!(needed.iter().all(|blob| is_there(&*target, blob)));
    });
}

#[test]
fn gc_keeps_what_a_manifest_needs_that_was_met_as_a_layer() {
    let scratch = scratch();
    for order in [[0, 1], [1, 0]] {
        let path = scratch.path(&format!("layout-{}", order[0]));
        let reference = format!("oci:{}", path.display());
        let sink = layout_sink(&scratch, &reference);
        let (image, artifact, needed) = image_and_artifact(&*sink);
        let nested = index(&*sink, vec![image]);
        let roots = [artifact, nested];
        let published: Vec<_> = order.iter().map(|at| (Name::Untagged, roots[*at].clone())).collect();
        sink.finish(&published).expect("whole");

        let reference = parse(&reference);
        let keeper = transport::keep(&reference, &outside(&scratch)).expect("a layout");
        keeper.sweep(Duration::ZERO, Sweep::Remove).expect("it can be swept");
        assert!(needed.iter().all(|blob| is_there(&*keeper, blob)), "{order:?}");
        let Opened::Blobs(source) = transport::open(&reference, &outside(&scratch)).expect("a layout") else {
            panic!("a layout holds blobs");
        };
        assert_eq!(source.names().expect("a layout").len(), 2);
    }
}

#[test]
fn compress_refuses_a_config_with_too_few_diff_ids() {
    context(|cx| {
        let from = Memory::default();
        let sink = from.sink().expect("memory");
        let (image, _, _) = image_and_artifact(&*sink);
        sink.finish(&[(Name::Untagged, image)]).expect("whole");
        let source = from.catalog().expect("memory");
        let roots = source.names().expect("memory");
        let (to, codec) = (Memory::default(), "zstd".parse().expect("a codec"));
        let sink = to.sink().expect("memory");
        assert!(copy_compressed(cx, &*source, &roots, sink, &Copy::default(), codec).is_err());
        assert!(to.catalog().expect("memory").names().expect("memory").is_empty());
    });
}

fn parse(reference: &str) -> Reference {
    transport::parse(reference.as_ref(), Bare::Registry, LoneStream::Refused).expect("well-formed")
}

fn outside(scratch: &Scratch) -> Outside<'static> {
    static CANCEL: Cancel = Cancel::new();
    let limits = Box::leak(Box::new(Limits::default()));
    let cx = Context { observer: &(), cancel: &CANCEL, limits, workers: NonZeroUsize::MIN };
    let surroundings = Box::leak(Box::new(Surroundings::new(Given {
        policy: WhichPolicy::None,
        ..Given::nothing(scratch.root().into(), 0)
    })));
    Outside {
        surroundings,
        file: None,
        pool: Box::leak(Box::default()),
        patience: orlop::remote::Options::default(),
        spools: Box::leak(Box::new(transport::SpoolFolder(scratch.root().into()))),
        resolve: orlop::remote::Resolve::Fetch,
        purpose: Purpose::Use,
        dependencies: &[],
        host: orlop::spec::Platform::new("linux", "amd64", None),
        profile: orlop::trees::Profile::Plain,
        ref_style: None,
        old: orlop::schema_one::Old::Refused,
        tmpdir: scratch.root().into(),
        store: scratch.path("store"),
        keep_blobs: None,
        shared_blobs: None,
        now: orlop::layer::Time::from_seconds(1 << 40),
        cx,
        interrupt: None,
        stdin: &|| Box::new(std::io::empty()),
        stdout: &|| Box::new(std::io::sink()),
    }
}

fn layout_sink(scratch: &Scratch, reference: &str) -> Box<dyn Sink> {
    match transport::create(&parse(reference), &outside(scratch)).expect("a new layout") {
        transport::Created::Blobs(sink) => sink,
        transport::Created::Tree(_) => panic!("a layout holds blobs"),
    }
}
