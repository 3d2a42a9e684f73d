//! setuid bits are for the owner that an image names, and for nobody else.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use testkit::scratch::{Scratch, scratch};
use testkit::{Command, is_root, orlop};

/// `oci:work/l:t`: `/su` is 1000:100 and setuid, `/both` is root's, `/shared` is a folder with setgid.
fn fixture() -> Scratch {
    let scratch = scratch();
    scratch.folder("tree/shared");
    for (name, mode) in [("su", 0o4755), ("both", 0o6711), ("plain", 0o755)] {
        let file = scratch.file(&format!("tree/{name}"), "x");
        if name == "su" {
            chown(&file, Some(1000), Some(100)).expect("root");
        }
        fs::set_permissions(file, Permissions::from_mode(mode)).expect("ours");
    }
    fs::set_permissions(scratch.path("tree/shared"), Permissions::from_mode(0o2775)).expect("ours");
    let work = scratch.folder("work");
    run(&scratch, &["build", "tree", "oci:work/l:t"]).ok();
    Command::new("chown").args(["-R", "65534:65534"]).arg(&work).ok();
    scratch
}

fn run(scratch: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(scratch.root())
}

fn modes(scratch: &Scratch, folder: &str) -> Vec<u32> {
    let mode = |name| {
        let path = scratch.path(&format!("{folder}/{name}"));
        fs::metadata(path).expect("unpacked").permissions().mode() & 0o7777
    };
    ["su", "both", "plain", "shared"].map(mode).to_vec()
}

#[test]
fn a_file_is_setuid_only_where_its_owner_is_kept() {
    if !is_root() {
        return;
    }
    let scratch = fixture();
    run(&scratch, &["unpack", "oci:work/l:t", "work/exact"]).ok();
    assert_eq!(modes(&scratch, "work/exact"), [0o4755, 0o6711, 0o755, 0o2775]);
    for owner in ["squash", "record"] {
        for (who, is_nobody) in [("root", false), ("nobody", true)] {
            let target = format!("work/{owner}-{who}");
            let unpack = run(&scratch, &["unpack", "oci:work/l:t", &target, "--owner", owner]);
            let done = if is_nobody { unpack.unprivileged() } else { unpack }.ok();
            assert_eq!(modes(&scratch, &target), [0o755, 0o711, 0o755, 0o2775], "{target}");
            let told = "not kept: setuid bit, 2 times: both (the program would run as you), su";
            assert!(done.err().contains(told), "{target}: {}", done.err());
        }
    }
}

#[test]
fn what_was_recorded_is_built_again_with_its_bits() {
    if !is_root() {
        return;
    }
    let scratch = fixture();
    let unpack = run(&scratch, &["unpack", "oci:work/l:t", "work/tree", "--owner", "record"]);
    unpack.unprivileged().ok();
    run(&scratch, &["build", "work/tree", "oci:work/l:again", "--owner", "record"]).unprivileged().ok();
    run(&scratch, &["diff", "oci:work/l:t", "oci:work/l:again"]).ok();
}
