//! Images keep every byte on every way: through each path of three copies over all places that hold blobs.
//!
//! ```text
//! made in A ──copy──► B ──copy──► C ──copy──► D        A, B, C, D: any of six
//! ```

use orlop::copy::{Copy, copy};
use orlop::network::{Given, Surroundings, WhichPolicy};
use orlop::remote::{Options, Pool, Resolve};
use orlop::spec::index::Index;
use orlop::spec::media_type::{
    DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, MediaType, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST,
};
use orlop::spec::port::{Catalog, Name, Selector, Sink};
use orlop::spec::reference::{Bare, LoneStream, Reference};
use orlop::spec::{Algorithm, Cancel, Context, Descriptor, Document, Limits, Manifest};
use orlop::transport::{self, Created, Opened, Outside, Purpose, SpoolFolder};
use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use testkit::registry::Registry;
use testkit::scratch::{Scratch, scratch_in_memory};
use testkit::suites::{copy::same, put, put_document};
use testkit::{full, proof};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Layout,
    SharedBlobs,
    OciArchive,
    DockerArchive,
    Dir,
    Registry,
}

const HOLDERS: [Holder; 6] = [
    Holder::Layout,
    Holder::SharedBlobs,
    Holder::OciArchive,
    Holder::DockerArchive,
    Holder::Dir,
    Holder::Registry,
];

/// Whose words an image is written in, and whether there are several under an index.
#[derive(Clone, Copy, Debug)]
struct Shape {
    types: &'static [&'static str; 4],
    images: usize,
}

const OCI: [&str; 4] = [OCI_MANIFEST, OCI_INDEX, OCI_CONFIG, OCI_LAYER];
const DOCKER: [&str; 4] =
    [DOCKER_MANIFEST, DOCKER_LIST, DOCKER_CONFIG, "application/vnd.docker.image.rootfs.diff.tar.gzip"];
const SHAPES: [Shape; 4] = [
    Shape { types: &OCI, images: 1 },
    Shape { types: &OCI, images: 3 },
    Shape { types: &DOCKER, images: 1 },
    Shape { types: &DOCKER, images: 2 },
];

/// The generator of Knuth's MMIX: the same images and paths in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % end
    }
}

/// What all places share.
struct World {
    scratch: Scratch,
    host: String,
    next: AtomicUsize,
    hops: AtomicUsize,
    cancel: Cancel,
    limits: Limits,
    pool: Pool,
    surroundings: Surroundings,
    spools: SpoolFolder,
}

/// A place for one image.
struct Place {
    holder: Holder,
    folder: PathBuf,
    reference: Reference,
}

impl World {
    fn new(host: String) -> Self {
        let scratch = scratch_in_memory();
        let given = Given { policy: WhichPolicy::None, ..Given::nothing(scratch.root().into(), 0) };
        Self {
            host,
            next: AtomicUsize::new(0),
            hops: AtomicUsize::new(0),
            cancel: Cancel::new(),
            limits: Limits::default(),
            pool: Pool::default(),
            surroundings: Surroundings::new(given),
            spools: SpoolFolder(scratch.root().into()),
            scratch,
        }
    }

