//! Laws of comparing a folder with a manifest: what was not changed is not named, every change is, with or without what
//! was seen before, by any number of workers.

use orlop_fs::owner::Owner;
use orlop_fs::scan::{Scan, ScanOptions, Unrepresentable};
use orlop_fs::verify::{Change, Found, Seen, Verify, verify};
use orlop_fs::{Dir, FileKind};
use orlop_layer::tree::{Builder, Tree};
use orlop_layer::{Chunk, Entries as _, Kind, Time, TreeManifest};
use orlop_spec::{Algorithm, Cancel, Digest, Hasher, Limits};
use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};
use testkit::scratch::{Scratch, scratch_in_memory};
use testkit::torture::{self, Power};
use testkit::{is_root, proof, scratch};

/// What a folder holds now.
fn manifest(folder: &Path) -> TreeManifest {
    let options = ScanOptions { unrepresentable: Unrepresentable::Skip, ..ScanOptions::default() };
    let mut scan = Scan::open(&Dir::open(folder).expect("opened"), options).expect("a scan");
    let (mut builder, mut digests) = (Builder::new(0, &Limits::default()), HashMap::new());
    let mut ordinal = 0;
    while let Some(entry) = scan.next_entry().expect("readable") {
        builder.add(ordinal, 0, &entry).expect("fits");
        if matches!(entry.kind, Kind::File { .. }) {
            let mut hasher = Hasher::new(Algorithm::Sha256);
            while let Some(chunk) = scan.next_chunk().expect("readable") {
                match chunk {
                    Chunk::Data(bytes) => hasher.update(bytes),
                    Chunk::Hole(length) => (0..length).for_each(|_| hasher.update(&[0])),
                }
            }
            digests.insert(ordinal, hasher.finish());
        }
        ordinal += 1;
    }
    let tree = Tree::default().stack(builder.finish()).expect("fits");
    let Ok(manifest) = TreeManifest::of(&tree, None, |file| Ok::<Digest, Infallible>(digests[&file.ordinal]));
    manifest
}

static NEVER: Cancel = Cancel::new();

fn how(workers: usize) -> Verify<'static> {
    let workers = NonZeroUsize::new(workers).expect("some");
    Verify { owner: Owner::Exact, workers, seen: None, now: None, cancel: &NEVER, progress: &|_| () }
}

fn compare(folder: &Path, manifest: &TreeManifest, how: &Verify<'_>) -> Found {
    verify(&Dir::open(folder).expect("opened"), manifest, how).expect("compared")
}

/// `PATH: added KIND`, `PATH: removed`, `PATH: FIELD, FIELD`
fn named(found: &Found) -> Vec<String> {
    let line = |change: &Change| match change {
        Change::Added(kind) => format!("added {kind:?}"),
        Change::Removed => "removed".to_owned(),
        Change::Changed(fields) => {
            fields.iter().map(|field| field.aspect.to_string()).collect::<Vec<_>>().join(", ")
        }
    };
    found.differences.iter().map(|it| format!("{}: {}", it.path, line(&it.change))).collect()
}

fn set_xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()).expect("set");
}

/// A small tree with a bit of everything.
fn make(scratch: &Scratch, name: &str) -> std::path::PathBuf {
    let root = scratch.folder(name);
    for folder in ["bin", "etc", "var", "var/deep", "gone"] {
        fs::create_dir(root.join(folder)).expect("made");
    }
    for (file, content) in [
        ("bin/sh", &vec![1; 70_000][..]),
        ("bin/su", b"su"),
        ("etc/passwd", b"root"),
        ("etc/empty", b""),
        ("var/a", b"same"),
        ("var/one", b"1"),
        ("var/two", b"2"),
        ("gone/x", b"x"),
    ] {
        fs::write(root.join(file), content).expect("written");
    }
    fs::hard_link(root.join("var/a"), root.join("var/deep/b")).expect("linked");
    symlink("sh", root.join("bin/bash")).expect("linked");
    set_xattr(&root.join("etc/passwd"), "user.a", b"value");
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("var/fifo"), rustix::fs::Mode::from_raw_mode(0o600))
        .expect("made");
    root
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

fn replace(path: &Path, by: impl FnOnce(&Path)) {
    fs::remove_file(path).expect("removed");
    by(path);
}

