//! What is mounted over a name of a tracked folder is not of the folder, be it a folder or a single file: it is told, comes
//! into no layer, and is not touched.

use crate::world::World;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use testkit::command::orlop_path;
use testkit::dump::{differences, dump};
use testkit::{Command, Finished, is_root, proof};

const PROOF: &str = "track: files that something is mounted over";

/// As container engines do it with `/etc/resolv.conf`, `/etc/hosts` and their own socket: over names of the image, over one of
/// several names of a file, and over names that were made for it. `theirs` is on the file system of the folder.
const MOUNT: &str = "
    cp -r --preserve=mode,links,timestamps ../tree tree
    $ORLOP build tree oci:l:v1; $ORLOP unpack --track oci:l:v1 root; $ORLOP unpack oci:l:v1 fresh
    mkdir bound; echo x > bound/x; echo theirs > theirs; chmod 0 theirs; touch -d @7 theirs bound
    : > root/etc/new; : > root/etc/sock; echo more > root/etc/more
    for name in etc/b usr/a etc/new; do mount --bind theirs root/$name; done
    mount --bind listening root/etc/sock
    mount --bind bound root/etc/d
    ls -lR --time-style=full-iso bound theirs > before";

const USE: &str = "
    $ORLOP diff root > told 2> said || test $? = 8
    $ORLOP diff --paranoid root > paranoid 2> /dev/null || test $? = 8
    $ORLOP repack root oci:l:v2
    $ORLOP repack --paranoid root oci:l:v3
    $ORLOP revert root > reverted
    ls -lR --time-style=full-iso bound theirs > after
    $ORLOP diff root > left 2> /dev/null";

/// A script in a namespace of mounts of its own, in the folder `work`.
fn among_mounts(it: &World, user: User, script: &str) -> Finished {
    let namespaces: &[&str] = match user {
        User::Root => &["--mount"],
        User::Ordinary => &["--user", "--map-root-user", "--mount"],
    };
    let command = Command::new("unshare")
        .args(namespaces)
        .args(["--propagation", "private", "sh", "-ec", script])
        .env("ORLOP", orlop_path())
        .env("ORLOP_ROOT", it.path("work/store"))
        .current_dir(it.path("work"));
    if user == User::Ordinary && is_root() { command.unprivileged().run() } else { command.run() }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    Root,
    Ordinary,
}

#[test]
fn a_file_that_is_mounted_over_counts_as_unchanged_and_is_not_touched() {
    let mut cases = 0;
    for user in [User::Root, User::Ordinary] {
        if user == User::Root && !is_root() {
            continue;
        }
        let it = World::new();
        let listening = it.0.folder("work").join("listening");
        let _socket = UnixListener::bind(&listening).expect("bound");
        if user == User::Ordinary {
            it.sh("chmod 777 . work work/listening");
            let may = among_mounts(&it, user, ":");
            if !may.success() {
                proof::not_offered(PROOF, may.err().lines().next().unwrap_or_default());
                continue;
            }
        }
        let done = among_mounts(&it, user, &format!("{MOUNT}\n{USE}"));
        assert!(done.success(), "{user:?}: {done}");
        is_as_if_nothing_was_mounted(&it, user);
        cases += 1;
    }
    if cases > 0 {
        proof::ran(PROOF, cases);
    }
}

