//! A layout that many use at once, that rots, and that lies on a full disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use testkit::disk::SmallDisk;
use testkit::image::{Image, Packing, blob_path};
use testkit::tarball::{Member, tar};
use testkit::{Command, Finished, Scratch, full, is_root, orlop, peer, proof, scratch};

fn ask(work: &Path, args: &[&str]) -> Finished {
    orlop().args(args).current_dir(work).run()
}

/// A folder to build from, with as many bytes of noise.
fn tree(scratch: &Scratch, name: &str, size: usize) -> PathBuf {
    let folder = scratch.folder(name);
    let mut state = name.len() as u64 + 1;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    fs::write(folder.join("noise"), noise.take(size).collect::<Vec<u8>>()).expect("new");
    fs::write(folder.join("name"), name).expect("new");
    folder
}

/// Writers add and move names while a collector sweeps; some are killed. Nothing that was acknowledged is lost.
#[test]
fn writers_and_a_collector_lose_no_name() {
    let scratch = scratch();
    let rounds = if full() { 60 } else { 8 };
    for writer in 0..4 {
        tree(&scratch, &format!("tree{writer}"), 20_000);
    }
    ask(scratch.root(), &["build", "tree0", "oci:layout:base"]);
    let writers: Vec<_> = (0..4)
        .map(|writer: u32| {
            let work = scratch.root().to_owned();
            thread::spawn(move || write_names(&work, writer, rounds))
        })
        .collect();
    let collector = {
        let work = scratch.root().to_owned();
        thread::spawn(move || {
            for _ in 0..rounds {
                let done = ask(&work, &["gc", "--grace", "1h", "oci:layout"]);
                assert!(done.success(), "{done}");
            }
        })
    };
    let names: Vec<String> =
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect();
    collector.join().expect("the collector");
    let valid = ask(scratch.root(), &["validate", "oci:layout"]);
    assert!(valid.success(), "{valid}");
    for name in &names {
        let digest = ask(scratch.root(), &["digest", &format!("oci:layout:{name}")]);
        assert!(digest.success(), "the name {name} was lost: {digest}");
    }
    assert!(names.len() >= rounds, "{} names: too few were acknowledged", names.len());
    proof::ran("shared layout: writers and a collector, some killed", names.len());
}

/// The names that this writer was told are there.
fn write_names(work: &Path, writer: u32, rounds: usize) -> Vec<String> {
    let mut names = Vec::new();
    for round in 0..rounds {
        let name = format!("w{writer}-{round}");
        let target = format!("oci:layout:{name}");
        let command = match round % 3 {
            0 => orlop().args(["tag", "oci:layout:base", &name]),
            1 => orlop().args(["build", &format!("tree{writer}"), &target]),
            _ => orlop().args(["copy", "oci:layout:base", &target]),
        };
        let hurried = round % 4 == 3;
        let time = if hurried { Duration::from_millis(15) } else { Duration::from_secs(60) };
        let done = command.current_dir(work).time(time).run();
        assert!(done.success() || hurried, "{done}");
        if done.success() {
            names.push(name);
        }
    }
    names
}

/// Between the last look at `index.json` and its renaming, every writer is held for a while. Only a lock helps.
#[test]
fn names_survive_writers_that_stand_still_at_the_worst_moment() {
    let name = "shared layout: writers held before they rename";
    if peer("strace").is_none() {
        return proof::skipped(name, "strace is missing");
    }
    if !Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).run().success() {
        return proof::not_offered(name, "this kernel or container does not allow ptrace");
    }
    let scratch = scratch();
    tree(&scratch, "tree", 100);
    ask(scratch.root(), &["build", "tree", "oci:layout:base"]);
    let hold = "inject=renameat2,renameat,rename:delay_enter=30000";
    let held =
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2,renameat,rename", "-e", hold];
    let tag = |writer: u32, work: &Path| {
        for round in 0..4 {
            let tag =
                orlop().args(["tag", "oci:layout:base", &format!("w{writer}-{round}")]).current_dir(work);
            tag.under(held).ok();
        }
    };
    thread::scope(|threads| {
        for writer in 0..4 {
            let (tag, work) = (&tag, scratch.root());
            threads.spawn(move || tag(writer, work));
        }
    });
    let names = ask(scratch.root(), &["ls", "oci:layout"]).out();
    let found = (0..16).filter(|n| names.contains(&format!("w{}-{}", n / 4, n % 4))).count();
    assert_eq!(found, 16, "{names}");
    proof::ran(name, found);
}

