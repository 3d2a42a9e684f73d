//! Bad input and bad moments: clear errors, documented exit codes, and the target as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use testkit::dump::{differences, dump};
use testkit::image::{Image, Layer, Packing, sha256, zstd};
use testkit::tarball::{Member, cut, tar};
use testkit::{Command, Finished, Scratch, is_root, orlop, scratch};

fn image(scratch: &Scratch) -> String {
    let folder = scratch.path("layout");
    Image::of(&[tar([Member::file("f", "1")])], Packing::Gzip).layout().write(&folder);
    format!("oci:{}:latest", folder.display())
}

fn unpack(image: &str, target: &Path) -> Command {
    orlop().args(["unpack", image]).arg(target)
}

/// What failed, why, and what to type next.
fn tells(done: &Finished, code: i32, words: &[&str]) {
    assert_eq!(done.code(), Some(code), "{done}");
    assert!(done.stdout.is_empty(), "an error is no result: {}", done.out());
    for word in words {
        assert!(done.err().contains(word), "{word:?} is not said:\n{}", done.err());
    }
}

#[test]
fn a_target_that_holds_something_is_refused_and_stays() {
    let scratch = scratch();
    let image = image(&scratch);
    let target = scratch.folder("out");
    fs::write(target.join("mine"), "x").expect("new");
    let before = dump(&target);
    tells(&unpack(&image, &target).run(), 1, &["out", "--replace"]);
    assert_eq!(differences(&before, &dump(&target), &[]), []);
    let file = scratch.file("file", "x");
    assert!(!unpack(&image, &file).run().success());
    assert_eq!(fs::read(&file).expect("there"), b"x");
}

#[test]
fn an_empty_target_is_taken_and_replace_exchanges() {
    let scratch = scratch();
    let image = image(&scratch);
    let target = scratch.folder("out");
    unpack(&image, &target).ok();
    assert_eq!(fs::read(target.join("f")).expect("unpacked"), b"1");
    fs::write(target.join("mine"), "x").expect("new");
    orlop().args(["unpack", "--replace", &image]).arg(&target).ok();
    assert!(!target.join("mine").exists() && target.join("f").exists());
    assert_eq!(
        fs::read_dir(scratch.root()).expect("a folder").count(),
        2,
        "something was left beside the target"
    );
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let scratch = scratch();
    let image = image(&scratch);
    let out = scratch.path("out");
    tells(&unpack(&image.replace(":latest", ":lates"), &out).run(), 2, &["lates", "latest"]);
    tells(&unpack("oci:nowhere:x", &out).current_dir(scratch.root()).run(), 2, &["nowhere"]);
    assert!(!out.exists());
}

#[test]
fn a_missing_platform_is_said_with_those_that_exist() {
    let scratch = scratch();
    let folder = scratch.path("layout");
    let image = Image::of(&[tar([Member::file("f", "1")])], Packing::Gzip).index(|mut index| {
        let mut entry = index["manifests"][0].clone();
        entry["platform"] = serde_json::json!({"os": "linux", "architecture": "s390x"});
        let mut other = entry.clone();
        other["platform"]["architecture"] = "riscv64".into();
        other["digest"] = format!("sha256:{}", "1".repeat(64)).into();
        index["manifests"] = serde_json::json!([entry, other]);
        index
    });
    image.layout().write(&folder);
    let done =
        orlop().args(["unpack", "--platform", "linux/arm64", &format!("oci:{}:latest", folder.display())]);
    tells(&done.arg(scratch.path("out")).run(), 2, &["linux/arm64", "linux/s390x", "linux/riscv64"]);
}

#[test]
fn a_damaged_layer_is_named_by_its_digest_and_nothing_appears() {
    let scratch = scratch();
    let image = image(&scratch);
    let layout = Image::of(&[tar([Member::file("f", "1")])], Packing::Gzip).layout();
    let path = layout.layer_path(0);
    let blob = scratch.path("layout").join(&path);
    let mut bytes = fs::read(&blob).expect("a blob");
    bytes[30] ^= 1;
    fs::write(&blob, bytes).expect("ours");
    let hex = path.rsplit('/').next().expect("a name");
    tells(&unpack(&image, &scratch.path("out")).run(), 5, &[hex, "validate"]);
    assert!(!scratch.path("out").exists());
}

/// A layout `l` with an index of one image under `latest`. One of its documents is `text`, and its digest is right.
fn with_document(scratch: &Scratch, which: &str, text: &'static str) {
    let image = Image::of(&[tar([Member::file("f", "1")])], Packing::Gzip);
    let image = match which {
        "config" => image.config(move |_| text.to_owned()),
        "manifest" => image.manifest(move |_| text.to_owned()),
        _ => image,
    };
    let mut layout = image.layout();
    let mut names = layout.index();
    let entry = names["manifests"][0].as_object_mut().expect("an entry");
    let annotations = entry.remove("annotations").expect("a name");
    let index = if which == "index" { text.to_owned() } else { names.to_string() };
    names["manifests"][0] = layout.add("application/vnd.oci.image.index.v1+json", index.into_bytes());
    names["manifests"][0]["annotations"] = annotations;
    layout.put("index.json", names.to_string());
    layout.write(&scratch.path("l"));
}

