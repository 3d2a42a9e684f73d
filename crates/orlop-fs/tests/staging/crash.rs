//! A run that is killed, or whose disk is full or broken, at every changing operation: the target is as it was
//! or whole, and the next run succeeds and leaves nothing else.

use crate::layers::{Layer, fitting, stage};
use crate::scratch::{Scratch, Who, again_as};
use orlop_fs::seam::{self, Verdict};
use orlop_fs::staging::{Durable, Existing};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};

const FOLDER: &str = "ORLOP_FS_TEST_FOLDER";
const FAULT: &str = "ORLOP_FS_TEST_FAULT";
/// Where the run tells how many operations it took.
const COUNTED: &str = "counted";

/// The run that is disturbed; it tells how many operations it took.
#[test]
#[ignore = "the other tests run it in a process of its own"]
fn child() {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let (Some(folder), fault) = (std::env::var_os(FOLDER), std::env::var(FAULT).unwrap_or_default()) else {
        return;
    };
    let fault = seam::from_text(&fault).unwrap_or_else(|| Box::new(|_, _| Verdict::Go));
    seam::install(Box::new(move |operation, name| {
        COUNT.fetch_add(1, Ordering::Relaxed);
        fault(operation, name)
    }));
    let parent = orlop_fs::Dir::open(Path::new(&folder)).expect("opened");
    let base = Layer::new().file("d/a", "0").file("d/b", "0").file("gone/x", "0").symlink("s", "d").dir("e");
    let upper = Layer::new().file("d/a", "1").whiteout("gone").file("s/c", "1").link("h", "d/a").fifo("p");
    let staged = stage(&parent, &[base, upper], Existing::Replace, fitting());
    staged.and_then(|(staging, _)| staging.publish(Durable::Yes)).expect("unpacked");
    std::fs::write(Path::new(&folder).join(COUNTED), COUNT.load(Ordering::Relaxed).to_string())
        .expect("written");
}

fn run(folder: &Path, fault: &str) -> ExitStatus {
    Command::new(std::env::current_exe().expect("running"))
        .args(["--exact", "crash::child", "--ignored"])
        .env(FOLDER, folder)
        .env(FAULT, fault)
        .output()
        .expect("started")
        .status
}

/// How many operations an undisturbed run takes.
fn count(before: &[&str]) -> usize {
    let scratch = prepare(before);
    assert!(run(scratch.path(), "").success());
    std::fs::read_to_string(scratch.at(COUNTED)).expect("told").parse().expect("a number")
}

fn prepare(before: &[&str]) -> Scratch {
    let scratch = Scratch::in_memory();
    if !before.is_empty() {
        scratch.dir_at("root");
        for name in before {
            scratch.file(&format!("root/{name}"), b"");
        }
    }
    scratch
}

fn names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).map(|names| {
        names.map(|name| name.expect("read").file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    });
    let mut names = names.unwrap_or_default();
    names.sort();
    names
}

/// What the target may look like: as before, or as it should be.
fn check(scratch: &Scratch, before: &[&str], when: &str) {
    let found = names(&scratch.at("root"));
    assert!(found == before || found == ["d", "e", "h", "p", "s"], "{when}: {found:?}");
    if found != before {
        assert_eq!(names(&scratch.at("root/d")), ["a", "b", "c"], "{when}");
    }
}

/// Disturbs one operation after the other; `before` is what the target holds. Returns how many.
fn disturb(fault: &str, before: &[&str], stride: usize) -> usize {
    let steps: Vec<usize> = (1..=count(before)).step_by(stride).collect();
    for step in &steps {
        let scratch = prepare(before);
        let when = format!("{fault}:{step}");
        let status = run(scratch.path(), &when);
        check(&scratch, before, &when);
        assert_eq!(status.signal().is_some(), fault == "kill", "{when}: {status}");
        if status.signal().is_none() && !status.success() {
            assert!(fault == "eio" || litter(&scratch) == [""; 0], "{when}: something was left");
        }
        assert!(run(scratch.path(), "").success(), "{when}: the next run succeeds");
        assert_eq!(litter(&scratch), [""; 0], "{when}: the next run cleans up");
        assert_eq!(names(&scratch.at("root")), ["d", "e", "h", "p", "s"], "{when}");
    }
    steps.len()
}

fn litter(scratch: &Scratch) -> Vec<String> {
    names(scratch.path()).into_iter().filter(|name| name != "root" && name != COUNTED).collect()
}

/// All steps of a kill are tried always; the others in part, unless the long run is asked for.
fn stride() -> usize {
    if testkit::full() { 1 } else { 3 }
}

#[test]
fn a_run_killed_at_any_operation_leaves_the_target_old_or_whole() {
    let steps = disturb("kill", &[], 1) + disturb("kill", &["old"], 1);
    assert!(steps > 60, "only {steps} operations pass the seam");
    testkit::proof::ran("files: an unpack killed at every operation", steps);
}

/// There the tree appears piece by piece: what a killed run left is told from a whole tree by its marker.
#[test]
fn a_run_killed_while_it_fills_a_mount_point_is_begun_anew() {
    if !again_as(Who::Root, "crash::a_run_killed_while_it_fills_a_mount_point_is_begun_anew") {
        return;
    }
    let whole = ["d", "e", "h", "p", "s"];
    let mut killed = 0;
    for step in 1.. {
        let scratch = Scratch::in_memory();
        scratch.dir_at("root");
        scratch.run("mount", &["-t", "tmpfs", "none", "root"]);
        let status = run(scratch.path(), &format!("kill:{step}"));
        let left = names(&scratch.at("root"));
        let again = if left == whole { None } else { Some(run(scratch.path(), "")) };
        let found = names(&scratch.at("root"));
        scratch.run("umount", &["root"]);
        assert!(again.is_none_or(|again| again.success()), "killed at {step}, and {left:?} was left");
        assert_eq!(found, whole, "killed at {step}");
        if status.success() {
            break;
        }
        killed += 1;
    }
    assert!(killed > 40, "only {killed} operations");
}

#[test]
fn a_full_disk_at_any_operation_leaves_the_target_old_or_whole() {
    let steps = disturb("enospc", &[], stride()) + disturb("enospc", &["old"], stride());
    testkit::proof::ran("files: an unpack on a disk that is full from any operation on", steps);
}

#[test]
fn a_broken_disk_at_any_operation_leaves_the_target_old_or_whole() {
    let steps = disturb("eio", &[], stride()) + disturb("eio", &["old"], stride());
    testkit::proof::ran("files: an unpack with an error at every operation", steps);
}
