//! Edits: in each kind of place, over what they change and under a new name, killed and failed at operations of the seam.
//!
//! Law: what is there afterwards is the old image or the new one, whole, and everything else is as it was. An edit that
//! tells of an error although the new image is there tells that it may not be on the disk yet, and of nothing else. Run
//! again on the old image, it makes the new one; then a sweep leaves no more than where nothing was disturbed.

use crate::stage::Stage;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use testkit::dump::{Dump, dump};
use testkit::fault::operations;
use testkit::{Command, Finished, full, orlop, proof};

/// An edit: `FROM` is the image.
struct Edit {
    words: &'static str,
    /// What is edited: `app`, or the index `multi`.
    of: &'static str,
    form: Form,
}

/// How a command says where the result goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Nowhere else, or by `--to`.
    Edit,
    /// As its last word, and always.
    Copy,
}

const fn edit(words: &'static str, of: &'static str) -> Edit {
    Edit { words, of, form: Form::Edit }
}

const fn copy(words: &'static str) -> Edit {
    Edit { words, of: "app", form: Form::Copy }
}

const EDITS: [Edit; 22] = [
    edit("config FROM --env A=1 --history-comment why", "app"),
    edit("config FROM --label a=b", "multi"),
    edit("append FROM more", "app"),
    edit("append FROM more base2", "multi"),
    edit("insert FROM file /etc/file", "app"),
    edit("insert FROM --whiteout /t/a", "app"),
    edit("rebase FROM --old-base oci:bases:old --new-base oci:bases:new", "app"),
    edit("flatten FROM", "app"),
    edit("flatten FROM --last 2", "multi"),
    edit("convert FROM --compress zstd", "app"),
    edit("convert FROM --layer-size 100", "app"),
    edit("convert FROM --media-types docker", "multi"),
    edit("convert FROM --algorithm sha512", "multi"),
    edit("strip FROM --rm-path /d/e/f2", "app"),
    edit("strip FROM --rm-layer 1", "app"),
    edit("index add FROM oci:bases:new --overwrite", "multi"),
    edit("index rm FROM linux/arm64", "multi"),
    edit("index filter FROM --platform linux/amd64", "multi"),
    edit("index annotate FROM a=b", "multi"),
    Edit { words: "index create oci:bases:old oci:bases:arm", of: "app", form: Form::Copy },
    copy("copy --append more FROM"),
    copy("copy --compress zstd FROM"),
];

/// A kind of place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Layout,
    OciArchive,
    DockerArchive,
    Exploded,
    Store,
}

/// Where the result of an edit goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// Over what was edited.
    Over,
    /// Under a new name in the same place.
    Beside,
    /// From a layout to a new place.
    Away,
}

impl Place {
    fn reference(self, tag: &str) -> String {
        match self {
            Self::Layout => format!("oci:layout:{tag}"),
            Self::OciArchive => format!("oci-archive:oci.tar:{tag}"),
            Self::DockerArchive => format!("docker-archive:docker.tar:{tag}:1"),
            Self::Exploded => format!("dir:{tag}.dir"),
            Self::Store => format!("store:{tag}"),
        }
    }

    /// A place of the kind where there is none yet, or only other names.
    fn away(self) -> String {
        match self {
            Self::Layout => "oci:elsewhere:fresh".into(),
            Self::OciArchive => "oci-archive:fresh.tar:fresh".into(),
            Self::DockerArchive => "docker-archive:fresh.tar:fresh:1".into(),
            Self::Exploded | Self::Store => self.reference("fresh"),
        }
    }

    /// Archives of Docker know neither indexes nor other digests.
    fn takes(self, edit: &Edit) -> bool {
        self != Self::DockerArchive || (edit.of == "app" && !edit.words.starts_with("index"))
    }
}

/// A folder with the layout `bases`, and what it holds in a place of each kind.
fn lay_out(start: &Path) {
    let write = |path: &str, content: &[u8]| {
        let file = start.join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("new");
        fs::write(file, content).expect("new");
    };
    for number in 0..4 {
        write(&format!("base/d/e/f{number}"), &vec![b'x'; 3000 * number]);
    }
    for (path, byte) in [
        ("base2/d/e/g", b'y'),
        ("top/t/a", b'a'),
        ("top/t/b", b'b'),
        ("top/d/e/f1", b'n'),
        ("more/m/x", b'm'),
    ] {
        write(path, &[byte; 4000]);
    }
    write("file", b"file");
    write("tmp/.keep", b"");
    let run = |words: &str| command(start, words).ok();
    run("build base oci:bases:old");
    run("build base2 oci:bases:new");
    run("build --base oci:bases:old top oci:bases:app");
    run("build --platform linux/arm64 base top oci:bases:arm");
    run("index create oci:bases:app oci:bases:arm oci:bases:multi");
    for tag in ["app", "old", "multi"] {
        for place in [Place::Layout, Place::Exploded, Place::Store] {
            run(&format!("copy oci:bases:{tag} {}", place.reference(tag)));
        }
    }
    run("copy --all-tags oci:bases oci-archive:oci.tar");
    run("copy oci:bases:app docker-archive:docker.tar:app:1");
}

