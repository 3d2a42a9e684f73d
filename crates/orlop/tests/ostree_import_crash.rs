//! Every changing file operation of an import is hit once: the process dies before it, it fails with EIO, or the disk is full
//! from there on. Afterwards the ref names the commit from before or the new one, each of them whole, no object is
//! another than its name says, and the same import, done again, succeeds.
//!
//! An import that is to die runs in a child process of this test program.

use orlop::host::ostree::repo::{Mode, Repo};
use orlop::host::ostree::{Kind, ObjectId, ObjectName, RefSpec};
use orlop::image::Image;
use orlop::ostree::target::{CommitWish, commit};
use orlop::spec::port::{Result, Selector};
use orlop::spec::{Cancel, Context, Limits, Platform};
use orlop_fs::seam;
use orlop_store::{Layout, Options};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use testkit::fault::under;
use testkit::image::{self, Packing};
use testkit::scratch::scratch_in_memory;
use testkit::tarball::{Member, tar};
use testkit::{Command, Scratch, full, proof};

/// Tells a child what to do: `NUMBER OF THE WORK|FAULT|IMAGES|REPOSITORY`.
const CHILD: &str = "ORLOP_IMPORT_CRASH";

/// Where it goes, and by how many threads.
type Work = (Mode, usize);

const WORKS: [Work; 2] = [(Mode::Archive, 3), (Mode::BareUser, 1)];

/// The seam is one for the whole process, so one test has it at a time.
static SEAM: Mutex<()> = Mutex::new(());

#[test]
fn a_killed_import_leaves_whole_commits_and_succeeds_again() {
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    let cases = WORKS.iter().map(|work| hit_every_step(*work, "kill", &killed)).sum();
    proof::ran("crash: imports into OSTree killed at every file operation", cases);
}

#[test]
fn a_failing_disk_leaves_whole_commits_and_an_import_succeeds_again() {
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    let each = |fault: &str| WORKS.iter().map(|work| hit_every_step(*work, fault, &failed)).sum::<usize>();
    let cases = each("eio") + each("enospc");
    proof::ran("crash: imports into OSTree failed at every file operation with EIO and ENOSPC", cases);
}

/// Two layers, of which the upper one replaces and removes; a content that is passed on in pieces.
fn layers() -> [Vec<u8>; 2] {
    let lower = [
        Member::file("same", "the same"),
        Member::file("replaced", "loses"),
        Member::folder("d"),
        Member::file("d/gone", "loses too"),
        Member::symlink("d/link", "../same"),
        Member::file("large", vec![7; (4 << 20) + 1]),
    ];
    let upper = [Member::file("replaced", "wins"), Member::file("d/.wh.gone", "")];
    [tar(lower), tar(upper)]
}

/// Two images.
fn images() -> Scratch {
    let scratch = scratch_in_memory();
    let old = [tar([Member::file("same", "the same")])];
    image::Image::of(&old, Packing::Plain).layout().write(&scratch.path("old"));
    image::Image::of(&layers(), Packing::Plain).layout().write(&scratch.path("new"));
    scratch
}

/// A repository that has a commit already.
fn prepare(images: &Path, place: &Path, work: Work) -> ObjectId {
    with(work.1, |cx| Repo::create(place, work.0, cx.limits).map(drop)).expect("made");
    import(images, place, work, "old").expect("imported")
}

fn import(images: &Path, place: &Path, (_, workers): Work, which: &str) -> Result<ObjectId> {
    let layout = Layout::open(images.join(which), &Options::default())?;
    with(workers, |cx| {
        let repo = Repo::open(place, cx.limits).expect("a repository");
        let image = Image::fetch(cx, &layout, &Selector::Only, &Platform::new("linux", "amd64", None))?;
        Ok(commit(cx, &image, &repo, &spec(), &CommitWish::default())?.id)
    })
}

fn spec() -> RefSpec {
    "os/stable".parse().expect("a ref")
}

