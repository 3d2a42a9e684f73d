//! Every changing file operation of a commit, of an image that is kept, and of layers that are pruned, is hit once: the process dies before it, it fails with EIO, or the disk is full
//! from there on. Afterwards every ref names a whole commit, every image has its layers, and the same work, done again,
//! succeeds.
//!
//! A work that is to die runs in a child process of this test program.

#[expect(dead_code, reason = "the tests of kept images need more of it")]
#[path = "keeping/world.rs"]
mod world;

use orlop_fs::Dir;
use orlop_fs::seam;
use orlop_host::Error;
use orlop_host::ostree::checkout::{CheckoutOptions, Existing, Owners, checkout};
use orlop_host::ostree::commit::{FolderOptions, write_folder};
use orlop_host::ostree::kept::{self, KeptSink};
use orlop_host::ostree::layers::usage::Which;
use orlop_host::ostree::repo::{Mode, Repo};
use orlop_host::ostree::{Commit, Dict, Kind, ObjectName, RefSpec};
use orlop_layer::{Codec, TreePath};
use orlop_spec::media_type::OCI_LAYER_GZIP;
use orlop_spec::port::{Hints, Name, Sink as _};
use orlop_spec::{Algorithm, Cancel, Context, Limits};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use testkit::fault::under;
use testkit::scratch::scratch_in_memory;
use testkit::suites::describe;
use testkit::tarball::{Member, tar};
use testkit::{Command, proof};

/// Tells a child what to do: `WORK|FAULT|FOLDER`.
const CHILD: &str = "ORLOP_OSTREE_CRASH";

/// Something that changes a place.
struct Work {
    name: &'static str,
    mode: Mode,
    /// What is there before.
    prepare: fn(&Path, Mode),
    run: fn(&Path, Mode) -> orlop_spec::port::Result<()>,
    after: fn(&Path),
}

const WORKS: [Work; 7] = [
    Work {
        name: "the first commit of an archive",
        mode: Mode::Archive,
        prepare: trees,
        run: new,
        after: has_new,
    },
    Work {
        name: "the first commit, bare-user",
        mode: Mode::BareUser,
        prepare: trees,
        run: new,
        after: has_new,
    },
    Work { name: "a second commit", mode: Mode::BareUser, prepare: old, run: new, after: has_both },
    Work { name: "a checkout", mode: Mode::Archive, prepare: old, run: out, after: is_out },
    Work { name: "an image is kept", mode: Mode::BareUser, prepare: empty, run: keep_app, after: has_app },
    Work { name: "an image on a base", mode: Mode::Archive, prepare: base, run: keep_app, after: has_app },
    Work { name: "layers are pruned", mode: Mode::BareUser, prepare: forgotten, run: prune, after: has_base },
];

/// The seam is one for the whole process, so one test has it at a time.
static SEAM: Mutex<()> = Mutex::new(());

#[test]
fn a_killed_commit_leaves_whole_commits_and_succeeds_again() {
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    proof::ran("crash: commits of OSTree killed at every file operation", hit("kill", &killed));
}

#[test]
fn a_failing_disk_leaves_whole_commits_and_a_commit_succeeds_again() {
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    let cases = hit("eio", &failed) + hit("enospc", &failed);
    proof::ran("crash: commits of OSTree failed at every file operation with EIO and ENOSPC", cases);
}

/// Whether a work under a fault was hit by it.
type Run = dyn Fn(&Work, &str, &Path) -> bool;

fn hit(fault: &str, run: &Run) -> usize {
    WORKS.iter().map(|work| hit_every_step(work, fault, run)).sum()
}

/// Hits the first operation, then the second, until the work ends before it is hit; how many there were.
fn hit_every_step(work: &Work, fault: &str, run: &Run) -> usize {
    for step in 1.. {
        let (scratch, what) = (scratch_in_memory(), format!("{}: {fault} {step}", work.name));
        let place = scratch.root();
        (work.prepare)(place, work.mode);
        if !run(work, &format!("{fault}:{step}"), place) {
            assert!(step > 5, "{what}: the seam saw too little");
            (work.after)(place);
            return step - 1;
        }
        whole(place, &what);
        if step % 4 == 1 || testkit::full() {
            real_fsck(place, &what);
        }
        // A checkout that was killed has left a target, which it does not take for its own.
        std::fs::remove_dir_all(place.join("out")).ok();
        (work.run)(place, work.mode).unwrap_or_else(|error| panic!("{what}, again: {error}"));
        (work.after)(place);
        whole(place, &what);
        let left = std::fs::read_dir(place.join("repo/tmp")).expect("listed").count();
        assert_eq!(left, 1, "{what}: only the cache is left");
    }
    unreachable!("a work ends")
}

