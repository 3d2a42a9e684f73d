//! Trees, tars, layers and images that are laid over each other on their way to a commit or into a folder.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use testkit::ostree::{ours, well};
use testkit::scratch::{self, scratch};
use testkit::{Scratch, orlop, proof};

fn run(folder: &Path, program: &str, words: &[&str]) -> String {
    testkit::Command::new(program).args(words).current_dir(folder).ok().out()
}

/// A tar of a folder, whose files belong to root.
fn tar(scratch: &Scratch, name: &str, folder: &str, how: &[&str]) {
    let fixed = ["--owner=0", "--group=0", "--numeric-owner", "--mtime=@7", "--sort=name", "-cf", name];
    let of = ["-C", folder, "."];
    run(scratch.root(), "tar", &[how, &fixed[..], &of[..]].concat());
}

/// Three trees: a base, a folder that fits over it, and a layer that removes some of it.
fn trees() -> Scratch {
    let scratch = scratch();
    for folder in ["base/d/e", "base/gone/deep", "base/hidden", "over/d", "over/n", "layer/d", "layer/hidden"]
    {
        scratch.folder(folder);
    }
    for (name, content) in [
        ("base/d/f", "x\n"),
        ("base/d/e/g", "y\n"),
        ("base/gone/deep/file", "z\n"),
        ("base/hidden/1", "1\n"),
        ("base/run", "#!\n"),
        ("over/d/f", "over\n"),
        ("over/n/1", "1\n"),
        ("layer/d/.wh.f", ""),
        ("layer/.wh.gone", ""),
        ("layer/hidden/.wh..wh..opq", ""),
        ("layer/hidden/2", "2\n"),
        ("layer/run", "again\n"),
    ] {
        scratch.file(name, content);
    }
    symlink("f", scratch.path("base/d/l")).expect("a link");
    fs::hard_link(scratch.path("base/d/e/g"), scratch.path("base/d/h")).expect("a hard link");
    fs::set_permissions(scratch.path("base/run"), fs::Permissions::from_mode(0o4755)).expect("ours");
    tar(&scratch, "base.tar", "base", &["--format=pax"]);
    tar(&scratch, "over.tar", "over", &["--format=gnu"]);
    tar(&scratch, "over.tar.gz", "over", &["-z"]);
    tar(&scratch, "layer.tar", "layer", &["-z"]);
    // What the layer over the base means, by hand.
    run(scratch.root(), "cp", &["-a", "base", "want"]);
    for gone in ["want/d/f", "want/hidden/1"] {
        fs::remove_file(scratch.path(gone)).expect("it is there");
    }
    scratch::remove(&scratch.path("want/gone"));
    scratch.file("want/hidden/2", "2\n");
    scratch.file("want/run", "again\n");
    for changed in ["want/run", "want/hidden/2"] {
        fs::set_permissions(scratch.path(changed), fs::Permissions::from_mode(0o644)).expect("ours");
    }
    scratch
}

/// Commits whose ids tell nothing but what the tree is.
fn commit(folder: &Path, repo: &str, words: &[&str]) -> String {
    let fixed =
        ["commit", repo, "--orphan", "--no-bindings", "--timestamp=@9", "--owner-uid=0", "--owner-gid=0"];
    well(folder, &[&fixed[..], words].concat())
}

#[test]
fn tars_and_folders_over_each_other_have_the_ids_of_the_real_tool() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: tars as trees of commits", "ostree is missing");
    };
    let scratch = trees();
    let root = scratch.root();
    let theirs = |words: &[&str]| ostree.command().args(words).current_dir(root).ok().out();
    let cases: [&[&str]; 6] = [
        &["--tree=tar=base.tar"],
        &["--tree=tar=base.tar", "--tree=tar=over.tar.gz"],
        &["--tree=dir=over", "--tree=tar=base.tar", "--tree=tar=over.tar"],
        &["--tree=ref=b", "--tree=dir=over", "--tree=ref=b"],
        &["--tree=tar=base.tar", "--mode-ro-executables", "--skip-list=skip", "--owner-uid=5"],
        &["--tree=tar=base.tar", "--skip-list=skip-hard-link"],
    ];
    scratch.file("skip", "/d/l\n");
    scratch.file("skip-hard-link", "/d/h\n");
    for mode in ["archive", "bare-user", "bare-user-only"] {
        let (a, b) = (format!("--repo=theirs-{mode}"), format!("--repo=ours-{mode}"));
        theirs(&["init", &a, &format!("--mode={mode}")]);
        well(root, &["init", &b, &format!("--mode={mode}")]);
        let base = ["-b", "b", "--timestamp=@3", "over"];
        theirs(&[&["commit", &a], &base[..]].concat());
        well(root, &[&["commit", &b], &base[..]].concat());
        for (number, words) in cases.iter().enumerate() {
            let name = format!("branch-{number}");
            let fixed = ["-b", &name, "--timestamp=@9"];
            let expected = theirs(&[&["commit", &a], &fixed[..], words].concat());
            assert_eq!(
                well(root, &[&["commit", &b], &fixed[..], words].concat()),
                expected,
                "{mode} {words:?}"
            );
        }
        theirs(&["fsck", &b, "--quiet"]);
    }
    proof::ran("ostree: tars as trees of commits", 3 * cases.len());
}

