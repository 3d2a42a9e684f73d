//! What is believed of a snapshot, and what is not.

use crate::world::{NOW, THEN, World};
use orlop::fs::owner::Owner;
use orlop::fs::scan::Unrepresentable;
use orlop::fs::snapshot::{Content, Facts, Groups, RecordId, Snapshot, Stamp, What};
use orlop::fs::track::{self, Hash, Renew, Strays, Tracked, Trust};
use orlop::fs::{Dir, FileKind};
use orlop::layer::Xattrs;
use orlop::spec::{Algorithm, Digest, Limits};
use orlop::track::Look;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use testkit::is_root;

fn world() -> World {
    let world = World::new(if is_root() { Owner::Exact } else { Owner::Squash });
    let tree = world.path("tree");
    fs::create_dir_all(tree.join("d")).expect("folders");
    for (name, content) in [("a", "aaaa"), ("d/b", "bbbb"), ("z", "zzzz")] {
        fs::write(tree.join(name), content).expect("a file");
    }
    fs::hard_link(tree.join("a"), tree.join("d/a")).expect("a further name");
    world.build(&["tree"]);
    world
}

fn fifo(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o644.into(), 0).expect("made");
}

fn read(world: &World, trust: Trust) -> u64 {
    let look = Look { trust, ..Look::default() };
    let tracked = world.tracked("root");
    tracked.compare(&world.cx(), &look, None, (Hash::Doubtful, Renew::No)).expect("compared").read
}

/// As git does it: what is as new as the snapshot may have been changed right after the look.
#[test]
fn what_is_as_new_as_the_snapshot_is_hashed() {
    let world = world();
    world.unpack(THEN, "root", Some(THEN));
    assert_eq!(read(&world, Trust::Nothing), 12);
    let keep = |now: i64| {
        let tracked = world.tracked("root");
        let mut snapshot = tracked.folder.snapshot;
        let newest = fs::metadata(world.path("root/z")).expect("there").ctime();
        snapshot.now = Some(orlop::layer::Time::from_seconds(newest + now));
        tracked.folder.place.write(&snapshot).expect("written");
    };
    keep(10);
    assert_eq!(read(&world, Trust::Facts), 0, "times long before the snapshot are believed");
    keep(-10);
    assert_eq!(read(&world, Trust::Facts), 12, "times after it are not");
    assert_eq!(world.changes("root", &Look::default()), []);
}

/// The content of the same size, with the time that it had: the ctime tells.
#[test]
fn a_change_behind_an_old_time_is_found() {
    let world = world();
    world.unpack(THEN, "root", Some(THEN));
    world.settle("root");
    assert_eq!(read(&world, Trust::Facts), 0, "what has the facts that it had is believed");
    let file = world.path("root/z");
    let meta = fs::metadata(&file).expect("there");
    fs::write(&file, "ZZZZ").expect("written");
    let time = rustix::fs::Timespec { tv_sec: meta.mtime(), tv_nsec: meta.mtime_nsec() };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, &file, &times, rustix::fs::AtFlags::empty()).expect("set");
    let changes = world.changes("root", &Look::default());
    assert_eq!(changes.iter().map(|it| it.path.to_string()).collect::<Vec<_>>(), ["z"]);
    assert!(world.repack("root", &Look::default(), Renew::No).expect("repacked"));
    world.unpack(NOW, "again", None);
    assert_eq!(fs::read(world.path("again/z")).expect("there"), b"ZZZZ");
}

/// Between the look and the reading, somebody puts something else there: nothing is published.
#[test]
fn a_file_that_becomes_another_meanwhile_fails_the_repack() {
    for trick in ["fifo", "folder", "grown", "gone", "link"] {
        let world = world();
        world.unpack(THEN, "root", Some(THEN));
        let file = world.path("root/d/new");
        fs::write(&file, "new").expect("written");
        let tracked = world.tracked("root");
        let cx = world.cx();
        let compared =
            tracked.compare(&cx, &Look::default(), None, (Hash::Doubtful, Renew::No)).expect("compared");
        fs::remove_file(&file).expect("removed");
        match trick {
            "fifo" => fifo(&file),
            "folder" => fs::create_dir(&file).expect("made"),
            "grown" => fs::write(&file, "longer").expect("written"),
            "link" => std::os::unix::fs::symlink("/etc/passwd", &file).expect("linked"),
            _ => {}
        }
        let told = world.publish_layer(&tracked, &compared).expect_err("it is not what was looked at");
        assert!(
            told.to_string().contains("changed while it was read") || format!("{told:?}").contains("Changed"),
            "{trick}: {told:?}"
        );
        assert!(world.find(NOW).is_none(), "{trick}: nothing is published");
    }
}

