//! The personality `sloci-image`, compared with answers of the original that `sloci/record.py` recorded.

use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use testkit::command::orlop_path;
use testkit::{Command, Finished, Scratch, orlop, scratch};

const RECORDED: &str = include_str!("sloci/recorded.json");

/// A folder with a root file system and the program under its other name.
struct Fixture(Scratch);

fn fixture() -> Fixture {
    let folder = scratch();
    folder.folder("rootfs");
    folder.file("rootfs/file", "content\n");
    symlink(orlop_path(), folder.path("sloci-image")).expect("a link");
    Fixture(folder)
}

impl Fixture {
    fn run(&self, words: &[&str]) -> Finished {
        self.command(words).run()
    }

    fn command(&self, words: &[&str]) -> Command {
        Command::new(self.0.path("sloci-image")).args(words).current_dir(self.0.root())
    }

    /// What stands beside the input.
    fn made(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.0.root())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"));
        let mut made: Vec<String> = names.filter(|name| name != "rootfs" && name != "sloci-image").collect();
        made.sort();
        made
    }

    /// The layout, unpacked where it is an archive.
    fn layout(&self, name: &str) -> PathBuf {
        let path = self.0.path(name);
        if path.is_dir() {
            return path;
        }
        let opened = self.0.folder("opened");
        Command::new("tar").arg("-xf").arg(path).arg("-C").arg(&opened).ok();
        opened
    }
}

fn document(layout: &Path, descriptor: &Value) -> Value {
    let digest = descriptor["digest"].as_str().expect("a digest").replace(':', "/");
    read(&layout.join("blobs").join(digest))
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}

/// B1, B5: names of files, exit codes, platforms, tags and configs are those of the original but for what it leaves
/// out (the variant in the config), gets wrong (an author `null`), or takes from the clock.
#[test]
fn b1_b5_answers_are_those_of_the_original() {
    let recorded: Value = serde_json::from_str(RECORDED).expect("JSON");
    assert_eq!(recorded["version"], "0.1.2", "the release that the personality stands for");
    let cases = recorded["cases"].as_array().expect("a list");
    assert!(cases.len() > 20);
    for case in cases {
        let options =
            case["options"].as_array().expect("a list").iter().map(|word| word.as_str().expect("text"));
        let words: Vec<&str> = options.chain(["rootfs", case["name"].as_str().expect("text")]).collect();
        let it = fixture();
        let done = it.run(&words);
        assert_eq!(json!(done.code()), case["exit"], "{words:?}: {done}");
        assert_eq!(json!(it.made()), case["made"], "{words:?}: {done}");
        if done.success() {
            assert!(done.stdout.is_empty() && done.stderr.is_empty(), "{words:?}: {done}");
            compare(&it, case, &words);
        }
    }
}

fn compare(it: &Fixture, case: &Value, words: &[&str]) {
    let layout = it.layout(&it.made()[0]);
    let index = read(&layout.join("index.json"));
    let entry = &index["manifests"][0];
    assert_eq!(entry["platform"], case["platform"], "{words:?}");
    assert_eq!(entry["annotations"], case["annotations"], "{words:?}");
    let manifest = document(&layout, entry);
    assert!(index["mediaType"].is_string() && manifest["mediaType"].is_string(), "{words:?}");
    let mut config = document(&layout, &manifest["config"]);
    assert_eq!(config["variant"], case["platform"]["variant"], "{words:?}");
    for name in ["created", "rootfs", "variant"] {
        config.as_object_mut().expect("an object").remove(name);
    }
    config["history"][0].as_object_mut().expect("an object").remove("created");
    let mut expected = case["config"].clone();
    if expected["author"].is_null() {
        expected.as_object_mut().expect("an object").remove("author");
    }
    assert_eq!(config, expected, "{words:?}");
}

