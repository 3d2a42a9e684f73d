//! Laws of views: the kernel shows what layers mean, whichever way, and nothing else.

use crate::world::{World, check, cx, offered};
use orlop_fs::namespace::Ids;
use orlop_spec::digest::DiffId;
use orlop_store::error::Error;
use orlop_store::store::view::{Backend, Choice, Owners};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use testkit::proof;

#[test]
fn every_backend_shows_what_the_layers_mean() {
    const PROOF: &str = "views: every backend shows what the layers mean";
    let world = World::new();
    let offered = offered(PROOF, &world);
    let layers = world.layers();
    for backend in &offered {
        let shown = world.show(&layers, *backend, None).expect("shown");
        check(&shown.0);
        let refused = fs::write(shown.0.join("new"), "").expect_err("nothing can be written");
        assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        drop(shown);

        let (up, work) = (world.scratch.folder("up,p\\e r"), world.scratch.folder("work"));
        let shown = world.show(&layers, *backend, Some((&up, &work))).expect("shown");
        check(&shown.0);
        fs::write(shown.0.join("bin/tool"), "changed").expect("written");
        fs::set_permissions(shown.0.join("same"), fs::Permissions::from_mode(0o600)).expect("set");
        fs::remove_file(shown.0.join("short")).expect("removed");
        assert_eq!(fs::read(shown.0.join("bin/tool")).expect("read"), b"changed");
        drop(shown);
        fs::remove_dir_all(up).expect("removed");
        fs::remove_dir_all(work).expect("removed");
        check(&world.show(&layers, *backend, None).expect("shown").0);
    }
    if !offered.is_empty() {
        proof::ran(PROOF, offered.len());
    }
}

#[test]
fn a_view_is_made_once_and_found_again() {
    let world = World::new();
    let layers = world.layers();
    let owners = Owners::of(&Ids::All);
    for backend in Backend::ALL {
        assert!(!world.store.has_view(&layers, backend, &owners).expect("asked"));
        let view = || world.store.view(&cx(), &layers, backend, &owners).expect("a view");
        let folder = world.view(view().key());
        let first = fs::metadata(&folder).expect("there");
        let again = fs::metadata(world.view(view().key())).expect("there");
        assert_eq!(first.ino(), again.ino());
        assert!(again.mtime_nsec() != first.mtime_nsec() || again.mtime() != first.mtime(), "it was touched");
        assert!(world.store.has_view(&layers, backend, &owners).expect("asked"));
    }
    let names: Vec<_> = fs::read_dir(world.view("")).expect("a folder").collect();
    assert_eq!(names.len(), Backend::ALL.len(), "{names:?}");
}

/// Whoever comes second finds what the first one made.
#[test]
fn makers_at_once_leave_one_view() {
    let world = World::new();
    let layers = world.layers();
    let owners = Owners::of(&Ids::All);
    for backend in Backend::ALL {
        std::thread::scope(|scope| {
            let make = || world.store.view(&cx(), &layers, backend, &owners).map(drop);
            let makers: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
            for maker in makers {
                maker.join().expect("no panic").expect("made or found");
            }
        });
    }
    let names: Vec<_> = fs::read_dir(world.view("")).expect("a folder").collect();
    assert_eq!(names.len(), Backend::ALL.len(), "{names:?}");
}

#[test]
fn a_mount_that_shows_something_else_is_not_shown() {
    const PROOF: &str = "views: a mount that shows something else is refused";
    let world = World::new();
    let offered = offered(PROOF, &world);
    let layers = world.layers();
    for backend in &offered {
        drop(world.show(&layers, *backend, None).expect("shown"));
        // The sample is the smallest object: `folder/above`. Its content is changed below the view's feet.
        let key = world.store.view(&cx(), &layers, *backend, &Owners::of(&Ids::All)).expect("a view");
        let content = match backend {
            Backend::Checkout => world.view(key.key()).join("root/folder/above"),
            _ => object(world.store.path(), 1000),
        };
        fs::set_permissions(&content, fs::Permissions::from_mode(0o644)).expect("set");
        fs::write(&content, b"x".repeat(1000)).expect("written");
        let refused = world.show(&layers, *backend, None).err().expect("another content");
        assert!(matches!(refused.downcast_ref(), Some(Error::ShownWrong { .. })), "{refused:?}");
        fs::remove_file(&content).expect("removed");
        let refused = world.show(&layers, *backend, None).err().expect("no content");
        assert!(matches!(refused.downcast_ref(), Some(Error::ShownWrong { .. })), "{refused:?}");
        fs::write(&content, b"a".repeat(1000)).expect("written");
        check(&world.show(&layers, *backend, None).expect("shown again").0);
    }
    if !offered.is_empty() {
        proof::ran(PROOF, offered.len());
    }
}

/// The object of a size.
fn object(store: &Path, size: u64) -> PathBuf {
    let shards = fs::read_dir(store.join("objects")).expect("a folder").map(|it| it.expect("read").path());
    let files = shards.flat_map(|shard| fs::read_dir(shard).expect("a folder"));
    let mut paths = files.map(|file| file.expect("read").path());
    paths.find(|path| fs::metadata(path).expect("there").len() == size).expect("an object of that size")
}

/// Without a word from the kernel, the next backend is tried, and the last one always works.
#[test]
fn what_is_wrong_by_one_backend_is_shown_by_the_next() {
    const PROOF: &str = "views: what fails by one backend is shown by the next";
    let world = World::new();
    if offered(PROOF, &world).len() < 2 {
        return;
    }
    let layers = world.layers();
    let aside = world.scratch.folder("aside");
    let show = || world.store.show(&cx(), &layers, Choice::Auto, &aside, None).expect("shown");
    let (first, mount) = show();
    drop(mount);
    let mut seen = vec![first.backend()];
    while seen.last() != Some(&Backend::Checkout) {
        let view = world.store.view(&cx(), &layers, *seen.last().expect("one"), &Owners::of(&Ids::All));
        let sample = world.view(view.expect("a view").key()).join("sample");
        let text = fs::read_to_string(&sample).expect("read");
        let line = text.lines().next().expect("a line").replace("\"size\":1000", "\"size\":1001") + "\n";
        let proof = orlop_spec::Digest::of(orlop_spec::Algorithm::Sha256, line.as_bytes()).hex();
        let text = format!("{line}sha256 {proof}\n");
        fs::set_permissions(&sample, fs::Permissions::from_mode(0o644)).expect("set");
        fs::write(&sample, text).expect("written");
        let (next, mount) = show();
        drop(mount);
        assert!(!seen.contains(&next.backend()), "{seen:?}");
        seen.push(next.backend());
    }
    proof::ran(PROOF, seen.len());
}

#[test]
fn a_view_of_a_layer_that_is_not_there_is_refused() {
    let world = World::new();
    let mut layers = world.layers();
    layers.push(DiffId(orlop_spec::Digest::of(orlop_spec::Algorithm::Sha256, b"nothing")));
    for backend in Backend::ALL {
        let refused = world.store.view(&cx(), &layers, backend, &Owners::of(&Ids::All)).err();
        let refused = refused.expect("a layer is missing");
        assert!(matches!(refused.downcast_ref(), Some(Error::NoSuchLayer { .. })), "{refused:?}");
    }
    assert!(fs::read_dir(world.view("")).expect("a folder").next().is_none());
}
