//! What a user meets: lists, refusals, several mounts, programs that end and that are killed.

use crate::disk::Disk;
use crate::world::{User, World, lacks};
use serde_json::Value;
use testkit::{Finished, proof};

/// A world of root's, or none where the tests cannot mount.
fn world(name: &str, user: User) -> Option<World> {
    match lacks() {
        Some(lack) => {
            proof::not_offered(name, lack);
            None
        }
        None => Some(World::new(Disk::of_the_host(), user)),
    }
}

fn refused(done: &Finished, code: i32, words: &[&str]) {
    assert_eq!(done.code(), Some(code), "{done}");
    for word in words {
        assert!(done.err().contains(word), "{word}: {done}");
    }
}

#[test]
fn mounts_are_listed_and_found_by_name_place_and_id() {
    const PROOF: &str = "mount: listed, and found by name, place and id";
    let Some(world) = world(PROOF, User::Root) else { return };
    world.ok("mkdir a b c");
    for place in ["a", "b", "c", ""] {
        world.ok(&format!("$ORLOP mount app:1 {place}"));
    }
    let list: Value = serde_json::from_str(&world.ok("$ORLOP mount --format json")).expect("a document");
    let mounts = list["mounts"].as_array().expect("a list").clone();
    assert_eq!(mounts.len(), 4);
    let of = |name: &str| {
        let place = world.path(name).canonicalize().expect("a path");
        let found = mounts.iter().find(|it| it["place"] == *place.to_string_lossy());
        found.expect("it is listed")["id"].as_str().expect("text").to_owned()
    };
    assert!(mounts.iter().all(|it| it["state"] == "mounted" && it["image"] == "app:1"), "{list}");
    let table = world.ok("$ORLOP mount");
    assert_eq!(table.lines().count(), 5, "{table}");
    world.ok("$ORLOP umount a");
    world.ok(&format!("$ORLOP umount {}", of("b")));
    assert_eq!(world.ok("$ORLOP umount store:app:1").lines().count(), 2);
    world.ok("$ORLOP tag store:app:1 docker.io/library/app:1; $ORLOP untag store:app:1; $ORLOP mount app:1");
    world.ok("$ORLOP mount --format json | grep docker.io/library/app:1; $ORLOP umount app:1");
    refused(&world.run("$ORLOP umount app:1"), 2, &["nothing of the store is mounted", "orlop mount"]);
    assert_eq!(world.ok("$ORLOP umount --all"), "");
    proof::ran(PROOF, 4);
}

#[test]
fn what_cannot_be_mounted_is_refused_with_a_reason() {
    const PROOF: &str = "mount: refusals say what is wrong";
    let Some(world) = world(PROOF, User::Root) else { return };
    world.ok("mkdir full empty; touch full/file file");
    let cases: [(&str, i32, &[&str]); 9] = [
        ("mount app:1 full", 1, &["is not empty", "name a folder that is empty"]),
        ("mount app:1 file", 1, &["Not a directory"]),
        ("mount app:1 nowhere", 2, &["nowhere"]),
        ("mount app:2", 2, &["app:2"]),
        ("mount oci:layout:app", 2, &["layout"]),
        ("mount ostree:empty@app", 2, &["is no repository of OSTree"]),
        ("mount --root nowhere app:1", 2, &["nowhere"]),
        ("mount --rw", 64, &[]),
        ("umount", 64, &[]),
    ];
    for (words, code, said) in &cases {
        refused(&world.run(&format!("$ORLOP {words}")), *code, said);
    }
    world.ok("$ORLOP mount app:1 empty");
    refused(&world.run("$ORLOP mount app:1 empty"), 1, &["is a mount already"]);
    let busy = "cd empty; $ORLOP umount ../empty; code=$?; cd ..; exit $code";
    refused(&world.run(&format!("set +e; {busy}")), 1, &["is in use", "--lazy"]);
    world.ok("cd empty; $ORLOP umount --lazy ../empty");
    proof::ran(PROOF, cases.len() + 2);
}