/// Every flipped bit of every blob is found: by `validate`, `unpack` and `copy`.
#[test]
fn item_2_rot_is_found_wherever_it_is() {
    let scratch = scratch();
    tree(&scratch, "tree", 40_000);
    // Without compression: a codec's own checksum must not be what finds it.
    ask(scratch.root(), &["build", "--compress", "none", "tree", "oci:layout:t"]);
    let blobs: Vec<_> =
        fs::read_dir(scratch.path("layout/blobs/sha256")).expect("a layout").flatten().collect();
    assert_eq!(blobs.len(), 3);
    let flips = if full() { 300 } else { 12 };
    let mut cases = 0;
    for blob in blobs {
        let path = blob.path();
        let whole = fs::read(&path).expect("a blob");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("ours");
        for flip in 0..flips {
            let at = flip * whole.len() / flips;
            let mut rotten = whole.clone();
            rotten[at] ^= 1 << (flip % 8);
            fs::write(&path, rotten).expect("ours");
            let what = format!("byte {at} of {}", path.display());
            let found = ask(scratch.root(), &["validate", "oci:layout"]);
            assert!(matches!(found.code(), Some(5 | 8)), "{what}: {found}");
            let refused = ask(scratch.root(), &["unpack", "oci:layout:t", "out"]);
            assert_eq!(refused.code(), Some(5), "{what}: {refused}");
            assert!(!scratch.path("out").exists(), "{what}");
            // A copy opens no layer: the digest of the blob is all that it can go by.
            let stopped = ask(scratch.root(), &["copy", "oci:layout:t", "oci:other:t"]);
            assert_eq!(stopped.code(), Some(5), "{what}: {stopped}");
            assert!(!scratch.path("other").exists(), "{what}");
            cases += 1;
        }
        fs::write(&path, whole).expect("ours");
    }
    let healed = ask(scratch.root(), &["validate", "oci:layout"]);
    assert!(healed.success(), "{healed}");
    proof::ran("rot: a flipped bit of any blob is found", cases);
}

/// From a disk that holds nothing to one that holds all: an error that names the cause, or success; never between.
#[test]
fn a_full_disk_is_an_error_and_nothing_more() {
    let name = "crash: a full disk of each size";
    if !is_root() {
        return proof::not_offered(name, "a small disk is a mount, which needs root");
    }
    let scratch = scratch();
    tree(&scratch, "tree", 300_000);
    tree(&scratch, "small", 100);
    let start = scratch.path("start");
    ask(scratch.root(), &["build", "small", "oci:start:old"]);
    let old = ask(scratch.root(), &["digest", "oci:start:old"]).out();
    let disk = scratch.folder("disk");
    let (mut failed, mut passed) = (0, 0);
    for kilobytes in (64..=960).step_by(if full() { 16 } else { 64 }) {
        let Some(mounted) = SmallDisk::at(disk.clone(), kilobytes) else {
            return proof::not_offered(name, "this container may not mount a tmpfs");
        };
        Command::new("cp").arg("-a").arg(&start).arg(disk.join("layout")).ok();
        let done = ask(scratch.root(), &["build", "tree", "oci:disk/layout:new", "--tmpdir", "disk"]);
        let valid = ask(scratch.root(), &["validate", "oci:disk/layout"]);
        assert!(valid.success(), "{kilobytes} KiB: {valid}");
        assert_eq!(ask(scratch.root(), &["digest", "oci:disk/layout:old"]).out(), old);
        let new = ask(scratch.root(), &["digest", "oci:disk/layout:new"]);
        assert_eq!(new.success(), done.success(), "{kilobytes} KiB: {done}{new}");
        if done.success() {
            passed += 1;
        } else {
            assert!(done.err().contains("space"), "the error does not tell its cause: {done}");
            failed += 1;
        }
        drop(mounted);
    }
    assert!(failed >= 2 && passed >= 2, "{failed} failed, {passed} passed: the sizes prove nothing");
    proof::ran(name, failed + passed);
}

/// Images of all shapes through all places: every blob and every digest comes back.
#[test]
fn item_32_copies_change_no_byte() {
    let scratch = scratch();
    let count = if full() { 1000 } else { 24 };
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    for number in 0..count {
        let layers = (0..=random(4))
            .map(|layer| tar([Member::file(format!("f{layer}"), format!("{}", random(1 << 40)))]));
        let layers: Vec<_> = layers.collect();
        let packing = Packing::ALL[usize::try_from(random(3)).expect("small")];
        let spaces = " ".repeat(usize::try_from(random(50)).expect("small"));
        let vendor = random(1 << 40);
        let image = Image::of(&layers, packing)
            .manifest(move |manifest| {
                let text = manifest.to_string();
                format!(r#"{{{spaces}"vendor.{vendor}":[{{"deep":null}}],{}"#, &text[1..])
            })
            .config(move |config| format!(r#"{{"x-{vendor}":1e3,{}"#, &config.to_string()[1..]));
        let layout = image.layout();
        let source = scratch.path(&format!("s{number}"));
        layout.write(&source);
        round_trip(&scratch, number, &format!("oci:{}:latest", source.display()), &layout);
    }
    proof::ran("copy: every byte through oci, oci-archive, docker-archive and dir", count * 4);
}

fn round_trip(scratch: &Scratch, number: usize, source: &str, layout: &testkit::image::Layout) {
    let digest = layout.index()["manifests"][0]["digest"].as_str().expect("a digest").to_owned();
    let path = |form: &str| scratch.path(&format!("{form}{number}")).display().to_string();
    let places = [
        format!("oci-archive:{}:t", path("archive")),
        format!("docker-archive:{}:demo:1", path("docker")),
        format!("dir:{}", path("dir")),
        format!("oci:{}:t", path("end")),
    ];
    let mut from = source.to_owned();
    for place in places {
        let done = orlop().args(["copy", &from, &place]).ok();
        assert!(done.out().trim().ends_with(&digest), "{place}: {}", done.out());
        from = place;
    }
    for (path, bytes) in layout.files.iter().filter(|(path, _)| path.starts_with("blobs/")) {
        assert_eq!(
            &fs::read(scratch.path(&format!("end{number}")).join(path)).expect("a blob"),
            bytes,
            "{path}"
        );
    }
    assert!(scratch.path(&format!("end{number}")).join(blob_path(&digest)).exists());
}