type Tamper = (&'static str, fn(&Path), &'static [&'static str]);

/// What somebody may do to a tree, and what must be named.
const TAMPERS: &[Tamper] = &[
    (
        "content of equal size",
        |at| fs::write(at.join("bin/su"), "us").expect("written"),
        &["bin/su: content"],
    ),
    (
        "one bit of a longer content",
        |at| {
            let mut content = vec![1; 70_000];
            content[69_999] ^= 1;
            fs::write(at.join("bin/sh"), content).expect("written");
        },
        &["bin/sh: content"],
    ),
    ("size", |at| fs::write(at.join("bin/su"), "longer").expect("written"), &["bin/su: size"]),
    (
        "an empty file gets bytes",
        |at| fs::write(at.join("etc/empty"), "x").expect("written"),
        &["etc/empty: size"],
    ),
    ("mode", |at| chmod(&at.join("bin/su"), 0o4755), &["bin/su: mode"]),
    ("mode of a folder", |at| chmod(&at.join("etc"), 0o777), &["etc: mode"]),
    ("mode of the root", |at| chmod(at, 0o777), &["/: mode"]),
    (
        "an attribute",
        |at| set_xattr(&at.join("etc/passwd"), "user.a", b"other"),
        &["etc/passwd: xattr user.a"],
    ),
    ("a new attribute", |at| set_xattr(&at.join("bin"), "user.b", b"x"), &["bin: xattr user.b"]),
    (
        "an attribute less",
        |at| rustix::fs::removexattr(at.join("etc/passwd"), "user.a").expect("removed"),
        &["etc/passwd: xattr user.a"],
    ),
    ("an added file", |at| fs::write(at.join("bin/evil"), "").expect("written"), &["bin/evil: added File"]),
    (
        "an added folder, once for all in it",
        |at| fs::create_dir_all(at.join("new/below")).expect("made"),
        &["new: added Directory"],
    ),
    ("a removed file", |at| fs::remove_file(at.join("etc/empty")).expect("removed"), &["etc/empty: removed"]),
    (
        "a removed folder, once for all in it",
        |at| fs::remove_dir_all(at.join("gone")).expect("removed"),
        &["gone: removed"],
    ),
    (
        "a renamed file",
        |at| fs::rename(at.join("bin/su"), at.join("bin/sv")).expect("renamed"),
        &["bin/su: removed", "bin/sv: added File"],
    ),
    (
        "a symbolic link to elsewhere",
        |at| replace(&at.join("bin/bash"), |link| symlink("su", link).expect("linked")),
        &["bin/bash: target"],
    ),
    (
        "a link in the place of a file",
        |at| replace(&at.join("bin/su"), |file| symlink("sh", file).expect("linked")),
        &["bin/su: type"],
    ),
    (
        "a link in the place of a folder",
        |at| {
            fs::rename(at.join("gone"), at.join("var/moved")).expect("renamed");
            symlink("var/moved", at.join("gone")).expect("linked");
        },
        &["gone: type", "var/moved: added Directory"],
    ),
    (
        "a folder in the place of a file",
        |at| replace(&at.join("bin/su"), |file| fs::create_dir(file).expect("made")),
        &["bin/su: type"],
    ),
    (
        "a hard link that is a file of its own",
        |at| replace(&at.join("var/deep/b"), |file| fs::write(file, "same").expect("written")),
        &["var/deep/b: hard link of"],
    ),
    (
        "two files that are one",
        |at| replace(&at.join("var/two"), |file| fs::hard_link(at_one(file), file).expect("linked")),
        &["var/two: content, hard link of"],
    ),
    (
        "a file of the same bytes, put in the place of another",
        |at| replace(&at.join("bin/su"), |file| fs::write(file, "us").expect("written")),
        &["bin/su: content"],
    ),
    (
        "several at once",
        |at| {
            chmod(&at.join("bin/su"), 0o4711);
            fs::write(at.join("etc/passwd"), "toor").expect("written");
            fs::remove_file(at.join("var/deep/b")).expect("removed");
        },
        &["bin/su: mode", "etc/passwd: content", "var/deep/b: removed"],
    ),
];

fn at_one(two: &Path) -> std::path::PathBuf {
    two.with_file_name("one")
}

/// What only root may do.
const TAMPERS_OF_ROOT: &[Tamper] = &[
    (
        "owner",
        |at| std::os::unix::fs::lchown(at.join("bin/su"), Some(7), None).expect("given"),
        &["bin/su: uid"],
    ),
    ("group", |at| std::os::unix::fs::lchown(at.join("bin"), None, Some(7)).expect("given"), &["bin: gid"]),
    (
        "owner of a link",
        |at| std::os::unix::fs::lchown(at.join("bin/bash"), Some(7), Some(8)).expect("given"),
        &["bin/bash: uid, gid"],
    ),
    (
        "a device in the place of a fifo",
        |at| replace(&at.join("var/fifo"), |node| device(node, 3)),
        &["var/fifo: type"],
    ),
    (
        "a capability",
        |at| {
            let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            set_xattr(&at.join("bin/su"), "security.capability", &capability);
        },
        &["bin/su: xattr security.capability"],
    ),
];

fn device(node: &Path, minor: u32) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let numbers = rustix::fs::makedev(1, minor);
    rustix::fs::mknodat(rustix::fs::CWD, node, rustix::fs::FileType::CharacterDevice, mode, numbers)
        .expect("made");
}

fn tampers() -> Vec<&'static Tamper> {
    let privileged = if is_root() { TAMPERS_OF_ROOT } else { &[] };
    TAMPERS.iter().chain(privileged).collect()
}