#[test]
fn b2_two_runs_give_the_same_archive() {
    let it = fixture();
    let archive = "out-latest-amd64-linux.oci-image.tar";
    let run = || {
        let done = it.run(&["-t", "-m", "amd64", "rootfs", "out"]);
        assert!(done.success(), "an archive is replaced: {done}");
        std::fs::read(it.0.path(archive)).expect("the archive")
    };
    let first = run();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(run(), first);
}

#[test]
fn source_date_epoch_is_when_the_image_was_made() {
    let it = fixture();
    it.command(&["rootfs", "out"]).env("SOURCE_DATE_EPOCH", "1000000000").ok();
    let value =
        orlop().args(["inspect", "oci:out:latest", "--format=json"]).current_dir(it.0.root()).ok().out();
    let value: Value = serde_json::from_str(&value).expect("JSON");
    assert_eq!(value["config"]["created"], "2001-09-09T01:46:40Z");
    assert_eq!(value["config"]["history"][0]["created"], "2001-09-09T01:46:40Z");
}

/// B6: what the original damages arrives as it was typed.
#[test]
fn b6_hostile_values_make_the_round_trip() {
    let hostile = "q\"b\\n\\@\\tab\tnl\nü\u{1}\u{7f}".to_owned();
    let long = "x".repeat(100_000);
    let it = fixture();
    let (env, label) = (format!("E={hostile}"), format!("L={hostile}"));
    let big = format!("BIG={long}");
    let words = [
        "-e", &env, "-e", &big, "-l", &label, "-c", &hostile, "-C", &hostile, "-a", &hostile, "rootfs", "out",
    ];
    let done = it.run(&words);
    assert!(done.success(), "{done}");
    let layout = it.layout("out");
    let manifest = document(&layout, &read(&layout.join("index.json"))["manifests"][0]);
    let config = document(&layout, &manifest["config"]);
    assert_eq!(config["config"]["Env"], json!([env, big]));
    assert_eq!(config["config"]["Labels"], json!({ "L": hostile }));
    assert_eq!((&config["config"]["Cmd"], &config["author"]), (&json!([hostile]), &json!(hostile)));
}

#[test]
fn the_input_is_only_read_and_a_folder_that_is_there_is_refused() {
    let it = fixture();
    Command::new("tar").args(["-czf", "in.tgz", "-C", "rootfs", "."]).current_dir(it.0.root()).ok();
    let before = std::fs::read(it.0.path("in.tgz")).expect("the tar");
    assert!(it.run(&["in.tgz", "out:x"]).success());
    assert_eq!(std::fs::read(it.0.path("in.tgz")).expect("it is still there"), before);
    let done = it.run(&["rootfs", "out:y"]);
    assert_eq!(done.code(), Some(1), "{done}");
    assert!(done.err().contains("exists"), "{done}");
    let done = it.run(&["absent", "new"]);
    assert_eq!((done.code(), it.made().len()), (Some(1), 2), "{done}");
}

#[test]
fn the_other_way_to_call_it_and_misuse() {
    let done = orlop().args(["compat", "sloci-image", "--version"]).ok();
    assert!(done.out().starts_with("sloci-image 0.1.2"), "{done}");
    let it = fixture();
    assert!(it.run(&["-h"]).out().starts_with("Usage: sloci-image"));
    for words in [&[][..], &["one"], &["--no-such", "a", "b"], &["-m"], &["-e", "x", "rootfs", "out"]] {
        let done = it.run(words);
        assert_eq!(done.code(), Some(1), "{words:?}: {done}");
        assert!(done.stdout.is_empty() && done.err().contains("Usage: "), "{words:?}: {done}");
    }
}

#[test]
fn debug_says_what_was_made_on_stderr() {
    let it = fixture();
    for command in [it.command(&["--debug", "rootfs", "a"]), it.command(&["rootfs", "b"]).env("DEBUG", "1")] {
        let done = command.ok();
        assert!(done.err().contains("manifest sha256:") && done.stdout.is_empty(), "{done}");
    }
}
