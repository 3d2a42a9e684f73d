//! Random trees, random edits on the disk.
//!
//! Laws: `unpack(repack(edit(unpack(image)))) = edit(unpack(image))`, in every aspect of every file; what the
//! comparison tells is nothing exactly where nothing was changed; `revert(edit(unpack(image))) = unpack(image)`, whatever no
//! image can hold was strewn among it.

use crate::world::{NOW, THEN, World};
use orlop::fs::owner::Owner;
use orlop::fs::track::{Renew, Strays, Trust};
use orlop::track::Look;
use proptest::prelude::*;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use testkit::dump::{differences, dump};
use testkit::{full, is_root};

/// What somebody does to a folder. What cannot be done is left.
#[derive(Clone, Debug)]
enum Edit {
    Write(Spot, u8),
    Folder(Spot),
    Remove(Spot),
    Rename(Spot, Spot),
    Link(Spot, Spot),
    Symlink(Spot, u8),
    Fifo(Spot),
    Mode(Spot, u16),
    Owner(Spot, u32),
    Attribute(Spot, u8),
    Unset(Spot),
    Touch(Spot, i64),
    /// Written in place: the names that share the file stay together.
    Append(Spot, u8),
    /// As an editor does: a new file is renamed over the old one.
    Rewrite(Spot, u8),
    /// Times back to what they were, as some archivers do.
    Sneak(Spot),
}

/// A path of one to three names.
type Spot = Vec<u8>;

fn path(root: &Path, spot: &Spot) -> PathBuf {
    spot.iter().fold(root.to_path_buf(), |path, name| path.join(["a", "b", "c", "d"][usize::from(*name)]))
}

fn spot() -> impl Strategy<Value = Spot> {
    prop::collection::vec(0..4_u8, 1..4)
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (spot(), 0..4_u8).prop_map(|(spot, content)| Edit::Write(spot, content)),
        3 => spot().prop_map(Edit::Folder),
        2 => spot().prop_map(Edit::Remove),
        2 => (spot(), spot()).prop_map(|(from, to)| Edit::Rename(from, to)),
        3 => (spot(), spot()).prop_map(|(from, to)| Edit::Link(from, to)),
        1 => (spot(), 0..3_u8).prop_map(|(spot, to)| Edit::Symlink(spot, to)),
        1 => spot().prop_map(Edit::Fifo),
        2 => (spot(), prop::sample::select(vec![0o755, 0o644, 0o700, 0o4755, 0o1777, 0o555])).prop_map(|(spot, mode)| Edit::Mode(spot, mode)),
        1 => (spot(), 0..3_u32).prop_map(|(spot, owner)| Edit::Owner(spot, owner)),
        1 => (spot(), 0..3_u8).prop_map(|(spot, value)| Edit::Attribute(spot, value)),
        1 => spot().prop_map(Edit::Unset),
        1 => (spot(), prop::sample::select(vec![0, 1, 1_000_000_000, -5])).prop_map(|(spot, time)| Edit::Touch(spot, time)),
        1 => (spot(), 0..4_u8).prop_map(|(spot, content)| Edit::Append(spot, content)),
        1 => (spot(), 0..4_u8).prop_map(|(spot, content)| Edit::Rewrite(spot, content)),
        1 => spot().prop_map(Edit::Sneak),
    ]
}

fn edits(most: usize) -> impl Strategy<Value = Vec<Edit>> {
    prop::collection::vec(edit(), 0..most)
}

fn content(number: u8) -> Vec<u8> {
    [&b"x"[..], b"y", b"", &[7; 5000]][usize::from(number)].to_vec()
}

fn do_all(root: &Path, edits: &[Edit]) {
    for edit in edits {
        // Whether it can be done depends on what is there; both ways are cases.
        let _done = do_one(root, edit);
    }
}

fn do_one(root: &Path, edit: &Edit) -> std::io::Result<()> {
    match edit {
        Edit::Write(spot, number) => {
            let path = path(root, spot);
            fs::create_dir_all(path.parent().expect("below the root"))?;
            if path.exists() { Ok(()) } else { fs::write(path, content(*number)) }
        }
        Edit::Folder(spot) => fs::create_dir_all(path(root, spot)),
        Edit::Remove(spot) => remove(&path(root, spot)),
        Edit::Rename(from, to) => {
            remove(&path(root, to)).ok();
            fs::rename(path(root, from), path(root, to))
        }
        Edit::Link(from, to) => fs::hard_link(path(root, from), path(root, to)),
        Edit::Symlink(spot, to) => symlink(["a", "/b/../c", "nowhere"][usize::from(*to)], path(root, spot)),
        Edit::Fifo(spot) => {
            let path = path(root, spot);
            Ok(rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o644.into(), 0)?)
        }
        Edit::Mode(spot, mode) => {
            let path = path(root, spot);
            let is_link = fs::symlink_metadata(&path)?.is_symlink();
            if is_link {
                Ok(())
            } else {
                fs::set_permissions(path, fs::Permissions::from_mode((*mode).into()))
            }
        }
        Edit::Owner(spot, owner) => std::os::unix::fs::lchown(path(root, spot), Some(*owner), Some(*owner)),
        Edit::Attribute(spot, value) => {
            let flags = rustix::fs::XattrFlags::empty();
            Ok(rustix::fs::lsetxattr(path(root, spot), "user.a", &[*value], flags)?)
        }
        Edit::Unset(spot) => Ok(rustix::fs::lremovexattr(path(root, spot), "user.a")?),
        Edit::Touch(spot, time) => touch(&path(root, spot), *time, 5),
        Edit::Append(spot, number) => {
            let path = path(root, spot);
            if !fs::symlink_metadata(&path)?.is_file() {
                return Ok(());
            }
            fs::OpenOptions::new().append(true).open(path)?.write_all(&content(*number))
        }
        Edit::Rewrite(spot, number) => {
            let (path, aside) = (path(root, spot), root.join("aside"));
            if !fs::symlink_metadata(&path)?.is_file() {
                return Ok(());
            }
            fs::write(&aside, content(*number))?;
            fs::rename(aside, path)
        }
        Edit::Sneak(spot) => sneak(&path(root, spot)),
    }
}

