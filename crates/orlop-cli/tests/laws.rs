//! Laws of the command line that hold for every verb.

use std::io::Read as _;
use std::process::{Command as Process, Stdio};
use testkit::command::orlop_path;
use testkit::{orlop, scratch};

#[test]
fn help_and_version_are_results() {
    for flag in ["--help", "--version", "-h", "-V"] {
        let done = orlop().arg(flag).ok();
        assert!(
            done.stderr.is_empty() && done.out().contains("orlop") || done.out().contains("Usage"),
            "{done}"
        );
    }
}

#[test]
fn misuse_exits_64_and_leaves_stdout_empty() {
    let cases: [&[&str]; 4] = [&[], &["no-such-verb"], &["version", "--no-such-flag"], &["completions"]];
    for arguments in cases {
        let done = orlop().args(arguments).run();
        assert_eq!(done.code(), Some(64), "{arguments:?}: {done}");
        assert!(done.stdout.is_empty() && !done.stderr.is_empty(), "{arguments:?}: {done}");
    }
}

#[test]
fn every_verb_refuses_an_unknown_flag() {
    for verb in verbs() {
        let done = orlop().args([verb.as_str(), "--surely-not-a-flag"]).run();
        // What a program of a container says, orlop does not say for itself.
        let misuse = if verb == "run" { 125 } else { 64 };
        assert_eq!(done.code(), Some(misuse), "{verb}: {done}");
    }
}

#[test]
fn misuse_is_told_in_json_where_json_was_asked_for() {
    let done = orlop().args(["version", "--format", "json", "--no-such-flag"]).run();
    assert_eq!(done.code(), Some(64));
    let error: serde_json::Value = serde_json::from_slice(&done.stderr).expect("one JSON object on stderr");
    assert_eq!(
        (&error["version"], &error["kind"], &error["exit_code"]),
        (&1.into(), &"usage".into(), &64.into())
    );
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = Process::new(orlop_path())
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("orlop starts");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    let status = child.wait().expect("it ends");
    assert!(status.success() && said.is_empty(), "{status}: {said}");
}

#[test]
fn a_full_disk_behind_stdout_is_a_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device of every Linux");
    let done =
        Process::new(orlop_path()).args(["completions", "zsh"]).stdout(full).output().expect("orlop starts");
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("caused by: "), "{done:?}");
}

#[test]
fn every_shown_verb_has_a_manual_page_and_completions_exist_for_every_shell() {
    let folder = scratch();
    orlop().args(["man", "--all"]).arg(folder.root()).ok();
    for verb in verbs() {
        let page =
            std::fs::read_to_string(folder.path(&format!("orlop-{verb}.1"))).expect("one page per verb");
        assert_eq!(page, orlop().args(["man", verb.as_str()]).ok().out());
        assert!(page.contains("EXIT STATUS"), "{verb}");
    }
    let overview = orlop().arg("man").ok().out();
    assert!(overview.contains("130") && overview.contains("SOURCE"), "orlop(1) has both tables: {overview}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = orlop().args(["completions", shell]).ok().out();
        for verb in verbs() {
            assert!(script.contains(&verb), "{shell}: {verb}");
        }
    }
}

/// The verbs that help shows.
fn verbs() -> Vec<String> {
    let help = orlop().arg("--help").ok().out();
    let list = help
        .lines()
        .skip_while(|line| !line.starts_with("Verbs:"))
        .skip(1)
        .take_while(|line| !line.is_empty());
    // A description that is too long goes on in the next line, further to the right.
    let names = list.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let verbs: Vec<String> =
        names.filter_map(|line| line.split_whitespace().next()).map(ToOwned::to_owned).collect();
    assert!(verbs.len() > 2, "{help}");
    verbs
}

#[test]
fn a_reader_of_content_that_goes_away_is_no_failure() {
    let folder = scratch();
    folder.folder("tree");
    folder.file("tree/big", vec![b'x'; 4 << 20]);
    orlop().args(["build", "tree", "oci:img:1", "--progress=none"]).current_dir(folder.root()).ok();
    let streams: [&[&str]; 4] = [
        &["cat", "oci:img:1", "big", "--progress=none"],
        &["cat", "oci:img:1", "big", "--unproven", "--progress=none"],
        &["copy", "oci:img:1", "oci-archive:-", "--progress=none"],
        &["copy", "oci:img:1", "tar:-", "--progress=none"],
    ];
    for words in streams {
        let mut child = Process::new(orlop_path())
            .args(words)
            .current_dir(folder.root())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("orlop starts");
        drop(child.stdout.take());
        let done = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && !said.contains("error"), "{words:?}: {} {said}", done.status);
    }
}

#[test]
fn what_goes_to_stdout_is_the_archive_and_nothing_else() {
    let folder = scratch();
    folder.folder("tree");
    orlop().args(["build", "tree", "oci:img:1", "--progress=none"]).current_dir(folder.root()).ok();
    for target in ["oci-archive:-", "docker-archive:-:x/y:1", "tar:-"] {
        let done =
            orlop().args(["copy", "oci:img:1", target, "--progress=plain"]).current_dir(folder.root()).ok();
        let listed = testkit::Command::new("tar").arg("-t").input(done.stdout.clone()).ok();
        assert!(!listed.stdout.is_empty(), "{target}");
        assert!(done.err().contains("@sha256:"), "the line of the writer is on stderr: {done}");
    }
}