fn command(work: &Path, words: &str) -> Command {
    let environment = [("ORLOP_ROOT", "st"), ("TMPDIR", "tmp"), ("SOURCE_DATE_EPOCH", "1600000000")];
    let command = orlop().args(words.split(' ')).current_dir(work);
    environment.iter().fold(command, |command, (name, value)| command.env(name, value))
}

/// An edit of one place, and what it does when nothing disturbs it.
struct Trial<'a> {
    stage: &'a Stage,
    words: String,
    /// What it is called then.
    target: String,
    goal: Goal,
    before: State,
    after: State,
    others: Others,
    clean: BTreeSet<Vec<u8>>,
    operations: Vec<String>,
}

/// What names lead to, byte for byte.
type State = BTreeMap<PathBuf, Vec<u8>>;
/// What lies outside of the place that is changed.
type Others = BTreeMap<Vec<u8>, testkit::dump::Node>;

impl<'a> Trial<'a> {
    fn new(stage: &'a Stage, place: Place, edit: &Edit, goal: Goal) -> Self {
        let (from, target) = match goal {
            Goal::Over => (place.reference(edit.of), place.reference(edit.of)),
            Goal::Beside => (place.reference(edit.of), place.reference("fresh")),
            Goal::Away => (Place::Layout.reference(edit.of), place.away()),
        };
        let words = edit.words.replace("FROM", &from);
        let words = match (edit.form, goal) {
            (Form::Edit, Goal::Over) => words,
            (Form::Edit, _) => format!("{words} --to {target}"),
            (Form::Copy, _) => format!("{words} {target}"),
        };
        let work = stage.fresh();
        let (before, others) = (state(&work, &target), others(&work, &target));
        let operations = operations(command(&work, &words), &stage.notes());
        let after = state(&work, &target);
        assert!(before != after, "{words}: nothing happens");
        let clean = swept(&work, &target);
        Self { stage, words, target, goal, before, after, others, clean, operations }
    }

    /// Runs the edit under a fault, and proves what must hold after it and after a second run.
    fn disturb(&self, fault: &str) -> Finished {
        let what = format!("{} {fault} of {}", self.words, self.operations.len());
        let work = self.stage.fresh();
        let broken = command(&work, &self.words).env("ORLOP_FAULT", fault).run();
        let mut now = self.check(&work, &format!("{what}: {broken}"));
        match broken.code() {
            Some(0) => assert!(now == self.after, "{what}: told to be done, and is not"),
            Some(code) => {
                assert!(code != 101 && broken.err().contains("error: "), "{what}: {broken}");
                assert!(
                    now == self.before || broken.err().contains("sync"),
                    "{what}: done, and told to have failed: {broken}"
                );
            }
            None => assert_eq!(broken.signal(), Some(9), "{what}: {broken}"),
        }
        // A change that was made already would be made twice.
        if now == self.before || self.goal != Goal::Over {
            let again = command(&work, &self.words).run();
            now = self.check(&work, &format!("{what}, again: {again}"));
            assert!(now == self.after, "{what}: a second run does not finish: {again}");
        }
        let (left, litter) = (swept(&work, &self.target), |path: &Vec<u8>| path.escape_ascii().to_string());
        let left: Vec<String> = left.symmetric_difference(&self.clean).map(litter).collect();
        assert!(left.is_empty(), "{what}: left behind or missing: {left:?}");
        broken
    }

    /// What must hold at any moment, whatever happened; gives what is there.
    fn check(&self, work: &Path, what: &str) -> State {
        let now = state(work, &self.target);
        assert!(now == self.before || now == self.after, "{what}\nneither old nor new: {now:?}");
        assert!(others(work, &self.target) == self.others, "{what}\nsomething else was changed");
        for reference in whole(work, &self.target) {
            let valid = command(work, &format!("validate {reference}")).run();
            assert!(valid.success(), "{what}\n{reference} is not whole: {valid}{}", valid.out());
        }
        now
    }
}

/// The file or folder that a reference lies in.
fn place_of(target: &str) -> &str {
    match target.split_once(':') {
        Some(("store", _)) => "st",
        Some((_, rest)) => rest.split(':').next().expect("a path"),
        None => target,
    }
}