#[test]
fn every_tampering_is_named_and_nothing_else() {
    for (what, tamper, expected) in tampers() {
        let scratch = scratch_in_memory();
        let root = make(&scratch, "tree");
        let manifest = manifest(&root);
        assert_eq!(named(&compare(&root, &manifest, &how(2))), [""; 0], "{what}");
        tamper(&root);
        for workers in [1, 3] {
            assert_eq!(named(&compare(&root, &manifest, &how(workers))), *expected, "{what}");
        }
    }
    proof::ran("verify: every tampering is named", tampers().len());
}

/// The time of a file that is made now.
fn now(scratch: &Scratch) -> Time {
    let made = fs::metadata(scratch.file("now", "")).expect("made");
    Time { seconds: made.mtime(), nanoseconds: u32::try_from(made.mtime_nsec()).expect("less than a second") }
}

/// Until what was made is not new any more.
fn wait() {
    std::thread::sleep(Duration::from_millis(150));
}

/// What a look sees of a tree that nobody changed for a while.
fn settled(scratch: &Scratch, root: &Path, manifest: &TreeManifest) -> Seen {
    let found = compare(root, manifest, &Verify { now: Some(now(scratch)), ..how(2) });
    assert_eq!((named(&found), found.seen.count()), (Vec::new(), manifest.len()));
    Seen::parse(&found.seen.to_bytes(), manifest, Owner::Exact).expect("sound")
}

#[test]
fn what_was_seen_is_not_read_again_and_every_tampering_after_it_is_named() {
    for scratch in [scratch_in_memory(), scratch()] {
        let made = tampers().into_iter().map(|tamper| (tamper, make(&scratch, tamper.0)));
        let made: Vec<_> = made.map(|(tamper, root)| (tamper, manifest(&root), root)).collect();
        wait();
        for ((what, tamper, expected), manifest, root) in &made {
            let seen = settled(&scratch, root, manifest);
            let how = Verify { seen: Some(&seen), now: Some(now(&scratch)), ..how(2) };
            let again = compare(root, manifest, &how);
            assert_eq!((named(&again), again.read, &again.seen), (Vec::new(), 0, &seen), "{what}");
            tamper(root);
            let found = compare(root, manifest, &how);
            assert_eq!(named(&found), *expected, "{what}");
            let after = Verify { seen: Some(&found.seen), ..how };
            assert_eq!(named(&compare(root, manifest, &after)), *expected, "{what}, and again");
        }
    }
    proof::ran("verify: tampering after a look is named", 2 * tampers().len());
}

