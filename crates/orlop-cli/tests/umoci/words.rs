//! What is read by scripts and people besides documents: versions, help, misuse.

use super::{Case, Command, facts, orlop_path};
use std::fs;
use std::path::PathBuf;
use testkit::{peer, proof};

#[test]
fn a_profile_of_the_processor_is_refused_before_anything_is_done() {
    let case = Case::ours();
    let done = case.run(&["--cpu-profile", "profile", "init", "--layout", "made"]);
    assert_eq!(done.code(), Some(1));
    assert!(
        done.err().contains("nothing was done") && done.err().contains("hint: leave the flag out"),
        "{done}"
    );
    assert!(!case.folder.path("made").exists() && !case.folder.path("profile").exists());
}

#[test]
fn versions_are_told_of_what_is_spoken_and_none_of_go() {
    let told = Case::ours().run(&["--version"]).out();
    assert!(told.starts_with("umoci version 0.6.0 (orlop "), "{told}");
    assert!(told.contains("\nimage spec: 1.") && told.contains("\nruntime spec: 1."), "{told}");
    assert!(!told.contains("go:"), "nothing here is made by Go: {told}");
    let other = Command::new(orlop_path()).args(["compat", "umoci", "-v"]).ok().out();
    assert_eq!(other, told, "the other way to call it");
}

#[test]
fn help_has_the_headings_that_scripts_look_for_under_every_name_of_a_verb() {
    let case = Case::ours();
    for words in [&["help"][..], &["h"], &["--help"], &["-h"], &[]] {
        let told = case.run(words).out();
        assert!(
            told.starts_with("NAME:\n   umoci - umoci modifies Open Container images\n"),
            "{words:?}: {told}"
        );
        assert!(told.contains("\nUSAGE:\n") && told.contains("\nGLOBAL OPTIONS:\n"), "{words:?}: {told}");
    }
    for (verb, name) in [
        ("config", "config"),
        ("gc", "gc"),
        ("init", "init"),
        ("insert", "insert"),
        ("list", "list"),
        ("ls", "list"),
        ("new", "new"),
        ("remove", "remove"),
        ("rm", "remove"),
        ("stat", "stat"),
        ("tag", "tag"),
    ] {
        for words in [[verb, "--help"], [verb, "-h"], ["help", verb]] {
            let told = case.run(&words).out();
            assert!(told.starts_with(&format!("NAME:\n   umoci {name} - ")), "{words:?}: {told}");
            assert!(told.contains("\nOPTIONS:\n   --"), "{words:?}: {told}");
        }
    }
}

#[test]
fn misuse_is_told_on_stderr_with_the_help_of_the_verb() {
    let case = Case::ours();
    for words in [&["init"][..], &["init", "--layout", "l", "x"], &["init", "--bogus"], &["tag", "--image"]] {
        let done = case.run(words);
        assert_eq!((done.code(), done.out().as_str()), (Some(1), ""), "{words:?}: {done}");
        assert!(done.err().contains(&format!("\nNAME:\n   umoci {} - ", words[0])), "{words:?}: {done}");
    }
    let done = case.run(&["bogus"]);
    assert_eq!(done.code(), Some(3), "{done}");
}

/// A blob, what becomes of it, and what is said of it.
const DAMAGES: [(&str, Damage, &str); 7] = [
    ("manifest", Damage::Longer, "verified reader size mismatch"),
    ("manifest", Damage::Other, "verified reader digest mismatch"),
    ("manifest", Damage::Shorter, "verified reader digest mismatch"),
    ("layer", Damage::Longer, "verified reader size mismatch"),
    ("layer", Damage::Other, "verified reader digest mismatch"),
    ("layer", Damage::Shorter, "verified reader digest mismatch"),
    ("manifest", Damage::LongerAndOther, "verified reader size mismatch"),
];

/// What umoci itself says otherwise: it panics, says what its decompressor says, or that the digest is another one.
const SAID_OTHERWISE: [usize; 3] = [2, 4, 6];

enum Damage {
    Longer,
    LongerAndOther,
    Other,
    Shorter,
}

/// Scripts look for them; ours come first.
#[test]
fn damaged_blobs_are_told_in_the_words_of_the_original_too() {
    let name = "umoci: its words for damaged blobs";
    let theirs = peer("umoci").map(|umoci| Case::of(&umoci.path));
    for (number, (which, damage, words)) in DAMAGES.iter().enumerate() {
        let ours = Case::ours();
        for case in [Some(&ours), theirs.as_ref()].into_iter().flatten() {
            let is_ours = case.program == ours.program;
            let layout = format!("l{number}");
            for line in [
                &["init", "--layout", &layout][..],
                &["new", "--image", &format!("{layout}:a")],
                &["insert", "--image", &format!("{layout}:a"), "source/alone", "/a"],
            ] {
                assert!(case.run(line).success(), "{line:?}");
            }
            let blob = blob(&case.folder.path(&layout), which);
            let mut bytes = fs::read(&blob).expect("a blob");
            match damage {
                Damage::Longer => bytes.push(0),
                Damage::LongerAndOther => bytes.insert(0, b' '),
                Damage::Other => *bytes.last_mut().expect("not empty") ^= 1,
                Damage::Shorter => drop(bytes.pop()),
            }
            fs::remove_file(&blob).expect("ours");
            fs::write(&blob, bytes).expect("ours");
            let done = case.run(&["unpack", "--image", &format!("{layout}:a"), &format!("bundle{number}")]);
            assert!(!done.success(), "{which} {number}");
            if is_ours || !SAID_OTHERWISE.contains(&number) {
                assert!(done.err().contains(words), "{which} {number}: {done}");
            }
            if is_ours {
                assert!(done.err().starts_with("error: ") && done.code() == Some(1), "{done}");
            }
        }
    }
    match theirs {
        Some(_) => proof::ran(name, DAMAGES.len()),
        None => proof::skipped(name, "umoci is missing"),
    }
}

/// The file of the manifest, or of the first layer, of the one image of a layout.
fn blob(layout: &std::path::Path, which: &str) -> PathBuf {
    let entry = &facts::read(&layout.join("index.json"))["manifests"][0];
    let manifest = facts::blob(layout, entry);
    match which {
        "manifest" => manifest,
        _ => facts::blob(layout, &facts::read(&manifest)["layers"][0]),
    }
}
