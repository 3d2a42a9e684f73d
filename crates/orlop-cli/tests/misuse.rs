//! Words that mean something else than their writer thought: refused, and said what is wanted.

use testkit::command::{orlop, run_in as run, two_layouts};
use testkit::scratch::Scratch;

/// Runs orlop, which must refuse; all words must be said.
fn refuse(scratch: &Scratch, words: &[&str], code: i32, said: &[&str]) {
    let done = orlop().args(words).current_dir(scratch.root()).run();
    assert_eq!(done.code(), Some(code), "{words:?}: {}", done.err());
    for word in said {
        assert!(done.err().contains(word), "{words:?} does not say {word:?}: {}", done.err());
    }
}

#[test]
fn a_platform_is_given_its_sources_once() {
    let scratch = two_layouts();
    for again in ["linux/arm64=b", "linux/arm64/v8=b"] {
        let words = ["build", "--platform", "linux/arm64=a", "--platform", again, "oci:new:x"];
        refuse(&scratch, &words, 64, &["linux/arm64", "twice"]);
    }
}

#[test]
fn a_reference_is_no_tag() {
    let scratch = two_layouts();
    for tag in ["oci:l1:two", "oci:new", "docker://host/name:tag", "oci-archive:x.tar", "./here"] {
        refuse(&scratch, &["tag", "oci:l1:one", tag], 64, &[tag, "tag alone"]);
    }
    refuse(&scratch, &["tag", "oci:l1:one", ""], 64, &["<TAG>"]);
    let tags = run(&scratch, &["tag", "oci:l1:one", "1.0", "host/name:tag", "latest"], 0);
    assert_eq!(tags.lines().count(), 3);
}

#[test]
fn a_loop_of_links_is_called_one() {
    let scratch = two_layouts();
    std::os::unix::fs::symlink("b", scratch.path("a/c")).expect("new");
    std::os::unix::fs::symlink("c", scratch.path("a/b")).expect("new");
    run(&scratch, &["build", "a", "oci:l1:loop"], 0);
    refuse(&scratch, &["cat", "oci:l1:loop", "b"], 1, &["b leads over too many links"]);
    refuse(&scratch, &["cat", "oci:l1:loop", "nothing"], 2, &["holds no nothing"]);
}

#[test]
fn a_form_that_is_not_read_in_its_place_is_called_by_its_name() {
    let scratch = two_layouts();
    let tar = testkit::tarball::tar([testkit::tarball::Member::file("f", "1")]);
    scratch.file("plain.tar", &tar);
    for (tool, end) in [("xz", "xz"), ("bzip2", "bz2")] {
        if testkit::peer(tool).is_none() {
            continue;
        }
        testkit::Command::new(tool).args(["-k", "plain.tar"]).current_dir(scratch.root()).ok();
        let file = format!("plain.tar.{end}");
        let (archive, hint) = (format!("oci-archive:{file}"), format!("{tool} -dc"));
        refuse(
            &scratch,
            &["copy", &archive, "oci:l1:x"],
            5,
            &[&format!("{tool} data stands where tar"), &hint],
        );
        // A tar of files may be compressed so.
        run(&scratch, &["build", &file, "oci:l1:x"], 0);
    }
}

#[test]
fn a_layer_of_another_form_than_declared_says_both() {
    use testkit::image::{Image, Layer, Packing};
    let scratch = two_layouts();
    let tar = testkit::tarball::tar([testkit::tarball::Member::file("f", "1")]);
    let mut layer = Layer::new(&tar, Packing::Zstd);
    layer.media_type = Packing::Gzip.media_type().into();
    Image::new().layer(layer).layout().write(&scratch.path("odd"));
    refuse(&scratch, &["files", "oci:odd:latest"], 5, &["zstd data stands where gzip is expected"]);
}

#[test]
fn raw_is_a_form_where_there_are_bytes_and_refused_elsewhere() {
    let scratch = two_layouts();
    let raw = run(&scratch, &["inspect", "oci:l1:one", "--raw"], 0);
    assert_eq!(run(&scratch, &["inspect", "oci:l1:one", "--format", "raw"], 0), raw);
    assert!(raw.starts_with('{') && raw.contains("\"schemaVersion\""), "{raw}");
    let config = run(&scratch, &["inspect", "oci:l1:one", "--config"], 0);
    assert_eq!(run(&scratch, &["inspect", "oci:l1:one", "--config", "--format=raw"], 0), config);
    refuse(&scratch, &["inspect", "oci:l1:one", "--config", "--format=json"], 64, &["--format", "config"]);
    refuse(&scratch, &["inspect", "oci:l1:one", "--raw", "--format=json"], 64, &["--raw", "--format"]);
    for verb in
        [&["ls", "oci:l1"][..], &["digest", "oci:l1:one"], &["files", "oci:l1:one"], &["du", "oci:l1:one"]]
    {
        let words = [verb, &["--format", "raw"]].concat();
        refuse(&scratch, &words, 64, &["raw", "human, json"]);
    }
}

#[test]
fn bytes_that_are_no_tar_are_told_by_the_name_of_their_file() {
    let scratch = two_layouts();
    scratch.file("noise", [7; 2000]);
    run(&scratch, &["ostree", "init", "--repo=r", "--mode=archive"], 0);
    run(&scratch, &["ostree", "commit", "--repo=r", "-b", "base", "a"], 0);
    let cases: [&[&str]; 5] = [
        &["build", "tar:noise", "oci:l1:new"],
        &["copy", "tar:noise", "oci:l1:new"],
        &["ostree", "commit", "--repo=r", "-b", "b", "--tree=layer-tar=noise"],
        &["ostree", "commit", "--repo=r", "-b", "b", "--tree=tar=noise"],
        &["ostree", "checkout", "--repo=r", "--layer=noise", "base", "out"],
    ];
    for words in cases {
        refuse(&scratch, words, 5, &["the tar ", "noise", "damaged tar at byte 0"]);
    }
}
