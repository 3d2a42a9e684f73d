//! Commits as objects in the layers of images: what `ostree` finds in what we write, and what we find in what ostree-ext
//! wrote (`record.sh`).

mod capsule;
mod hostile;
mod read;
mod write;

use serde_json::Value;
use testkit::{Finished, Peer, Scratch, orlop, peer, proof};

/// Runs orlop in the folder of a test.
fn run(it: &Scratch, words: &[&str]) -> Finished {
    orlop().args(words).current_dir(it.root()).run()
}

/// What it prints, where it does well.
fn ok(it: &Scratch, words: &[&str]) -> String {
    let done = run(it, words);
    assert!(done.success(), "{words:?}: {done}");
    done.out()
}

/// What the real tool prints.
fn theirs(it: &Scratch, ostree: &Peer, words: &[&str]) -> String {
    ostree.command().args(words).current_dir(it.root()).ok().out().trim().to_owned()
}

/// The real tool, which judges; `None` where it is not installed.
fn judge(proof: &str) -> Option<Peer> {
    let ostree = peer("ostree");
    if ostree.is_none() {
        proof::skipped(proof, "no ostree");
    }
    ostree
}

/// What an import says of itself.
fn imported(it: &Scratch, words: &[&str]) -> Value {
    serde_json::from_str(&ok(it, &[&["copy", "--format=json"], words].concat())).expect("JSON")
}
