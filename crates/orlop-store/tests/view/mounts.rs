//! Laws of mounts: what is mounted is known until it is unmounted, and keeps what it shows.

use crate::world::{World, check, cx, offered};
use orlop_fs::Error as FileError;
use orlop_fs::mount::{InUse, unmount};
use orlop_spec::digest::DiffId;
use orlop_store::error::Error;
use orlop_store::store::mounts::{Access, Mounted, State, Wanted};
use orlop_store::store::view::{Backend, Choice};
use std::fs;
use std::path::Path;
use testkit::proof;

pub(crate) fn wanted<'a>(layers: &'a [DiffId], backend: Backend, place: Option<&'a Path>) -> Wanted<'a> {
    let (choice, access) = (Choice::Only(backend), Access::ReadOnly);
    Wanted { name: "app:1", image: None, layers, choice, access, place }
}

/// Unmounts when it is dropped, whatever became of the test.
struct Guard(Mounted);

impl Drop for Guard {
    fn drop(&mut self) {
        unmount(&self.0.place, InUse::Detach).ok();
    }
}

impl World {
    fn mount(&self, wanted: &Wanted<'_>) -> Guard {
        Guard(self.store.mount(&cx(), wanted).expect("mounted"))
    }

    fn mounted(&self) -> Vec<Mounted> {
        self.store.mounted().expect("listed")
    }

    /// The folders of mounts.
    fn folders(&self) -> Vec<String> {
        let names = fs::read_dir(self.store.path().join("mounts")).expect("a folder");
        let names = names.map(|it| it.expect("read").file_name().into_string().expect("text"));
        names.filter(|name| !name.starts_with("probed-")).collect()
    }
}

#[test]
fn a_mount_is_known_until_it_is_unmounted() {
    const PROOF: &str = "mounts: known until they are unmounted, by every backend";
    let world = World::new();
    let offered = offered(PROOF, &world);
    let layers = world.layers();
    let place = world.scratch.folder("a place").canonicalize().expect("a path");
    for backend in &offered {
        for place in [None, Some(&*place)] {
            let guard = world.mount(&wanted(&layers, *backend, place));
            let mounted = &guard.0;
            check(&mounted.place);
            assert_eq!((mounted.state, &*mounted.backend), (State::Here, backend.word()));
            if let Some(place) = place {
                assert_eq!(mounted.place, place);
            }
            assert_eq!(world.mounted(), std::slice::from_ref(mounted));
            world.unmount(mounted);
            assert!(world.mounted().is_empty() && world.folders().is_empty());
        }
    }
    if !offered.is_empty() {
        proof::ran(PROOF, offered.len() * 2);
    }
}

#[test]
fn a_place_that_is_taken_is_refused() {
    let world = World::new();
    if offered("mounts: a place that is taken is refused", &world).is_empty() {
        return;
    }
    let layers = world.layers();
    let full = world.scratch.folder("full");
    fs::write(full.join("file"), "").expect("written");
    let at = |place: &Path| world.store.mount(&cx(), &wanted(&layers, Backend::Checkout, Some(place))).err();
    let refused = at(&full).expect("it is not empty");
    assert!(matches!(refused.downcast_ref(), Some(Error::WouldHide { .. })), "{refused:?}");
    at(&full.join("file")).expect("it is a file");
    assert!(at(&full.join("nothing")).expect("it is not there").to_string().contains("nothing"));
    let place = world.scratch.folder("place");
    let guard = world.mount(&wanted(&layers, Backend::Checkout, Some(&place)));
    let refused = at(&place).expect("it is a mount");
    assert!(matches!(refused.downcast_ref(), Some(Error::IsAMount { .. })), "{refused:?}");
    assert_eq!(world.folders().len(), 1, "nothing is left of what was refused");
    drop(guard);
}

#[test]
fn a_mount_in_use_stays_unless_it_is_detached() {
    let world = World::new();
    if offered("mounts: one in use stays", &world).is_empty() {
        return;
    }
    let layers = world.layers();
    let guard = world.mount(&wanted(&layers, Backend::Checkout, None));
    let held = fs::File::open(guard.0.place.join("bin/tool")).expect("opened");
    let refused = world.store.unmount(&guard.0, InUse::Refuse).expect_err("it is in use");
    assert!(matches!(refused.downcast_ref(), Some(FileError::MountInUse(_))), "{refused:?}");
    assert_eq!(world.mounted().len(), 1);
    world.store.unmount(&guard.0, InUse::Detach).expect("detached");
    assert!(world.mounted().is_empty() && world.folders().is_empty());
    assert_eq!(held.metadata().expect("still open").len(), 100_000);
}

/// A loss of power may keep the name of a record, and not its bytes.
#[test]
fn an_empty_record_is_of_nothing_that_is_mounted() {
    let world = World::new();
    let folder = world.store.path().join("mounts/lost");
    for change in [false, true] {
        fs::create_dir_all(folder.join("upper")).expect("made");
        fs::write(folder.join("mount"), "").expect("written");
        if change {
            fs::write(folder.join("upper/new"), "mine").expect("written");
        }
        let left = world.mounted();
        assert_eq!(
            left.iter().map(|it| it.state).collect::<Vec<_>>(),
            vec![State::Gone; usize::from(change)]
        );
        assert_eq!(folder.join("upper/new").exists(), change);
    }
    world.store.unmount(&world.mounted()[0], InUse::Refuse).expect("given up");
    assert!(world.folders().is_empty());
}

#[test]
fn changes_stay_until_they_are_given_up() {
    const PROOF: &str = "mounts: changes stay when somebody else unmounts";
    let world = World::new();
    let offered = offered(PROOF, &world);
    let layers = world.layers();
    for backend in &offered {
        for access in [Access::Writable, Access::Scratch] {
            for change in [None, Some("new")] {
                let guard = world.mount(&Wanted { access, ..wanted(&layers, *backend, None) });
                check(&guard.0.place);
                if let Some(name) = change {
                    fs::write(guard.0.place.join(name), "mine").expect("written");
                }
                // By somebody who knows nothing of the store.
                unmount(&guard.0.place, InUse::Detach).expect("unmounted");
                let left = world.mounted();
                if access == Access::Writable && change.is_some() {
                    assert_eq!(left.iter().map(|it| it.state).collect::<Vec<_>>(), [State::Gone]);
                    let new = world.store.path().join("mounts").join(&*left[0].id).join("upper/new");
                    assert_eq!(fs::read(new).expect("kept"), b"mine");
                    world.store.unmount(&left[0], InUse::Refuse).expect("given up");
                }
                assert!(world.mounted().is_empty() && world.folders().is_empty());
            }
        }
    }
    if !offered.is_empty() {
        proof::ran(PROOF, offered.len() * 4);
    }
}

/// Two who look at once, or one who looks while another one makes a mount: what is mounted is told.
#[test]
fn a_mount_that_somebody_else_looks_at_is_told() {
    let world = World::new();
    if offered("mounts: looked at by two", &world).is_empty() {
        return;
    }
    let layers = world.layers();
    let guard = world.mount(&wanted(&layers, Backend::Checkout, None));
    let folder = world.store.path().join("mounts").join(world.folders().remove(0));
    let other = orlop_fs::Dir::open(&folder).expect("a folder");
    let _lock = other.lock(orlop_fs::lock::Share::Exclusive, orlop_fs::lock::Wait::No).expect("free");
    assert_eq!(world.mounted(), std::slice::from_ref(&guard.0));
}