/// Verbs that read all documents of an image, and below those that carry a config as it is.
const READERS: [&[&str]; 11] = [
    &["inspect", "oci:l:latest"],
    &["unpack", "--track", "oci:l:latest", "out"],
    &["bundle", "oci:l:latest", "out"],
    &["files", "oci:l:latest"],
    &["cat", "oci:l:latest", "f"],
    &["diff", "oci:l:latest", "oci:l:latest"],
    &["config", "--author", "me", "oci:l:latest"],
    &["append", "oci:l:latest", "tree"],
    &["rebase", "--old-base", "oci:l:latest", "--new-base", "oci:l:latest", "oci:l:latest"],
    &["build", "--base", "oci:l:latest", "tree", "oci:l:u"],
    &["verify", "oci:l:latest", "tree"],
];
const CARRIERS: [&[&str]; 5] = [
    &["copy", "oci:l:latest", "oci:m:t"],
    &["copy", "oci:l:latest", "oci-archive:a.tar:t"],
    &["copy", "oci:l:latest", "docker-archive:a.tar:t"],
    &["copy", "oci:l:latest", "store:t"],
    &["sync", "oci:l", "oci:m"],
];

/// Whoever reads it, and whatever is wrong with it: it is told which of the documents it is.
#[test]
fn a_document_that_cannot_be_read_is_named_by_its_digest() {
    for which in ["index", "manifest", "config"] {
        for (text, why) in [
            ("{", "not a valid JSON document"),
            (r#"{"schemaVersion":2,"schemaVersion":2}"#, "stands twice"),
            (
                r#"{"schemaVersion":1,"rootfs":{"type":"parts","diff_ids":[]},"architecture":"a","os":"b"}"#,
                "is",
            ),
        ] {
            let scratch = scratch();
            with_document(&scratch, which, text);
            scratch.folder("tree");
            let name = if which == "index" { " (latest)" } else { "" };
            let told = format!("the {which} {}{name} cannot be read", sha256(text.as_bytes()));
            let run = |words: &[&str]| {
                orlop().args(words).env("ORLOP_ROOT", scratch.path("store")).current_dir(scratch.root()).run()
            };
            // What is wrong is told alike by all.
            let readers = if text == "{" { &READERS[..] } else { &READERS[..1] };
            let carriers = if which == "config" { &[][..] } else { &CARRIERS };
            for words in readers.iter().chain(carriers) {
                tells(&run(words), 5, &[&told, why, "orlop validate"]);
            }
        }
    }
}

#[test]
fn a_folder_that_may_not_be_written_is_an_error_with_its_path() {
    if !is_root() {
        return;
    }
    let scratch = scratch();
    let image = image(&scratch);
    scratch.folder("closed");
    tells(&unpack(&image, &scratch.path("closed/out")).unprivileged().run(), 1, &["closed"]);
    assert_eq!(fs::read_dir(scratch.path("closed")).expect("a folder").count(), 0);
}

#[test]
fn a_file_that_may_not_be_read_is_an_error_with_its_path() {
    if !is_root() {
        return;
    }
    let scratch = scratch();
    let tree = scratch.folder("tree");
    fs::write(tree.join("secret"), "x").expect("new");
    fs::set_permissions(tree.join("secret"), fs::Permissions::from_mode(0o600)).expect("ours");
    let work = scratch.folder("work");
    fs::set_permissions(&work, fs::Permissions::from_mode(0o777)).expect("ours");
    let done = orlop()
        .arg("build")
        .arg(&tree)
        .arg(format!("oci:{}:t", work.join("layout").display()))
        .unprivileged();
    tells(&done.run(), 1, &["secret"]);
}

/// An image that takes seconds to unpack: gigabytes of noise that compress to nothing.
fn slow_image(scratch: &Scratch) -> String {
    let size = 3_u64 << 30;
    let mut blob = zstd(&cut([Member::file("f", "").claims(size)]));
    let pattern: Vec<u8> = (0..1 << 20).map(|n: u32| (n % 251) as u8).collect();
    let frame = zstd(&pattern);
    for _ in 0..size >> 20 {
        blob.extend(&frame);
    }
    blob.extend(zstd(&[0; 1024]));
    let layer = Layer {
        blob,
        media_type: Packing::Zstd.media_type().into(),
        diff_id: format!("sha256:{}", "1".repeat(64)),
    };
    let folder = scratch.path("slow");
    Image::new().layer(layer).layout().write(&folder);
    format!("oci:{}:latest", folder.display())
}

#[test]
fn an_interrupt_leaves_nothing() {
    let scratch = scratch();
    let image = slow_image(&scratch);
    let work = scratch.folder("work");
    let done = unpack(&image, &work.join("out"))
        .interrupt(Duration::from_millis(300))
        .time(Duration::from_secs(20))
        .run();
    assert_eq!(done.code(), Some(130), "{done}");
    assert_eq!(fs::read_dir(&work).expect("a folder").count(), 0, "something was left behind");
}

#[test]
fn a_reader_that_goes_away_has_seen_enough() {
    let scratch = scratch();
    let image = image(&scratch);
    let program = testkit::command::orlop_path();
    let script = format!("set -o pipefail; '{}' inspect --format json '{image}' | true", program.display());
    Command::new("bash").args(["-c", &script]).ok();
}

#[test]
fn limits_are_errors_of_their_own() {
    let scratch = scratch();
    let image = image(&scratch);
    tells(&unpack(&image, &scratch.path("out")).args(["--max-entries", "0"]).run(), 9, &["entries"]);
    tells(&unpack(&image, &scratch.path("out")).args(["--max-size", "100"]).run(), 9, &["100"]);
    assert!(!scratch.path("out").exists());
}
