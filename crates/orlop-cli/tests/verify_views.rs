//! `verify` of what is mounted: an image that is shown is as it should be, and whoever changes what is shown is found.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use testkit::command::orlop_path;
use testkit::scratch::{Scratch, scratch};
use testkit::torture::{self, Power};
use testkit::{Finished, is_root, orlop, proof};

const PROOF: &str = "verify: what is mounted";
const BACKENDS: [&str; 3] = ["erofs", "skeleton", "checkout"];

fn run(scratch: &Scratch, words: &[&str]) -> Finished {
    orlop().args(words).env("ORLOP_ROOT", scratch.path("store")).current_dir(scratch.root()).run()
}

fn verify(scratch: &Scratch, more: &[&str]) -> Vec<String> {
    let done = run(scratch, &[&["verify", "app:1"], more].concat());
    let lines: Vec<String> = done.out().lines().map(Into::into).collect();
    assert_eq!(done.code(), Some(if lines.is_empty() { 0 } else { 8 }), "{more:?}: {done}");
    lines
}

/// A store with the torture tree in it, and the backends that the kernel offers, each with its view made.
fn world() -> Option<(Scratch, Vec<&'static str>)> {
    if !is_root() {
        proof::not_offered(PROOF, "only root mounts for others to see");
        return None;
    }
    let scratch = scratch();
    let tree = scratch.path("tree");
    torture::make(&tree, Power::Root);
    // What no image holds, and what no overlay shows: `verify` would say that it is removed, and it would be right.
    for name in ["sock", ".wh.literal", "chr00"] {
        fs::remove_file(tree.join(name)).expect("removed");
    }
    assert!(run(&scratch, &["build", "tree", "store:app:1"]).success());
    let shown =
        |backend: &&str| run(&scratch, &["mount", "app:1", "--backend", backend, "--", "true"]).success();
    let offered = BACKENDS.into_iter().filter(shown).collect();
    Some((scratch, offered))
}

/// The folder of a view.
fn view(scratch: &Scratch, backend: &str) -> PathBuf {
    let mut views = fs::read_dir(scratch.path("store/trees")).expect("a store").flatten();
    let named = views.find(|view| view.file_name().to_string_lossy().contains(&format!(".{backend}")));
    named.expect("it was made").path()
}

#[test]
fn what_is_mounted_is_what_the_image_means() {
    let Some((scratch, offered)) = world() else { return };
    let script = format!("{} verify app:1 \"$ORLOP_MOUNT\"", orlop_path().display());
    for backend in &offered {
        let done = run(&scratch, &["mount", "app:1", "--backend", backend, "--", "sh", "-c", &script]);
        assert_eq!((done.code(), done.out()), (Some(0), String::new()), "{backend}: {done}");
        let changed = format!("echo evil > \"$ORLOP_MOUNT/added\"; {script}");
        let done =
            run(&scratch, &["mount", "app:1", "--rw", "--backend", backend, "--", "sh", "-c", &changed]);
        assert_eq!((done.code(), &*done.out()), (Some(8), "added    added (file)\n"), "{backend}: {done}");
    }
    assert_eq!(verify(&scratch, &[]), [""; 0], "all that was made for the mounts is as it should be");
    proof::ran(PROOF, offered.len());
}

/// An overlay's file is as it was when a content below it was changed: what was seen through one is not believed.
#[test]
fn a_content_that_changes_below_a_mount_is_named() {
    let Some((scratch, offered)) = world() else { return };
    let objects: Vec<PathBuf> = fs::read_dir(scratch.path("store/objects"))
        .expect("a store")
        .flatten()
        .flat_map(|shard| fs::read_dir(shard.path()).expect("a folder").flatten())
        .map(|object| object.path())
        .collect();
    let object = objects.iter().min_by_key(|object| object.metadata().expect("there").len()).expect("one");
    let sound = fs::read(object).expect("read");
    let script = format!(
        "sleep 0.2; {orlop} verify app:1 \"$ORLOP_MOUNT\" || exit 9; cat evil > '{object}'; {orlop} verify app:1 \"$ORLOP_MOUNT\"",
        orlop = orlop_path().display(),
        object = object.display(),
    );
    for backend in offered.iter().filter(|backend| **backend != "checkout") {
        let mut evil = sound.clone();
        evil[0] ^= 1;
        fs::write(scratch.path("evil"), evil).expect("written");
        let done = run(&scratch, &["mount", "app:1", "--backend", backend, "--", "sh", "-c", &script]);
        assert_eq!(done.code(), Some(8), "{backend}: {done}");
        assert!(done.out().contains(": content: sha256:"), "{backend}: {done}");
        fs::write(object, &sound).expect("put back");
    }
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).expect("read");
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 1;
    fs::write(file, bytes).expect("written");
}

