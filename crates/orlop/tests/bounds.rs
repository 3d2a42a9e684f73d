//! What an image may cost while it is read, whatever it says of itself.

use orlop::copy::{Copy, copy};
use orlop::image::Image;
use orlop::layer::decode::Visit;
use orlop::layer::{Entry, Error};
use orlop::layers;
use orlop::several::Several;
use orlop::spec::port::{Name, Selector, Source as _};
use orlop::spec::{Cancel, Context, Descriptor, Kind, Limits, Platform};
use orlop::validate;
use orlop_store::{Layout, Options};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use testkit::image::{self, Packing};
use testkit::tarball::{Member, tar};
use testkit::{Scratch, scratch};

const LAYERS: usize = 4;
const LAYER: u64 = 3 << 20;

/// A layout of one image of some big layers.
fn layout(folder: &Scratch) -> Layout {
    let content = vec![b'x'; usize::try_from(LAYER).expect("small") - 2048];
    let layer = |number| tar([Member::file(format!("f{number}"), &content)]);
    let tars: Vec<_> = (0..LAYERS).map(layer).collect();
    image::Image::of(&tars, Packing::Gzip).layout().write(&folder.path("layout"));
    Layout::open(folder.path("layout"), &Options::default()).expect("a layout")
}

fn within<R>(limits: &Limits, workers: usize, work: impl FnOnce(&Context<'_>) -> R) -> R {
    let (cancel, workers) = (Cancel::new(), NonZeroUsize::new(workers).expect("some"));
    work(&Context { observer: &(), cancel: &cancel, limits, workers })
}

/// Counts the bytes of contents.
struct Count<'a>(&'a AtomicU64);

impl Visit for Count<'_> {
    fn entry(&mut self, _: u32, _: u64, _: &Entry) -> Result<(), Error> {
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn hole(&mut self, _: u64) -> Result<(), Error> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn layers_that_are_decoded_at_once_share_one_limit() {
    let folder = scratch();
    let place = layout(&folder);
    for workers in [1, LAYERS, 2 * LAYERS] {
        let read = |size: u64| {
            let limits = Limits { size, ..Limits::default() };
            within(&limits, workers, |cx| {
                let wanted = Platform::new("linux", "amd64", None);
                let image = Image::fetch(cx, &place, &Selector::Only, &wanted).expect("whole");
                let seen = AtomicU64::new(0);
                let opened = layers::open(cx, "read", &image, &|_, decode| decode(&mut Count(&seen)));
                (opened.map(drop).map_err(|fault| fault.kind()), seen.into_inner())
            })
        };
        assert_eq!(read(LAYERS as u64 * LAYER).0, Ok(()));
        let (outcome, seen) = read(LAYER + LAYER / 2);
        assert_eq!(outcome, Err(Kind::Limit));
        assert!(seen <= LAYER + LAYER / 2, "{workers} workers gave {seen} bytes");
    }
}

#[test]
fn entries_of_all_layers_count_together() {
    let folder = scratch();
    let place = layout(&folder);
    let read = |entries: u64| {
        let limits = Limits { entries, ..Limits::default() };
        within(&limits, 1, |cx| {
            let wanted = Platform::new("linux", "amd64", None);
            let image = Image::fetch(cx, &place, &Selector::Only, &wanted).expect("whole");
            let opened = layers::open(cx, "read", &image, &|_, decode| decode(&mut ()));
            opened.map(drop).map_err(|fault| fault.kind())
        })
    };
    // Each layer is a file and the root.
    assert_eq!(read(2 * LAYERS as u64), Ok(()));
    assert_eq!(read(2 * LAYERS as u64 - 1), Err(Kind::Limit));
}

#[test]
fn a_check_opens_no_more_layers_and_bytes_than_are_allowed() {
    let folder = scratch();
    let place = layout(&folder);
    let found = |limits: Limits| {
        let verdict = within(&limits, 1, |cx| validate::place(cx, &place)).expect("readable");
        let rules: Vec<_> = verdict.problems.iter().map(|problem| problem.rule).collect();
        (rules, verdict.blobs)
    };
    assert_eq!(found(Limits::default()), (vec![], 2 + LAYERS as u64));
    assert_eq!(found(Limits { layers: LAYERS - 1, ..Limits::default() }), (vec!["limit"], 1));
    let (rules, _) = found(Limits { size: 2 * LAYER, ..Limits::default() });
    assert_eq!(rules, ["limit"; LAYERS - 2]);
}

/// J3: what a copy holds of manifests and indexes until it puts them is bounded in sum, within one image and over many.
#[test]
fn a_copy_holds_no_more_documents_than_are_allowed() {
    let folder = scratch();
    let place = layout(&folder);
    let root = place.resolve(&Selector::Only).expect("one image").remove(0);
    let other = image::Image::of(&[tar([Member::file("other", "x")])], Packing::Plain).layout();
    other.write(&folder.path("other"));
    let elsewhere = Layout::open(folder.path("other"), &Options::default()).expect("a layout");
    let second = elsewhere.resolve(&Selector::Only).expect("one image").remove(0);
    let both = Several { first: &place, others: vec![&elsewhere] };
    let named = |roots: &[&Descriptor]| -> Vec<_> {
        roots.iter().map(|root| (Name::Tag(root.digest.encoded().into()), (*root).clone())).collect()
    };
    let copied = |documents: u64, roots: &[&Descriptor], target: &str| {
        let limits = Limits { documents, ..Limits::default() };
        let sink = Layout::create(folder.path(target), &Options::default()).expect("a layout is made");
        let done = within(&limits, 1, |cx| {
            copy(cx, &both, &named(roots), Box::new(sink), &Copy::default()).map(drop)
        });
        done.map_err(|fault| fault.kind())
    };
    assert_eq!(copied(root.size - 1, &[&root], "a"), Err(Kind::Limit));
    assert_eq!(copied(root.size, &[&root], "b"), Ok(()));
    assert_eq!(copied(root.size, &[&root, &root], "c"), Ok(()), "each is held once");
    assert_eq!(copied(root.size + second.size - 1, &[&root, &second], "d"), Err(Kind::Limit));
    assert_eq!(copied(root.size + second.size, &[&root, &second], "e"), Ok(()));
    assert!(!folder.path("a").exists() && !folder.path("d").exists(), "nothing is left");
}
