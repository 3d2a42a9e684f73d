//! What starting costs: no file is opened and no thread started that the command does not need.

use std::collections::BTreeSet;
use testkit::command::orlop_path;
use testkit::{Command, Scratch, orlop, peer, proof, scratch};

/// A layout `img` with one image.
fn fixture() -> Scratch {
    let folder = scratch();
    folder.folder("tree");
    folder.file("tree/file", "content\n");
    orlop().args(["build", "tree", "oci:img:1", "--progress=none"]).current_dir(folder.root()).ok();
    folder
}

/// The calls of one run, as strace prints them; nothing where tracing is not to be had.
fn trace(folder: &Scratch, calls: &str, words: &[&str]) -> Option<Vec<String>> {
    if peer("strace").is_none() {
        proof::skipped("start-up", "strace is missing");
        return None;
    }
    let log = folder.path("trace");
    // Cargo names folders of libraries, which the loader would search.
    let strace = Command::new("env")
        .args(["-u", "LD_LIBRARY_PATH", "strace", "-f", "-qq", "-e", calls, "-o"])
        .arg(&log)
        .arg(orlop_path());
    let done = strace.args(words).current_dir(folder.root()).run();
    if !done.success() {
        proof::not_offered("start-up", "this kernel does not let strace trace");
        return None;
    }
    Some(std::fs::read_to_string(log).expect("strace wrote it").lines().map(ToOwned::to_owned).collect())
}

/// The files that were opened, without those that the loader and the runtime of Rust open for every program.
fn opened(lines: &[String]) -> BTreeSet<String> {
    let path = |line: &String| line.split('"').nth(1).map(ToOwned::to_owned);
    let is_ours = |path: &String| {
        !["/etc/ld.so", "/lib", "/usr/lib", "/proc/self/maps"].iter().any(|known| path.starts_with(known))
    };
    lines.iter().filter_map(path).filter(is_ours).collect()
}

#[test]
fn a_verb_opens_what_it_needs_and_nothing_else() {
    let folder = fixture();
    for words in [&["--version"][..], &["--help"], &["version"], &["completions", "bash"]] {
        let Some(lines) = trace(&folder, "trace=%file", words) else { return };
        let lines: Vec<String> = lines.into_iter().filter(|line| line.contains("open")).collect();
        assert_eq!(opened(&lines), BTreeSet::new(), "{words:?}");
    }
    let Some(lines) = trace(&folder, "trace=open,openat,openat2", &["inspect", "oci:img:1"]) else { return };
    let names = opened(&lines);
    let is_of_the_layout = |name: &String| {
        name == "."
            || name.len() == 64
            // Whether an image may be used is asked before it is opened.
            || name.ends_with("/containers/policy.json")
            || ["img", "oci-layout", "index.json", "blobs", "sha256"].contains(&name.as_str())
    };
    assert!(names.iter().all(is_of_the_layout), "{names:?}");
    proof::ran("start-up", 5);
}

#[test]
fn looking_at_documents_starts_no_thread_and_makes_few_calls() {
    let folder = fixture();
    for words in [&["inspect", "oci:img:1"][..], &["ls", "oci:img"], &["digest", "oci:img:1"]] {
        let Some(lines) = trace(&folder, "trace=all", words) else { return };
        let threads = lines.iter().filter(|line| line.contains("clone(") || line.contains("clone3(")).count();
        assert_eq!(threads, 0, "{words:?}");
        assert!(lines.len() < 250, "{words:?}: {} system calls", lines.len());
    }
}
