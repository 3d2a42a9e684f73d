//! Mounts of the kernel: attached, listed, taken away, and whatever bytes their paths hold.

use orlop_fs::mount::{InUse, Mount, Overlay, Whose, attached, unmount};
use orlop_fs::overlay::Flavour;
use orlop_fs::{Dir, Error};
use std::fs;
use std::path::{Path, PathBuf};
use testkit::{Scratch, is_root, proof};

const PROOF: &str = "mounts: attached, listed and taken away";

/// Folders whose names mean something to the kernel's options, each with a file.
fn folders(scratch: &Scratch) -> (PathBuf, PathBuf) {
    let (lower, upper) = (scratch.folder("a:b,c\\d e"), scratch.folder("u:p,p\\e r"));
    fs::write(lower.join("f"), "lower").expect("written");
    fs::create_dir(upper.join("up")).expect("made");
    fs::create_dir(upper.join("work")).expect("made");
    (lower, upper)
}

fn overlay(lower: &Path, upper: &Path) -> Mount {
    let (up, work) = (upper.join("up"), upper.join("work"));
    let overlay =
        Overlay { lower: &[lower], data: &[], upper: Some((&up, &work)), flavour: Flavour::Trusted };
    Mount::overlay(&overlay).expect("mounted")
}

fn count(place: &Path) -> usize {
    attached(Whose::Own).expect("listed").iter().filter(|it| it.place == place).count()
}

#[test]
fn what_is_mounted_is_listed_until_it_is_taken_away() {
    if !is_root() {
        return proof::not_offered(PROOF, "only root may mount");
    }
    let scratch = testkit::scratch();
    let (lower, upper) = folders(&scratch);
    let place = scratch.folder("pla\\ce\nhere").canonicalize().expect("a path");
    let mount = overlay(&lower, &upper);
    let read = |root: &Dir| root.open_file("f").and_then(|mut file| file.read_to_limit(9)).expect("read");
    assert_eq!(read(&mount.root().expect("a root")), b"lower", "before it is at a place");
    assert_eq!(count(&place), 0);
    mount.attach(&place).expect("attached");
    assert_eq!(count(&place), 1);
    fs::write(place.join("f"), "upper").expect("written");
    assert_eq!(fs::read(upper.join("up/f")).expect("read"), b"upper");

    let held = fs::File::open(place.join("f")).expect("opened");
    let refused = unmount(&place, InUse::Refuse).expect_err("it is in use");
    assert!(matches!(refused, Error::MountInUse(_)), "{refused:?}");
    assert_eq!(count(&place), 1);
    unmount(&place, InUse::Detach).expect("taken away");
    assert_eq!(count(&place), 0);
    drop(held);
    unmount(&place, InUse::Refuse).expect_err("nothing is mounted there");

    Mount::folder(&lower).expect("mounted").attach(&place).expect("attached");
    assert_eq!(fs::read(place.join("f")).expect("read"), b"lower");
    let refused = fs::write(place.join("f"), "x").expect_err("nothing is written through it");
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    fs::write(lower.join("f"), "changed").expect("the folder itself stays as it is");
    unmount(&place, InUse::Refuse).expect("taken away");
    proof::ran(PROOF, 4);
}
