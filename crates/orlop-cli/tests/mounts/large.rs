//! A file beyond four gigabytes and a folder of very many names look the same through every mount as in the tree that they
//! came from, and as unpacked. A full run has them; others have smaller ones, and root alone.

use crate::disk::Disk;
use crate::matrix::{BACKENDS, is_not_offered};
use crate::world::{User, World, lacks};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;
use testkit::torture::Feature;
use testkit::{full, proof};

const PROOF: &str = "mount: a huge file and a folder of many names, by every backend";

/// What a tree is for the programs within it. The huge file is compared with that of the tree, not hashed.
const LIST: &str = r"set -e
cd ${1:-$ORLOP_MOUNT}
find . -printf '%P|%y|%m|%U:%G|%l|%T@\n' | sort
find . -type f -printf '%P|%n|%s\n' | sort
find many -type f -print0 | sort -z | xargs -0 sha256sum
cmp huge $TREE/huge && echo the huge file is the same
";

/// Bytes of the file, and names in the folder.
fn size() -> (u64, u32) {
    if full() { (9 << 29, 100_000) } else { (9 << 19, 2_000) }
}

#[test]
fn large_trees_look_the_same_through_every_mount() {
    if let Some(lack) = lacks() {
        proof::not_offered(PROOF, lack);
        return;
    }
    let mut cases = 0;
    let users = if full() { &User::ALL[..] } else { &[User::Root] };
    for &user in users {
        let world = World::of(Disk::of_the_host(), user, tree);
        let list = LIST.replace("$TREE", &world.path("tree").display().to_string());
        fs::write(world.path("list"), list).expect("written");
        let expected = world.ok(&format!("{} sh list tree", alike(user)));
        assert!(expected.ends_with("the huge file is the same\n"), "{expected}");
        world.ok("$ORLOP unpack store:app:1 unpacked");
        let unpacked = world.ok(&format!("{} sh list unpacked", alike(user)));
        assert!(unpacked == expected, "unpacked, for {user:?}: {}", first_difference(&expected, &unpacked));
        cases += BACKENDS.iter().filter(|backend| shows(&world, user, backend, &expected)).count();
    }
    assert!(cases >= users.len(), "each has at least one backend");
    proof::ran(PROOF, cases);
}

/// Owners are numbers of the namespace that a user mounts in.
fn alike(user: User) -> &'static str {
    match user {
        User::Root => "",
        User::Mapped | User::Alone => "$ORLOP unshare",
    }
}

/// Data stands at both ends of the file, and across the border of 32 bits; all else are holes. Of the names some are
/// files of their own content, some of that of others, some are empty, some links.
fn tree(tree: &Path, _: User) -> Vec<Feature> {
    let (bytes, names) = size();
    let many = tree.join("many");
    fs::create_dir_all(&many).expect("made");
    let huge = File::create(tree.join("huge")).expect("made");
    huge.set_len(bytes).expect("set");
    let data: Vec<u8> = (0..=250).cycle().take(10_000).collect();
    for at in [0, (bytes / 9 * 8) - 5_000, bytes - 10_000] {
        huge.write_all_at(&data, at).expect("written");
    }
    for number in 0..names {
        let path = many.join(format!("{number:0>width$}", width = 1 + number as usize % 60));
        let shown = match number % 8 {
            0 => symlink(format!("to-{number}"), path),
            1 => fs::write(path, format!("{number:>100}")),
            2 => fs::write(path, [7; 5_000]),
            _ => fs::write(path, ""),
        };
        shown.expect("made");
    }
    Vec::new()
}

/// Whether the backend is offered; then it shows the tree.
fn shows(world: &World, user: User, backend: &str, expected: &str) -> bool {
    let list = match user {
        User::Root => format!(
            "place=$($ORLOP mount --backend {backend} app:1); sh list $place; $ORLOP umount $place >&2"
        ),
        User::Mapped | User::Alone => format!("$ORLOP mount --backend {backend} app:1 -- sh list"),
    };
    let done = world.run(&list);
    if !done.success() {
        return !is_not_offered(done.code(), &done.err());
    }
    let shown = done.out();
    assert!(shown == *expected, "{backend} for {user:?}: {}", first_difference(expected, &shown));
    true
}

fn first_difference(one: &str, other: &str) -> String {
    let mut pairs = one.lines().zip(other.lines());
    format!(
        "{:?}, of {} and {} lines",
        pairs.find(|(one, other)| one != other),
        one.lines().count(),
        other.lines().count()
    )
}
