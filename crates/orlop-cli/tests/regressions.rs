//! What a stranger found, each by the command that showed it.

use testkit::command::{orlop, orlop_path, run_in as run, two_layouts};
use testkit::scratch::{Scratch, scratch};

#[test]
fn images_of_two_layouts_are_copied_at_once() {
    let scratch = two_layouts();
    let lines = run(&scratch, &["copy", "oci:l1:one", "oci:l2:two", "oci:new"], 0);
    assert_eq!(lines.lines().count(), 2);
    run(&scratch, &["validate", "oci:new"], 0);
}

#[test]
fn two_images_of_one_name_are_refused_before_anything_is_written() {
    let scratch = two_layouts();
    run(&scratch, &["copy", "oci:l2:two", "oci:l3:one"], 0);
    run(&scratch, &["copy", "oci:l1:one", "oci:l3:one", "oci:new"], 64);
    run(&scratch, &["ls", "oci:new"], 2);
}

#[test]
fn a_hard_link_to_nothing_is_found_by_who_builds() {
    let scratch = two_layouts();
    let dangling = testkit::tarball::tar([testkit::tarball::Member::hard_link("h", "nope")]);
    scratch.file("dangling.tar", dangling);
    run(&scratch, &["build", "dangling.tar", "oci:l1:h"], 5);
    assert!(!run(&scratch, &["ls", "oci:l1"], 0).contains(" h "));
}

#[test]
fn the_folder_that_the_caller_stands_in_stays_the_same_folder() {
    use std::os::unix::fs::MetadataExt as _;
    let scratch = two_layouts();
    let cwd = scratch.folder("cwd");
    let before = std::fs::metadata(&cwd).expect("made").ino();
    let done = orlop().args(["unpack", "oci:../l1:one", "."]).current_dir(&cwd).run();
    assert_eq!(done.code(), Some(0), "{}", done.err());
    assert_eq!(std::fs::metadata(&cwd).expect("still there").ino(), before);
    assert!(cwd.join("file").exists());
}

#[test]
fn limits_hold_where_they_are_accepted() {
    let scratch = two_layouts();
    run(&scratch, &["build", "a", "oci:l1:small", "--max-size", "1k"], 9);
    run(&scratch, &["copy", "oci:l1:one", "oci:l2:one", "--max-size", "1M"], 64);
}

#[test]
fn a_tar_comes_through_a_pipe_that_has_a_name() {
    let scratch = two_layouts();
    let script = r#"mkfifo pipe && { tar cf pipe a & "$ORLOP" build pipe oci:l1:pipe; }"#;
    let done = testkit::Command::new("sh")
        .args(["-c", script])
        .env("ORLOP", orlop_path())
        .current_dir(scratch.root())
        .run();
    assert_eq!(done.code(), Some(0), "{}", done.err());
}

#[test]
fn a_device_is_never_replaced_by_a_tar() {
    let scratch = two_layouts();
    run(&scratch, &["copy", "oci:l1:one", "tar:/dev/null"], 1);
}

#[test]
fn a_hard_link_to_an_excluded_member_of_a_tar_is_refused() {
    use testkit::tarball::{Member, tar};
    let scratch = two_layouts();
    scratch.file("linked.tar", tar([Member::file("gone", b"content"), Member::hard_link("kept", "gone")]));
    run(&scratch, &["build", "linked.tar", "oci:l1:whole"], 0);
    let part = ["build", "--base", "oci:l1:one", "linked.tar", "oci:l1:part", "--exclude", "gone"];
    run(&scratch, &part, 5);
    run(&scratch, &["build", "linked.tar", "oci:l1:none", "--exclude", "gone", "--exclude", "kept"], 0);
}

#[test]
fn what_of_a_base_is_not_said_again_stays() {
    let scratch = two_layouts();
    run(&scratch, &["build", "a", "oci:l1:v2", "--platform", "linux/amd64/v2"], 0);
    run(&scratch, &["build", "--base", "oci:l1:v2", "b", "oci:l1:more", "--platform", "linux/amd64"], 0);
    assert!(run(&scratch, &["inspect", "oci:l1:more", "--config"], 0).contains("\"variant\":\"v2\""));
}