/// The program takes orlop's place, so it is told apart by nothing: exit code, signals, input and output are its own.
#[test]
fn a_program_is_run_where_the_image_is_mounted() {
    const PROOF: &str = "mount: programs run in namespaces, and end as they do";
    for user in User::ALL {
        let Some(world) = world(PROOF, user) else { return };
        let code = |script: &str| world.run(script).code();
        assert_eq!(code("$ORLOP mount app:1 -- sh -c 'exit 42'"), Some(42));
        assert_eq!(world.ok("$ORLOP mount app:1 -- sh -c 'kill -KILL $$' || echo $?"), "137\n");
        assert_eq!(world.ok("echo in | $ORLOP mount app:1 -- cat"), "in\n");
        // Without folders on the way that an ordinary user may not look into.
        let nothing = "PATH=/usr/bin:/bin $ORLOP mount app:1 -- no-such-program";
        refused(&world.run(nothing), 127, &["cannot run no-such-program"]);
        refused(&world.run("$ORLOP unshare tree/plain"), 126, &["cannot run tree/plain"]);
        assert_eq!(world.ok("$ORLOP unshare sh -c 'id -u'"), "0\n");
        if user != User::Root {
            // Who becomes root in a namespace goes on with the store of before.
            let own =
                "unset ORLOP_ROOT; export XDG_DATA_HOME=$PWD/data; mkdir data; ln -s ../store data/orlop";
            let mounted = format!("{own}; $ORLOP mount app:1 -- sh -c 'cat $ORLOP_MOUNT/plain'");
            assert_eq!(world.ok(&mounted), "x");
            assert_eq!(world.ok("XDG_DATA_HOME=$PWD/data; $ORLOP unshare $ORLOP images | wc -l"), "2\n");
        }
        // In the same namespace mounts stay, and another command finds them.
        let session =
            "mkdir m; $ORLOP mount app:1 m; cat m/plain; $ORLOP umount m; rmdir m; $ORLOP mount app:1";
        let place = world.ok(&format!("$ORLOP unshare sh -ec '{session}'"));
        assert!(place.contains("/m\nx/") && place.ends_with("/root\n"), "{place}");
        // The namespace is gone, and so is the mount.
        let listed: Value =
            serde_json::from_str(&world.ok("$ORLOP mount --format json")).expect("a document");
        assert_eq!(listed["mounts"], Value::Array(Vec::new()), "{user:?}");
        assert_eq!(world.ok("ls store/mounts | grep -v probed || :"), "");
    }
    proof::ran(PROOF, 3);
}

/// A mount that a program of another namespace sees is listed, and neither taken away nor taken for dead.
#[test]
fn a_mount_of_a_living_namespace_is_known_to_others() {
    const PROOF: &str = "mount: one of another namespace is known while a program sees it";
    for user in User::ALL {
        let Some(world) = world(PROOF, user) else { return };
        let script = "mkfifo begin go
            $ORLOP mount app:1 -- sh -c 'echo >begin; read line <go; cat $ORLOP_MOUNT/plain' >out &
            read line <begin
            $ORLOP mount --format json >during
            $ORLOP umount app:1 2>refused && exit 9
            echo >go; wait
            cat out refused >&2; cat during";
        let done = world.run(script);
        assert!(done.success(), "{user:?}: {done}");
        refused_elsewhere(&done, user);
        assert_eq!(world.ok("$ORLOP mount --format json"), "{\"version\":1,\"mounts\":[]}\n");
    }
    proof::ran(PROOF, 3);
}

fn refused_elsewhere(done: &Finished, user: User) {
    let list: Value = serde_json::from_str(&done.out()).expect("a document");
    assert_eq!(list["mounts"][0]["state"], "elsewhere", "{user:?}: {list}");
    assert!(list["mounts"][0]["process"].as_u64().is_some_and(|pid| pid > 1), "{list}");
    assert!(done.err().contains("xerror:"), "the program saw its file: {done}");
    assert!(done.err().contains("is mounted for other processes"), "{done}");
}

