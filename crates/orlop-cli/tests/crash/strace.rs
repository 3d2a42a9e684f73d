//! From outside: the system calls of the command, whether a seam of ours sees them or not.

use crate::stage::{SUBJECTS, Stage, Subject, Trial};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use testkit::{Command, full, peer, proof};

/// Calls that change something.
const CALLS: [&str; 25] = [
    "openat",
    "write",
    "pwrite64",
    "copy_file_range",
    "ioctl",
    "ftruncate",
    "fallocate",
    "mkdirat",
    "mknodat",
    "symlinkat",
    "linkat",
    "renameat",
    "renameat2",
    "unlinkat",
    "fchmod",
    "fchmodat",
    "fchown",
    "fchownat",
    "utimensat",
    "fsetxattr",
    "lsetxattr",
    "fremovexattr",
    "fsync",
    "fdatasync",
    "syncfs",
];

/// What is injected.
const FAULTS: [&str; 3] = ["signal=KILL", "error=ENOSPC", "error=EIO"];

/// Whether strace is there and works; if not, this is reported for the proof.
pub(crate) fn is_offered(proof: &str) -> bool {
    if peer("strace").is_none() {
        proof::skipped(proof, "strace is missing");
        return false;
    }
    if !Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).run().success() {
        proof::not_offered(proof, "this kernel or container does not allow ptrace");
        return false;
    }
    true
}

#[test]
fn every_system_call_may_be_the_last() {
    let name = "crash: kill, EIO and ENOSPC at system calls by strace";
    if is_offered(name) {
        let stage = Stage::new();
        proof::ran(name, SUBJECTS.iter().map(|subject| disturb(&stage, subject)).sum());
    }
}

fn disturb(stage: &Stage, subject: &Subject) -> usize {
    let points = points(stage, subject);
    let calls: BTreeSet<&str> = points.iter().map(|(call, ..)| *call).collect();
    assert!(calls.len() >= 2, "{}: only {calls:?}", subject.name);
    let trial = Trial::new(stage, subject);
    let chosen = chosen(points);
    for (call, when, fault) in &chosen {
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{fault}:when={when}"));
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let what = format!("{} {inject}", subject.name);
        let broken = trial.disturb(&what, |command| command.under(strace));
        assert!(broken.code() != Some(101), "{what}: {broken}");
    }
    chosen.len()
}

/// A call, its number among the same calls of its thread (this is how strace counts), and a fault.
type Point = (&'static str, usize, &'static str);

/// All points of an undisturbed run.
fn points(stage: &Stage, subject: &Subject) -> Vec<Point> {
    let work = stage.fresh();
    let log = work.join("strace.log");
    let trace = format!("trace={}", CALLS.join(","));
    let strace = ["strace", "-f", "-qq", "-e", &trace, "-o"].map(Path::new);
    subject.command(&work).under(strace.into_iter().chain([log.as_path()])).ok();
    let log = fs::read_to_string(log).expect("strace writes text");
    let found = numbered(&log);
    found.into_iter().flat_map(|(call, when)| FAULTS.map(|fault| (call, when, fault))).collect()
}

/// Which call of which number changes something, in any thread: opening does only where it creates.
fn numbered(log: &str) -> BTreeSet<(&'static str, usize)> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for line in log.lines() {
        let (thread, line) = line.split_once(' ').unwrap_or(("", line));
        let line = line.trim_start();
        let Some(call) = CALLS.into_iter().find(|call| starts(line, call)) else { continue };
        let count = counts.entry((thread, call)).or_default();
        *count += 1;
        if call != "openat" || line.contains("O_CREAT") || line.contains("O_TMPFILE") {
            found.insert((call, *count));
        }
    }
    found
}

fn starts(line: &str, call: &str) -> bool {
    line.strip_prefix(call).is_some_and(|rest| rest.starts_with('('))
}

/// So many points of one command, evenly spread: they are many, and each costs several processes.
fn chosen(points: Vec<Point>) -> Vec<Point> {
    let most = if full() { 400 } else { 10 };
    let all = points.len();
    let is_chosen = |index: usize| (index + 1) * most / all > index * most / all;
    points
        .into_iter()
        .enumerate()
        .filter(|(index, _)| all <= most || is_chosen(*index))
        .map(|(_, it)| it)
        .collect()
}