#[test]
fn a_layer_removes_what_lies_below_during_commit_and_during_checkout() {
    let scratch = trees();
    let root = scratch.root();
    let repo = "--repo=r";
    well(root, &["init", repo, "--mode=bare-user"]);
    let want = commit(root, repo, &["--tree=dir=want"]);
    let base = "--tree=tar=base.tar";
    assert_eq!(commit(root, repo, &[base, "--tree=layer-tar=layer.tar"]), want);
    assert_eq!(commit(root, repo, &["--tree=dir=base", "--tree=layer-tar=layer.tar"]), want);
    assert_ne!(
        commit(root, repo, &["--tree=layer-tar=layer.tar", base]),
        want,
        "a layer hides nothing above"
    );
    well(root, &["commit", repo, "-b", "base", "--timestamp=@9", "--owner-uid=0", "--owner-gid=0", "base"]);
    well(root, &["commit", repo, "-b", "layer", "--timestamp=@9", "--owner-uid=0", "--owner-gid=0", "layer"]);
    well(root, &["checkout", repo, "-U", want.trim(), "expected"]);
    for (layer, target) in [("layer.tar", "of-a-tar"), ("layer", "of-a-commit")] {
        well(root, &["checkout", repo, "-U", "--layer", layer, "base", target]);
        run(root, "diff", &["-r", "--no-dereference", "expected", target]);
        let modes = |folder: &str| run(&root.join(folder), "find", &[".", "-printf", "%P %m %s %l\n"]);
        let sorted =
            |text: String| text.lines().map(ToOwned::to_owned).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(sorted(modes(target)), sorted(modes("expected")));
    }
    assert!(!root.join("of-a-tar/gone").exists() && root.join("of-a-tar/hidden/2").exists());
    well(root, &["checkout", repo, "-U", "--layer=layer.tar", "--subpath=/hidden", "base", "part"]);
    assert_eq!(run(&root.join("part"), "ls", &[]), "2\n");
    // Two layers, and nothing that a prune would miss.
    well(root, &["checkout", repo, "-U", "--layer=over.tar", "--layer=layer.tar", "base", "two"]);
    assert!(root.join("two/n/1").exists() && !root.join("two/d/f").exists());
    assert!(well(root, &["fsck", repo]).ends_with(": 0 damaged or missing\n"));
}

#[test]
fn an_image_is_merged_by_its_own_layers_before_it_is_laid_over() {
    let scratch = trees();
    let root = scratch.root();
    let repo = "--repo=r";
    well(root, &["init", repo, "--mode=archive"]);
    orlop().args(["build", "tar:base.tar", "tar:layer.tar", "oci:image:app:1"]).current_dir(root).ok();
    let want = commit(root, repo, &["--tree=dir=want"]);
    for image in ["image:app:1", "oci:image:app:1", "./image:app:1"] {
        assert_eq!(commit(root, repo, &[&format!("--tree=oci-image={image}")]), want, "{image}");
    }
    // Its whiteouts are about its own layers, and not about what lies below.
    let both = commit(root, repo, &["--tree=dir=over", "--tree=oci-image=image:app:1"]);
    let listed = well(root, &["ls", repo, "-R", both.trim()]);
    assert!(listed.contains("/d/f\n") && !listed.contains("/gone"), "{listed}");
    scratch.file("modes", "2048 /run\n");
    let refused =
        ours(root, &["commit", repo, "--orphan", "--statoverride=modes", "--tree=oci-image=image:app:1"]);
    assert!(refused.err().contains("single files of an image are taken as they are"), "{}", refused.err());
    let missing = ours(root, &["commit", repo, "--orphan", "--tree=oci-image=image:none"]);
    assert_eq!(missing.code(), Some(2), "{}", missing.err());
}

/// `..` as the name of a whiteout would remove what is outside.
#[test]
fn p5_a_layer_that_removes_what_is_above_it_is_refused() {
    let scratch = trees();
    let root = scratch.root();
    well(root, &["init", "--repo=r", "--mode=archive"]);
    scratch.folder("bad");
    scratch.file("bad/.wh...", "");
    tar(&scratch, "bad.tar", "bad", &[]);
    let refused =
        ours(root, &["commit", "--repo=r", "-b", "x", "--tree=dir=base", "--tree=layer-tar=bad.tar"]);
    assert_eq!(refused.code(), Some(5), "{}", refused.err());
    well(root, &["commit", "--repo=r", "-b", "bad", "--timestamp=@1", "bad"]);
    well(root, &["commit", "--repo=r", "-b", "base", "--timestamp=@1", "base"]);
    for words in [&["--layer=bad"][..], &["--layer=bad.tar"]] {
        let refused = ours(root, &[&["checkout", "--repo=r", "-U", "base", "out"], words].concat());
        assert_eq!(refused.code(), Some(5), "{}", refused.err());
        assert!(!root.join("out").exists());
    }
    scratch.folder("in/the/target");
    let refused = ours(
        &root.join("in/the"),
        &["checkout", "--repo=../../r", "-U", "--union", "--whiteouts", "bad", "target"],
    );
    assert!(!refused.success() && root.join("in/the/target").exists(), "{}", refused.err());
    let plain = ours(root, &["commit", "--repo=r", "-b", "y", "--tree=tar=layer.tar"]);
    assert_eq!(plain.code(), Some(64), "{}", plain.err());
    assert!(plain.err().contains("--tree=layer-tar=FILE"), "{}", plain.err());
    assert_eq!(well(root, &["refs", "--repo=r"]), "bad\nbase\n");
}
