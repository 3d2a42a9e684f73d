//! Laws of sweeps of a store: what nobody relies on goes, all else stays.

mod stored;

use orlop_fs::Dir;
use orlop_fs::lock::{Share, Wait};
use orlop_spec::Kind;
use orlop_spec::port::{Heap, Keeper as _, Source as _, Sweep};
use orlop_store::store::roots::Roots;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};
use stored::{diff_id, files, forget, holds, image, image_of, layer, open, publish, settle, sweep};
use testkit::scratch::{Scratch, scratch_in_memory};
use testkit::suites::Sample;
use testkit::suites::copy::by_tag;

/// A store with an image that is named, and one whose name was taken away.
fn one_of_two() -> (Scratch, std::path::PathBuf, Sample) {
    let scratch = scratch_in_memory();
    let place = scratch.path("store");
    publish(&place, "named", &image("ab"));
    publish(&place, "gone", &image("bcd"));
    forget(&place, "gone");
    settle();
    (scratch, place, image("ab"))
}

/// Objects that are there, by the first digits of their names.
fn contents(place: &Path) -> usize {
    files(place).iter().filter(|path| path.starts_with("objects")).count()
}

#[test]
fn what_no_name_reaches_goes_and_shared_contents_stay() {
    let (_scratch, place, named) = one_of_two();
    assert_eq!(contents(&place), 4);
    let swept = sweep(&place);
    assert!(holds(&place, "named", &named));
    assert_eq!(contents(&place), 2, "a and b are the named image's");
    assert_eq!(swept.removed.len(), 2, "manifest and config: {:?}", swept.removed);
    let [forms, layers, contents] = &swept.heaps[..] else { panic!("{:?}", swept.heaps) };
    assert_eq!((forms.what, forms.count), ("forms", 1));
    assert_eq!((layers.what, layers.count), ("layers", 1));
    assert_eq!(*contents, Heap { what: "contents", count: 2, bytes: 200 });
    assert_eq!((swept.young, swept.litter), (0, 0));
    assert_eq!(sweep(&place), orlop_spec::port::Swept::default(), "nothing is left for a second one");
}

#[test]
fn a_dry_run_tells_the_same_and_removes_nothing() {
    let (_scratch, place, _) = one_of_two();
    let before = files(&place);
    let told = open(&place).sweep(Duration::ZERO, Sweep::DryRun).expect("swept");
    assert_eq!(files(&place), before);
    assert_eq!(sweep(&place), told);
    assert_ne!(files(&place), before);
}

#[test]
fn what_is_younger_than_the_grace_stays() {
    let (_scratch, place, _) = one_of_two();
    let before = files(&place);
    let swept = open(&place).sweep(Duration::from_secs(3600), Sweep::Remove).expect("swept");
    assert_eq!(files(&place), before);
    assert_eq!(
        (swept.removed.len(), swept.young),
        (0, 4),
        "2 documents, a form, and a list, which keeps its contents"
    );
}

#[test]
fn a_run_keeps_what_it_touched_and_what_came_since_it_began() {
    let scratch = scratch_in_memory();
    let place = scratch.path("store");
    let old = image("ab");
    publish(&place, "old", &old);
    publish(&place, "unused", &image("cd"));
    settle();
    let run = open(&place);
    run.resolve(&by_tag("old")).expect("it is there");
    publish(&place, "late", &image("ef"));
    for name in ["old", "unused", "late"] {
        forget(&place, name);
    }
    settle();
    sweep(&place);
    old.check(&run);
    image("ef").check(&run);
    assert_eq!(contents(&place), 4, "what was not touched since is gone");
    drop(run);
    sweep(&place);
    assert_eq!(contents(&place), 0);
}

#[test]
fn what_a_mount_or_a_container_uses_stays() {
    let scratch = scratch_in_memory();
    let place = scratch.path("store");
    let (mounted, rendered) = (image("ab"), layer("cd"));
    publish(&place, "mounted", &mounted);
    publish(&place, "rendered", &image_of(std::slice::from_ref(&rendered)));
    for tree in ["a-tree", "another"] {
        fs::create_dir(place.join("trees").join(tree)).expect("made");
    }
    let folder = |path: &str| {
        fs::create_dir(place.join(path)).expect("made");
        Dir::open(place.join(path)).expect("a folder")
    };
    let used = Roots { images: vec![mounted.root.clone()], ..Roots::default() };
    let mount = folder("mounts/one");
    used.write(&mount).expect("written");
    // As whoever makes it does, until it says what is mounted.
    let lock = mount.lock(Share::Exclusive, Wait::Yes).expect("locked");
    let used = Roots { layers: vec![diff_id(&rendered)], trees: vec!["a-tree".into()], ..Roots::default() };
    used.write(&folder("runs/one")).expect("written");
    forget(&place, "mounted");
    forget(&place, "rendered");
    settle();
    sweep(&place);
    mounted.check(&open(&place));
    assert_eq!(contents(&place), 4);
    assert!(place.join("trees/a-tree").is_dir() && !place.join("trees/another").exists());
    drop(lock);
    fs::remove_dir_all(place.join("runs/one")).expect("ended");
    sweep(&place);
    assert_eq!(contents(&place), 0);
    assert!(!place.join("trees/a-tree").exists());
}