fn is_as_if_nothing_was_mounted(it: &World, user: User) {
    let text = |name: &str| fs::read_to_string(it.path(&format!("work/{name}"))).expect("written");
    assert_eq!(text("told"), "changed  etc: mtime\nadded    etc/more\n", "{user:?}");
    assert_eq!(text("paranoid"), text("told"), "{user:?}");
    assert_eq!(text("reverted"), text("told"), "{user:?}");
    assert_eq!(text("left"), "", "{user:?}");
    for name in ["etc/b", "usr/a", "etc/new", "etc/sock", "etc/d"] {
        assert_eq!(
            text("said").matches(&format!(" {name}: ")).count(),
            1,
            "{user:?} {name}: {}",
            text("said")
        );
    }
    assert_eq!(text("after"), text("before"), "{user:?}: what is mounted is not touched");
    // But for the places that were made for mounts, the folder is what it was.
    it.sh("rm work/root/etc/new work/root/etc/sock; touch -r work/fresh/etc work/root/etc");
    let fresh = dump(&it.path("work/fresh"));
    assert_eq!(differences(&fresh, &dump(&it.path("work/root")), &[]), [], "{user:?}");
    for tag in ["v2", "v3"] {
        let made = it.path(&format!("work/{tag}"));
        let out = made.to_str().expect("text");
        it.ok(&["unpack", &format!("oci:{}:{tag}", it.path("work/l").display()), out]);
        let added: Vec<Vec<u8>> =
            dump(&made).keys().filter(|path| !fresh.contains_key(*path)).cloned().collect();
        assert_eq!(added, [b"etc/more"], "{user:?} {tag}");
        assert_eq!(fs::read(made.join("etc/b")).expect("there"), b"b\n", "{user:?} {tag}");
        assert_eq!(fs::metadata(made.join("usr/a")).expect("there").nlink(), 2, "{user:?} {tag}");
    }
}

/// A folder that was added and holds a mount stays, and what else was added to it goes.
#[test]
fn what_was_added_around_a_mount_is_taken_away() {
    let name = "revert: folders that hold a mount";
    if !is_root() {
        return proof::not_offered(name, "the other test mounts as an ordinary user");
    }
    let it = World::new();
    it.0.folder("work");
    let script = "
        $ORLOP build ../tree oci:l:v1; $ORLOP unpack --track oci:l:v1 root; $ORLOP unpack oci:l:v1 fresh
        mkdir -p bound root/new/a/b root/.wh.x/m; echo theirs > bound/theirs
        for name in new/x new/a/y new/a/b/z .wh.x/w; do echo ours > root/$name; done
        : > root/new/a/place
        mount --bind bound root/.wh.x/m; mount --bind bound/theirs root/new/a/place
        $ORLOP revert root && exit 1; test $? = 7";
    let done = among_mounts(&it, User::Root, script);
    assert!(done.success() && done.err().contains("is not what it was even now"), "{done}");
    assert_eq!(fs::read(it.path("work/bound/theirs")).expect("there"), b"theirs\n");
    let fresh = dump(&it.path("work/fresh"));
    let root = dump(&it.path("work/root"));
    let more: Vec<String> = root
        .keys()
        .filter(|path| !fresh.contains_key(*path))
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect();
    assert_eq!(more, [".wh.x", ".wh.x/m", "new", "new/a", "new/a/place"]);
    // Without the mounts they go, too.
    it.ok(&["revert", "work/root"]);
    assert_eq!(differences(&fresh, &dump(&it.path("work/root")), &[]), []);
    proof::ran(name, 2);
}

/// In an overlay of two file systems files have other devices than folders, and are no mounts for that.
#[test]
fn files_of_an_overlay_are_not_taken_for_mounts() {
    let name = "track: a folder on an overlay of two file systems";
    if !is_root() {
        return proof::not_offered(name, "only root lays one file system over another");
    }
    let it = World::new();
    it.0.folder("work");
    let lay = "
        mkdir lower tmp; mount -t tmpfs tmp tmp; mkdir tmp/upper tmp/work tmp/merged
        mount -t overlay over -o lowerdir=lower,upperdir=tmp/upper,workdir=tmp/work tmp/merged; cd tmp/merged";
    let may = among_mounts(&it, User::Root, lay);
    if !may.success() {
        return proof::not_offered(name, may.err().lines().next().unwrap_or_default());
    }
    it.sh("rm -r work; mkdir work");
    let script = "
        $ORLOP unpack --track oci:../../../l:v1 root; test $(stat -c %d root) != $(stat -c %d root/etc/b)
        echo more > root/etc/d/c; echo theirs > theirs; mount --bind theirs root/usr/a
        $ORLOP diff root || test $? = 8";
    let done = among_mounts(&it, User::Root, &format!("{lay}\n{script}"));
    assert!(done.success(), "{done}");
    assert_eq!(done.out().lines().skip(1).collect::<Vec<_>>(), ["changed  etc/d/c: size, content, mtime"]);
    assert!(done.err().contains("something is mounted over usr/a:"), "{done}");
    proof::ran(name, 1);
}
