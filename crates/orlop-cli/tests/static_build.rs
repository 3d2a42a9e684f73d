//! A static build cannot see what fakeroot pretends, and refuses, whatever is asked of it that has owners.

use std::path::{Path, PathBuf};
use std::time::Duration;
use testkit::{Command, full, orlop, peer, proof, scratch};

const NAME: &str = "fakeroot: a static build refuses";
const TARGET: &str = "x86_64-unknown-linux-musl";

/// The program that `ORLOP_STATIC` names; in a full run one is built, where that is possible.
fn static_build() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("ORLOP_STATIC") {
        return Some(path.into());
    }
    if !full() || peer("fakeroot").is_none() {
        return None;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("static");
    let cargo = Command::new(env!("CARGO")).args(["build", "-q", "-p", "orlop-cli", "--target", TARGET]);
    let cargo = cargo.env("CC_x86_64_unknown_linux_musl", "musl-gcc").env("CARGO_TARGET_DIR", &target);
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).time(Duration::from_secs(1200)).run();
    built.success().then(|| target.join(TARGET).join("debug/orlop"))
}

#[test]
fn b3_a_static_build_under_fakeroot_refuses_loudly() {
    let Some(program) = static_build() else {
        return proof::not_offered(NAME, "no static build: ORLOP_STATIC is not set, or there is no musl-gcc");
    };
    let scratch = scratch();
    scratch.folder("tree");
    scratch.file("tree/file", "x");
    orlop().args(["build", "tree", "oci:l:t", "--cmd", "x"]).current_dir(scratch.root()).ok();
    let run =
        |words: &[&str]| Command::new("fakeroot").arg(&program).args(words).current_dir(scratch.root()).run();
    let cases: [&[&str]; 6] = [
        &["build", "tree", "oci:new:t"],
        &["copy", "rootfs:tree", "oci:new:t"],
        &["compat", "sloci-image", "tree", "new"],
        &["unpack", "oci:l:t", "new"],
        &["bundle", "oci:l:t", "new"],
        &["diff", "./tree", "oci:l:t"],
    ];
    for words in cases {
        let done = run(words);
        assert_eq!(done.code(), Some(1), "{words:?}: {done}");
        for said in ["fakeroot is active", "statically linked", "dynamically linked build"] {
            assert!(done.err().contains(said), "{words:?}: {done}");
        }
        assert!(!scratch.path("new").exists(), "{words:?} left something");
    }
    // What reads no owners is not refused.
    assert_eq!(run(&["inspect", "oci:l:t"]).code(), Some(0));
    proof::ran(NAME, cases.len() + 1);
}