#[test]
fn a_tree_stays_as_long_as_an_image_of_its_layers() {
    let scratch = scratch_in_memory();
    let place = scratch.path("store");
    let layers = [layer("ab"), layer("cd")];
    publish(&place, "image", &image_of(&layers));
    let chain = orlop_spec::ChainId::of(&layers.map(|layer| diff_id(&layer))).expect("layers");
    let tree = place.join("trees").join(format!("{}-erofs", chain.0.hex()));
    fs::create_dir(&tree).expect("made");
    fs::write(tree.join("image"), [1; 5000]).expect("written");
    settle();
    assert_eq!(sweep(&place).heaps, []);
    forget(&place, "image");
    let trees = sweep(&place).heaps.into_iter().find(|heap| heap.what == "trees").expect("it went");
    assert_eq!(trees.count, 1);
    assert!(trees.bytes >= 5000 && !tree.exists());
}

#[test]
fn old_litter_goes_and_parts_under_way_stay() {
    let (_scratch, place, _) = one_of_two();
    let litter = ["objects", "objects/ab", "layers", "names", "leases", "trees", ".", "blobs/sha256"];
    for folder in litter {
        fs::create_dir_all(place.join(folder)).expect("made");
        fs::write(place.join(folder).join(".orlop-tmp-aaaaaaaaaaaa"), "left").expect("written");
    }
    fs::create_dir(place.join("trees/.orlop-tmp-bbbbbbbbbbbb")).expect("made");
    fs::write(place.join("leases/dead"), "").expect("written");
    let part = place.join("blobs/sha256/.orlop-tmp-part-abc");
    fs::write(&part, "under way").expect("written");
    let writer = Dir::open(place.join("blobs/sha256")).expect("a folder");
    let locked = writer.lock_file(".orlop-tmp-part-abc", Share::Exclusive, Wait::No);
    settle();
    assert_eq!(sweep(&place).litter, litter.len() + 1);
    assert!(part.exists() && !place.join("leases/dead").exists());
    drop(locked);
    assert_eq!(sweep(&place).litter, 1);
    assert!(files(&place).iter().all(|path| !path.to_string_lossy().contains("orlop-tmp")));
}

#[test]
fn what_cannot_be_read_stops_the_sweep_before_it_removes() {
    let (_scratch, place, _) = one_of_two();
    let before = files(&place);
    let broken = place.join("names").join("broken");
    fs::write(&broken, "{").expect("written");
    let fault = stored::try_sweep(&place).expect_err("what the name reaches is not known");
    assert_eq!(fault.kind(), Kind::Integrity, "{fault}");
    fs::remove_file(broken).expect("removed");
    assert_eq!(files(&place), before);
    for list in fs::read_dir(place.join("layers/sha256")).expect("a folder").flatten() {
        fs::remove_file(list.path()).expect("removed");
        fs::write(list.path(), "no list").expect("written");
    }
    let fault = stored::try_sweep(&place).expect_err("what the lists hold is not known");
    assert_eq!(fault.kind(), Kind::Integrity, "{fault}");
    assert_eq!(contents(&place), 4, "no content went");
}

#[test]
fn names_that_are_not_the_stores_are_left_alone() {
    let (_scratch, place, _) = one_of_two();
    let others = ["blobs/sha256/notes", "objects/notes", "objects/61/notes", "layers/sha256/notes", "notes"];
    for other in others {
        fs::create_dir_all(place.join(other).parent().expect("a folder")).expect("made");
        fs::write(place.join(other), "mine").expect("written");
    }
    settle();
    sweep(&place);
    assert!(others.iter().all(|other| place.join(other).exists()));
}

#[test]
fn nothing_is_old_while_a_lease_is_from_the_future() {
    let (_scratch, place, _) = one_of_two();
    let run = open(&place);
    let _lease = run.lease().expect("begun");
    let lease =
        fs::read_dir(place.join("leases")).expect("a folder").flatten().next().expect("a lease").path();
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    fs::File::open(lease).expect("there").set_modified(tomorrow).expect("set");
    assert_eq!(sweep(&place).removed, []);
}
