//! Laws of folders, files, temporary files and locks, on a real file system.

mod scratch;

use orlop_fs::copy::{self, Cheap};
use orlop_fs::lock::{Share, Wait};
use orlop_fs::{Dir, Error, FileKind, Persist, Temp};
use scratch::{Scratch, Who, again_as};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::symlink;

#[test]
fn a_name_is_one_component() {
    let scratch = Scratch::new();
    for name in ["", ".", "..", "a/b", "/etc/passwd", "a\0b"] {
        assert!(matches!(scratch.dir().stat(name), Err(Error::NotAName(_))), "{name:?}");
        assert!(matches!(scratch.dir().make_dir(name, 0o755), Err(Error::NotAName(_))), "{name:?}");
    }
}

#[test]
fn missing_parents_are_made_once() {
    let scratch = Scratch::new();
    let deep = scratch.path().join("a/b/c");
    Dir::create_all(&deep).expect("made");
    Dir::create_all(&deep).expect("already there");
    assert!(deep.is_dir());
    std::fs::write(scratch.path().join("file"), b"").expect("written");
    assert!(Dir::create_all(scratch.path().join("file/below")).is_err());
}

#[test]
fn p10_a_fifo_is_refused_at_once() {
    let scratch = Scratch::new();
    scratch.run("mkfifo", &["pipe"]);
    assert!(matches!(scratch.dir().open_file("pipe"), Err(Error::NotRegular(_))));
    assert!(matches!(scratch.dir().open_file_for_writing("pipe"), Err(Error::NotRegular(_))));
    assert!(matches!(scratch.dir().open_beneath("pipe"), Err(Error::NotRegular(_))));
}

#[test]
fn p1_links_are_not_followed_by_name() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().join("file"), b"x").expect("written");
    symlink("file", scratch.path().join("link")).expect("linked");
    symlink(".", scratch.path().join("here")).expect("linked");
    assert!(scratch.dir().open_file("link").is_err());
    assert!(scratch.dir().open_dir("here").is_err());
    assert_eq!(scratch.dir().stat("link").expect("there").kind, FileKind::Symlink);
    assert_eq!(&*scratch.dir().read_link("link").expect("a link"), b"file");
}

#[test]
fn p1_beneath_means_beneath() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.path().join("root/a/b")).expect("made");
    std::fs::write(scratch.path().join("canary"), b"secret").expect("written");
    std::fs::write(scratch.path().join("root/a/file"), b"inside").expect("written");
    for (target, link) in [
        ("../file", "root/a/b/up"),
        ("up", "root/a/b/chain"),
        ("../../../canary", "root/a/b/out"),
        ("/etc/passwd", "root/absolute"),
        ("/proc/self/root/etc/passwd", "root/magic"),
        ("loop", "root/loop"),
    ] {
        symlink(target, scratch.path().join(link)).expect("linked");
    }
    let root = scratch.dir().open_dir("root").expect("there");
    for path in ["a/file", "a/b/up", "a/b/chain", "./a//b/../file"] {
        let mut text = String::new();
        root.open_beneath(path).expect(path).read_to_string(&mut text).expect("read");
        assert_eq!(text, "inside", "{path}");
    }
    for path in ["a/b/out", "absolute", "magic", "../canary", "/etc/passwd"] {
        assert!(matches!(root.open_beneath(path), Err(Error::Escapes { .. })), "{path}");
    }
    assert!(matches!(root.open_beneath("loop"), Err(Error::Io { .. })));
    assert!(root.open_beneath("missing").expect_err("missing").is_not_found());
    assert!(matches!(root.open_beneath("a"), Err(Error::NotRegular(_))));
}

#[test]
fn a_temporary_file_appears_whole_or_not_at_all() {
    let scratch = Scratch::new();
    let dir = scratch.dir();
    let mut temp = dir.create_temp().expect("created");
    temp.write_all(b"new").expect("written");
    assert!(dir.is_empty().expect("listed"), "no name yet");
    temp.persist("name", Persist::New).expect("named");
    assert_eq!(std::fs::read(scratch.path().join("name")).expect("read"), b"new");

    let mut second = dir.create_temp().expect("created");
    second.write_all(b"newer").expect("written");
    assert!(second.persist("name", Persist::New).expect_err("taken").is_exists());

    let mut third = dir.create_temp().expect("created");
    third.write_all(b"newest").expect("written");
    let mut file = third.persist("name", Persist::Replace).expect("replaced");
    file.seek(SeekFrom::Start(0)).expect("sought");
    assert_eq!(file.read_to_limit(6).expect("six bytes"), b"newest");
    drop(dir.create_temp().expect("created"));
    assert_eq!(dir.list().expect("listed"), [Box::from(&b"name"[..])]);
}