/// What publishes the names of the place, byte for byte.
fn state(work: &Path, target: &str) -> State {
    let place = work.join(place_of(target));
    let faces = match target.split_once(':').expect("a transport").0 {
        "oci" => vec![place.join("index.json")],
        "dir" => vec![place.join("manifest.json")],
        "store" => {
            let names = fs::read_dir(place.join("names")).expect("a store");
            names.map(|name| name.expect("listed").path()).collect()
        }
        _ => vec![place],
    };
    let read = faces.into_iter().filter_map(|face| Some((face.clone(), fs::read(face).ok()?)));
    // A layout that names nothing is as good as none, and a name that is being written is none.
    let is_empty = |content: &[u8]| content.ends_with(br#""manifests":[]}"#);
    read.filter(|(face, content)| !is_empty(content) && !is_temporary(face.as_os_str().as_encoded_bytes()))
        .collect()
}

fn is_temporary(path: &[u8]) -> bool {
    path.windows(7).any(|part| part == b".orlop-")
}

/// What a run that was killed left beside an archive is removed by the next one: it counts at the end.
fn others(work: &Path, target: &str) -> Others {
    let mut all: Dump = dump(work);
    let place = place_of(target).as_bytes();
    let is_of_place =
        |path: &[u8]| path.starts_with(place) && path.get(place.len()).is_none_or(|next| *next == b'/');
    all.retain(|path, _| path != b"." && !is_of_place(path) && !is_temporary(path));
    all
}

/// What can be proven to be whole.
fn whole(work: &Path, target: &str) -> Vec<String> {
    let place = place_of(target);
    match target.split_once(':').expect("a transport").0 {
        "store" => {
            let names = state(work, target).into_keys();
            names.map(|name| format!("store:{}", name.file_name().expect("a name").display())).collect()
        }
        "dir" if !work.join(place).join("manifest.json").exists() => Vec::new(),
        "oci" if state(work, target).is_empty() => Vec::new(),
        _ if !work.join(place).exists() => Vec::new(),
        transport => vec![format!("{transport}:{place}")],
    }
}

/// All paths, but what a sweep removes; of a folder with one image, what the next writer does.
fn swept(work: &Path, target: &str) -> BTreeSet<Vec<u8>> {
    let sweep = match target.split_once(':').expect("a transport").0 {
        "oci" => format!("gc --grace 0s oci:{}", place_of(target)),
        "store" => "gc --grace 0s store:".into(),
        "dir" => format!("config {target} --label next=1"),
        _ => "version".into(),
    };
    command(work, &sweep).ok();
    dump(work).into_keys().collect()
}

/// The gate sees each edit in each place over what was there, and a quarter of the others; each at one operation: the one
/// that publishes, or one that wanders.
fn disturb_all(place: Place, name: &str) {
    let stage = Stage::of(lay_out);
    let mut cases = 0;
    for (number, edit) in EDITS.iter().enumerate().filter(|(_, edit)| place.takes(edit)) {
        for (turn, goal) in [Goal::Over, Goal::Beside, Goal::Away].into_iter().enumerate() {
            let is_seen = full() || goal == Goal::Over || (number + turn).is_multiple_of(4);
            if !is_seen || (edit.form == Form::Copy && goal == Goal::Over) {
                continue;
            }
            let trial = Trial::new(&stage, place, edit, goal);
            for fault in faults(&trial.operations, number + turn) {
                let broken = trial.disturb(&fault);
                // Threads that meet at a folder may need an operation more or less from run to run.
                assert!(
                    full() || !broken.success() || fault.starts_with("enospc"),
                    "{}: {fault} hits nothing",
                    trial.words
                );
                cases += 1;
            }
        }
    }
    proof::ran(name, cases);
}

fn faults(operations: &[String], turn: usize) -> Vec<String> {
    let kinds = ["kill", "eio", "enospc"];
    if full() {
        let points = 1..=operations.len();
        return points.flat_map(|point| kinds.map(|kind| format!("{kind}:{point}"))).collect();
    }
    let publishes = |line: &String| line.starts_with("Rename") || line.starts_with("Link");
    let last = operations.iter().rposition(publishes).expect("something is published") + 1;
    let wanders = 1 + turn * 7 % (operations.len() - 3);
    let point = if turn.is_multiple_of(2) { last + turn / 2 % 2 } else { wanders };
    vec![format!("{}:{point}", kinds[turn / 2 % 3])]
}

#[test]
fn edits_in_a_layout_may_end_anywhere() {
    disturb_all(Place::Layout, "crash: edits in a layout");
}

#[test]
fn edits_in_an_oci_archive_may_end_anywhere() {
    disturb_all(Place::OciArchive, "crash: edits in an OCI archive");
}

#[test]
fn edits_in_a_docker_archive_may_end_anywhere() {
    disturb_all(Place::DockerArchive, "crash: edits in a Docker archive");
}

#[test]
fn edits_of_exploded_images_may_end_anywhere() {
    disturb_all(Place::Exploded, "crash: edits of exploded images");
}

#[test]
fn edits_in_a_store_may_end_anywhere() {
    disturb_all(Place::Store, "crash: edits in a store");
}
