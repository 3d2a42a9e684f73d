//! Bundles: what runs, and as whom.

use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use testkit::command::orlop_path;
use testkit::engine::{HELLO_CODE, hello};
use testkit::scratch::{Scratch, scratch};
use testkit::{Command, Finished, is_root, orlop, peer, proof};

/// Prints the process's user and group, and who owns a file.
const WHO: &str = "#include <stdio.h>\n#include <sys/stat.h>\n#include <unistd.h>\n\
    int main(void) { struct stat s; stat(\"/home/file\", &s); \
    printf(\"%d:%d %d:%d\\n\", getuid(), getgid(), s.st_uid, s.st_gid); return 7; }\n";

/// A layout `l` with `oci:l:none`, which names no command, and `oci:l:both`, which names both parts of one.
fn fixture() -> Scratch {
    let scratch = scratch();
    scratch.folder("tree/etc");
    build(&scratch, &["tree", "oci:l:none"]);
    build(&scratch, &["tree", "oci:l:both", "--entrypoint", "/e", "--cmd", "c"]);
    scratch
}

fn build(scratch: &Scratch, words: &[&str]) {
    orlop().arg("build").args(words).current_dir(scratch.root()).ok();
}

fn bundle(scratch: &Scratch, words: &[&str]) -> Finished {
    orlop().arg("bundle").args(words).current_dir(scratch.root()).run()
}

fn config(scratch: &Scratch, folder: &str) -> Value {
    let text = fs::read(scratch.path(folder).join("config.json")).expect("a bundle");
    serde_json::from_slice(&text).expect("a document")
}

#[test]
fn an_image_without_a_command_is_given_one() {
    let scratch = fixture();
    let done = bundle(&scratch, &["oci:l:none", "refused"]);
    assert_eq!(done.code(), Some(1), "{done}");
    assert!(done.err().contains("names no command") && done.err().contains("--cmd /bin/sh"), "{done}");
    assert!(!scratch.path("refused").exists());
    assert!(!done.err().contains("unpack:"), "it is told before anything is read: {done}");
    let cases: [(&str, &[&str], Value); 4] = [
        ("oci:l:none", &["--cmd", "/bin/sh", "--cmd", "-x y"], json!(["/bin/sh", "-x y"])),
        ("oci:l:both", &["--cmd", "d"], json!(["/e", "d"])),
        ("oci:l:both", &["--entrypoint", "/n"], json!(["/n"])),
        ("oci:l:both", &[], json!(["/e", "c"])),
    ];
    for (number, (image, flags, args)) in cases.into_iter().enumerate() {
        let folder = format!("bundle{number}");
        let done = bundle(&scratch, &[&[image, &folder], flags].concat());
        assert!(done.success(), "{done}");
        assert_eq!(config(&scratch, &folder)["process"]["args"], args);
    }
}

/// J7: crun would connect to the socket; a runtime that is started later is told by whoever starts it what to obey.
#[test]
fn j7_labels_that_a_runtime_would_obey_are_told() {
    const OBEYED: &str = "run.oci.pidfd_receiver";
    let scratch = fixture();
    let label = format!("{OBEYED}=/run/host.sock");
    build(&scratch, &["tree", "oci:l:obeyed", "--cmd", "c", "--label", &label, "--label", "plain=x"]);
    let done = bundle(&scratch, &["oci:l:obeyed", "told"]);
    assert!(done.success(), "{done}");
    let warning = done.err().lines().find(|line| line.starts_with("warning:")).unwrap_or_default().to_owned();
    assert!(
        warning.contains(OBEYED) && warning.contains("config.json") && !warning.contains("plain"),
        "{done}"
    );
    assert_eq!(
        config(&scratch, "told")["annotations"][OBEYED],
        "/run/host.sock",
        "conversion.md wants it there"
    );
    let quiet = bundle(&scratch, &["oci:l:both", "quiet"]);
    assert!(!quiet.err().contains("warning:"), "{quiet}");
}

