//! `lock` and `--locked`: what was looked up stays looked up, and nobody is asked again.

use serde_json::Value;
use testkit::registry::Registry;
use testkit::{Command, Scratch, orlop, proof, scratch};

fn command(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root())
}

fn ok(it: &Scratch, words: &[&str]) -> String {
    command(it, words).ok().out()
}

/// An image of one file.
fn build(it: &Scratch, content: &str, target: &str) -> String {
    it.folder("tree");
    it.file("tree/file", content);
    ok(it, &["build", "tree", target, "--cmd=/file", "--progress=none"]);
    ok(it, &["digest", target]).trim().to_owned()
}

#[test]
fn a_lock_is_one_sorted_line_for_each_reference_and_is_updated_as_a_whole() {
    let it = scratch();
    let old = build(&it, "old", "oci:img:b");
    ok(&it, &["tag", "oci:img:b", "a"]);
    let text = ok(&it, &["lock", "oci:img:b", "oci:img:a", "oci:img:b"]);
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let size = ok(&it, &["inspect", "--raw", "oci:img:a"]).len();
    let lines = format!("oci:img:a {old} {manifest} {size}\noci:img:b {old} {manifest} {size}\n");
    assert_eq!(text, format!("orlop lock 1\n{lines}"));

    let added = ok(&it, &["lock", "oci:img:a", "--output=it.lock"]);
    assert_eq!(added, format!("added oci:img:a {old}\n"));
    let new = build(&it, "new", "oci:img:a");
    let told = ok(&it, &["lock", "--update=it.lock", "oci:img:b"]);
    assert_eq!(told, format!("moved oci:img:a {old} {new}\nadded oci:img:b {old}\n"));
    assert_eq!(ok(&it, &["lock", "--update=it.lock"]), "", "nothing moved");
    let told: Value =
        serde_json::from_str(&ok(&it, &["lock", "--update=it.lock", "--format=json"])).expect("JSON");
    assert_eq!(
        (&told["locked"][0]["digest"], &told["locked"][0]["before"]),
        (&new.clone().into(), &new.into())
    );

    let before = std::fs::read(it.path("it.lock")).expect("a file");
    ok(&it, &["untag", "oci:img:a"]);
    assert_eq!(command(&it, &["lock", "--update=it.lock"]).run().code(), Some(2));
    assert_eq!(std::fs::read(it.path("it.lock")).expect("a file"), before, "all of it or nothing");
}

#[test]
fn a_name_means_what_the_lock_says_for_every_verb_that_reads_images() {
    let it = scratch();
    let old = build(&it, "old", "oci:img:1");
    ok(&it, &["lock", "oci:img:1", "--output=it.lock"]);
    let new = build(&it, "new", "oci:img:1");
    assert_ne!(old, new);
    let locked = |words: &[&str]| ok(&it, &[words, &["--locked=it.lock"]].concat());
    assert_eq!(locked(&["digest", "oci:img:1"]).trim(), old);
    assert!(locked(&["inspect", "oci:img:1"]).contains(&old));
    assert_eq!(locked(&["cat", "oci:img:1", "file"]), "old");
    assert!(
        locked(&["files", "oci:img:1"]).contains("file") && locked(&["tree", "oci:img:1"]).starts_with(&old)
    );
    assert!(locked(&["du", "oci:img:1", "--format=json"]).contains("layers"));
    assert!(locked(&["validate", "oci:img:1"]).ends_with("0 errors, 0 warnings\n"));
    assert!(locked(&["copy", "oci:img:1", "oci:copied:1"]).contains(&old));
    assert!(locked(&["pull", "oci:img:1", "oci:pulled:1"]).contains(&old));
    assert!(locked(&["unpack", "oci:img:1", "root"]).contains(&old));
    assert_eq!(std::fs::read(it.path("root/file")).expect("unpacked"), b"old");
    assert!(locked(&["bundle", "oci:img:1", "bundle"]).contains(&old));
    it.folder("more");
    locked(&["build", "more", "oci:built:1", "--base=oci:img:1"]);
    assert_eq!(ok(&it, &["cat", "oci:built:1", "file"]), "old");
    let same = command(&it, &["diff", "oci:img:1", "oci:copied:1", "--locked=it.lock"]).run();
    assert_eq!(same.code(), Some(4), "each name must be locked: {same}");
    assert!(ok(&it, &["digest", "oci:img:1"]).contains(&new), "without the file it means what it means");
}