/// What another tool wrote down: no inode numbers, no ctimes, whole seconds, and hard links only by their number.
fn foreign(root: &Path, groups: Groups) -> Snapshot {
    let mut snapshot = Snapshot::new(if is_root() { Owner::Exact } else { Owner::Squash }, groups);
    let mut open = vec![(0, String::new(), root.to_path_buf())];
    while let Some((depth, name, path)) = open.pop() {
        let meta = fs::symlink_metadata(&path).expect("there");
        let facts = Facts {
            mode: u16::try_from(meta.mode() & 0o7777).ok(),
            uid: Some(meta.uid()),
            gid: Some(meta.gid()),
            mtime: Some(Stamp::Seconds(meta.mtime())),
            size: meta.is_file().then_some(meta.len()),
            links: Some(meta.nlink()),
            ..Facts::default()
        };
        let what = if meta.is_dir() {
            What::Directory
        } else {
            let digest = Digest::of(Algorithm::Sha256, &fs::read(&path).expect("a file"));
            What::File(Content { sha256: digest.bytes().try_into().ok(), origin: None })
        };
        let at = (depth, name.as_bytes());
        snapshot.push(at, facts, Some(&Xattrs::new()), what, &Limits::default()).expect("in order");
        if meta.is_dir() {
            let mut names: Vec<String> = fs::read_dir(&path)
                .expect("a folder")
                .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
                .collect();
            names.sort_unstable_by(|one, other| other.cmp(one));
            open.extend(names.into_iter().map(|name| (depth + 1, name.clone(), path.join(name))));
        }
    }
    snapshot
}

fn told(root: &Path, snapshot: &Snapshot) -> Vec<String> {
    let limits = Limits::default();
    let how = track::Compare {
        trust: Trust::Facts,
        hash: Hash::Doubtful,
        renew: Renew::No,
        masks: &[],
        strays: Strays::LeftOut(Unrepresentable::Refuse),
        journal: None,
        now: None,
        limits: &limits,
        observer: &(),
        cancel: &orlop::spec::Cancel::new(),
    };
    let compared = track::compare(&Dir::open(root).expect("a folder"), snapshot, &how).expect("compared");
    compared.layer().entries().map(|(entry, _)| entry.path.to_string()).collect()
}

#[test]
fn what_a_snapshot_does_not_know_is_not_compared() {
    let world = world();
    world.unpack(THEN, "root", Some(THEN));
    let root = world.path("root");
    let snapshot = foreign(&root, Groups::Unknown);
    assert!(track::is_of(&snapshot, &Dir::open(&root).expect("a folder").stat_self().expect("a folder")));
    assert_eq!(
        told(&root, &snapshot),
        Vec::<String>::new(),
        "hard links, parts of seconds and inodes are not known"
    );
    fs::write(root.join("z"), "ZZZZ").expect("written");
    let mut expected = vec!["z".to_owned()];
    assert_eq!(told(&root, &snapshot), expected, "the content is known");
    fs::set_permissions(root.join("d/b"), fs::Permissions::from_mode(0o600)).expect("set");
    expected = vec!["d".into(), "d/b".into(), "z".into()];
    assert_eq!(told(&root, &snapshot), expected);
    fs::write(root.join("d/a"), "aaaA").expect("written");
    expected = vec!["a".into(), "d".into(), "d/a".into(), "d/b".into(), "z".into()];
    assert_eq!(told(&root, &snapshot), expected, "both names of one file");
}

#[test]
fn a_name_that_left_its_file_is_told_by_the_number_of_names() {
    let world = world();
    world.unpack(THEN, "root", Some(THEN));
    let root = world.path("root");
    let snapshot = foreign(&root, Groups::Unknown);
    fs::copy(root.join("a"), root.join("d/copy")).expect("copied");
    fs::rename(root.join("d/copy"), root.join("d/a")).expect("renamed");
    let told = told(&root, &snapshot);
    assert!(told.contains(&"a".to_owned()) && told.contains(&"d/a".to_owned()), "{told:?}");
}

#[test]
fn a_snapshot_of_another_folder_is_known_by_its_root() {
    let world = world();
    world.unpack(THEN, "root", Some(THEN));
    let tracked = Tracked::open(&world.path("root"), orlop::fs::lock::Share::Shared, &Limits::default())
        .expect("tracked");
    let stat = tracked.root.stat_self().expect("a folder");
    assert_eq!(stat.kind, FileKind::Directory);
    assert!(track::is_of(&tracked.snapshot, &stat));
    assert_eq!(tracked.snapshot.record(RecordId::ROOT).facts.ino, Some(stat.ino));
    let other = Dir::open(world.path("tree")).expect("a folder").stat_self().expect("a folder");
    assert!(!track::is_of(&tracked.snapshot, &other));
}
