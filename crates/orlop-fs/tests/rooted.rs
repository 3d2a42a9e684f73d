//! What may be asked of a root that came out of an image.

mod scratch;

use orlop_fs::rooted::{Inside, read_small, resolves_inside};
use orlop_fs::{Dir, Error};
use scratch::Scratch;
use std::os::unix::fs::symlink;

fn root(scratch: &Scratch) -> Dir {
    scratch.dir_at("root");
    scratch.dir_at("root/etc");
    scratch.file("canary", b"of the host");
    scratch.dir().open_dir("root").expect("opened")
}

#[test]
fn p7_links_of_the_image_stay_in_the_image() {
    let scratch = Scratch::new();
    let root = root(&scratch);
    scratch.file("root/etc/real", b"inside");
    for (target, name) in [
        ("/etc/real", "absolute"),
        ("../../../../etc/real", "climbing"),
        ("real", "plain"),
        ("absolute", "twice"),
    ] {
        symlink(target, scratch.at("root/etc").join(name)).expect("linked");
        let text = read_small(&root, format!("/etc/{name}"), 100).expect("read");
        assert_eq!(text.as_deref(), Some(&b"inside"[..]), "{name}");
    }
    symlink(scratch.at("canary"), scratch.at("root/etc/out")).expect("linked");
    symlink("../../canary", scratch.at("root/etc/up")).expect("linked");
    symlink("/proc/self/root/etc/passwd", scratch.at("root/etc/magic")).expect("linked");
    for name in ["out", "up", "magic", "none", "real/below"] {
        assert_eq!(read_small(&root, format!("etc/{name}"), 100).expect("asked"), None, "{name}");
    }
}

#[test]
fn p7_only_regular_files_of_a_decent_size_are_read() {
    let scratch = Scratch::new();
    let root = root(&scratch);
    scratch.run("mkfifo", &["root/etc/pipe"]);
    symlink("pipe", scratch.at("root/etc/to-pipe")).expect("linked");
    scratch.file("root/etc/large", &[b'x'; 101]);
    for name in ["etc/pipe", "etc/to-pipe", "etc", "/", "etc/.."] {
        assert!(matches!(read_small(&root, name, 100), Err(Error::NotRegular(_))), "{name}");
    }
    assert!(matches!(read_small(&root, "etc/large", 100), Err(Error::TooLarge { .. })));
    symlink("loop", scratch.at("root/etc/loop")).expect("linked");
    assert!(read_small(&root, "etc/loop", 100).is_err());
}

#[test]
fn item_67_a_working_folder_is_inside_or_refused() {
    let scratch = Scratch::new();
    let root = root(&scratch);
    scratch.file("root/etc/file", b"");
    for (target, name) in [
        ("/etc", "root/good"),
        ("/proc/self/fd/7", "root/leak"),
        ("proc/self/fd/7", "root/relative"),
        ("../../etc", "root/above"),
    ] {
        symlink(target, scratch.at(name)).expect("linked");
    }
    for (path, expected) in [
        ("/", Inside::Folder),
        ("/etc", Inside::Folder),
        ("/good", Inside::Folder),
        ("/etc/../etc", Inside::Folder),
        ("/srv/app", Inside::Missing),
        ("/etc/file", Inside::NoFolder),
        ("/etc/file/below", Inside::NoFolder),
        ("/proc/self/fd/8", Inside::Out),
        ("/leak", Inside::Out),
        ("/relative/x", Inside::Out),
        ("/above", Inside::Out),
        ("/../etc", Inside::Out),
        ("/none/../../etc", Inside::Out),
    ] {
        assert_eq!(resolves_inside(&root, path).expect("asked"), expected, "{path}");
    }
}