#[test]
fn files_hold_one_platform_whether_several_are_listed_or_all_are_asked_for() {
    let scratch = two_layouts();
    for target in ["rootfs:out", "tar:out.tar"] {
        for asked in [&["--platform", "all"][..], &["--platform", "linux/amd64,linux/arm64"], &["--all"]] {
            run(&scratch, &[&["copy", "oci:l1:one", target], asked].concat(), 64);
        }
        run(&scratch, &["copy", "oci:l1:one", target], 0);
    }
    run(&scratch, &["copy", "rootfs:a", "oci:l3:tree", "--platform", "all"], 64);
}

#[test]
fn a_wrapped_archive_without_a_transport_is_unwrapped_once() {
    let scratch = two_layouts();
    run(&scratch, &["copy", "oci:l1:one", "oci-archive:oci.tar"], 0);
    run(&scratch, &["copy", "oci:l1:one", "docker-archive:docker.tar:app:one"], 0);
    for (archive, name) in [("oci", "one"), ("docker", "app:one")] {
        let plain = std::fs::read(scratch.path(&format!("{archive}.tar"))).expect("written");
        scratch.file(archive, testkit::image::gzip(&plain));
        // Making a file for it and writing that file are two operations, and there is no third.
        let done = orlop()
            .args(["ls", &format!("./{archive}")])
            .env("ORLOP_FAULT", "eio:3")
            .current_dir(scratch.root())
            .run();
        assert_eq!(done.code(), Some(0), "{done}");
        assert!(done.out().contains(name), "{}", done.out());
    }
}

#[test]
fn one_entry_that_is_no_descriptor_spoils_no_other() {
    for (field, found) in
        [("mediaType", "media-type: /manifests/1/mediaType"), ("size", "size: /manifests/1/size")]
    {
        let scratch = two_layouts();
        run(&scratch, &["copy", "oci:l2:two", "oci:l1:bad"], 0);
        run(&scratch, &["copy", "oci:l2:two", "oci:l1"], 0);
        let mut index = index(&scratch, "l1");
        let bad = index["manifests"][1].as_object_mut().expect("a descriptor");
        bad.insert("more".into(), "kept".into());
        bad.remove(field);
        let bad = index["manifests"][1].clone();
        scratch.file("l1/index.json", index.to_string());
        assert!(run(&scratch, &["validate", "oci:l1"], 8).contains(found));
        for (name, code) in [("one", 0), ("two", 0), ("@2", 0), ("bad", 5), ("@1", 5)] {
            run(&scratch, &["inspect", &format!("oci:l1:{name}")], code);
        }
        run(&scratch, &["inspect", "oci:l1"], 64);
        assert_eq!(run(&scratch, &["ls", "oci:l1"], 0).lines().count(), 3);
        run(&scratch, &["copy", "oci:l2:two", "oci:l1:three"], 0);
        run(&scratch, &["untag", "oci:l1:one"], 0);
        assert_eq!(self::index(&scratch, "l1")["manifests"][0], bad);
        run(&scratch, &["gc", "oci:l1"], 5);
        run(&scratch, &["untag", "oci:l1:bad"], 0);
        run(&scratch, &["gc", "oci:l1"], 0);
        run(&scratch, &["validate", "oci:l1"], 0);
    }
}

fn index(scratch: &Scratch, layout: &str) -> serde_json::Value {
    let bytes = std::fs::read(scratch.path(layout).join("index.json")).expect("a layout");
    serde_json::from_slice(&bytes).expect("an index")
}

