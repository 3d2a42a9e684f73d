//! Under fakeroot an ordinary user builds and unpacks the owners and devices that it pretends, without being asked to.

use std::fs;
use std::os::unix::fs::chown;
use testkit::command::orlop_path;
use testkit::{Command, is_root, orlop, peer, proof, scratch};

const NAME: &str = "fakeroot: build and unpack keep what it pretends";

#[test]
fn b3_what_fakeroot_pretends_is_built_and_unpacked_by_default() {
    if peer("fakeroot").is_none() {
        return proof::skipped(NAME, "fakeroot is missing");
    }
    let it = scratch();
    fs::copy(orlop_path(), it.path("orlop")).expect("the user need not be able to read where it was built");
    it.folder("tree");
    it.file("tree/file", "x");
    if is_root() {
        for path in ["", "tree", "tree/file"] {
            chown(it.path(path), Some(65534), Some(65534)).expect("root may give files away");
        }
    }
    let script =
        "chown 5:6 tree/file && mknod tree/null c 1 3 && ./orlop build --progress none tree oci:l:t &&
        ./orlop unpack --progress none oci:l:t out && stat -c '%u:%g %n' out/file && stat -c '%F' out/null";
    let command = Command::new("fakeroot").args(["--", "sh", "-euc", script]).current_dir(it.root());
    let done = if is_root() { command.unprivileged().ok() } else { command.ok() };
    let lines = done.out();
    assert!(lines.contains("5:6 out/file\n") && lines.contains("character special file\n"), "{lines}");
    let listing = orlop().args(["files", "oci:l:t"]).current_dir(it.root()).ok().out();
    let line =
        |name: &str| listing.lines().find(|line| line.ends_with(name)).expect("it was built").to_owned();
    assert!(line(" file").contains("5:6"), "{listing}");
    assert!(line(" null").starts_with('c') && line(" null").contains("1,3"), "{listing}");
    proof::ran(NAME, 4);
}