/// A mount keeps what it shows from a sweep, whoever else forgets the image.
#[test]
fn what_is_mounted_is_not_swept() {
    const PROOF: &str = "mount: the image of a mount is not collected";
    const SWEEP: &str = "$ORLOP gc --grace 0 store: >/dev/null";
    for user in User::ALL {
        let Some(world) = world(PROOF, user) else { return };
        let count =
            || world.ok("find store/objects -type f | wc -l").trim().parse::<u32>().expect("a number");
        assert!(count() > 0);
        // Not its files alone: the image is there by its digest, and whole.
        let session = format!(
            "image=$($ORLOP digest store:app:1); $ORLOP rm --yes store:app:1 >/dev/null; {SWEEP};
             $ORLOP validate store:@$image >/dev/null; chroot m /bin/sh -c 'cat /plain /x-big'"
        );
        let shown = if user == User::Root {
            world.ok(&format!("mkdir m; $ORLOP mount app:1 m >/dev/null; {session}; {SWEEP}"))
        } else {
            std::fs::write(world.path("session"), session).expect("written");
            world.ok("mkdir m; $ORLOP mount app:1 m -- sh -ec '. ./session'")
        };
        assert_eq!(shown, "xx", "{user:?}");
        world.ok("$ORLOP umount --all >/dev/null");
        world.ok(SWEEP);
        assert_eq!(count(), 0, "{user:?}: nothing keeps them");
        let kept = "find store/blobs store/forms store/layers -type f 2>/dev/null | wc -l";
        assert_eq!(world.ok(kept).trim(), "0", "{user:?}: nor the image");
        world.ok(&format!("$ORLOP unshare sh -c '{SWEEP}'"));
        assert_eq!(
            world.ok("ls -A store/trees store/mounts | grep -v -e probed -e : -e '^$' || :"),
            "",
            "{user:?}"
        );
    }
    proof::ran(PROOF, 3);
}

/// As long as it is mounted the store has it, and no longer.
#[test]
fn an_image_of_any_place_is_mounted_through_the_store() {
    const PROOF: &str = "mount: images of other places";
    let make = "$ORLOP ostree init --repo=repo --mode=archive; mkdir t; echo of a commit > t/file; \
        $ORLOP ostree commit --repo=repo -b os/app --timestamp=@5 --owner-uid=0 --owner-gid=0 t; \
        $ORLOP build t oci:layout:app";
    let swept = "$ORLOP gc --grace 0s >/dev/null; $ORLOP ls store:";
    let Some(root) = world(PROOF, User::Root) else { return };
    root.ok(&format!("{make}; mkdir m"));
    let before = root.ok(swept);
    for place in ["ostree:repo@os/app", "oci:layout:app", "rootfs:t"] {
        root.ok(&format!("$ORLOP mount {place} m"));
        assert_eq!(root.ok(swept), before, "it has no name in the store");
        assert_eq!(root.ok("cat m/file"), "of a commit\n", "{place}: no sweep takes it away");
        assert!(root.ok("$ORLOP mount").contains(place));
        root.ok("$ORLOP umount m");
        assert_eq!(root.ok(swept), before);
    }
    for user in [User::Mapped, User::Alone] {
        let Some(world) = world(PROOF, user) else { return };
        world.ok(make);
        let shown = "$ORLOP mount ostree:repo@os/app -- sh -c 'cat $ORLOP_MOUNT/file'";
        assert_eq!(world.ok(shown), "of a commit\n", "{user:?}");
        refused(&world.run("$ORLOP mount ostree:repo@os/app"), 1, &["-- CMD"]);
    }
    proof::ran(PROOF, 5);
}
