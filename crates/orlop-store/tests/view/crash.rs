//! Every changing file operation of a mount is hit once by SIGKILL: whoever comes next finds a mount or nothing.

use crate::mounts::wanted;
use crate::world::{World, check, cx, offered};
use orlop_fs::mount::{InUse, Whose, attached, unmount};
use orlop_fs::seam;
use orlop_spec::digest::DiffId;
use orlop_store::Store;
use orlop_store::store::Options;
use orlop_store::store::mounts::{Access, State, Wanted};
use orlop_store::store::view::Backend;
use std::fs;
use std::path::Path;
use testkit::scratch::Scratch;
use testkit::{Command, proof};

/// Tells a child what to do: `BACKEND|FAULT|STORE|PLACE|LAYER|LAYER`.
const CHILD: &str = "ORLOP_STORE_MOUNT_CRASH";

#[test]
fn a_killed_mount_leaves_nothing_that_the_next_does_not_clean() {
    const PROOF: &str = "crash: a mount killed at every file operation";
    let (mut cases, world) = (0, World::new());
    for backend in offered(PROOF, &world) {
        // Each in a long run, and every third one else: a process and a disk for each take their time.
        let mut step = 1;
        while !hit(&World::new(), backend, step) {
            step += if testkit::full() { 1 } else { 3 };
            cases += 1;
        }
        assert!(step > 20, "the seam saw too little: {step}");
    }
    if cases > 0 {
        proof::ran(PROOF, cases);
    }
}

/// Kills a mount before its `step`th operation, and looks at what is left; whether it ended before.
fn hit(world: &World, backend: Backend, step: usize) -> bool {
    let (layers, place) = (world.layers(), world.scratch.folder("place"));
    let _clean = Clean(&world.scratch);
    let is_done = child_is_done(world, backend, step, &layers);

    let left = world.store.mounted().expect("listed");
    let what = format!("{backend}, step {step}: {left:?}");
    assert!(left.iter().all(|it| it.state == State::Here && it.place == place), "{what}");
    assert_eq!(mounts_below(&world.scratch), left.len(), "{what}");
    assert!(!is_done || left.len() == 1, "{what}");
    for mounted in &left {
        check(&mounted.place);
        world.unmount(mounted);
    }
    let names = fs::read_dir(world.store.path().join("mounts")).expect("a folder");
    let names = names.map(|it| it.expect("read").file_name().into_string().expect("text"));
    let is_litter = |name: &String| name.starts_with("probed-") || name.starts_with(".orlop-tmp-");
    let names: Vec<_> = names.filter(|name| !is_litter(name)).collect();
    assert!(names.is_empty(), "{what}: {names:?}");

    let again = world.store.mount(&cx(), &work(&layers, backend, &place)).expect(&what);
    check(&again.place);
    world.unmount(&again);
    is_done
}

fn child_is_done(world: &World, backend: Backend, step: usize, layers: &[DiffId]) -> bool {
    let paths = [world.store.path().to_owned(), world.scratch.path("place")];
    let words = [backend.word().to_owned(), format!("kill:{step}")]
        .into_iter()
        .chain(paths.map(|path| path.to_str().expect("text").to_owned()))
        .chain(layers.iter().map(ToString::to_string));
    let task = words.collect::<Vec<_>>().join("|");
    let this = std::env::current_exe().expect("a test program knows its path");
    Command::new(this).args(["--exact", "crash::child"]).env(CHILD, task).run().success()
}

fn work<'a>(layers: &'a [DiffId], backend: Backend, place: &'a Path) -> Wanted<'a> {
    Wanted { access: Access::Writable, ..wanted(layers, backend, Some(place)) }
}

/// Leaves no mount behind, whatever became of the test.
struct Clean<'a>(&'a Scratch);

impl Drop for Clean<'_> {
    fn drop(&mut self) {
        for left in attached(Whose::Own).expect("listed").iter().rev() {
            if left.place.starts_with(self.0.root()) {
                unmount(&left.place, InUse::Detach).ok();
            }
        }
    }
}

fn mounts_below(scratch: &Scratch) -> usize {
    let attached = attached(Whose::Own).expect("listed");
    attached.iter().filter(|it| it.place.starts_with(scratch.root())).count()
}

/// Not a test of its own: what a child process does.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let [backend, fault, store, place, layers @ ..] = &task.split('|').collect::<Vec<_>>()[..] else {
        panic!("{task}")
    };
    let backend = Backend::ALL.into_iter().find(|it| it.word() == *backend).expect("a backend");
    let layers: Vec<_> = layers.iter().map(|it| DiffId(it.parse().expect("a digest"))).collect();
    let store = Store::open(store, &Options::default()).expect("a store");
    let world = World { scratch: testkit::scratch(), store };
    seam::install(seam::from_text(fault).expect("a known fault"));
    let mounted = world.store.mount(&cx(), &work(&layers, backend, Path::new(place)));
    seam::clear();
    mounted.expect("whoever lives has mounted");
}