/// A folder `work` of nobody's with a layout: one image runs as 1000:100 and owns a file, all in `oci:layout:app`.
fn app() -> Option<Scratch> {
    let scratch = scratch();
    let root = scratch.folder("root");
    hello(&root)?;
    let program = root.join("bin/who");
    Command::new("cc").args(["-static", "-O1", "-x", "c", "-o"]).arg(&program).arg("-").input(WHO).ok();
    scratch.folder("root/home");
    let file = scratch.file("root/home/file", "x");
    std::os::unix::fs::chown(file, Some(1000), Some(100)).expect("root");
    let work = scratch.folder("work");
    let image = format!("oci:{}:app", work.join("layout").display());
    build(&scratch, &["root", &image, "--user", "1000:100", "--entrypoint", "/bin/who"]);
    scratch.file("ranges", "nobody:100000:65536\n");
    Command::new("chown").args(["-R", "65534:65534"]).arg(&work).ok();
    fs::set_permissions(&work, Permissions::from_mode(0o755)).expect("ours");
    Some(scratch)
}

/// A script as nobody in the folder `work`, with or without subordinate ids.
fn as_nobody(scratch: &Scratch, ids: &str, script: &str) -> Finished {
    let prepare = match ids {
        "" => ":".to_owned(),
        ranges => format!("mount --bind {ranges} /etc/subuid && mount --bind {ranges} /etc/subgid"),
    };
    let line = format!(
        "{prepare} && cd work && exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -ec '{script}'"
    );
    Command::new("unshare")
        .args(["--mount", "sh", "-ec", &line])
        .env("ORLOP", orlop_path())
        .current_dir(scratch.root())
        .run()
}

const PROOF: &str = "bundle: rootless, with subordinate ids, under runc";

#[test]
fn a_rootless_bundle_holds_the_subordinate_ids_of_its_maker() {
    if !is_root() {
        return proof::not_offered(PROOF, "the tests do not run as root");
    }
    // The program that maps ids tells no version.
    if peer("runc").is_none() || !Path::new("/usr/bin/newuidmap").exists() {
        return proof::skipped(PROOF, "runc or newuidmap is missing");
    }
    let Some(scratch) = app() else { return proof::skipped(PROOF, "no C compiler that links statically") };
    let without = as_nobody(&scratch, "", r#""$ORLOP" bundle oci:layout:app refused"#);
    assert!(without.err().contains("1000:100") && without.err().contains("/etc/subuid"), "{without}");
    // With `--owner map` the file is the app's own; with the default it is the maker's, who is root inside.
    for (owner, seen, host) in [("map", "1000:100 1000:100\n", 100_999), ("record", "1000:100 0:0\n", 65_534)]
    {
        let made = as_nobody(
            &scratch,
            "ranges",
            &format!(r#"umask 022; "$ORLOP" bundle oci:layout:app {owner} --owner {owner}"#),
        );
        assert!(made.success(), "{made}");
        let linux = &config(&scratch, &format!("work/{owner}"))["linux"];
        let mapped = json!([
            { "containerID": 0, "hostID": 65534, "size": 1 },
            { "containerID": 1, "hostID": 100_000, "size": 65536 },
        ]);
        assert_eq!((&linux["uidMappings"], &linux["gidMappings"]), (&mapped, &mapped), "{owner}");
        let file = scratch.path(&format!("work/{owner}/rootfs/home/file"));
        assert_eq!(fs::metadata(file).expect("unpacked").uid(), host, "{owner}");
        let run =
            format!("mkdir runc-{owner}; exec runc --root runc-{owner} run --bundle {owner} orlop-{owner}");
        let ran = as_nobody(&scratch, "ranges", &run);
        assert_eq!((ran.code(), ran.out().as_str()), (Some(HELLO_CODE), seen), "{owner}: {ran}");
    }
    proof::ran(PROOF, 2);
}
