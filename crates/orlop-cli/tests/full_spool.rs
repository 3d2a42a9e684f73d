//! A full disk where contents wait: in spools, and in the part of a blob that is fetched. An error that names the
//! cause, or the right bytes; never a success that lost some on the way.

use std::fs;
use std::path::Path;
use testkit::disk::SmallDisk;
use testkit::fault_server::{FaultServer, Guard};
use testkit::image::{Image, Layout, Packing};
use testkit::tarball::{Member, tar};
use testkit::{Command, Scratch, is_root, noise, orlop, proof, scratch};

/// One file of this size is what everything is about.
const SIZE: usize = 3 << 20;

/// Disks in KiB: nothing fits, a part fits, all fits.
const DISKS: [usize; 3] = [64, 2048, 16384];

/// A command that keeps something on the small disk.
struct Case {
    name: &'static str,
    words: &'static [&'static str],
    /// What is on its standard input.
    input: Option<&'static str>,
    result: Made,
}

/// What a command makes.
#[derive(Clone, Copy)]
enum Made {
    /// The file's content, on standard output.
    Content,
    /// A tar or an archive with the content in it.
    Archive(&'static str),
    /// An image of the layout `out`.
    Image,
    /// An image of a layout that lies on the small disk itself.
    Pulled,
    /// A verdict alone.
    Nothing,
}

const fn case(name: &'static str, words: &'static [&'static str], result: Made) -> Case {
    Case { name, words, input: None, result }
}

const CASES: [Case; 8] = [
    case("a root tar is built from", &["build", "root.tar", "oci:out:1"], Made::Image),
    Case {
        input: Some("root.tar"),
        ..case("a stream is built from", &["build", "-", "oci:out:1"], Made::Image)
    },
    case("two readings are compared", &["build", "--check", "tree", "oci:out:1"], Made::Nothing),
    case("an image becomes a tar", &["copy", "oci:image", "tar:out.tar"], Made::Archive("out.tar")),
    case("a file of an image is told", &["cat", "oci:image", "/noise"], Made::Content),
    Case {
        input: Some("archive.tar"),
        ..case("an archive comes as a stream", &["copy", "oci-archive:-", "oci:out:1"], Made::Image)
    },
    case(
        "an archive is made",
        &["build", "--compress=none", "tree", "oci-archive:out.tar:1"],
        Made::Archive("out.tar"),
    ),
    case("a blob is fetched", &["pull", "docker://HOST/app:1", "oci:disk/out:1"], Made::Pulled),
];

/// A folder with everything that the commands take.
fn stage(content: &[u8], layout: &Layout) -> Scratch {
    let stage = scratch();
    stage.folder("tree");
    stage.file("tree/noise", content);
    stage.file("root.tar", tar([Member::file("noise", content)]));
    stage.file("archive.tar", layout.archive());
    layout.write(&stage.path("image"));
    stage
}

impl Case {
    fn command(&self, stage: &Scratch, host: &str) -> Command {
        let words = self.words.iter().map(|word| word.replace("HOST", host));
        let command = orlop().args(words).current_dir(stage.root()).env("HOME", stage.root());
        let command = command.env("XDG_STATE_HOME", stage.path("state")).env("TMPDIR", stage.path("disk"));
        match self.input {
            Some(file) => command.input(fs::read(stage.path(file)).expect("it was laid out")),
            None => command,
        }
    }

    /// What was made; nothing where nothing was.
    fn made(&self, stage: &Scratch, out: Vec<u8>) -> Option<Vec<u8>> {
        match self.result {
            Made::Content => Some(out).filter(|out| !out.is_empty()),
            Made::Archive(name) => fs::read(stage.path(name)).ok(),
            Made::Image => told(stage, "oci:out:1"),
            Made::Pulled => told(stage, "oci:disk/out:1"),
            Made::Nothing => None,
        }
    }
}

/// Takes away what an earlier case made.
fn clear(stage: &Scratch) {
    drop(fs::remove_dir_all(stage.path("out")));
    drop(fs::remove_file(stage.path("out.tar")));
}

/// The file of an image, if there is such an image.
fn told(stage: &Scratch, image: &str) -> Option<Vec<u8>> {
    let read = orlop().args(["cat", image, "/noise"]).current_dir(stage.root()).run();
    read.success().then_some(read.stdout)
}

fn holds(made: &[u8], content: &[u8]) -> bool {
    let start = &content[..64];
    let at = made.windows(64).position(|window| window == start);
    at.is_some_and(|at| made.get(at..at + content.len()) == Some(content))
}

const PROOF: &str = "crash: a full disk below spools and fetched blobs";

#[test]
fn what_waits_on_a_full_disk_is_an_error_and_never_lost() {
    if !is_root() {
        return proof::not_offered(PROOF, "a small disk is a mount, which needs root");
    }
    let content = noise(1, SIZE);
    let layout = Image::of(&[tar([Member::file("noise", &content)])], Packing::Plain).layout();
    let (stage, server) = (stage(&content, &layout), FaultServer::start(None, Guard::Open));
    server.shelf().put_layout("app", "1", &layout);
    let disk = stage.folder("disk");
    for case in &CASES {
        for (number, kilobytes) in DISKS.into_iter().enumerate() {
            let Some(mounted) = SmallDisk::at(disk.clone(), kilobytes) else {
                return proof::not_offered(PROOF, "this container may not mount a tmpfs");
            };
            clear(&stage);
            let done = case.command(&stage, &server.host()).run();
            let what = format!("{}, {kilobytes} KiB: {done}", case.name);
            assert_eq!(done.success(), number + 1 == DISKS.len(), "{what}");
            assert!(
                done.success() || done.err().contains("space"),
                "the error does not tell its cause: {what}"
            );
            let is_due = done.success() && !matches!(case.result, Made::Nothing);
            let made = case.made(&stage, done.stdout);
            assert_eq!(made.is_some(), is_due, "{what}");
            assert!(made.is_none_or(|made| holds(&made, &content)), "{what}");
            assert!(is_tidy(&disk, case), "{what}");
            drop(mounted);
        }
    }
    proof::ran(PROOF, CASES.len() * DISKS.len());
}

/// Another folder for what waits is offered where that one is full, and not where the result has no room.
#[test]
fn the_hint_of_a_full_disk_names_the_folder_that_is_full() {
    const PROOF: &str = "crash: the hint of a full disk";
    if !is_root() {
        return proof::not_offered(PROOF, "a small disk is a mount, which needs root");
    }
    let it = scratch();
    let disk = it.folder("disk");
    it.folder("tree");
    it.file("tree/noise", noise(1, SIZE));
    let Some(_mounted) = SmallDisk::at(disk.clone(), DISKS[0]) else {
        return proof::not_offered(PROOF, "this container may not mount a tmpfs");
    };
    orlop().args(["build", "tree", "oci:l:1"]).current_dir(it.root()).ok();
    let cases: [(&[&str], &str); 3] = [
        (
            &["build", "tree", "oci-archive:a.tar:1", "--tmpdir=disk"],
            "if it is disk that is full, name another folder with --tmpdir",
        ),
        (&["build", "tree", "oci:disk/l:1", "--tmpdir=."], "if it is . that is full"),
        (&["copy", "oci:l:1", "oci:disk/l:1"], ""),
    ];
    for (words, offer) in cases {
        let done = orlop().args(words).current_dir(it.root()).run();
        assert!(!done.success() && done.err().contains("hint: free some space"), "{words:?}: {done}");
        assert!(done.err().contains(offer), "{words:?}: {done}");
        assert_eq!(done.err().contains("--tmpdir"), !offer.is_empty(), "{words:?}: {done}");
    }
    proof::ran(PROOF, cases.len());
}

/// A spool has no name; what was fetched may wait for the next run.
fn is_tidy(disk: &Path, case: &Case) -> bool {
    matches!(case.result, Made::Pulled) || fs::read_dir(disk).expect("it is mounted").count() == 0
}