#[test]
fn content_with_its_old_time_put_back_is_named() {
    let scratch = scratch();
    let root = make(&scratch, "tree");
    let manifest = manifest(&root);
    wait();
    let seen = settled(&scratch, &root, &manifest);
    let file = root.join("bin/su");
    let before = fs::metadata(&file).expect("there");
    fs::write(&file, "us").expect("written");
    let open = fs::File::options().write(true).open(&file).expect("opened");
    open.set_modified(before.modified().expect("a time")).expect("set");
    let found = compare(&root, &manifest, &Verify { seen: Some(&seen), ..how(1) });
    assert_eq!(named(&found), ["bin/su: content"]);
}

#[test]
fn what_is_new_is_not_believed_to_be_seen() {
    let scratch = scratch();
    let root = make(&scratch, "tree");
    let manifest = manifest(&root);
    wait();
    fs::write(root.join("bin/su"), "su").expect("written");
    let found = compare(&root, &manifest, &Verify { now: Some(now(&scratch)), ..how(1) });
    assert_eq!(found.seen.count(), manifest.len() - 1);
    assert_eq!(compare(&root, &manifest, &how(1)).seen.count(), 0, "without a clock nothing is");
}

#[test]
fn damaged_and_foreign_notes_are_not_believed() {
    let scratch = scratch();
    let root = make(&scratch, "tree");
    let before = manifest(&root);
    wait();
    let bytes = settled(&scratch, &root, &before).to_bytes();
    for byte in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[byte] ^= 1;
        assert_eq!(Seen::parse(&flipped, &before, Owner::Exact), None, "byte {byte}");
    }
    assert_eq!(Seen::parse(&bytes[..bytes.len() - 1], &before, Owner::Exact), None);
    assert_eq!(Seen::parse(&bytes, &before, Owner::Squash), None, "owners were not compared then");
    chmod(&root.join("bin"), 0o711);
    assert_eq!(Seen::parse(&bytes, &manifest(&root), Owner::Exact), None);
}

#[test]
fn what_harms_nobody_is_not_named() {
    let scratch = scratch();
    let root = make(&scratch, "tree");
    let manifest = manifest(&root);
    wait();
    let seen = settled(&scratch, &root, &manifest);
    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let times = fs::FileTimes::new().set_accessed(past).set_modified(past);
    fs::File::open(root.join("bin/sh")).and_then(|file| file.set_times(times)).expect("set");
    fs::read(root.join("etc/passwd")).expect("read");
    fs::write(root.join("gone/for-a-moment"), "").expect("written");
    fs::remove_file(root.join("gone/for-a-moment")).expect("removed");
    fs::hard_link(root.join("bin/su"), scratch.path("outside")).expect("linked");
    assert_eq!(named(&compare(&root, &manifest, &how(1))), [""; 0]);
    assert_eq!(named(&compare(&root, &manifest, &Verify { seen: Some(&seen), ..how(1) })), [""; 0]);
}

#[test]
fn the_torture_tree_is_as_it_is() {
    let scratch = scratch();
    let root = scratch.path("tree");
    torture::make(&root, if is_root() { Power::Root } else { Power::User });
    let manifest = manifest(&root);
    let found = compare(&root, &manifest, &how(2));
    // What no image can hold was left out of the manifest.
    let is_left_out = |line: &String| line.contains("added Socket") || line.contains(".wh.");
    let others: Vec<_> = named(&found).into_iter().filter(|line| !is_left_out(line)).collect();
    assert_eq!(others, [""; 0]);
    assert!(
        named(&found).iter().any(|line| line.contains("added Socket")),
        "a socket is no part of an image"
    );
    proof::ran("verify: the torture tree is as it is", 1);
}

#[test]
fn a_deep_folder_takes_few_handles() {
    let scratch = scratch_in_memory();
    let root = scratch.folder("tree");
    let mut at = root.clone();
    for _ in 0..600 {
        at.push("d");
        fs::create_dir(&at).expect("made");
    }
    fs::write(at.join("f"), "deep").expect("written");
    let manifest = manifest(&root);
    assert_eq!(named(&compare(&root, &manifest, &how(2))), [""; 0]);
    fs::write(at.join("f"), "DEEP").expect("written");
    let found = compare(&root, &manifest, &how(2));
    assert_eq!(found.differences.len(), 1);
    assert_eq!(found.differences[0].path.components().count(), 601);
    assert!(matches!(&found.differences[0].change, Change::Changed(fields) if fields.len() == 1));
    assert!(found.differences.iter().all(|it| it.change != Change::Added(FileKind::File)));
}
