//! Places of files, as the image that `copy --compress none` makes of them.

use testkit::{Command, Finished, Scratch, orlop, scratch};

/// A folder `tree` with what a tar can hold, and the same as `tree.tar`.
fn fixture() -> Scratch {
    let folder = scratch();
    folder.folder("tree/etc");
    folder.file("tree/etc/a", "1\n");
    folder.file("tree/large", "0123456789abcdef".repeat(20_000));
    std::os::unix::fs::symlink("a", folder.path("tree/etc/link")).expect("a link");
    std::fs::hard_link(folder.path("tree/etc/a"), folder.path("tree/etc/twin")).expect("a hard link");
    let sparse = std::fs::File::create(folder.path("tree/sparse")).expect("a file");
    sparse.set_len(3 << 20).expect("a hole");
    run(&folder, &["copy", "rootfs:tree", "oci:kept:t", "--compress=none", "--progress=none"]).ok();
    run(&folder, &["copy", "oci:kept:t", "tar:tree.tar", "--progress=none"]).ok();
    folder
}

fn run(folder: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(folder.root())
}

fn out(folder: &Scratch, words: &[&str]) -> String {
    run(folder, words).ok().out()
}

fn done(folder: &Scratch, words: &[&str]) -> Finished {
    run(folder, words).run()
}

#[test]
fn files_are_the_image_that_a_copy_of_them_is() {
    let folder = fixture();
    let kept = out(&folder, &["digest", "oci:kept:t"]);
    for place in ["rootfs:tree", "tar:tree.tar"] {
        assert_eq!(out(&folder, &["digest", place]), kept, "{place}");
        assert_eq!(
            out(&folder, &["inspect", place, "--raw"]),
            out(&folder, &["inspect", "oci:kept:t", "--raw"])
        );
        let files = |place| out(&folder, &["files", place, "--format=json", "--progress=none"]);
        assert_eq!(files(place), files("oci:kept:t"), "{place}");
        assert_eq!(out(&folder, &["cat", place, "etc/link"]), "1\n");
        assert_eq!(done(&folder, &["validate", place, "--progress=none"]).code(), Some(0), "{place}");
        assert_eq!(done(&folder, &["diff", place, "oci:kept:t", "--progress=none"]).code(), Some(0));
    }
}

#[test]
fn files_are_unpacked_bundled_and_built_upon_as_an_image_is() {
    let folder = fixture();
    for (place, name) in [("rootfs:tree", "one"), ("tar:tree.tar", "two")] {
        out(&folder, &["unpack", place, name, "--progress=none"]);
        assert_eq!(
            done(&folder, &["diff", "rootfs:tree", &format!("rootfs:{name}"), "--progress=none"]).code(),
            Some(0)
        );
        let bundle = format!("bundle-{name}");
        out(&folder, &["bundle", place, &bundle, "--cmd=/bin/true", "--progress=none"]);
        assert!(folder.path(&format!("{bundle}/config.json")).exists());
        let built = format!("oci:built:{name}");
        out(&folder, &["build", "--base", place, "--env=A=1", "tree", &built, "--progress=none"]);
        let inspected = out(&folder, &["inspect", &built, "--format=json"]);
        assert!(inspected.contains("A=1"), "{inspected}");
    }
    assert_eq!(out(&folder, &["digest", "oci:built:one"]), out(&folder, &["digest", "oci:built:two"]));
}

#[test]
fn files_have_no_names_to_list_or_to_change() {
    let folder = fixture();
    for words in [
        &["ls", "rootfs:tree"][..],
        &["tag", "rootfs:tree", "x"],
        &["rm", "tar:tree.tar"],
        &["copy", "--all-tags", "rootfs:tree", "oci:other"],
        &["lock", "rootfs:tree"],
    ] {
        let refused = done(&folder, words);
        assert_eq!(refused.code(), Some(64), "{words:?}: {refused}");
    }
}
