//! Signals: a verb that is asked to stop stops, and leaves everything as it was.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use testkit::command::orlop_path;
use testkit::dump::{differences, dump};
use testkit::image::{Image, Packing};
use testkit::registry::Registry;
use testkit::slow_link::{Link, SlowLink};
use testkit::tarball::{Member, tar};
use testkit::{Scratch, orlop, proof, scratch};

/// A layout with one image, and a folder to work in.
fn fixture() -> Scratch {
    let folder = scratch();
    folder.folder("tree");
    folder.file("tree/file", "content\n");
    orlop().args(["build", "tree", "oci:img:1", "--progress=none"]).current_dir(folder.root()).ok();
    folder
}

/// Starts a build that reads a tar from a pipe, gives it the beginning, and waits until it was taken.
fn waiting_build(folder: &Path, target: &str) -> Child {
    let mut child = Command::new(orlop_path())
        .args(["build", "-", target, "--progress=json"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("orlop starts");
    let archive = tar([Member::file("big", vec![b'x'; 1 << 20])]);
    let pipe = child.stdin.as_mut().expect("piped");
    pipe.write_all(&archive[..archive.len() - 2048]).expect("it reads, for a pipe holds less than that");
    child
}

fn ends(child: &mut Child) -> std::process::ExitStatus {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if let Some(status) = child.try_wait().expect("it is ours") {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("it is ours");
    panic!("the signal did not end it");
}

fn signal(child: &Child, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(child.id()).expect("ids are small")).expect("not zero");
    kill_process(id, signal).expect("it runs");
}

/// Waits until a process catches the signal; `prlimit` before it does not.
fn listens(child: &Child, signal: Signal) {
    let end = Instant::now() + Duration::from_secs(10);
    let catches = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
        let caught =
            status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("every process says it");
        let caught = u64::from_str_radix(caught.trim(), 16).expect("a mask");
        caught & (1 << (signal.as_raw() - 1)) != 0
    };
    while !catches() {
        assert!(Instant::now() < end, "it catches no signal");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A signal ends within seconds what would take long.
fn ends_by_a_signal(folder: &Scratch, mut command: Command) {
    let command = command.current_dir(folder.root()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("orlop starts");
    listens(&child, Signal::INT);
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().expect("it is ours").is_none(), "{command:?} ended by itself");
    let start = Instant::now();
    signal(&child, Signal::INT);
    assert_eq!(ends(&mut child).code(), Some(130), "{command:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{command:?}: {:?}", start.elapsed());
}

#[test]
fn a_signal_ends_a_build_that_waits_for_input_and_leaves_the_layout_as_it_was() {
    for which in [Signal::INT, Signal::TERM] {
        let folder = fixture();
        let before = dump(&folder.path("img"));
        let mut child = waiting_build(folder.root(), "oci:img:2");
        signal(&child, which);
        let status = ends(&mut child);
        let mut said = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
        assert_eq!(status.code(), Some(130), "{which:?}: {said}");
        assert!(said.contains("error: "), "{said}");
        let found = differences(&before, &dump(&folder.path("img")), &[testkit::dump::Aspect::Time]);
        assert!(found.is_empty(), "{found:?}");
        orlop().args(["validate", "oci:img", "--progress=none"]).current_dir(folder.root()).ok();
    }
}

#[test]
fn a_second_signal_kills_what_cannot_stop() {
    let folder = scratch();
    folder.folder("tree");
    folder.file("tree/big", vec![b'x'; 8 << 20]);
    orlop().args(["build", "tree", "oci:img:1", "--progress=none"]).current_dir(folder.root()).ok();
    let mut child = Command::new(orlop_path())
        .args(["cat", "oci:img:1", "big", "--progress=none"])
        .current_dir(folder.root())
        .stdout(Stdio::piped())
        .spawn()
        .expect("orlop starts");
    let mut first = [0; 1];
    child
        .stdout
        .as_mut()
        .expect("piped")
        .read_exact(&mut first)
        .expect("it writes, and then waits for a reader");
    signal(&child, Signal::INT);
    std::thread::sleep(Duration::from_millis(200));
    assert!(child.try_wait().expect("it is ours").is_none(), "it waits for its reader");
    signal(&child, Signal::INT);
    assert_eq!(ends(&mut child).signal(), Some(2));
}

#[test]
fn a_signal_leaves_no_new_layout_and_no_new_archive() {
    let folder = fixture();
    for target in ["oci:new:1", "oci-archive:new.tar:1"] {
        let mut child = waiting_build(folder.root(), target);
        signal(&child, Signal::INT);
        assert_eq!(ends(&mut child).code(), Some(130), "{target}");
        let names: Vec<_> = std::fs::read_dir(folder.root())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .filter(|name| name != "img" && name != "tree")
            .collect();
        assert_eq!(names, Vec::<String>::new(), "{target}");
    }
}

/// A layout whose layer is 64 GiB of nothing, which take no space; reading them takes half a minute or more.
fn endless(folder: &Scratch, layout: &str) {
    const SIZE: u64 = 64 << 30;
    let image = Image::of(&[tar([Member::file("f", "1")])], Packing::Plain);
    let image = image.manifest(|mut manifest| {
        manifest["layers"][0]["size"] = SIZE.into();
        manifest
    });
    let image = image.layout();
    image.write(&folder.path(layout));
    let layer = folder.path(layout).join(image.layer_path(0));
    std::fs::File::create(layer).and_then(|file| file.set_len(SIZE)).expect("it has no content");
}

#[test]
fn a_signal_ends_the_proof_of_one_large_local_blob() {
    let folder = scratch();
    endless(&folder, "from");
    endless(&folder, "held");
    for words in [&["oci:from", "oci:held:again"][..], &["oci:from", "oci:new:1", "--link"]] {
        // Whatever is broken, no disk is filled.
        let mut copy = Command::new("prlimit");
        copy.args(["--fsize=1048576", "--"]).arg(orlop_path());
        copy.args(["copy", "--progress=none"]).args(words);
        ends_by_a_signal(&folder, copy);
    }
    assert!(!folder.path("new").exists());
}

const UPLOAD: &str = "interrupt: an upload is given up";

/// What one piece would have been is told to the registry; it need not keep it until it expires.
#[test]
fn item_215_a_signal_gives_up_what_was_being_sent() {
    let Some(registry) = Registry::plain() else {
        return proof::skipped(UPLOAD, "docker-registry is missing");
    };
    let folder = scratch();
    folder.folder("tree");
    folder.file("tree/big", vec![b'x'; 8 << 20]);
    let words = ["build", "tree", "oci:img:1", "--compress=none", "--progress=none"];
    orlop().args(words).current_dir(folder.root()).ok();
    let link = SlowLink::to(&registry.host(), Link { bandwidth: Some(1 << 20), ..Link::default() });
    let mut child = Command::new(orlop_path())
        .args(["push", "oci:img:1", &format!("docker://{}/app:1", link.host()), "--progress=none"])
        .current_dir(folder.root())
        .env("HOME", folder.root())
        .spawn()
        .expect("orlop starts");
    let start = Instant::now();
    while link.carried() < 2 << 20 && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let told = Instant::now();
    signal(&child, Signal::INT);
    assert_eq!(ends(&mut child).code(), Some(130));
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
    let asked = registry.requests();
    assert!(asked.iter().any(|it| it.starts_with("DELETE /v2/app/blobs/uploads/")), "{asked:?}");
    proof::ran(UPLOAD, 1);
}

/// A blob that is no layer, which only a check reads.
#[test]
fn a_signal_ends_the_check_of_one_large_blob_that_is_not_opened() {
    const SIZE: u64 = 64 << 30;
    let folder = scratch();
    let artifact = Image::of(&[tar([Member::file("f", "1")])], Packing::Plain).manifest(|mut manifest| {
        manifest["config"]["mediaType"] = "application/vnd.example.artifact".into();
        manifest["layers"][0]["size"] = SIZE.into();
        manifest
    });
    let artifact = artifact.layout();
    artifact.write(&folder.path("from"));
    let blob = folder.path("from").join(artifact.layer_path(0));
    std::fs::File::create(blob).and_then(|file| file.set_len(SIZE)).expect("it has no content");
    let mut validate = Command::new(orlop_path());
    validate.args(["validate", "oci:from", "--progress=none"]);
    ends_by_a_signal(&folder, validate);
}

/// An archive that unwraps to far more than it is is unwrapped before its names are known.
#[test]
fn a_signal_ends_a_change_of_names_in_a_wrapped_archive() {
    let folder = scratch();
    let mut archive = tar([Member::file("f", vec![0; 512])]);
    archive.truncate(512);
    // 8 GiB and 512 bytes, as a number in octal would not tell them: in base 256.
    archive[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
    archive[148..156].fill(b' ');
    let sum: u32 = archive.iter().map(|byte| u32::from(*byte)).sum();
    archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let nothing = testkit::image::zstd(&vec![0; 1 << 20]);
    let mut wrapped = testkit::image::zstd(&archive);
    (0..8192).for_each(|_| wrapped.extend_from_slice(&nothing));
    folder.file("big.tar.zst", wrapped);
    // Whatever is broken, no disk is filled.
    let mut tag = Command::new("prlimit");
    tag.args(["--fsize=4294967296", "--"]).arg(orlop_path());
    tag.args(["tag", "oci-archive:big.tar.zst:1", "2", "--tmpdir=."]);
    ends_by_a_signal(&folder, tag);
}