#[test]
fn what_a_killed_writer_of_a_name_left_is_removed_by_the_next_and_nothing_else_is() {
    let scratch = Scratch::new();
    let dir = scratch.dir();
    let (stale, live) = (".name.orlop-aaaaaaaaaaaa", ".name.orlop-bbbbbbbbbbbb");
    let others = [".name.orlop-short", ".name.orlop-AAAAAAAAAAAA", ".other.orlop-aaaaaaaaaaaa"];
    for name in [stale, live].iter().chain(&others) {
        std::fs::write(scratch.path().join(name), b"").expect("written");
    }
    let lock = dir.lock_file(live, Share::Exclusive, Wait::No).expect("locked").expect("nobody has it");
    drop(Temp::beside(dir.try_clone().expect("cloned"), "name").expect("created"));
    let there = |name: &str| scratch.path().join(name).exists();
    assert!(!there(stale) && there(live) && others.iter().all(|name| there(name)));
    drop(lock);
    drop(Temp::beside(dir.try_clone().expect("cloned"), "name").expect("created"));
    assert!(!there(live) && others.iter().all(|name| there(name)));
}

#[test]
fn more_than_the_limit_is_too_large() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().join("file"), b"four").expect("written");
    let read = |limit| scratch.dir().open_file("file").expect("opened").read_to_limit(limit);
    assert_eq!(read(4).expect("fits"), b"four");
    assert!(matches!(read(3), Err(Error::TooLarge { limit: 3, .. })));
}

#[test]
fn a_lock_excludes_and_ends_with_its_guard() {
    let scratch = Scratch::new();
    let dir = scratch.dir();
    let shared = dir.lock(Share::Shared, Wait::No).expect("asked").expect("free");
    assert!(dir.lock(Share::Shared, Wait::No).expect("asked").is_some());
    assert!(dir.lock(Share::Exclusive, Wait::No).expect("asked").is_none());
    drop(shared);
    assert!(dir.lock(Share::Exclusive, Wait::Yes).expect("asked").is_some());
    std::fs::write(scratch.path().join("file"), b"").expect("written");
    let alone = dir.lock_file("file", Share::Exclusive, Wait::No).expect("asked").expect("free");
    assert!(dir.lock_file("file", Share::Shared, Wait::No).expect("asked").is_none());
    drop(alone);
}

#[test]
fn removal_never_leaves_the_tree_and_no_tree_is_too_deep() {
    if !again_as(Who::Few, "removal_never_leaves_the_tree_and_no_tree_is_too_deep") {
        return;
    }
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path().join("outside")).expect("made");
    std::fs::write(scratch.path().join("outside/canary"), b"").expect("written");
    let dir = scratch.dir();
    dir.make_dir("tree", 0o755).expect("made");
    let mut folder = dir.open_dir("tree").expect("there");
    for _ in 0..1500 {
        folder.make_dir("deeper", 0o755).expect("made");
        folder.create_file("file", 0o644).expect("created");
        folder = folder.open_dir("deeper").expect("there");
    }
    symlink("../outside", scratch.path().join("tree/link")).expect("linked");
    dir.remove_all("tree").expect("removed");
    dir.remove_all("tree").expect("nothing there is no error");
    assert_eq!(dir.list().expect("listed"), [Box::from(&b"outside"[..])]);
    assert!(scratch.path().join("outside/canary").exists());
}

#[test]
fn names_change_places_in_one_step() {
    let scratch = Scratch::new();
    let dir = scratch.dir();
    dir.make_dir("folder", 0o755).expect("made");
    dir.create_file("file", 0o644).expect("created");
    dir.exchange("folder", dir, "file").expect("exchanged");
    assert_eq!(dir.stat("file").expect("there").kind, FileKind::Directory);
    assert!(dir.rename_new("folder", dir, "file").expect_err("taken").is_exists());
    dir.rename_new("folder", dir, "free").expect("free");
    dir.rename("free", dir, "again").expect("renamed");
    std::fs::write(scratch.path().join("kept"), b"kept").expect("written");
    assert!(dir.rename_new("again", dir, "kept").expect_err("taken").is_exists());
    assert_eq!(std::fs::read(scratch.path().join("kept")).expect("read"), b"kept");
    assert!(dir.try_stat("free").expect("asked").is_none());
}

#[test]
fn bytes_pass_within_the_kernel_where_they_can() {
    let scratch = Scratch::new();
    let dir = scratch.dir();
    std::fs::write(scratch.path().join("from"), b"0123456789").expect("written");
    let from = dir.open_file("from").expect("opened");
    let to = dir.create_file("to", 0o644).expect("created");
    if copy::reflink(&from, &to).expect("asked") == Cheap::NotHere {
        match copy::copy_range(&from, 2, &to, 0, 100).expect("copied") {
            Some(count) => assert_eq!(count, 8),
            None => to.write_at(b"23456789", 0).expect("written"),
        }
        assert_eq!(std::fs::read(scratch.path().join("to")).expect("read"), b"23456789");
    }
    assert_eq!(copy::link(&from, dir, "linked").expect("linked"), Cheap::Done);
    assert!(dir.stat("linked").expect("there").is_same_file(&dir.stat("from").expect("there")));
}

#[test]
fn a_spool_has_no_name() {
    let scratch = Scratch::new();
    let mut spool = scratch.dir().spool().expect("created");
    spool.write_all(b"kept").expect("written");
    assert!(scratch.dir().is_empty().expect("listed"));
    let mut back = [0; 8];
    assert_eq!(spool.read_at(&mut back, 1).expect("read"), 3);
    assert_eq!(&back[..3], b"ept");
}
