//! Standard input and output that end badly, or never.

use std::time::Duration;
use testkit::command::orlop_path;
use testkit::scratch::{Scratch, scratch};
use testkit::{Command, Finished, orlop};

/// A layout `l` with the image `l:t`.
fn fixture() -> Scratch {
    let scratch = scratch();
    scratch.folder("tree");
    scratch.file("tree/file", "content\n");
    orlop().args(["build", "tree", "oci:l:t"]).current_dir(scratch.root()).ok();
    scratch
}

/// Runs orlop by a shell that redirects it. Ten seconds and 256 MiB of any file are plenty, and kill what has no end.
fn shell(scratch: &Scratch, line: &str) -> Finished {
    let script = format!("set -o pipefail; ulimit -f 524288; {line}");
    Command::new("bash")
        .args(["-c", &script])
        .env("ORLOP", orlop_path())
        .current_dir(scratch.root())
        .time(Duration::from_secs(60))
        .run()
}

/// Everything that writes a result in a way of its own.
const WRITERS: [&str; 10] = [
    "inspect oci:l:t",
    "inspect --raw oci:l:t",
    "files oci:l:t",
    "cat oci:l:t file",
    "copy oci:l:t oci-archive:-",
    "copy oci:l:t docker-archive:-",
    "copy oci:l:t tar:-",
    "--help",
    "compat sloci-image --help",
    "compat umoci --help",
];

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let scratch = fixture();
    for words in WRITERS {
        for target in [">&-", "> /dev/full"] {
            let done = shell(&scratch, &format!("\"$ORLOP\" {words} {target}"));
            assert_eq!(done.code(), Some(1), "{words} {target}: {done}");
            assert!(done.err().contains("cannot write to the standard output"), "{words} {target}: {done}");
            assert!(
                !done.err().contains("hint"),
                "nothing that can be typed helps: {words} {target}: {done}"
            );
        }
    }
}

#[test]
fn a_reader_that_goes_away_and_nobody_at_all_are_no_errors() {
    let scratch = fixture();
    // `sleep` lets the reader be gone for certain.
    for words in WRITERS.iter().chain(&["--version"]) {
        for target in ["| true", "> /dev/null", "<> /dev/null >&0"] {
            let done = shell(&scratch, &format!("{{ sleep 0.1; \"$ORLOP\" {words}; }} {target}"));
            assert_eq!(done.code(), Some(0), "{words} {target}: {done}");
            assert!(!done.err().contains("error"), "{words} {target}: {done}");
        }
    }
}

#[test]
fn a_stream_without_an_end_is_given_up() {
    let scratch = fixture();
    let cases = [
        "inspect oci-archive:/dev/zero",
        "inspect oci-archive:- < /dev/zero",
        "ls docker-archive:/dev/zero",
        "copy docker-archive:- oci:l:new < /dev/zero",
        "build tar:/dev/zero oci:l:new",
        "build - oci:l:new < /dev/zero",
    ];
    for words in cases {
        let done = shell(&scratch, &format!("\"$ORLOP\" {words}"));
        assert_eq!(done.code(), Some(9), "{words}: {done}");
        assert!(done.err().contains("follows the end of the archive"), "{words}: {done}");
    }
}

#[test]
fn a_stream_that_is_no_tar_is_not_kept() {
    let scratch = fixture();
    for words in ["inspect oci-archive:/dev/urandom", "build tar:/dev/urandom oci:l:new"] {
        let done = shell(&scratch, &format!("\"$ORLOP\" {words}"));
        assert_eq!(done.code(), Some(5), "{words}: {done}");
    }
}

#[test]
fn an_archive_on_a_stream_may_be_padded_as_tapes_are() {
    let scratch = fixture();
    let line = "\"$ORLOP\" copy oci:l:t oci-archive:- | { cat; head -c 1M /dev/zero; } | \"$ORLOP\" digest oci-archive:-";
    let done = shell(&scratch, line);
    assert_eq!(done.code(), Some(0), "{done}");
}
