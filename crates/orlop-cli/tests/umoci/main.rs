//! The personality `umoci`: every case of `cases.json`, compared with the distribution's umoci in the same run, and with the
//! answers of 0.6 that `record.py` recorded.
//!
//! Compared are exit codes, what `ls` and `stat` print, and at the end the documents of every tag and each `config.json`, whole. What must differ is
//! masked: digests and sizes of documents, whose members may stand in another order, and of layers, because compressors
//! differ; for releases before 0.6 what they do not write yet (`mediaType`, the time of `SOURCE_DATE_EPOCH`).

mod facts;
mod runtimes;
mod words;

use facts::{Release, facts};
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use testkit::command::orlop_path;
use testkit::{Command, Finished, Scratch, peer, proof, scratch};

const CASES: &str = include_str!("cases.json");
const RECORDED: &str = include_str!("recorded.json");
const SETUP: &str = include_str!("setup.sh");

fn cases() -> Vec<Value> {
    serde_json::from_str(CASES).expect("JSON")
}

/// Whether a case needs no rights that the caller lacks.
fn may_play(case: &Value) -> bool {
    case["root"] != true || testkit::is_root()
}

/// A folder of its own, and a program that answers as umoci.
struct Case {
    folder: Scratch,
    program: PathBuf,
}

impl Case {
    fn of(program: &Path) -> Self {
        let folder = scratch();
        Command::new("sh").args(["-c", SETUP]).current_dir(folder.root()).ok();
        Self { folder, program: program.into() }
    }

    /// Ours, by its other name.
    fn ours() -> Self {
        let folder = scratch();
        symlink(orlop_path(), folder.path("umoci")).expect("a link");
        Command::new("sh").args(["-c", SETUP]).current_dir(folder.root()).ok();
        let program = folder.path("umoci");
        Self { folder, program }
    }

    fn run(&self, words: &[&str]) -> Finished {
        let command = Command::new(&self.program).args(words).current_dir(self.folder.root());
        command.env("SOURCE_DATE_EPOCH", "1000000000").env("TZ", "UTC").run()
    }

    /// What a case leads to, in the form in which it is recorded.
    fn play(&self, case: &Value) -> Value {
        let lines = case["lines"].as_array().expect("a list");
        let lines = lines.iter().map(|line| {
            line.as_array().expect("a list").iter().map(|word| word.as_str().expect("text")).collect()
        });
        let before = [vec!["init", "--layout", "l"], vec!["new", "--image", "l:a"]];
        let answers: Vec<Value> = before.into_iter().chain(lines).map(|line| self.answer(&line)).collect();
        serde_json::json!({ "name": case["name"], "answers": answers, "images": facts::images(&self.folder.path("l")),
            "runtimes": runtimes::found(self.folder.root()) })
    }

    fn answer(&self, line: &[&str]) -> Value {
        let done = self.run(line);
        let is_told = done.success() && matches!(line[0], "ls" | "list" | "stat");
        serde_json::json!({ "exit": done.code(), "out": if is_told { done.out() } else { String::new() } })
    }
}

/// Fails with the first line or image that differs.
fn compare(case: &Value, ours: &Value, theirs: &Value) {
    let name = case["name"].as_str().expect("text");
    if case["otherwise"] == true {
        return otherwise(case, ours, theirs);
    }
    for (at, (ours, theirs)) in pairs(ours, theirs, "answers").enumerate() {
        // Two lines make the image that a case begins with.
        assert_eq!(
            ours,
            theirs,
            "{name}: {}",
            at.checked_sub(2).map_or(&Value::Null, |at| &case["lines"][at])
        );
    }
    for (ours, theirs) in pairs(ours, theirs, "images") {
        assert_eq!(ours, theirs, "{name}");
    }
    for (file, theirs) in theirs["runtimes"].as_object().expect("an object") {
        runtimes::compare(&format!("{name}: {file}"), &ours["runtimes"][file], theirs);
    }
}

/// Each line does something there, and is refused here without anything being done: `docs/reference/umoci.md` says why.
fn otherwise(case: &Value, ours: &Value, theirs: &Value) {
    for (line, (ours, theirs)) in
        facts::list(&case["lines"]).iter().zip(pairs(ours, theirs, "answers").skip(2))
    {
        assert_eq!((&ours["exit"], &theirs["exit"]), (&1.into(), &0.into()), "{line}");
    }
    let tags: Vec<&Value> = facts::list(&ours["images"]).iter().map(|image| &image["tag"]).collect();
    assert_eq!(tags, ["a"], "nothing was made");
}

fn pairs<'a>(ours: &'a Value, theirs: &'a Value, of: &str) -> impl Iterator<Item = (&'a Value, &'a Value)> {
    let [ours, theirs] = [ours, theirs].map(|facts| facts[of].as_array().expect("a list"));
    assert_eq!(ours.len(), theirs.len(), "as many {of}");
    ours.iter().zip(theirs)
}

#[test]
fn every_case_is_answered_as_0_6_answers() {
    let recorded: Value = serde_json::from_str(RECORDED).expect("JSON");
    assert_eq!(recorded["version"], "0.6.0", "the release that the personality stands for");
    let recorded = recorded["cases"].as_array().expect("a list");
    let cases = cases();
    assert_eq!(recorded.len(), cases.len(), "every case is recorded");
    for (case, theirs) in cases.iter().zip(recorded).filter(|(case, _)| may_play(case)) {
        let ours = Case::ours().play(case);
        compare(case, &facts(&ours, Release::Newest), &facts(theirs, Release::Newest));
    }
}

#[test]
fn every_case_is_answered_as_the_distributions_umoci_answers() {
    let name = "umoci: cases beside the distribution's";
    let Some(umoci) = peer("umoci") else { return proof::skipped(name, "umoci is missing") };
    let release = Release::of(&umoci.version);
    let known = |case: &&Value| (case["since"].is_null() || release == Release::Newest) && may_play(case);
    let cases = cases();
    let cases: Vec<&Value> = cases.iter().filter(known).collect();
    for case in &cases {
        let (ours, theirs) = (Case::ours().play(case), Case::of(&umoci.path).play(case));
        compare(case, &facts(&ours, release), &facts(&theirs, release));
    }
    proof::ran(name, cases.len());
}

/// What is written says what it is, which some readers ask of an index and of a manifest.
#[test]
fn index_and_manifests_say_what_they_are() {
    let case = Case::ours();
    for line in [
        &["init", "--layout", "l"][..],
        &["new", "--image", "l:a"],
        &["config", "--image", "l:a", "--tag", "b", "--author", "x"],
    ] {
        assert!(case.run(line).success(), "{line:?}");
    }
    let layout = case.folder.path("l");
    let index: Value = facts::read(&layout.join("index.json"));
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
    let images = facts::images(&layout);
    for image in images.as_array().expect("a list") {
        assert_eq!(image["manifest"]["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    }
    Command::new(orlop_path()).args(["validate", "oci:l:b"]).current_dir(case.folder.root()).ok();
}
