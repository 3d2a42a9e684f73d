//! The grammar of refs, judged by the real tool.

use orlop_host::ostree::refname::RefSpec;
use std::path::Path;
use testkit::{Peer, proof};

/// Where versions of libostree disagree (marks of alphabets) or where it is wrong (a line feed at the end), nothing is asked.
const NAMES: [&str; 34] = [
    "a", "a/b", "á/b", "_", "1", "٣", "²", "ⅳ", "ああ", "a..b", "a.lock", "a/b.", "a-", "_-._", "r:a",
    "r.x:a/b", "a@b", "a+b", "a b", ".x", "-x", "a//b", "a/", "/a", "a/.b", "a/-b", "Ⓐ", "r/x:b", "-r:b",
    "r::b", ":b", "r:", "r:a:b", "a~",
];

#[test]
fn the_real_tool_accepts_the_same_names() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: names of refs", "ostree is missing");
    };
    let scratch = testkit::scratch();
    let commit = repository(&ostree, scratch.root());
    for name in NAMES {
        let create = format!("--create={name}");
        let theirs =
            ostree.command().args(["refs", "--repo=r", &create, &commit]).current_dir(scratch.root()).run();
        assert_eq!(name.parse::<RefSpec>().is_ok(), theirs.success(), "{name}: {}", theirs.err());
        if theirs.success() {
            ostree.command().args(["refs", "--repo=r", "--delete", name]).current_dir(scratch.root()).run();
        }
    }
    proof::ran("ostree: names of refs", NAMES.len());
}

fn repository(ostree: &Peer, folder: &Path) -> String {
    std::fs::create_dir(folder.join("tree")).expect("a folder");
    let run = |arguments: &[&str]| {
        let done = ostree.command().args(arguments).current_dir(folder).run();
        assert!(done.success(), "{}", done.err());
        done.out().trim().to_owned()
    };
    run(&["init", "--repo=r", "--mode=archive"]);
    // The beginning of an id is a name too: no ref can be called `a` where the commit's id begins so.
    let mut commits =
        (0..).map(|number| run(&["commit", "--repo=r", "--orphan", &format!("--subject={number}"), "tree"]));
    commits.find(|id| !id.starts_with(['a', '1'])).expect("one in a few")
}