/// Another content of the same size, and the times as they were.
fn sneak(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_file() {
        return Ok(());
    }
    fs::write(path, vec![b'z'; usize::try_from(meta.len()).expect("small")])?;
    touch(path, meta.mtime(), meta.mtime_nsec())
}

fn touch(path: &Path, seconds: i64, nanoseconds: i64) -> std::io::Result<()> {
    let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?)
}

fn remove(path: &Path) -> std::io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// What no image can hold, in the place of whatever is there.
#[derive(Clone, Debug)]
enum Stray {
    Socket(Spot),
    File(Spot),
    Folder(Spot),
}

fn stray() -> impl Strategy<Value = Stray> {
    prop_oneof![spot().prop_map(Stray::Socket), spot().prop_map(Stray::File), spot().prop_map(Stray::Folder)]
}

fn strew(root: &Path, strays: &[Stray]) -> usize {
    strays.iter().filter(|stray| strew_one(root, stray).is_ok()).count()
}

fn strew_one(root: &Path, stray: &Stray) -> std::io::Result<()> {
    let reserved = |spot: &Spot| {
        let path = path(root, spot);
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        path.with_file_name(format!(".wh.{name}"))
    };
    match stray {
        Stray::Socket(spot) => {
            let path = path(root, spot);
            let folder = path.parent().expect("below the root");
            fs::create_dir_all(folder)?;
            if path.symlink_metadata().is_ok() {
                remove(&path)?;
            }
            std::os::unix::net::UnixListener::bind(&path).map(drop)
        }
        Stray::File(spot) => fs::write(reserved(spot), "x"),
        Stray::Folder(spot) => {
            fs::create_dir(reserved(spot))?;
            fs::write(reserved(spot).join("a"), "x")?;
            symlink("a", reserved(spot).join(".wh.b"))
        }
    }
}

fn holds(first: &[Edit], second: &[Edit], then: &[Edit], strays: &[Stray]) {
    let world = World::new(if is_root() { Owner::Exact } else { Owner::Squash });
    fs::create_dir(world.path("tree")).expect("a folder");
    do_all(&world.path("tree"), first);
    world.build(&["tree"]);
    world.unpack(THEN, "root", Some(THEN));
    let look = Look::default();
    let unpacked = dump(&world.path("root"));
    assert_eq!(world.changes("root", &look), [], "nothing was changed");
    assert!(!world.repack("root", &look, Renew::No).expect("repacked"));
    assert_eq!(world.root(THEN), world.root(NOW), "no digest changes");

    // What is told from here on, facts tell.
    world.settle("root");
    do_all(&world.path("root"), second);
    let changed = dump(&world.path("root"));
    let made = world.repack("root", &look, Renew::No).expect("repacked");
    assert_eq!(made, !differences(&unpacked, &changed, &[]).is_empty());
    world.unpack(NOW, "again", None);
    assert_eq!(differences(&changed, &dump(&world.path("again")), &[]), []);
    let paranoid = Look { trust: Trust::Nothing, ..Look::default() };
    assert_eq!(world.changes("root", &paranoid), world.changes("root", &look));

    let all = Look { strays: Strays::Added, ..Look::default() };
    let without = world.changes("root", &all);
    assert_eq!(without, world.changes("root", &look), "there are none");
    let count = strew(&world.path("root"), strays);
    let told = world.changes("root", &all);
    assert!(count == 0 || !told.is_empty(), "one is there, though it may have the place of what was told");
    let reverted = world.revert("root", THEN).expect("reverted");
    assert_eq!((reverted.changes, reverted.left), (told, vec![]));
    assert_eq!(world.changes("root", &all), []);
    assert_eq!(differences(&unpacked, &dump(&world.path("root")), &[]), []);
    assert_eq!(world.changes("root", &look), []);

    // The snapshot follows, and the next layer lies on this one.
    do_all(&world.path("root"), second);
    world.repack("root", &look, Renew::Yes).expect("repacked");
    let refreshed = dump(&world.path("root"));
    assert_eq!(world.changes("root", &look), [], "the snapshot is of what is now");
    do_all(&world.path("root"), then);
    let last = dump(&world.path("root"));
    let had = world.root(NOW);
    let made = world.repack("root", &look, Renew::No).expect("repacked");
    assert_eq!(made, world.root(NOW) != had);
    world.unpack(NOW, "last", None);
    assert_eq!(differences(&last, &dump(&world.path("last")), &[]), []);
    if !made {
        return;
    }
    world.publish("base", world.tracked("root").about.manifest);
    world.revert("root", "base").expect("reverted");
    assert_eq!(differences(&refreshed, &dump(&world.path("root")), &[]), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if full() { 3000 } else { 150 }, ..ProptestConfig::default() })]

    #[test]
    fn repacked_is_what_was_edited_and_reverted_what_was_not(
        first in edits(30), second in edits(20), then in edits(10),
        strays in prop::collection::vec(stray(), 0..6)
    ) {
        holds(&first, &second, &then, &strays);
    }
}