    fn context(&self) -> Context<'_> {
        let workers = NonZeroUsize::MIN;
        Context { observer: &(), cancel: &self.cancel, limits: &self.limits, workers }
    }

    fn outside(&self, place: &Place) -> Outside<'_> {
        Outside {
            tmpdir: self.scratch.root().into(),
            store: self.scratch.path("store"),
            keep_blobs: None,
            shared_blobs: (place.holder == Holder::SharedBlobs).then(|| place.folder.join("blobs")),
            now: orlop::layer::Time::from_seconds(1 << 40),
            cx: self.context(),
            interrupt: None,
            surroundings: &self.surroundings,
            file: None,
            pool: &self.pool,
            patience: Options::default(),
            spools: &self.spools,
            resolve: Resolve::Fetch,
            purpose: Purpose::Use,
            dependencies: &[],
            host: orlop::spec::Platform::new("linux", "amd64", None),
            profile: orlop::trees::Profile::Plain,
            ref_style: None,
            old: orlop::schema_one::Old::Refused,
            stdin: &|| Box::new(std::io::empty()),
            stdout: &|| Box::new(std::io::sink()),
        }
    }

    fn place(&self, holder: Holder) -> Place {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let folder = self.scratch.folder(&number.to_string());
        let path = folder.join("place");
        let path = path.display();
        let text = match holder {
            Holder::Layout | Holder::SharedBlobs => format!("oci:{path}:t"),
            Holder::OciArchive => format!("oci-archive:{path}:t"),
            Holder::DockerArchive => format!("docker-archive:{path}:app:t"),
            Holder::Dir => format!("dir:{path}"),
            Holder::Registry => format!("docker://{}/r{number}:t", self.host),
        };
        let reference = transport::parse(text.as_ref(), Bare::Registry, LoneStream::Refused);
        Place { holder, folder, reference: reference.expect("well-formed") }
    }

    fn source(&self, place: &Place) -> Box<dyn Catalog + '_> {
        match transport::open(&place.reference, &self.outside(place)).expect("it was written") {
            Opened::Blobs(source) => source,
            Opened::Tree(_) => panic!("{:?} holds blobs", place.holder),
        }
    }

    fn sink(&self, place: &Place) -> Box<dyn Sink + '_> {
        match transport::create(&place.reference, &self.outside(place)).expect("it can be made") {
            Created::Blobs(sink) => sink,
            Created::Tree(_) => panic!("{:?} holds blobs", place.holder),
        }
    }

    /// Copies to a new place; what is there must be what was made.
    fn hop(&self, made: &dyn Catalog, root: &Descriptor, from: &Place, to: Holder) -> Place {
        let source = self.source(from);
        let target = self.place(to);
        let roots = source.resolve(&from.reference.selector).expect("it is there");
        let named: Vec<_> = roots.into_iter().map(|root| (target.name(), root)).collect();
        copy(&self.context(), &*source, &named, self.sink(&target), &Copy::default())
            .unwrap_or_else(|fault| panic!("{:?} to {to:?}: {fault:?}", from.holder));
        let there = self.source(&target);
        let found = there.resolve(&target.reference.selector).expect("it was copied");
        assert_eq!(found.len(), 1);
        assert!(
            found[0].names_same_blob(root),
            "{:?} to {to:?}: {} is {}",
            from.holder,
            root.digest,
            found[0].digest
        );
        assert_eq!(found[0].media_type, root.media_type, "{:?} to {to:?}", from.holder);
        assert!(same(made, &*there, root) > 2);
        self.hops.fetch_add(1, Ordering::Relaxed);
        target
    }

    /// Every way on, or one of them; as many copies as are left.
    fn walk(
        &self,
        made: (&dyn Catalog, &Descriptor),
        from: &Place,
        left: usize,
        ways: &mut dyn FnMut(usize) -> Vec<Holder>,
    ) {
        if left == 0 {
            return;
        }
        for holder in ways(left) {
            let next = self.hop(made.0, made.1, from, holder);
            self.walk(made, &next, left - 1, ways);
            fs::remove_dir_all(&next.folder).expect("it is ours");
        }
    }
}

impl Place {
    fn name(&self) -> Name {
        match &self.reference.selector {
            Selector::Tag(tag) => Name::Tag(tag.clone()),
            _ => Name::Untagged,
        }
    }
}

fn put_image(sink: &dyn Sink, shape: Shape, number: usize, dice: &mut Dice) -> Descriptor {
    let [manifest, _, config, layer] = *shape.types;
    let (author, spaces) = (dice.below(1 << 30), " ".repeat(dice.below(9)));
    let text =
        format!(r#"{{{spaces}"architecture":"amd64","os":"linux","author":"{author}","x-{number}":1e3}}"#);
    let config = put(sink, config, text.as_bytes());
    let mut content = |at: usize| {
        let size = if at == 0 { number % 2 } else { dice.below(3_000) };
        (0..size).map(|_| u8::try_from(dice.below(256)).expect("a byte")).collect::<Vec<u8>>()
    };
    let layers = (0..2 + number).map(|at| put(sink, layer, &content(at))).collect();
    let value = Manifest { media_type: Some(MediaType::new(manifest)), ..Manifest::new(config, layers) };
    put_document(sink, &Document::print(value, MediaType::new(manifest), Algorithm::Sha256))
}

fn make(sink: Box<dyn Sink + '_>, name: Name, shape: Shape, dice: &mut Dice) -> Descriptor {
    let children: Vec<_> = (0..shape.images).map(|number| put_image(&*sink, shape, number, dice)).collect();
    let root = if let [only] = &children[..] {
        only.clone()
    } else {
        let kind = MediaType::new(shape.types[1]);
        let index = Index { media_type: Some(kind.clone()), ..Index::new(children) };
        put_document(&*sink, &Document::print(index, kind, Algorithm::Sha256))
    };
    sink.finish(&[(name, root.clone())]).expect("a whole image is published");
    root
}

/// Items 20 and 32. In the gate every pair of places, and one way on from each; in full every path of three copies.
#[test]
fn item_32_every_path_of_three_copies_changes_no_byte() {
    const PROOF: &str = "copy: every path of three copies over all holders of blobs";
    let Some(registry) = Registry::plain() else { return proof::skipped(PROOF, "docker-registry") };
    let world = World::new(registry.host());
    let mut dice = Dice(1);
    for shape in SHAPES {
        for holder in HOLDERS {
            let first = world.place(holder);
            let root = make(world.sink(&first), first.name(), shape, &mut dice);
            let made = world.source(&first);
            let mut ways = |left: usize| {
                if left == 3 || full() { HOLDERS.to_vec() } else { vec![HOLDERS[dice.below(HOLDERS.len())]] }
            };
            world.walk((&*made, &root), &first, 3, &mut ways);
        }
    }
    let hops = world.hops.into_inner();
    let ways = HOLDERS.len();
    let of_one = if full() { ways + ways.pow(2) + ways.pow(3) } else { 3 * ways };
    assert_eq!(hops, SHAPES.len() * ways * of_one);
    proof::ran(PROOF, hops);
}
