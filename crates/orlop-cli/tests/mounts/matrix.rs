//! The tree is the same for everybody, on every file system and by every backend that is offered.

use crate::disk::Disk;
use crate::world::{User, World, lacks};
use std::fs;
use testkit::dump::dump;
use testkit::{proof, torture};

pub(crate) const BACKENDS: [&str; 3] = ["erofs", "skeleton", "checkout"];

/// Writes down what a tree is for the programs within it, contents too.
const LIST: &str = r"set -e
cd ${1:-$ORLOP_MOUNT}
find . -printf '%P|%y|%m|%U:%G|%l|%T@\n' | sort
find . -type f -printf '%P|%n|%s\n' | sort
find . -type f -exec sha256sum {} + | sort
find . ! -type l -print0 | sort -z | xargs -0 getfattr -h -d -m ^user -e hex | grep -v '^$'
";

#[test]
fn every_file_system() {
    for kind in ["host", "xfs", "btrfs"] {
        let name = format!("mount: root and ordinary users by every backend, on {kind}");
        if let Some(lack) = lacks() {
            proof::not_offered(&name, lack);
            continue;
        }
        let mut cases = 0;
        for user in User::ALL {
            let disk = if kind == "host" { Ok(Disk::of_the_host()) } else { Disk::new(kind) };
            match disk {
                Ok(disk) => cases += on(disk, user),
                Err(why) => proof::not_offered(&name, &why),
            }
        }
        if cases > 0 {
            proof::ran(&name, cases);
        }
    }
}

/// How many backends showed the tree.
fn on(disk: Disk, user: User) -> usize {
    let world = World::new(disk, user);
    let shown = BACKENDS.iter().filter(|backend| match user {
        User::Root => as_root(&world, backend),
        User::Mapped | User::Alone => as_ordinary(&world, user, backend),
    });
    let shown: Vec<_> = shown.collect();
    assert!(shown.contains(&&"checkout"), "the last one always works: {shown:?}");
    shown.len()
}

/// Whether a refusal says that the kernel does not offer the backend.
pub(crate) fn is_not_offered(code: Option<i32>, said: &str) -> bool {
    let is_said = said.contains("cannot be shown as") || said.contains("another content than it should");
    assert!(code == Some(1) && is_said, "{said}");
    true
}

fn as_root(world: &World, backend: &str) -> bool {
    let done = world.run(&format!("$ORLOP mount --backend {backend} app:1"));
    if !done.success() {
        return !is_not_offered(done.code(), &done.err());
    }
    let place = done.out().trim_end().to_owned();
    // A character device 0:0 is a removal to an overlay.
    let features: Vec<_> = world.features.iter().filter(|it| !REMOVED.contains(&it.name)).cloned().collect();
    let losses = torture::compare(&features, &dump(&world.path("tree")), &dump(place.as_ref()));
    let lost = torture::lost_features(&losses);
    let expected: &[_] = if backend == "checkout" { &[] } else { &["character device 0:0"] };
    assert_eq!(lost, expected, "{backend}: {losses:?}");
    assert_eq!(world.ok(&format!("chroot {place} /bin/sh -c 'echo it runs; exec cat /plain'")), "it runs\nx");
    world.ok(&format!("$ORLOP umount {place}"));

    world.ok("mkdir place");
    world.ok(&format!("$ORLOP mount --rw --backend {backend} app:1 place"));
    world.ok("chroot place /bin/sh -c 'echo new >/new; echo more >>/plain; cat /new /plain'");
    world.ok("! rmdir place 2>/dev/null; $ORLOP umount place; rmdir place");
    true
}

/// What the image does not have.
const REMOVED: [&str; 2] = ["socket", "file whose own name begins .wh."];

fn as_ordinary(world: &World, user: User, backend: &str) -> bool {
    let refused = world.run("$ORLOP mount app:1");
    assert_eq!(refused.code(), Some(1), "{refused}");
    assert!(refused.err().contains("orlop mount NAME -- CMD"), "{refused}");
    let done = world.run(&format!("$ORLOP mount --backend {backend} app:1 -- true"));
    if !done.success() {
        return !is_not_offered(done.code(), &done.err());
    }
    fs::write(world.path("list"), LIST).expect("written");
    let shown = world.run(&format!("$ORLOP mount --backend {backend} app:1 -- sh list"));
    let mut tree = world.ok("$ORLOP unshare sh list tree");
    if user == User::Alone {
        // A program that would run as its owner would run as the caller, which is said.
        assert!(shown.err().contains("setuid bit") && shown.err().contains("suid"), "{shown}");
        tree = tree.replace("|f|4755|", "|f|755|").replace("|f|2755|", "|f|755|");
    }
    let shown = shown.out();
    assert!(shown == tree, "{backend}: {}", difference(&tree, &shown));

    let chroot = "chroot $ORLOP_MOUNT /bin/sh -c \"echo it runs; cat /plain\"; exit 7";
    let ran = world.run(&format!("$ORLOP mount --backend {backend} app:1 -- sh -c '{chroot}'"));
    assert_eq!((ran.code(), &*ran.out()), (Some(7), "it runs\nx"), "{ran}");
    let change = "echo new >place/new; echo more >>place/plain; cat place/new place/plain";
    world.ok("mkdir place");
    let changed =
        world.ok(&format!("$ORLOP mount --rw --backend {backend} app:1 place -- sh -ec '{change}'"));
    assert_eq!(changed, "new\nxmore\n");
    // Nobody else has seen it, and nothing is left.
    world.ok("rmdir place; test \"$($ORLOP mount --format json)\" = '{\"version\":1,\"mounts\":[]}'");
    true
}

fn difference(one: &str, other: &str) -> String {
    let lines = |from: &str, to: &str| -> Vec<String> {
        from.lines().filter(|line| !to.lines().any(|it| it == *line)).map(str::to_owned).collect()
    };
    format!("only in the tree {:?}, only in the mount {:?}", lines(one, other), lines(other, one))
}
