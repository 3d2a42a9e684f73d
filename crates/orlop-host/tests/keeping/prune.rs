//! The end of layers that nobody uses (A13).

use crate::world::{CANCEL, Image, LIMITS, base, cx, image, kept, ran, refs, repo, sink, upper};
use orlop_host::ostree::layers::usage::{KeptLayer, Which};
use orlop_host::ostree::repo::{Mode, Repo};
use orlop_host::ostree::{Commit, Dict, Kind as ObjectKind, ObjectId, RefSpec, Variant};
use orlop_layer::Codec;
use orlop_spec::digest::AnyDigest;
use orlop_spec::port::Source;
use orlop_spec::{Diagnose as _, Kind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use testkit::{Scratch, proof, scratch};

/// Two images on one base.
fn two() -> (Scratch, Image, Image) {
    let place = scratch();
    let foreign = testkit::image::gzip(&upper());
    let blob = testkit::suites::describe(
        orlop_spec::media_type::OCI_LAYER_GZIP,
        orlop_spec::Algorithm::Sha256,
        &foreign,
    );
    let (base, upper) = (base(), upper());
    let lower = image(&[&base], Codec::None);
    let both = crate::world::of_blobs(&[&base, &upper], vec![lower.blobs[0].clone(), (blob, foreign)]);
    lower.keep(sink(&place.path("r"), Mode::Archive, "base:1"));
    both.keep(sink(&place.path("r"), Mode::Archive, "app:1"));
    (place, lower, both)
}

fn open(place: &Scratch) -> Repo {
    Repo::open(&place.path("r"), &LIMITS).expect("there")
}

fn forget(repo: &Repo, image: &str) {
    let transaction = repo.begin(&cx()).expect("it begins");
    transaction.set_ref(&image.parse::<RefSpec>().expect("a ref"), None);
    transaction.finish().expect("it ends");
}

fn digests(layers: &[KeptLayer]) -> Vec<AnyDigest> {
    layers.iter().map(|layer| layer.blob.clone()).collect()
}

fn count(repo: &Path) -> usize {
    let folders = repo.join("objects").read_dir().expect("a folder").flatten();
    folders.map(|folder| folder.path().read_dir().expect("a folder").count()).sum()
}

#[test]
fn a13_layers_of_an_image_that_is_gone_go_and_shared_ones_stay() {
    let (place, lower, both) = two();
    let repo = open(&place);
    assert_eq!(repo.foresee_removal(&cx(), Which::Unused).expect("readable").layers.len(), 0);
    forget(&repo, "ostree/container/image/app_3A_1");
    let (before, there) = (count(&place.path("r")), refs(&place.path("r")));
    let foreseen = repo.foresee_removal(&cx(), Which::Unused).expect("readable");
    assert_eq!((count(&place.path("r")), refs(&place.path("r"))), (before, there), "nothing was removed");
    assert_eq!(digests(&foreseen.layers), [both.blobs[1].0.digest.clone()]);
    assert!(foreseen.objects.bytes > 0);
    let removed = repo.remove_layers(&cx(), Which::Unused).expect("removed");
    assert_eq!(digests(&removed.layers), digests(&foreseen.layers));
    assert_eq!(
        (removed.objects.removed, removed.objects.bytes),
        (foreseen.objects.removed, foreseen.objects.bytes)
    );
    assert_eq!(count(&place.path("r")), before - usize::try_from(removed.objects.removed).expect("few"));
    lower.comes_back(&kept(&place.path("r"), "base:1"));
    if let Some(ostree) = testkit::peer("ostree") {
        ran(&ostree, place.root(), &["fsck", "--repo=r"]);
        let pruned = ran(&ostree, place.root(), &["prune", "--repo=r", "--refs-only"]);
        assert!(pruned.contains("No unreachable objects"), "{pruned}");
        proof::ran("ostree: layers that are pruned", 1);
    }
    lower.comes_back(&kept(&place.path("r"), "base:1"));
    assert_eq!(repo.kept_layers().expect("readable").len(), 1);
}

#[test]
fn who_uses_a_layer_is_told_and_it_stays() {
    let (place, lower, _) = two();
    let repo = open(&place);
    let base = lower.blobs[0].0.digest.clone();
    let layers = repo.kept_layers().expect("readable");
    let layer = layers.iter().find(|layer| layer.blob == base).expect("kept");
    assert_eq!(layer.used_by, ["app:1".into(), "base:1".into()]);
    let before = refs(&place.path("r"));
    let refused = repo.remove_layers(&cx(), Which::These(&[base])).map_err(|fault| fault.hint());
    let hint =
        "take away first what uses it, \"app:1\", \"base:1\": orlop ostree refs --delete --repo=REPO NAME";
    assert_eq!(refused.err(), Some(Some(hint.into())));
    let unknown = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let unknown = repo.remove_layers(&cx(), Which::These(&[unknown.parse().expect("a digest")]));
    assert_eq!(unknown.map_err(|fault| fault.kind()).err(), Some(Kind::NotFound));
    assert_eq!(refs(&place.path("r")), before);
}

/// A branch that leads to the commit of an image uses its layers as the image does.
#[test]
fn every_ref_to_an_image_keeps_its_layers() {
    let (place, _, both) = two();
    let repo = open(&place);
    let transaction = repo.begin(&cx()).expect("it begins");
    let id = repo.resolve("ostree/container/image/app_3A_1").expect("kept");
    transaction.set_ref(&"my/branch".parse().expect("a ref"), Some(&id));
    transaction.finish().expect("it ends");
    forget(&repo, "ostree/container/image/app_3A_1");
    let removed = repo.remove_layers(&cx(), Which::Unused).expect("nothing to do");
    assert_eq!(removed.layers.len(), 0);
    assert!(repo.keeps(&both.blobs[1].0).expect("readable"));
}

/// Sets a ref to a new commit with this metadata, and another commit before it.
fn put(repo: &Repo, spec: &str, metadata: Dict, parent: Option<ObjectId>, like: &str) -> ObjectId {
    let like = repo.commit(&repo.resolve(like).expect("there")).expect("a commit");
    let transaction = repo.begin(&cx()).expect("it begins");
    let commit = Commit { metadata, parent, ..like };
    let id = transaction.put(ObjectKind::Commit, &commit.to_bytes()).expect("put");
    transaction.set_ref(&spec.parse().expect("a ref"), Some(&id));
    transaction.finish().expect("it ends");
    id
}

/// A branch that goes on from the commit of an image has it before its own.
#[test]
fn a_commit_that_a_branch_has_behind_it_stays() {
    let (place, ..) = two();
    let repo = open(&place);
    let image = "ostree/container/image/app_3A_1";
    let before = repo.resolve(image).expect("kept");
    put(&repo, "os/stable", Dict::new(), Some(before), image);
    forget(&repo, image);
    let foreseen = repo.foresee_removal(&cx(), Which::Unused).expect("readable").objects;
    let removed = repo.remove_layers(&cx(), Which::Unused).expect("removed").objects;
    assert_eq!((removed.removed, removed.bytes), (foreseen.removed, foreseen.bytes));
    assert_eq!(repo.resolve("os/stable^").expect("there"), before);
    assert!(repo.has_commit(&before).expect("readable"));
    if let Some(ostree) = testkit::peer("ostree") {
        ran(&ostree, place.root(), &["fsck", "--repo=r"]);
    }
}

/// Nobody knows what a newer version needs; so nothing goes.
#[test]
fn where_what_is_kept_is_not_understood_nothing_is_removed() {
    let (place, _, both) = two();
    let repo = open(&place);
    let (image, gone) = ("ostree/container/image/app_3A_1", "ostree/container/image/base_3A_1");
    forget(&repo, gone);
    let damaged = |spec: &str, key: &str| {
        let id = repo.resolve(spec).expect("there");
        let mut metadata = repo.commit(&id).expect("a commit").metadata;
        metadata.set(key, Variant::string("of tomorrow"));
        put(&repo, spec, metadata, None, spec);
        let there = refs(&place.path("r"));
        let refused = repo.remove_layers(&cx(), Which::Unused).map(drop).expect_err("not understood");
        assert_eq!((refused.kind(), refs(&place.path("r"))), (Kind::Integrity, there), "{refused}");
        assert!(refused.to_string().contains(spec), "{refused}");
        let transaction = repo.begin(&cx()).expect("it begins");
        transaction.set_ref(&spec.parse().expect("a ref"), Some(&id));
        transaction.finish().expect("it ends");
    };
    damaged(image, "orlop.image.root");
    let layer = format!("ostree/container/blob/sha256_3A_{}", both.blobs[0].0.digest.encoded());
    damaged(&layer, "orlop.blob.back");
    repo.remove_layers(&cx(), Which::Unused).expect("understood");
    both.comes_back(&kept(&place.path("r"), "app:1"));
}

/// What a run that was killed between its two steps left: refs are gone, and objects are there.
#[test]
fn the_next_run_finishes_what_one_that_was_killed_began() {
    let (place, lower, _) = two();
    let repo = open(&place);
    forget(&repo, "ostree/container/image/app_3A_1");
    let refs = repo.foresee_removal(&cx(), Which::Unused).expect("readable").refs;
    assert_eq!(refs.len(), 3, "{refs:?}");
    for left in 1..=refs.len() {
        let transaction = repo.begin(&cx()).expect("it begins");
        refs[..left].iter().for_each(|spec| transaction.set_ref(spec, None));
        transaction.finish().expect("it ends");
        lower.comes_back(&kept(&place.path("r"), "base:1"));
        let foreseen = repo.foresee_removal(&cx(), Which::Unused).expect("readable");
        assert!(foreseen.objects.removed > 0);
    }
    let removed = repo.remove_layers(&cx(), Which::Unused).expect("removed");
    assert!(removed.layers.is_empty() && removed.objects.removed > 0);
    assert_eq!(repo.remove_layers(&cx(), Which::Unused).expect("nothing left").objects.removed, 0);
    lower.comes_back(&kept(&place.path("r"), "base:1"));
}

/// Also when the test fails: whoever waits for it goes on.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn images_come_in_whole_while_layers_are_pruned() {
    let place = scratch();
    let rounds = if testkit::full() { 60 } else { 6 };
    let image = image(&[&base(), &upper()], Codec::None);
    let done = AtomicBool::new(false);
    let pruned = thread::scope(|threads| {
        let pruner = threads.spawn(|| {
            let (repo, mut pruned) = (repo(&place.path("r"), Mode::Archive), 0);
            while !done.load(Ordering::Relaxed) {
                pruned += repo.remove_layers(&cx(), Which::Unused).expect("pruned").layers.len();
            }
            pruned
        });
        let over = Over(&done);
        for round in 0..rounds {
            let name = format!("image:{}", round % 2);
            image.keep(sink(&place.path("r"), Mode::Archive, &name));
            image.comes_back(&kept(&place.path("r"), &name));
            forget(&open(&place), &format!("ostree/container/image/image_3A_{}", round % 2));
        }
        drop(over);
        pruner.join().expect("it does not panic")
    });
    CANCEL.check().expect("nobody stopped");
    open(&place).remove_layers(&cx(), Which::Unused).expect("pruned");
    assert!(open(&place).kept_layers().expect("readable").is_empty());
    proof::ran("ostree: images come in while layers are pruned", pruned.max(1));
}

#[test]
fn layers_that_were_pruned_are_taken_in_again() {
    let (place, _, both) = two();
    let repo = open(&place);
    for name in ["base", "app"] {
        forget(&repo, &format!("ostree/container/image/{name}_3A_1"));
    }
    repo.remove_layers(&cx(), Which::Unused).expect("removed");
    assert!(refs(&place.path("r")).is_empty());
    both.keep(sink(&place.path("r"), Mode::Archive, "app:2"));
    let kept = kept(&place.path("r"), "app:2");
    both.comes_back(&kept);
    kept.gives(&both.blobs[0].0).expect("there");
}