fn with<T>(workers: usize, work: impl FnOnce(&Context<'_>) -> T) -> T {
    let (cancel, limits) = (Cancel::new(), Limits::default());
    let workers = NonZeroUsize::new(workers).expect("some");
    work(&Context { observer: &(), cancel: &cancel, limits: &limits, workers })
}

/// Whether an import under a fault was hit by it.
type Run = dyn Fn(Work, &str, &Path, &Path) -> bool;

/// Hits the first operation, then the second (every third, in the gate), until the import ends before it is hit; how many
/// were hit. An import by several threads may need one more or less from run to run.
fn hit_every_step(work: Work, fault: &str, run: &Run) -> usize {
    let (images, stride) = (images(), if full() { 1 } else { 3 });
    let images = images.root();
    let new = {
        let scratch = scratch_in_memory();
        prepare(images, scratch.root(), work);
        import(images, scratch.root(), work, "new").expect("nothing is in the way")
    };
    for step in (1..).step_by(stride) {
        let (scratch, what) = (scratch_in_memory(), format!("{work:?}: {fault} {step}"));
        let place = scratch.root();
        let old = prepare(images, place, work);
        if !run(work, &format!("{fault}:{step}"), images, place) {
            assert!(step > 20, "{what}: the seam saw too little");
            return step / stride;
        }
        let named = whole(place, &what);
        assert!(named == old || named == new, "{what}: {named}");
        let again =
            import(images, place, work, "new").unwrap_or_else(|fault| panic!("{what}, again: {fault}"));
        assert_eq!((again, whole(place, &what)), (new, new), "{what}");
        let left = std::fs::read_dir(place.join("tmp")).expect("listed").count();
        assert_eq!(left, 1, "{what}: only the cache is left");
    }
    unreachable!("an import ends")
}

fn failed(work: Work, fault: &str, images: &Path, place: &Path) -> bool {
    let (outcome, was_hit) = under(fault, || import(images, place, work, "new"));
    if let Err(fault) = outcome {
        assert!(was_hit, "{work:?} fails by itself: {fault}");
        let told = fault.to_string();
        assert!(told.contains("cannot") || told.contains("no space"), "the message says what failed: {told}");
    }
    was_hit
}

/// The same in a process of its own, which dies.
fn killed(work: Work, fault: &str, images: &Path, place: &Path) -> bool {
    let number = WORKS.iter().position(|known| *known == work).expect("a known work");
    let task = format!("{number}|{fault}|{}|{}", images.display(), place.display());
    let this = std::env::current_exe().expect("a test program knows its path");
    !Command::new(this).args(["--exact", "child"]).env(CHILD, task).run().success()
}

/// Not a test of its own: what a child process does.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let [number, fault, images, place] = task.split('|').collect::<Vec<_>>()[..] else { panic!("{task}") };
    let work = WORKS[number.parse::<usize>().expect("a number")];
    seam::install(seam::from_text(fault).expect("a known fault"));
    import(Path::new(images), Path::new(place), work, "new").expect("whoever lives has done its work");
    seam::clear();
}

/// What the ref names, which is whole. Every object is what its name says.
fn whole(place: &Path, what: &str) -> ObjectId {
    with(1, |cx| {
        let repo = Repo::open(place, cx.limits).expect(what);
        let named = repo.find_ref(&spec()).expect(what).expect("it had a commit before");
        let reached = repo.reach(cx, &named).unwrap_or_else(|error| panic!("{what}: {error}"));
        let there = repo.list(&[Kind::Commit, Kind::DirTree, Kind::DirMeta, Kind::File]).expect(what);
        for ObjectName { id, kind } in reached.into_iter().chain(there) {
            match kind {
                Kind::File => drop(repo.file(&id).and_then(|file| file.content(1 << 30)).expect(what)),
                kind => drop(repo.raw(&ObjectName::new(id, kind)).expect(what)),
            }
        }
        named
    })
}