/// A file of a view that is a folder, whose content is an object, or is not.
fn file_of(root: &Path, size: impl Fn(u64) -> bool) -> PathBuf {
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        let mut entries: Vec<_> = fs::read_dir(folder).expect("a folder").flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let stat = entry.metadata().expect("there");
            if stat.is_dir() {
                open.push(entry.path());
            } else if stat.is_file() && size(stat.len()) && std::os::unix::fs::MetadataExt::nlink(&stat) == 1
            {
                return entry.path();
            }
        }
    }
    panic!("no such file in {}", root.display())
}

type Tamper = (&'static str, &'static str, fn(&Path), &'static str);

/// Of which view, what is done to its folder, and what is named.
const TAMPERS: &[Tamper] = &[
    ("erofs", "a bit of the superblock", |view| flip(&view.join("image"), 1024), "other bytes"),
    ("erofs", "a bit of an inode", |view| flip(&view.join("image"), 1550), "other bytes"),
    ("erofs", "the last bit", |view| flip(&view.join("image"), usize::MAX), "other bytes"),
    (
        "erofs",
        "a byte more",
        |view| {
            let image = view.join("image");
            let bytes = fs::read(&image).expect("read");
            fs::write(image, [&bytes[..], b"x"].concat()).expect("written");
        },
        "other bytes",
    ),
    ("erofs", "gone", |view| fs::remove_file(view.join("image")).expect("removed"), "other bytes"),
    (
        "skeleton",
        "another content",
        |view| {
            let file = file_of(&view.join("root"), |size| size > 64);
            let flags = rustix::fs::XattrFlags::REPLACE;
            rustix::fs::setxattr(file, "user.overlay.redirect", b"/00/evil", flags).expect("set");
        },
        "xattr user.overlay.redirect: /",
    ),
    (
        "skeleton",
        "a content of its own",
        |view| {
            let file = file_of(&view.join("root"), |size| size > 64);
            rustix::fs::removexattr(file, "user.overlay.metacopy").expect("removed");
        },
        "xattr user.overlay.metacopy:  → absent",
    ),
    (
        "skeleton",
        "a short content",
        |view| flip(&file_of(&view.join("root"), |size| (1..=64).contains(&size)), 0),
        "content: sha256:",
    ),
    (
        "skeleton",
        "an opaque folder",
        |view| {
            let flags = rustix::fs::XattrFlags::CREATE;
            rustix::fs::setxattr(view.join("root"), "user.overlay.opaque", b"y", flags).expect("set");
        },
        "xattr user.overlay.opaque: absent → y",
    ),
    (
        "checkout",
        "content",
        |view| flip(&file_of(&view.join("root"), |size| size > 64), 7),
        "content: sha256:",
    ),
    (
        "checkout",
        "mode",
        |view| {
            let file = file_of(&view.join("root"), |size| size > 0);
            fs::set_permissions(file, fs::Permissions::from_mode(0o6777)).expect("set");
        },
        "→ 6777",
    ),
    ("checkout", "added", |view| fs::write(view.join("root/evil"), "").expect("written"), "evil (file)"),
];

#[test]
fn every_tampering_of_what_is_mounted_is_named_and_repaired() {
    let Some((scratch, offered)) = world() else { return };
    let mut cases = 0;
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert_eq!(verify(&scratch, &[]), [""; 0]);
    for (backend, what, tamper, expected) in TAMPERS.iter().filter(|it| offered.contains(&it.0)) {
        let view = view(&scratch, backend);
        let key = view.file_name().expect("a name").to_string_lossy().into_owned();
        tamper(&view);
        let lines = verify(&scratch, &[]);
        assert!(
            !lines.is_empty() && lines.iter().all(|line| line.contains(&key)),
            "{backend}: {what}: {lines:?}"
        );
        assert!(lines.iter().any(|line| line.contains(expected)), "{backend}: {what}: {lines:?}");
        let done = run(&scratch, &["verify", "app:1", "--repair"]);
        assert_eq!(done.code(), Some(0), "{backend}: {what}: {done}");
        assert_eq!(verify(&scratch, &["--paranoid"]), [""; 0], "{backend}: {what}");
        cases += 1;
    }
    proof::ran("verify: tampering of what is mounted", cases);
}