fn failed(work: &Work, fault: &str, place: &Path) -> bool {
    let (outcome, was_hit) = under(fault, || (work.run)(place, work.mode));
    assert!(outcome.is_ok() || was_hit, "{} fails by itself: {outcome:?}", work.name);
    was_hit
}

/// The same in a process of its own, which dies.
fn killed(work: &Work, fault: &str, place: &Path) -> bool {
    let task = format!("{}|{fault}|{}", work.name, place.display());
    let this = std::env::current_exe().expect("a test program knows its path");
    !Command::new(this).args(["--exact", "child"]).env(CHILD, task).run().success()
}

/// Not a test of its own: what a child process does.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let [work, fault, place] = task.splitn(3, '|').collect::<Vec<_>>()[..] else { panic!("{task}") };
    let work = WORKS.iter().find(|known| known.name == work).expect("a known work");
    seam::install(seam::from_text(fault).expect("a known fault"));
    (work.run)(Path::new(place), work.mode).expect("whoever lives has done its work");
    seam::clear();
}

fn with<T>(work: impl FnOnce(&Context<'_>) -> T) -> T {
    let (cancel, limits) = (Cancel::new(), Limits::default());
    work(&Context { observer: &(), cancel: &cancel, limits: &limits, workers: NonZeroUsize::MIN })
}

/// Every ref names a commit that is whole.
fn whole(place: &Path, what: &str) {
    let repo = place.join("repo");
    if !repo.join("config").exists() {
        return;
    }
    with(|cx| {
        let repo = Repo::open(&repo, cx.limits).expect(what);
        for image in kept::images(&repo).expect(what) {
            for layer in image.note.layers() {
                assert!(repo.keeps(&layer).expect(what), "{what}: {} lacks {}", image.spec, layer.digest);
            }
        }
        for (spec, id) in repo.refs().expect(what) {
            if spec.to_string().starts_with("os/") {
                assert!(repo.detached(&id).expect(what).is_some(), "{what}: {spec} without what was signed");
            }
            for ObjectName { id, kind } in
                repo.reach(cx, &id).unwrap_or_else(|error| panic!("{what}: {spec}: {error}"))
            {
                match kind {
                    Kind::File => drop(repo.file(&id).and_then(|file| file.content(1 << 30)).expect(what)),
                    kind => drop(repo.raw(&ObjectName::new(id, kind)).expect(what)),
                }
            }
        }
    });
}

fn real_fsck(place: &Path, what: &str) {
    let repo = place.join("repo");
    if let Some(ostree) = testkit::peer::peer("ostree").filter(|_| repo.join("config").exists()) {
        let done = ostree.command().args(["fsck", "-q", &format!("--repo={}", repo.display())]).run();
        assert!(done.success(), "{what}: {}{}", done.out(), done.err());
    }
}

fn trees(place: &Path, _: Mode) {
    for tree in ["old.tree", "new.tree"] {
        std::fs::create_dir_all(place.join(tree).join("d")).expect("made");
        std::fs::write(place.join(tree).join("same"), "the same").expect("written");
        std::fs::write(place.join(tree).join("d/f"), tree).expect("written");
        std::os::unix::fs::symlink("f", place.join(tree).join("d/l")).expect("linked");
    }
    // Beyond what is held in memory, and soon compressed.
    let large = b"large ".repeat(750_000);
    std::fs::write(place.join("new.tree/large"), large).expect("written");
}

fn commit(place: &Path, mode: Mode, name: &str) -> Result<(), Error> {
    with(|cx| {
        let repo = Repo::create(&place.join("repo"), mode, cx.limits)?;
        let transaction = repo.begin(cx)?;
        let folder = Dir::open(place.join(format!("{name}.tree")))?;
        let root = write_folder(cx, &transaction, &folder, FolderOptions::default())?.root;
        let (subject, body) = (name.to_owned(), String::new());
        let (metadata, tree, meta) = (Dict::new(), root.tree, root.meta);
        let commit = Commit { metadata, parent: None, related: vec![], subject, body, time: 1, tree, meta };
        let id = transaction.put(Kind::Commit, &commit.to_bytes())?;
        transaction.detached(&id, &Dict::new().to_bytes())?;
        transaction.set_ref(&format!("os/{name}").parse::<RefSpec>()?, Some(&id));
        transaction.finish().map(drop)
    })
}

fn old(place: &Path, mode: Mode) {
    trees(place, mode);
    commit(place, mode, "old").expect("committed");
}

fn new(place: &Path, mode: Mode) -> orlop_spec::port::Result<()> {
    Ok(commit(place, mode, "new")?)
}

fn out(place: &Path, _: Mode) -> orlop_spec::port::Result<()> {
    with(|cx| {
        let repo = Repo::open(&place.join("repo"), cx.limits)?;
        let id = repo.resolve("os/old")?;
        let options = CheckoutOptions {
            owners: Owners::User,
            existing: Existing::Refuse,
            ..CheckoutOptions::default()
        };
        Ok(checkout(cx, &repo, &id, &TreePath::root(), &place.join("out"), &options).map(drop)?)
    })
}

/// An image of one layer, or the one on top of it, whose upper layer cannot be made again.
fn image(name: &str) -> world::Image {
    let (lower, upper) =
        (tar([Member::file("a", "lower")]), tar([Member::file(".wh.a", ""), Member::file("b", "upper")]));
    let base = world::image(&[&lower], Codec::GZIP);
    if name == "base" {
        return base;
    }
    let foreign = testkit::image::gzip(&upper);
    let foreign = (describe(OCI_LAYER_GZIP, Algorithm::Sha256, &foreign), foreign);
    world::of_blobs(&[&lower, &upper], vec![base.blobs[0].clone(), foreign])
}

fn empty(place: &Path, mode: Mode) {
    with(|cx| Repo::create(&place.join("repo"), mode, cx.limits)).expect("made");
}

fn keep(place: &Path, name: &str) -> orlop_spec::port::Result<()> {
    with(|cx| {
        let (repo, image) = (Repo::open(&place.join("repo"), cx.limits)?, image(name));
        let sink = KeptSink::new(repo, name, *cx)?;
        for (blob, bytes) in &image.blobs {
            sink.put(blob, bytes, &Hints::default())?;
        }
        Box::new(sink).finish(&[(Name::Untagged, image.root)])
    })
}

fn keep_app(place: &Path, _: Mode) -> orlop_spec::port::Result<()> {
    keep(place, "app")
}

fn base(place: &Path, mode: Mode) {
    empty(place, mode);
    keep(place, "base").expect("kept");
}

fn forgotten(place: &Path, mode: Mode) {
    base(place, mode);
    keep(place, "app").expect("kept");
    let repo = Repo::open(&place.join("repo"), &world::LIMITS).expect("a repository");
    let transaction = repo.begin(&world::cx()).expect("it begins");
    transaction.set_ref(&"ostree/container/image/app".parse().expect("a ref"), None);
    transaction.finish().expect("it ends");
}

fn prune(place: &Path, _: Mode) -> orlop_spec::port::Result<()> {
    with(|cx| Repo::open(&place.join("repo"), cx.limits)?.remove_layers(cx, Which::Unused).map(drop))
}

fn has_app(place: &Path) {
    image("app").comes_back(&world::kept(&place.join("repo"), "app"));
}

fn has_base(place: &Path) {
    image("base").comes_back(&world::kept(&place.join("repo"), "base"));
    let repo = Repo::open(&place.join("repo"), &world::LIMITS).expect("a repository");
    assert_eq!(repo.kept_layers().expect("listed").len(), 1, "the other layer went");
    let left = repo.foresee_removal(&world::cx(), Which::Unused).expect("readable");
    assert_eq!(left.objects.removed, 0, "and all that it needed");
}

fn has(place: &Path, names: &[&str]) {
    let repo = with(|cx| Repo::open(&place.join("repo"), cx.limits)).expect("a repository");
    let refs = repo.refs().expect("listed").into_iter().map(|(spec, _)| spec.to_string()).collect::<Vec<_>>();
    assert_eq!(refs, names);
}

fn has_new(place: &Path) {
    has(place, &["os/new"]);
}

fn has_both(place: &Path) {
    has(place, &["os/new", "os/old"]);
}

fn is_out(place: &Path) {
    let read = |name: &str| std::fs::read_to_string(place.join("out").join(name)).expect("readable");
    assert_eq!((read("same").as_str(), read("d/f").as_str()), ("the same", "old.tree"));
}
