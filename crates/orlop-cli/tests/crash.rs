//! Crash: every changing file operation of a command is the last one once (SIGKILL), or fails (EIO), or the disk
//! is full from there on (ENOSPC). Afterwards the layout is valid, the old image is whole, the new one is absent
//! or whole, and the same command, run again, succeeds and leaves nothing else behind than without the crash.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use testkit::dump::{Dump, dump};
use testkit::{Command, Finished, Scratch, full, orlop, peer, proof, scratch};

/// A command under test, in a folder that holds `tree/`, `other/`, and the layout `layout` with the image `old`.
struct Subject {
    name: &'static str,
    args: &'static [&'static str],
    /// What `digest` or a listing must tell after success.
    target: Target,
}

#[derive(Clone, Copy)]
enum Target {
    /// An image of the layout.
    Image(&'static str),
    /// A folder.
    Folder(&'static str),
    /// A name of the layout that goes.
    Gone(&'static str),
    /// Nothing new.
    Nothing,
}

const SUBJECTS: [Subject; 6] = [
    Subject { name: "build", args: &["build", "tree", "oci:layout:new"], target: Target::Image("new") },
    Subject { name: "copy", args: &["copy", "oci:other:o", "oci:layout:new"], target: Target::Image("new") },
    Subject { name: "tag", args: &["tag", "oci:layout:old", "new"], target: Target::Image("new") },
    Subject { name: "untag", args: &["untag", "oci:layout:gone"], target: Target::Gone("gone") },
    Subject { name: "gc", args: &["gc", "--grace", "0s", "oci:layout"], target: Target::Nothing },
    Subject { name: "unpack", args: &["unpack", "oci:layout:old", "out"], target: Target::Folder("out") },
];

/// The start of every run.
struct Stage {
    scratch: Scratch,
}

impl Stage {
    fn new() -> Self {
        let scratch = scratch();
        let start = scratch.folder("start");
        for (folder, count) in [("tree", 12), ("other-tree", 5)] {
            fs::create_dir_all(start.join(folder).join("d/e")).expect("new");
            for number in 0..count {
                fs::write(start.join(folder).join(format!("d/e/f{number}")), vec![b'x'; 3000 * number])
                    .expect("new");
            }
            fs::hard_link(start.join(folder).join("d/e/f1"), start.join(folder).join("link")).expect("new");
        }
        for (tree, image) in
            [("other-tree", "oci:layout:old"), ("tree", "oci:other:o"), ("tree/d", "oci:layout:gone")]
        {
            orlop().args(["build", tree, image]).current_dir(&start).ok();
        }
        orlop().args(["untag", "oci:layout:gone"]).current_dir(&start).ok();
        orlop().args(["tag", "oci:layout:old", "gone"]).current_dir(&start).ok();
        Self { scratch }
    }

    /// A fresh copy of the start, in which the command is run.
    fn fresh(&self) -> PathBuf {
        let work = self.scratch.path("work");
        scratch::remove(&work);
        Command::new("cp").args(["-a", "--reflink=auto"]).arg(self.scratch.path("start")).arg(&work).ok();
        work
    }
}

fn run(subject: &Subject, work: &Path, fault: Option<&str>) -> Finished {
    let command = orlop().args(subject.args).current_dir(work);
    match fault {
        Some(fault) => command.env("ORLOP_FAULT", fault).run(),
        None => command.run(),
    }
}

fn ask(work: &Path, args: &[&str]) -> Finished {
    orlop().args(args).current_dir(work).run()
}

/// All paths below the folder, but what a sweep would remove.
fn paths(work: &Path) -> BTreeSet<Vec<u8>> {
    dump(work).into_keys().collect()
}

/// What must hold at any moment, whatever happened.
fn intact(work: &Path, old: &str, what: &str) {
    let valid = ask(work, &["validate", "oci:layout"]);
    assert!(valid.success(), "{what}: the layout is not valid: {valid}");
    assert_eq!(ask(work, &["digest", "oci:layout:old"]).out(), old, "{what}: the old image is another one");
}

/// The target is as it was before the command, or as it is after it.
fn old_or_new(subject: &Subject, work: &Path, new: &Whole, what: &str) {
    match (subject.target, new) {
        (Target::Image(tag), Whole::Image(digest)) => {
            let now = ask(work, &["digest", &format!("oci:layout:{tag}")]);
            assert!(
                !now.success() || now.out() == *digest,
                "{what}: the new image is neither absent nor whole"
            );
        }
        (Target::Folder(name), Whole::Folder(tree)) => {
            let path = work.join(name);
            assert!(
                !path.exists() || dump(&path) == **tree,
                "{what}: the folder is neither absent nor whole"
            );
        }
        _ => {}
    }
}

/// Whether the first run had come to its end: a second one is then refused, rightly.
fn is_done(subject: &Subject, work: &Path) -> bool {
    match subject.target {
        Target::Folder(name) => work.join(name).exists(),
        Target::Gone(tag) => ask(work, &["digest", &format!("oci:layout:{tag}")]).code() == Some(2),
        Target::Image(_) | Target::Nothing => false,
    }
}

/// What an undisturbed run gives.
enum Whole {
    Image(String),
    Folder(Box<Dump>),
    Nothing,
}

fn result(subject: &Subject, work: &Path) -> Whole {
    match subject.target {
        Target::Image(tag) => Whole::Image(ask(work, &["digest", &format!("oci:layout:{tag}")]).out()),
        Target::Folder(name) => Whole::Folder(Box::new(dump(&work.join(name)))),
        Target::Gone(_) | Target::Nothing => Whole::Nothing,
    }
}

/// Every point, or in the gate the first ones, the last ones and each seventh between.
fn chosen(point: usize, last: usize) -> bool {
    full() || point <= 5 || point + 5 >= last || point.is_multiple_of(7)
}

/// Changing operations of an undisturbed run: the first point at which a kill no longer hits.
fn count(stage: &Stage, subject: &Subject) -> usize {
    let hit = |point: usize| run(subject, &stage.fresh(), Some(&format!("kill:{point}"))).signal() == Some(9);
    let mut high = 1;
    while hit(high) {
        high *= 2;
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if hit(middle) { low = middle } else { high = middle }
    }
    low
}

#[test]
fn every_operation_may_be_the_last() {
    let stage = Stage::new();
    let old = ask(&stage.scratch.path("start"), &["digest", "oci:layout:old"]).out();
    let mut cases = 0;
    for subject in &SUBJECTS {
        let work = stage.fresh();
        let whole = run(subject, &work, None);
        assert!(whole.success(), "{whole}");
        let new = result(subject, &work);
        ask(&work, &["gc", "--grace", "0s", "oci:layout"]);
        let clean = paths(&work);
        let last = count(&stage, subject);
        assert!(last >= 2, "{}: {last} operations; is ORLOP_FAULT compiled in?", subject.name);
        for point in (1..=last).filter(|point| chosen(*point, last)) {
            for fault in ["kill", "eio", "enospc"] {
                let what = format!("{} {fault}:{point} of {last}", subject.name);
                let work = stage.fresh();
                let broken = run(subject, &work, Some(&format!("{fault}:{point}")));
                if fault == "kill" {
                    // Threads that meet at a folder may need an operation more or less from run to run.
                    let beyond = broken.success() && point + 3 > last;
                    assert!(broken.signal() == Some(9) || beyond, "{what}: {broken}");
                } else {
                    assert!(broken.code().is_some_and(|code| code != 101), "{what}: {broken}");
                }
                intact(&work, &old, &what);
                old_or_new(subject, &work, &new, &what);
                let again = run(subject, &work, None);
                assert!(again.success() || is_done(subject, &work), "{what}: a second run fails: {again}");
                intact(&work, &old, &what);
                ask(&work, &["gc", "--grace", "0s", "oci:layout"]);
                let left: Vec<_> =
                    paths(&work).symmetric_difference(&clean).map(|p| p.escape_ascii().to_string()).collect();
                assert!(left.is_empty(), "{what}: left behind or missing: {left:?}");
                cases += 1;
            }
        }
    }
    proof::ran("crash: kill, EIO and ENOSPC at the file seam", cases);
}

/// The same from outside: system calls that no seam of ours sees are hit too.
#[test]
fn every_system_call_may_be_the_last() {
    let name = "crash: kill at system calls by strace";
    if peer("strace").is_none() {
        return proof::skipped(name, "strace is missing");
    }
    let stage = Stage::new();
    let probe = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).run();
    if !probe.success() {
        return proof::not_offered(name, "this kernel or container does not allow ptrace");
    }
    let old = ask(&stage.scratch.path("start"), &["digest", "oci:layout:old"]).out();
    let calls = [
        "openat",
        "write",
        "renameat2",
        "renameat",
        "linkat",
        "unlinkat",
        "mkdirat",
        "fsync",
        "ftruncate",
        "symlinkat",
    ];
    let most = if full() { 40 } else { 3 };
    let mut cases = 0;
    for subject in &SUBJECTS {
        for call in calls {
            for when in 1..=most {
                let work = stage.fresh();
                let inject = format!("inject={call}:signal=KILL:when={when}");
                let command = orlop().args(subject.args).current_dir(&work);
                let killed = command.under(["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject]).run();
                let what = format!("{} {inject}", subject.name);
                intact(&work, &old, &what);
                cases += 1;
                if killed.success() {
                    break;
                }
                let again = run(subject, &work, None);
                assert!(again.success() || is_done(subject, &work), "{what}: a second run fails: {again}");
            }
        }
    }
    proof::ran(name, cases);
}
