//! `--owner map`: an ordinary user sets owners through a user namespace. A program of its own, with one thread.

#[expect(dead_code, reason = "one kind of entry is enough here")]
#[path = "staging/layers.rs"]
mod layers;
mod scratch;

use layers::{Layer, unpack};
use orlop_fs::owner::Owner;
use orlop_fs::scan::{Scan, ScanOptions};
use orlop_fs::staging::Apply;
use orlop_fs::{Dir, Error, namespace};
use orlop_layer::{Entries as _, Meta};
use scratch::Scratch;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output};

const FOLDER: &str = "ORLOP_FS_TEST_FOLDER";
const PROOF: &str = "files: owners through a user namespace";

fn main() {
    // `cargo test -- --list` and filters ask every test program; this one is a single test.
    if std::env::args().any(|word| word == "--list") {
        return;
    }
    match std::env::var_os(FOLDER) {
        Some(folder) => child(&Dir::open(std::path::Path::new(&folder)).expect("opened")),
        None => parent(),
    }
}

/// As an ordinary user with subordinate ids from 100000 on.
fn child(folder: &Dir) {
    namespace::enter().expect("entered");
    let owned = |meta: &mut Meta| (meta.uid, meta.gid, meta.mode) = (1000, 33, 0o4755);
    let root = |meta: &mut Meta| (meta.uid, meta.gid) = (0, 0);
    let layer = Layer::new().file_with("f", "x", owned).file_with("g", "x", root);
    let apply = Apply { owner: Owner::Map, ..Apply::default() };
    let (tree, _) = unpack(folder, &[layer], apply.clone()).expect("unpacked");
    let mut scan =
        Scan::open(&tree, ScanOptions { owner: Owner::Map, ..ScanOptions::default() }).expect("opened");
    let mut owners = Vec::new();
    while let Some(entry) = scan.next_entry().expect("read") {
        owners.push((entry.meta.uid, entry.meta.gid));
    }
    assert_eq!(owners, [(0, 0), (1000, 33), (0, 0)]);
    let foreign = |meta: &mut Meta| meta.uid = 70_000;
    let beyond = unpack(folder, &[Layer::new().file_with("f", "x", foreign)], apply).err();
    assert!(matches!(beyond, Some(Error::NotEmpty(_) | Error::Owner { uid: 70_000, .. })), "{beyond:?}");
}

fn parent() {
    if !rustix::process::geteuid().is_root() {
        return testkit::proof::not_offered(PROOF, "the tests do not run as root");
    }
    let scratch = Scratch::new();
    scratch.run("chown", &["65534:65534", "."]);
    scratch.file("ranges", b"nobody:100000:65536\n");
    let without = as_nobody(&scratch, "");
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(said.contains("NoSubordinateIds") && said.contains("/etc/subuid"), "{said}");
    let with = as_nobody(&scratch, "mount --bind ranges /etc/subuid && mount --bind ranges /etc/subgid &&");
    let said = String::from_utf8_lossy(&with.stderr).into_owned();
    if said.contains("NoMapProgram") {
        return testkit::proof::skipped(PROOF, "newuidmap is missing");
    }
    assert!(with.status.success(), "{said}");
    let owner = |path: &str| {
        let meta = std::fs::metadata(scratch.at(path)).expect("there");
        (meta.uid(), meta.gid(), meta.mode() & 0o7777)
    };
    assert_eq!(owner("root/f"), (100_999, 100_032, 0o4755));
    assert_eq!(owner("root/g"), (65_534, 65_534, 0o644));
    testkit::proof::ran(PROOF, 1);
}

/// Runs this program as an ordinary user, after some preparation by root in a mount namespace of its own.
fn as_nobody(scratch: &Scratch, prepare: &str) -> Output {
    let setpriv = "exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$1\"";
    Command::new("unshare")
        .args(["--mount", "sh", "-c", &format!("{prepare} {setpriv}"), "sh"])
        .arg(std::env::current_exe().expect("running"))
        .env(FOLDER, scratch.path())
        .current_dir(scratch.path())
        .output()
        .expect("unshare is installed")
}