#[test]
fn of_very_many_findings_the_first_are_told_and_the_others_counted() {
    use testkit::image::{Image, Packing};
    use testkit::tarball::{Member, tar};
    let scratch = scratch();
    let again = tar((0..1502).map(|_| Member::file("again", b"")));
    Image::of(&[again], Packing::Plain).layout().write(&scratch.path("l"));
    let told = run(&scratch, &["validate", "oci:l"], 0);
    assert_eq!(told.matches("duplicate-path: again").count(), 1000);
    assert!(
        told.contains("warning: duplicate-path: and 501 more\n3 blobs, 0 errors, 1501 warnings\n"),
        "{told}"
    );
    let told = run(&scratch, &["validate", "oci:l", "--format=json"], 0);
    assert!(told.contains(r#""more":[{"rule":"duplicate-path","severity":"warning","count":501}]"#));
}

/// Removes a blob of the layout `new`.
fn remove_blob(scratch: &Scratch, digest: &serde_json::Value) {
    let path = testkit::image::blob_path(digest.as_str().expect("a digest"));
    std::fs::remove_file(scratch.path("new").join(path)).expect("it was there");
}

fn blob(scratch: &Scratch, digest: &serde_json::Value) -> serde_json::Value {
    let path = testkit::image::blob_path(digest.as_str().expect("a digest"));
    serde_json::from_slice(&std::fs::read(scratch.path("new").join(path)).expect("there")).expect("JSON")
}

#[test]
fn an_image_that_was_left_out_is_no_damage_and_one_that_is_here_in_part_is() {
    let scratch = two_layouts();
    let both = ["--platform", "linux/amd64=a", "--platform", "linux/arm64=b"];
    run(&scratch, &[&["build"][..], &both, &["oci:l1:both"]].concat(), 0);
    run(&scratch, &["copy", "oci:l1:both", "oci:new:both", "--platform", "linux/amd64"], 0);
    for whole in [&["validate", "oci:new"][..], &["validate", "oci:new:both"]] {
        let told = run(&scratch, whole, 0);
        assert!(told.contains("sparse: /manifests: 1 of 2 images are not here"), "{told}");
        assert!(told.contains("0 errors, 1 warnings"), "{told}");
    }
    let root = blob(&scratch, &index(&scratch, "new")["manifests"][0]["digest"]);
    let manifest = &root["manifests"][0]["digest"];
    remove_blob(&scratch, &blob(&scratch, manifest)["layers"][0]["digest"]);
    assert!(run(&scratch, &["validate", "oci:new"], 8).contains("missing"));
    remove_blob(&scratch, manifest);
    let told = run(&scratch, &["validate", "oci:new"], 8);
    assert!(!told.contains("sparse") && told.contains("2 errors"), "{told}");
}

#[test]
fn a_tar_that_may_be_cut_or_goes_on_behind_its_end_is_read_with_a_warning() {
    use testkit::tarball::{Member, cut, tar};
    let scratch = scratch();
    let (open, closed) = (cut([Member::file("f", "1")]), tar([Member::file("f", "1")]));
    let build = |bytes: &[u8]| {
        scratch.file("x.tar", bytes);
        let words = ["build", "tar:x.tar", "oci:l:1", "--progress=plain"];
        let done = orlop().args(words).current_dir(scratch.root()).ok();
        (done.out(), done.err())
    };
    let (image, said) = build(&closed);
    assert!(!said.contains("the tar x.tar"), "{said}");
    for (bytes, warning) in [
        (open.clone(), "the tar x.tar has no end marker"),
        ([&open[..], &[0; 512]].concat(), "the tar x.tar has no end marker"),
        ([&closed[..], &closed].concat(), "the tar x.tar goes on behind its end, at byte 2048"),
        (testkit::image::gzip(&open), "the tar x.tar has no end marker"),
    ] {
        let (same, said) = build(&bytes);
        assert!(said.contains(warning), "{warning}: {said}");
        assert_eq!(same, image, "what is read is the same");
    }
}

#[test]
fn an_entry_that_cannot_be_read_is_told_beside_the_list() {
    let scratch = scratch();
    scratch.folder("tree");
    orlop().args(["build", "tree", "oci:l:1", "--progress=none"]).current_dir(scratch.root()).ok();
    let index = scratch.path("l/index.json");
    let text = std::fs::read_to_string(&index).expect("an index");
    std::fs::write(&index, text.replace("\"manifests\":[", "\"manifests\":[{\"size\":\"x\"},"))
        .expect("written");
    let archive = ["tar", "-C", "l", "-cf", "l.tar", "."];
    testkit::Command::new(archive[0]).args(&archive[1..]).current_dir(scratch.root()).ok();
    for place in ["oci:l", "oci-archive:l.tar"] {
        let told = orlop().args(["ls", place]).current_dir(scratch.root()).ok();
        assert_eq!(told.out().lines().count(), 2, "{told}");
        let said = told.err();
        assert!(
            said.starts_with("warning: ") && said.contains("index.json") && said.lines().count() == 1,
            "{told}"
        );
    }
}