#[test]
fn a_name_that_is_not_locked_is_refused_with_what_to_type() {
    let it = scratch();
    let digest = build(&it, "x", "oci:img:1");
    ok(&it, &["tag", "oci:img:1", "2"]);
    ok(&it, &["lock", "oci:img:1", "--output=it.lock"]);
    for name in ["oci:img:2", "oci:img", "oci:img:@0", "./img:1", "oci:other:1"] {
        let refused = command(&it, &["copy", name, "oci:to:1", "--locked=it.lock"]).run();
        let code = if name.contains("other") { 2 } else { 4 };
        assert_eq!(refused.code(), Some(code), "{name}: {refused}");
        let hint = format!("hint: orlop lock --update it.lock {name}\n");
        assert!(code == 2 || refused.err().contains(&hint), "{refused}");
    }
    assert!(!it.path("to").exists());
    let by_digest = format!("oci:img@{digest}");
    ok(&it, &["copy", &by_digest, "oci:to:1", "--locked=it.lock"]);
    let both = format!("oci:img:2@{digest}");
    let told = command(&it, &["copy", &both, "oci:to:2", "--locked=it.lock"]).ok().err();
    assert!(!told.contains("warning"), "a tag that is not locked is not looked up: {told}");
    for (words, code) in [
        (&["lock", &by_digest][..], 64),
        (&["lock", "rootfs:tree"], 64),
        (&["lock"], 64),
        (&["lock", "--update=none.lock"], 2),
        (&["ls", "oci:img", "--locked=it.lock"], 64),
        (&["tag", "oci:img:1", "3", "--locked=it.lock"], 64),
        (&["digest", "oci:img:1", "--locked=none.lock"], 2),
    ] {
        let refused = command(&it, words).run();
        assert_eq!(refused.code(), Some(code), "{words:?}: {refused}");
    }
    it.file("bad.lock", "orlop lock 1\nbusybox sha256:00 x 1\n");
    let refused = command(&it, &["copy", &by_digest, "oci:to:3", "--locked=bad.lock"]).run();
    assert_eq!(refused.code(), Some(4));
    assert!(refused.err().contains("line 2: "), "{refused}");
}

#[test]
fn a_whole_place_is_what_is_locked_of_it() {
    let it = scratch();
    build(&it, "1", "oci:img:1");
    build(&it, "2", "oci:img:2");
    ok(&it, &["lock", "oci:img:1", "--output=it.lock"]);
    let new = build(&it, "new", "oci:img:1");
    ok(&it, &["sync", "oci:img", "oci:to", "--locked=it.lock"]);
    let told = ok(&it, &["ls", "oci:to"]);
    assert!(told.lines().count() == 2 && !told.contains(&new), "{told}");
    ok(&it, &["copy", "--all-tags", "oci:img", "oci:all", "--locked=it.lock"]);
    assert_eq!(ok(&it, &["ls", "oci:all"]), told);
    for verb in [&["sync"][..], &["sync", "--delete", "--yes"], &["copy", "--all-tags"]] {
        let refused = command(&it, &[verb, &["oci:to", "oci:all", "--locked=it.lock"]].concat()).run();
        assert_eq!(refused.code(), Some(4), "of oci:to nothing is locked: {refused}");
    }
    assert_eq!(ok(&it, &["ls", "oci:all"]), told, "what is locked of no place empties no place");
}

/// What goes along under names of its own goes along where those are locked.
#[test]
fn signatures_under_tags_go_along_where_they_are_locked() {
    let it = scratch();
    let digest = build(&it, "x", "oci:img:1");
    let signature = format!("{}.sig", digest.replace(':', "-"));
    build(&it, "signature", &format!("oci:img:{signature}"));
    ok(&it, &["lock", "oci:img:1", "--output=it.lock"]);
    let copy = |to: &str| ok(&it, &["copy", "oci:img:1", to, "--referrers=all", "--locked=it.lock"]);
    copy("oci:bare:1");
    assert_eq!(ok(&it, &["ls", "oci:bare"]).lines().count(), 2);
    ok(&it, &["lock", "--update=it.lock", &format!("oci:img:{signature}")]);
    copy("oci:signed:1");
    assert!(ok(&it, &["ls", "oci:signed"]).contains(&signature));
}

#[test]
fn a_registry_is_never_asked_for_a_locked_tag() {
    const PROOF: &str = "lock: no question for a tag";
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = scratch();
    let place = |tag: &str| format!("docker://{}/app:{tag}", registry.host());
    let old = build(&it, "old", "oci:old:1");
    build(&it, "new", "oci:new:1");
    ok(&it, &["push", "oci:old:1", &place("1")]);
    ok(&it, &["lock", &place("1"), "--output=it.lock"]);
    ok(&it, &["push", "oci:new:1", &place("1")]);
    let name = place("1");
    let whole = format!("docker://{}/app", registry.host());
    let cases: [&[&str]; 6] = [
        &["pull", &name, "oci:to:1"],
        &["unpack", &name, "root"],
        &["inspect", &name],
        &["digest", &name],
        &["sync", &whole, "oci:synced"],
        &["build", "tree", "oci:built:1", "--base", &name],
    ];
    for words in cases {
        let before = registry.requests().len();
        let told = command(&it, &[words, &["--locked=it.lock"]].concat()).ok();
        let asked = registry.requests().split_off(before);
        let is_of_tag = |it: &&String| it.contains("/manifests/1") || it.contains("/tags/");
        assert_eq!(asked.iter().find(is_of_tag), None, "{words:?}");
        assert!(words[0] == "digest" || asked.iter().any(|it| it.contains(&old)), "{words:?}: {asked:?}");
        assert!(words[0] == "build" || told.out().contains(&old), "{told}");
        assert!(words[0] != "digest" || asked.is_empty(), "the file knows: {asked:?}");
    }
    let before = registry.requests().len();
    let refused = command(&it, &["pull", &place("2"), "oci:to:2", "--locked=it.lock"]).run();
    assert_eq!((refused.code(), registry.requests().len()), (Some(4), before), "{refused}");
    proof::ran(PROOF, cases.len() + 1);
}
