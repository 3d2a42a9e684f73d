//! `rm`: an image goes under all its names, and never under one that nobody agreed to.

use testkit::registry::{Guard, Registry, Wire};
use testkit::{Command, Scratch, orlop, peer, proof, scratch};

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root())
}

/// A layout with one image under two names, and another image.
fn layout() -> Scratch {
    let it = scratch();
    for (folder, tag) in [("one", "a"), ("two", "c")] {
        it.folder(folder);
        it.file(&format!("{folder}/file"), folder);
        run(&it, &["build", folder, &format!("oci:l:{tag}"), "--progress=none"]).ok();
    }
    run(&it, &["tag", "oci:l:a", "b"]).ok();
    it
}

/// The tags of a place in one line.
fn tags(it: &Scratch, place: &str) -> String {
    let told = run(it, &["ls", place]).ok().out();
    let mut tags: Vec<&str> = told.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    tags.sort_unstable();
    tags.join(" ")
}

/// Removes by a tag and by a digest, with and without consent.
fn walk(it: &Scratch, place: &str) {
    let digest = run(it, &["digest", &format!("{place}:a")]).ok().out();
    let by_digest = format!("{place}@{}", digest.trim());
    for reference in [&format!("{place}:a"), &by_digest] {
        let told = run(it, &["rm", reference]).run();
        assert_eq!(told.code(), Some(64), "{}", told.err());
        assert!(told.err().contains('b') && told.err().contains("--yes"), "{}", told.err());
        let shown = run(it, &["rm", "--dry-run", reference]).ok().out();
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert_eq!(tags(it, place), "a b c");
    }
    run(it, &["rm", "--yes", &by_digest]).ok();
    assert_eq!(tags(it, place), "c");
    let gone = run(it, &["rm", "--yes", &by_digest]).run();
    assert_eq!(gone.code(), Some(2), "{}", gone.err());
    // Nobody is asked about the one name that was given.
    run(it, &["rm", &format!("{place}:c")]).ok();
}

#[test]
fn names_that_were_not_given_go_only_where_it_is_agreed() {
    walk(&layout(), "oci:l");
}

#[test]
fn names_of_a_registry_go_only_where_it_is_agreed() {
    const PROOF: &str = "rm: an image of a registry";
    let Some(registry) = Registry::start(Wire::Clear, Guard::Open) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = layout();
    let place = format!("docker://{}/app", registry.host());
    for tag in ["a", "b", "c"] {
        run(&it, &["copy", &format!("oci:l:{tag}"), &format!("{place}:{tag}"), "--progress=none"]).ok();
    }
    walk(&it, &place);
    proof::ran(PROOF, 1);
}

/// On a terminal it is asked, and only a yes is one.
#[test]
fn a_terminal_is_asked() {
    const PROOF: &str = "rm: a question on a terminal";
    let Some(script) = peer("script") else { return proof::skipped(PROOF, "script is missing") };
    let it = layout();
    let command = format!("{} rm oci:l:a", testkit::command::orlop_path().display());
    for (answer, left) in [("\n", "a b c"), ("no\n", "a b c"), ("y\n", "c")] {
        let told =
            script.command().args(["-qec", &command, "/dev/null"]).current_dir(it.root()).input(answer);
        let told = told.run();
        assert!(told.out().contains("[y/N]"), "{}", told.out());
        assert_eq!(tags(&it, "oci:l"), left, "{answer:?}: {}", told.out());
    }
    proof::ran(PROOF, 3);
}

/// E19: skopeo 1432, 795, 489 and 1981, zot 1772: who removed one tag removed all that stood for the image.
#[test]
fn a_tag_that_is_taken_away_leaves_the_others_of_its_image() {
    const PROOF: &str = "untag: the other tags of an image in a registry";
    let Some(registry) = Registry::start(Wire::Clear, Guard::Open) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = layout();
    let place = format!("docker://{}/app", registry.host());
    for tag in ["one", "two", "three"] {
        run(&it, &["copy", "oci:l:a", &format!("{place}:{tag}"), "--progress=none"]).ok();
    }
    run(&it, &["untag", &format!("{place}:two")]).ok();
    assert_eq!(tags(&it, &place), "one three");
    run(&it, &["validate", &format!("{place}:one")]).ok();
    proof::ran(PROOF, 1);
}
