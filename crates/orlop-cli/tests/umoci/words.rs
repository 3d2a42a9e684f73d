//! What is read by scripts and people besides documents: versions, help, misuse.

use super::{Case, Command, orlop_path};

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
