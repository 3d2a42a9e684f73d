//! Images keep their bytes on every way: layout → registry → another repository of it → layout.

use orlop::copy::{Account, Copy, copy};
use orlop::network::{Given, Role, Surroundings, WhichPolicy};
use orlop::spec::index::Index;
use orlop::spec::media_type::{MediaType, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use orlop::spec::port::{Catalog, Name, Result, Selector, Sink, Source as _, Spool, Spools};
use orlop::spec::reference::Repository;
use orlop::spec::{Algorithm, Cancel, Context, Descriptor, Document, Limits, Manifest};
use orlop_remote::{Client, Options, Pool, Push, Remote, Resolve};
use orlop_store::layout::{self, Layout};
use proptest::prelude::*;
use std::num::NonZeroUsize;
use testkit::proof;
use testkit::registry::Registry;
use testkit::scratch::{Scratch, scratch};
use testkit::suites::{copy::same, put, put_document};

/// An image: seeds of its layers. More than one make an index.
type Images = Vec<Vec<u8>>;

/// What all places of one case share.
struct World {
    scratch: Scratch,
    cancel: Cancel,
    limits: Limits,
    pool: Pool,
    surroundings: Surroundings,
}

/// Nothing here has a digest that shows at its end.
struct NoSpools;

impl Spools for NoSpools {
    fn spool(&self) -> Result<Box<dyn Spool>> {
        panic!("a copy knows every digest before")
    }
}

impl World {
    fn new() -> Self {
        let scratch = scratch();
        let surroundings = Surroundings::new(Given {
            policy: WhichPolicy::None,
            ..Given::nothing(scratch.root().into(), 0)
        });
        let (cancel, limits, pool) = (Cancel::new(), Limits::default(), Pool::default());
        Self { scratch, cancel, limits, pool, surroundings }
    }

    fn context(&self) -> Context<'_> {
        let workers = NonZeroUsize::MIN;
        Context { observer: &(), cancel: &self.cancel, limits: &self.limits, workers }
    }

    fn client(&self, role: Role) -> Client<'_> {
        Client::new(self.context(), self.surroundings.network(role), &self.pool, Options::default())
    }

    fn remote(&self, repository: &str) -> Remote<'_> {
        let repository = Repository::parse(repository).expect("a repository");
        Remote::open(self.client(Role::Source), &repository, Resolve::Fetch).expect("opening asks nobody")
    }

    fn push(&self, repository: &str) -> Box<dyn Sink + '_> {
        let repository = Repository::parse(repository).expect("a repository");
        Box::new(Push::create(self.client(Role::Target), &repository, &NoSpools).expect("making asks nobody"))
    }

    fn options(&self) -> layout::Options {
        let now = orlop::layer::Time::from_seconds(1 << 40);
        layout::Options { shared_blobs: None, limits: self.limits.clone(), now }
    }

    fn layout(&self, name: &str) -> Box<dyn Sink + '_> {
        Box::new(Layout::create(self.scratch.path(name), &self.options()).expect("a layout is made"))
    }

    fn opened(&self, name: &str) -> Layout {
        Layout::open(self.scratch.path(name), &self.options()).expect("a layout")
    }

    fn hop(&self, from: &dyn Catalog, to: Box<dyn Sink + '_>) -> Account {
        let roots = from.resolve(&Selector::Tag("t".into())).expect("it is there");
        let roots: Vec<_> = roots.into_iter().map(|root| (Name::Tag("t".into()), root)).collect();
        copy(&self.context(), from, &roots, to, &Copy::default()).expect("it is copied").account
    }
}

fn put_image(sink: &dyn Sink, number: usize, seeds: &[u8]) -> Descriptor {
    let config = format!(r#"{{"architecture":"amd64","os":"linux","author":"{number}"}}"#);
    let config = put(sink, OCI_CONFIG, config.as_bytes());
    let size = |seed: u8| if seed < 32 { usize::from(seed % 2) } else { usize::from(seed) * 1021 };
    let layers = seeds.iter().map(|seed| put(sink, OCI_LAYER, &vec![*seed; size(*seed)])).collect();
    let manifest = Manifest::new(config, layers);
    put_document(sink, &Document::print(manifest, MediaType::new(OCI_MANIFEST), Algorithm::Sha256))
}

fn make(sink: Box<dyn Sink + '_>, images: &Images) {
    let children: Vec<_> =
        images.iter().enumerate().map(|(number, seeds)| put_image(&*sink, number, seeds)).collect();
    let root = if let [only] = &children[..] {
        only.clone()
    } else {
        let index = Index::new(children);
        put_document(&*sink, &Document::print(index, MediaType::new(OCI_INDEX), Algorithm::Sha256))
    };
    sink.finish(&[(Name::Tag("t".into()), root)]).expect("a whole image is published");
}

fn round(host: &str, number: usize, images: &Images) -> usize {
    let world = World::new();
    let [one, two] = ["one", "two"].map(|name| format!("{host}/case-{number}/{name}"));
    make(world.layout("first"), images);
    let first = world.opened("first");
    world.hop(&first, world.push(&one));
    let between = world.hop(&world.remote(&one), world.push(&two));
    assert_eq!(
        between.copied.blobs,
        images.len() as u64 + u64::from(images.len() > 1),
        "documents alone move"
    );
    world.hop(&world.remote(&two), world.layout("last"));
    let again = world.hop(&first, world.push(&two));
    assert_eq!((again.held.blobs, again.copied.blobs), (1, 0), "the root is all that is asked for");
    let root = first.resolve(&Selector::Tag("t".into())).expect("it is there").remove(0);
    same(&first, &world.opened("last"), &root)
}

#[test]
fn three_hops_change_no_byte() {
    let Some(registry) = Registry::plain() else {
        return proof::skipped("registry: three hops change no byte", "docker-registry");
    };
    let cases = if testkit::full() { 200 } else { 12 };
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let images = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..5), 1..4);
    let (host, mut ran) = (registry.host(), std::cell::Cell::new(0));
    runner
        .run(&images, |images| {
            ran.set(ran.get() + 1);
            prop_assert!(round(&host, ran.get(), &images) > 2);
            Ok(())
        })
        .expect("no case differs");
    proof::ran("registry: three hops change no byte", *ran.get_mut());
}
