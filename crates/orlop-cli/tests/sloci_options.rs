//! Every option of sloci-image 0.1.2 in every spelling of it, and where its value arrives.

use serde_json::{Value, json};
use std::path::Path;
use testkit::{Finished, Scratch, orlop, scratch};

/// What the value `v` of an option becomes: in the config, in the index or beside the image.
type Arrives = fn(&Made) -> Value;

/// Short name, long names, a value, and what becomes of it.
const OPTIONS: [(&str, &[&str], &str, Arrives, &str); 12] = [
    ("-m", &["--arch"], "aarch64", |it| it.config["architecture"].clone(), r#""arm64""#),
    ("", &["--arch-variant"], "v7", |it| it.platform()["variant"].clone(), r#""v7""#),
    ("-a", &["--author"], "A <a@b>", |it| it.config["author"].clone(), r#""A <a@b>""#),
    ("-c", &["--cmd"], "a b", |it| it.run()["Cmd"].clone(), r#"["a b"]"#),
    ("-C", &["--entrypoint"], "/e", |it| it.run()["Entrypoint"].clone(), r#"["/e"]"#),
    ("-e", &["--env"], "K=a=b", |it| it.run()["Env"].clone(), r#"["K=a=b"]"#),
    (
        "-l",
        &["--label"],
        ".url=u",
        |it| it.run()["Labels"].clone(),
        r#"{"org.opencontainers.image.url":"u"}"#,
    ),
    ("", &["--os"], "hurd", |it| it.platform()["os"].clone(), r#""hurd""#),
    ("-p", &["--port", "--expose"], "80", |it| it.run()["ExposedPorts"].clone(), r#"{"80":{}}"#),
    ("-u", &["--user"], "1:2", |it| it.run()["User"].clone(), r#""1:2""#),
    ("-v", &["--volume"], "/data", |it| it.run()["Volumes"].clone(), r#"{"/data":{}}"#),
    ("-w", &["--working-dir"], "/w", |it| it.run()["WorkingDir"].clone(), r#""/w""#),
];

/// Options that may be repeated, and how many elements two of them make.
const REPEATABLE: [&str; 6] = ["--cmd", "--entrypoint", "--env", "--label", "--port", "--volume"];

struct Made {
    config: Value,
    index: Value,
}

impl Made {
    fn platform(&self) -> &Value {
        &self.index["manifests"][0]["platform"]
    }

    fn run(&self) -> &Value {
        &self.config["config"]
    }
}

fn sloci(scratch: &Scratch, words: &[&str]) -> Finished {
    let sloci = orlop().args(["compat", "sloci-image"]).args(words);
    sloci.args(["rootfs", "made"]).current_dir(scratch.root()).run()
}

fn make(words: &[&str]) -> Made {
    let scratch = scratch();
    scratch.folder("rootfs");
    let done = sloci(&scratch, words);
    assert!(done.success(), "{words:?}: {done}");
    let read = |path: &Path| -> Value {
        serde_json::from_slice(&std::fs::read(path).expect("made")).expect("a document")
    };
    let layout = scratch.path("made");
    let index = read(&layout.join("index.json"));
    let blob =
        |it: &Value| read(&layout.join("blobs").join(it.as_str().expect("a digest").replace(':', "/")));
    let manifest = blob(&index["manifests"][0]["digest"]);
    Made { config: blob(&manifest["config"]["digest"]), index }
}

#[test]
fn b1_every_option_has_all_its_spellings_and_its_value_arrives() {
    for (short, longs, value, arrives, expected) in OPTIONS {
        let expected: Value = serde_json::from_str(expected).expect("JSON");
        let mut spellings: Vec<Vec<String>> = Vec::new();
        for long in longs {
            spellings.push(vec![(*long).into(), value.into()]);
            spellings.push(vec![format!("{long}={value}")]);
        }
        if !short.is_empty() {
            spellings.push(vec![short.into(), value.into()]);
            spellings.push(vec![format!("{short}{value}")]);
        }
        for words in spellings {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            assert_eq!(arrives(&make(&words)), expected, "{words:?}");
        }
    }
}

#[test]
fn b1_repeated_options_add_up_and_others_take_the_last_value() {
    for (_, longs, value, arrives, expected) in OPTIONS {
        let one: Value = serde_json::from_str(expected).expect("JSON");
        let (first, second) = if value.contains('=') { ("A=1", "B=2") } else { ("1", "2") };
        let words = [longs[0], first, longs[0], second, longs[0], value];
        let last = arrives(&make(&words));
        let count = last.as_array().map(Vec::len).or(last.as_object().map(serde_json::Map::len));
        if REPEATABLE.contains(&longs[0]) {
            assert_eq!(count, Some(3), "{words:?}: {last}");
        } else {
            assert_eq!(last, one, "{words:?}");
        }
    }
}

#[test]
fn b1_options_without_a_value() {
    let scratch = scratch();
    scratch.folder("rootfs");
    for (number, tar) in ["-t", "--tar"].iter().enumerate() {
        let tag = format!("made:{number}");
        let words = ["compat", "sloci-image", tar, "-m", "x86_64", "rootfs", &tag];
        orlop().args(words).current_dir(scratch.root()).ok();
        let archive = scratch.path(&format!("made-{number}-x86_64-linux.oci-image.tar"));
        assert!(archive.is_file(), "{tar}");
        // Every member stands at the top, and no folder of that name stays.
        assert!(!scratch.path("made").exists(), "{tar}");
    }
    assert!(sloci(&scratch, &["--debug"]).err().contains("manifest sha256:"));
    for words in [["-h"], ["--help"]] {
        let done = sloci(&scratch, &words);
        assert!(done.success() && done.out().starts_with("Usage: sloci-image"), "{words:?}: {done}");
    }
    for words in [["-V"], ["--version"]] {
        let done = sloci(&scratch, &words);
        assert!(done.success() && done.out().starts_with("sloci-image 0.1.2"), "{words:?}: {done}");
    }
}

#[test]
fn b1_the_help_names_every_option_and_no_other() {
    let help = orlop().args(["compat", "sloci-image", "--help"]).ok().out();
    let mut named: Vec<&str> =
        help.split([' ', ',', ')', '\n']).filter(|word| word.starts_with("--")).collect();
    let mut known: Vec<&str> = OPTIONS.iter().flat_map(|(_, longs, ..)| longs.iter().copied()).collect();
    known.extend(["--tar", "--debug", "--version", "--help"]);
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
}

#[test]
fn b1_what_is_not_said_is_empty_as_with_the_original() {
    let made = make(&[]);
    for (member, empty) in [
        ("Cmd", json!([])),
        ("Entrypoint", json!([])),
        ("Env", json!([])),
        ("ExposedPorts", json!({})),
        ("Volumes", json!({})),
        ("Labels", json!({})),
    ] {
        assert_eq!(made.run()[member], empty, "{member}");
    }
    for absent in ["User", "WorkingDir"] {
        assert!(made.run().get(absent).is_none(), "{absent}");
    }
}
