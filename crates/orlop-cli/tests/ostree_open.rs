//! The opening verbs on commits of OSTree, and on a folder of one: `run`, `bundle`, `mount`, `unpack`, `diff`, `build --base`.

use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use testkit::engine::{HELLO_CODE, hello};
use testkit::{Command, Finished, Scratch, is_root, orlop, peer, proof, scratch};

const COMMIT: &str = "ostree:repo@os/app";
/// The same files, as a folder of another commit.
const BENEATH: &str = "ostree:repo@os/all:/inner";

/// A repository: `os/app` is a root filesystem whose `bin/hello` says its argument and ends with a code of its own,
/// `os/all` has it as the folder `inner`. `None` without a compiler.
fn world() -> Option<Scratch> {
    let it = scratch();
    hello(&it.folder("all/inner"))?;
    it.folder("all/inner/usr/share");
    it.file("all/inner/usr/share/note", "of the commit\n");
    it.file("all/outer", "beside it\n");
    fs::set_permissions(it.path("all/inner/usr/share"), Permissions::from_mode(0o750)).expect("ours");
    ok(&it, &["ostree", "init", "--repo=repo", "--mode=archive"]);
    commit(&it, "os/app", "all/inner");
    commit(&it, "os/all", "all");
    Some(it)
}

fn commit(it: &Scratch, name: &str, tree: &str) {
    let ids = ["--owner-uid=0", "--owner-gid=0", "--timestamp=@1000", tree];
    ok(it, &[&["ostree", "commit", "--repo=repo", "-b", name][..], &ids].concat());
}

fn run(it: &Scratch, words: &[&str]) -> Finished {
    orlop().args(words).current_dir(it.root()).env("ORLOP_ROOT", it.path("store")).run()
}

fn ok(it: &Scratch, words: &[&str]) -> String {
    let done = run(it, words);
    assert!(done.success(), "{words:?}: {done}");
    done.out()
}

#[test]
fn a_folder_of_a_commit_is_the_root_of_what_is_opened() {
    const PROOF: &str = "ostree: folders of commits are opened";
    let Some(it) = world() else { return proof::skipped(PROOF, "no C compiler that links statically") };
    let files = ok(&it, &["files", COMMIT]);
    for place in [BENEATH, "ostree:repo@os/all:/inner/"] {
        assert_eq!(ok(&it, &["files", place]), files, "{place}");
    }
    assert_eq!(ok(&it, &["diff", COMMIT, BENEATH]), "");
    let differs = run(&it, &["diff", COMMIT, "ostree:repo@os/all"]);
    assert_eq!(differs.code(), Some(8), "{differs}");
    let said = differs.out();
    for line in ["removed  bin/hello", "added    inner/bin/hello", "added    outer"] {
        assert!(said.lines().any(|found| found.starts_with(line)), "{line}: {said}");
    }
    ok(&it, &["unpack", BENEATH, "out"]);
    assert_eq!(ok(&it, &["diff", "rootfs:out", COMMIT]), "");
    let mode = fs::metadata(it.path("out/usr/share")).expect("unpacked").permissions().mode();
    assert_eq!(mode & 0o7777, 0o750);
    it.folder("more");
    it.file("more/added", "on top\n");
    for (place, name) in [(COMMIT, "app"), (BENEATH, "inner")] {
        ok(&it, &["build", "--base", place, "more", &format!("oci:l:{name}"), "--cmd", "/bin/hello"]);
        assert_eq!(ok(&it, &["cat", &format!("oci:l:{name}"), "added"]), "on top\n");
        let said = run(&it, &["diff", place, &format!("oci:l:{name}")]).out();
        let of_files: Vec<&str> = said.lines().filter(|line| !line.contains(" /:")).collect();
        assert_eq!(of_files, ["added    added"], "{place}");
    }
    proof::ran(PROOF, 6);
}

#[test]
fn commits_are_bundles_that_a_runtime_starts() {
    const PROOF: &str = "ostree: bundles and containers of commits";
    if !is_root() {
        return proof::not_offered(PROOF, "the tests do not run as root");
    }
    let Some(runc) = peer("runc") else { return proof::skipped(PROOF, "runc is missing") };
    let Some(it) = world() else { return proof::skipped(PROOF, "no C compiler that links statically") };
    for (number, place) in [COMMIT, BENEATH].into_iter().enumerate() {
        let folder = format!("bundle{number}");
        let refused = run(&it, &["bundle", place, &folder]);
        assert!(refused.code() == Some(1) && refused.err().contains("--cmd /bin/sh"), "{refused}");
        ok(&it, &["bundle", place, &folder, "--cmd", "/bin/hello", "--cmd", "bundle"]);
        assert_eq!(
            fs::read(it.path(&folder).join("rootfs/usr/share/note")).expect("there"),
            b"of the commit\n"
        );
        assert!(!it.path(&folder).join("rootfs/outer").exists());
        let config: Value =
            serde_json::from_slice(&fs::read(it.path(&folder).join("config.json")).expect("there"))
                .expect("JSON");
        assert_eq!(config["process"]["args"], serde_json::json!(["/bin/hello", "bundle"]));
        ok(&it, &["verify", place, &folder, "--cmd", "/bin/hello", "--cmd", "bundle"]);
        it.file(&format!("{folder}/rootfs/usr/share/note"), "of somebody else\n");
        let harmed = run(&it, &["verify", place, &format!("{folder}/rootfs")]);
        assert!(harmed.code() == Some(8) && harmed.out().contains("usr/share/note"), "{harmed}");
        let state = it.path("state");
        let started = Command::new(&runc.path)
            .arg("--root")
            .arg(&state)
            .args(["run", "--bundle"])
            .arg(it.path(&folder))
            .arg(format!("orlop-commit-{}-{number}", std::process::id()))
            .run();
        assert_eq!(
            (started.code(), started.out().as_str()),
            (Some(HELLO_CODE), "hello bundle\n"),
            "{started}"
        );
        let ran = run(&it, &["run", "--runtime", "runc", place, "--", "/bin/hello", "run"]);
        assert_eq!((ran.code(), ran.out().as_str()), (Some(HELLO_CODE), "hello run\n"), "{place}: {ran}");
    }
    let none = run(&it, &["run", BENEATH]);
    assert_eq!(none.code(), Some(125), "{none}");
    assert!(none.err().contains("orlop run REF -- /bin/sh") && !none.err().contains("--cmd"), "{none}");
    let absent = run(&it, &["run", "ostree:repo@os/all:/outer", "/bin/hello"]);
    assert_eq!(absent.code(), Some(125), "{absent}");
    assert!(
        absent.err().contains("no folder `outer`") && absent.err().contains("orlop ostree ls"),
        "{absent}"
    );
    proof::ran(PROOF, 8);
}

#[test]
fn a_name_without_the_slash_of_a_subpath_is_told_about_it() {
    let it = scratch();
    it.folder("all/inner");
    ok(&it, &["ostree", "init", "--repo=repo", "--mode=archive"]);
    commit(&it, "os/all", "all");
    let done = run(&it, &["files", "ostree:repo@os/all:inner"]);
    assert!(done.code() == Some(2) && done.err().contains("REF:/FOLDER"), "{done}");
    let clash = run(&it, &["copy", "ostree:repo@os/all", "ostree:repo@os/all/more"]);
    assert!(clash.code() == Some(1) && clash.err().contains("refs --delete"), "{clash}");
}
