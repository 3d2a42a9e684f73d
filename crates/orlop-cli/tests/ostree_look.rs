//! What the looking verbs of `orlop ostree` print is what the real tool prints.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use testkit::{Finished, Peer, Scratch, orlop, proof, scratch};

/// Lines of both tools, without the repository. They must print the same and both succeed.
const LOOKS: [&[&str]; 27] = [
    &["rev-parse", "b"],
    &["rev-parse", "b^", "z/a", "rem:q/w"],
    &["log", "b"],
    &["log", "--raw", "b"],
    &["log", "z/a"],
    &["show", "b"],
    &["show", "--raw", "b"],
    &["show", "--print-metadata-key=version", "b"],
    &["show", "--print-metadata-key=number", "b"],
    &["show", "--print-detached-metadata-key=later", "b"],
    &["show", "--raw", "446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c5488"],
    &["show", "446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c5488"],
    &["ls", "b"],
    &["ls", "-R", "-C", "-X", "b"],
    &["ls", "-d", "b", "/d"],
    &["ls", "b", "/d/f", "d/e"],
    &["ls", "-R", "--nul-filenames-only", "b"],
    &["cat", "b", "/d/f", "/n/1"],
    &["diff", "b"],
    &["diff", "z/a", "b"],
    &["diff", "b", "z/a"],
    &["diff", "b", "b"],
    &["refs", "z"],
    &["refs", "--list", "z"],
    &["refs", "rem:"],
    &["refs", "b"],
    &["refs", "nothing"],
];

/// Two commits that differ in all ways, made by the real tool.
fn repository(ostree: &Peer) -> Scratch {
    let scratch = scratch();
    let theirs = |words: &[&str]| ostree.command().args(words).current_dir(scratch.root()).ok();
    scratch.folder("t/d/e");
    scratch.folder("t/k");
    scratch.file("t/d/f", "x\n");
    scratch.file("t/d/e/g", "y\n");
    symlink("f", scratch.path("t/d/l")).expect("a link");
    theirs(&["init", "--repo=r", "--mode=archive"]);
    theirs(&["commit", "--repo=r", "-b", "b", "-s", "one", "--timestamp=@1000", "t"]);
    scratch.file("t/d/f", "q\n");
    std::fs::remove_file(scratch.path("t/d/e/g")).expect("removed");
    scratch.folder("t/n");
    scratch.file("t/n/1", "1\n");
    std::fs::set_permissions(scratch.path("t/k"), std::fs::Permissions::from_mode(0o700)).expect("ours");
    let said = ["-s", "it's\ttwo", "-m", "a body\nof lines", "--add-metadata-string=version=1.2"];
    let more = ["--add-metadata=number=uint32 5", "--add-detached-metadata-string=later=on"];
    theirs(&[&["commit", "--repo=r", "-b", "b", "--timestamp=@2000", "t"], &said[..], &more[..]].concat());
    theirs(&["refs", "--repo=r", "--create=z/a", "b^"]);
    theirs(&["refs", "--repo=r", "--create=rem:q/w", "b"]);
    scratch
}

fn ours(scratch: &Scratch, words: &[&str]) -> Finished {
    let (verb, rest) = words.split_first().expect("a verb");
    orlop().args(["ostree", verb, "--repo=r"]).args(rest).current_dir(scratch.root()).run()
}

#[test]
fn looking_prints_what_the_real_tool_prints() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: looks", "ostree is missing");
    };
    let scratch = repository(&ostree);
    for words in LOOKS {
        let theirs = ostree.command().args(words).arg("--repo=r").current_dir(scratch.root()).ok();
        let ours = ours(&scratch, words);
        assert!(ours.success(), "{words:?}: {}", ours.err());
        assert_eq!(ours.out(), theirs.out().replace("it's\ttwo", "it's\\x09two"), "{words:?}");
    }
    proof::ran("ostree: looks", LOOKS.len());
}

#[test]
fn refs_are_made_and_taken_away_as_by_the_real_tool() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: refs", "ostree is missing");
    };
    let scratch = repository(&ostree);
    let listed = || {
        let out = ostree.command().args(["refs", "--repo=r"]).current_dir(scratch.root()).ok().out();
        let mut names: Vec<_> = out.lines().map(ToOwned::to_owned).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(ours(&scratch, &["refs"]).out(), "b\nz/a\nrem:q/w\n");
    assert!(ours(&scratch, &["refs", "--create=z/b/c", "b"]).success());
    assert!(ours(&scratch, &["refs", "--create=new:z", "b^"]).success());
    assert_eq!(listed(), "b new:z rem:q/w z/a z/b/c");
    assert_eq!(ours(&scratch, &["refs", "--create=z/a", "b"]).code(), Some(1));
    assert_eq!(ours(&scratch, &["refs", "--create=b/x", "b"]).code(), Some(1), "b is a file");
    assert_eq!(ours(&scratch, &["refs", "--create=z", "b"]).code(), Some(1), "z is a folder");
    assert_eq!(ours(&scratch, &["refs", "--create=a b", "b"]).code(), Some(64));
    assert!(ours(&scratch, &["refs", "--create=z/a", "--force", "b"]).success());
    assert_eq!(ours(&scratch, &["rev-parse", "z/a"]).out(), ours(&scratch, &["rev-parse", "b"]).out());
    assert!(ours(&scratch, &["refs", "--delete", "z", "rem:"]).success());
    assert_eq!(listed(), "b new:z");
    proof::ran("ostree: refs", 8);
}

#[test]
fn what_is_not_there_is_told_with_the_code_for_it() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: misuse", "ostree is missing");
    };
    let scratch = repository(&ostree);
    let cases: [(&[&str], i32, &str); 8] = [
        (&["rev-parse", "nope"], 2, "no ref and no commit `nope`"),
        (&["rev-parse", "z/a^"], 2, "has no parent"),
        (&["rev-parse", "--single"], 64, "not just one commit"),
        (&["ls", "b", "/nope"], 2, "no `/nope`"),
        (&["ls", "b", "/d/f/x"], 2, "no `/d/f/x`"),
        (&["cat", "b", "/d"], 1, "no regular file"),
        (&["cat", "b", "/d/l"], 1, "no regular file"),
        (&["show", "--print-metadata-key=none", "b"], 2, "no `none`"),
    ];
    for (words, code, told) in cases {
        let done = ours(&scratch, words);
        assert_eq!(done.code(), Some(code), "{words:?}: {}", done.err());
        assert!(done.err().contains(told), "{words:?}: {}", done.err());
    }
    let elsewhere = orlop().args(["ostree", "refs", "--repo=t"]).current_dir(scratch.root()).run();
    assert_eq!(elsewhere.code(), Some(2));
    assert!(elsewhere.err().contains("is no repository of OSTree"), "{}", elsewhere.err());
    std::fs::write(scratch.path("r/config"), "[core]\nrepo_version=1\nmode=odd\n").expect("written");
    let odd = ours(&scratch, &["refs"]);
    assert!(odd.err().contains("the mode \"odd\", which is unknown"), "{}", odd.err());
    proof::ran("ostree: misuse", cases.len() + 2);
}
