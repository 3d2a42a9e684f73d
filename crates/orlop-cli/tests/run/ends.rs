//! How containers end: exit codes, signals, and what is left.

use crate::world::{Caller, plain, worlds};
use rustix::process::{Pid, Signal, kill_process};
use std::thread;
use std::time::Duration;
use testkit::proof;

#[test]
fn the_exit_code_is_that_of_the_process_and_otherwise_says_what_failed() {
    const PROOF: &str = "run: exit codes";
    let worlds = worlds(PROOF);
    for world in &worlds {
        let code = |flags: &[&str], words: &[&str]| {
            let done = world.run(flags, words);
            (done.code().expect("a code"), done.err())
        };
        assert_eq!(code(&[], &["true"]).0, 0, "{world}");
        assert_eq!(world.sh(&[], "exit 3").code(), Some(3), "{world}");
        assert_eq!(world.sh(&[], "sh -c 'kill -9 $$'; exit $?").code(), Some(137), "{world}");
        for (missing, word) in [("nope", "no program"), ("/nope", "no program")] {
            let (code, said) = code(&[], &[missing]);
            assert!(code == 127 && said.contains(word), "{world}: {code} {said}");
        }
        let (refused, said) = code(&[], &["/etc/passwd"]);
        assert!(refused == 126 && said.contains("cannot be run"), "{world}: {refused} {said}");
        // As nobody without subordinate ids, only root is there.
        for flags in [&["--no-such-flag"][..], &["--user", "stranger"], &["--workdir", "/proc/self/fd/7"]] {
            let (code, said) = code(flags, &["true"]);
            assert!(code == 125 && said.contains("error:"), "{world} {flags:?}: {code} {said}");
        }
        assert!(world.runs().is_empty(), "{world}: {:?}", world.runs());
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len());
    }
}

#[test]
fn signals_reach_the_process() {
    const PROOF: &str = "run: signals are passed on";
    let worlds = worlds(PROOF);
    for world in &worlds {
        for (signal, name) in
            [(Signal::TERM, "TERM"), (Signal::INT, "INT"), (Signal::USR1, "USR1"), (Signal::HUP, "HUP")]
        {
            let script = format!(
                "trap 'echo got {name}; exit 9' {name}; touch /v/ready; while :; do sleep 0.05; done"
            );
            let folder = world.scratch.folder(&format!("ready-{name}"));
            let volume = format!("{}:/v", folder.display());
            std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777))
                .expect("ours");
            let ready = folder.join("ready");
            let command = world.command(&["-v", &volume], &["box", "sh", "-c", &script]);
            let done = command
                .time(Duration::from_secs(30))
                .started(move |pid| {
                    thread::spawn(move || when(&ready, pid, signal));
                })
                .run();
            assert_eq!((done.code(), done.out()), (Some(9), format!("got {name}\n")), "{world}: {done}");
        }
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len() * 4);
    }
}

/// Sends a signal once a file is there.
fn when(ready: &std::path::Path, pid: Pid, signal: Signal) {
    while !ready.exists() {
        thread::sleep(Duration::from_millis(10));
    }
    kill_process(pid, signal).expect("it runs");
}

#[test]
fn a_process_that_a_limit_kills_ends_with_137() {
    const PROOF: &str = "run: limits of memory and processors";
    let mut cases = 0;
    for world in worlds(PROOF) {
        let limits = ["-m", "24m", "--cpus", "0.5"];
        if world.caller != Caller::Root || world.is_bwrap() {
            let done = world.run(&limits, &["true"]);
            assert_eq!(done.code(), Some(125), "{world}: {done}");
            assert!(done.err().contains("limit"), "{world}: {done}");
            continue;
        }
        let of_version_one =
            "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us";
        let of_version_two = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max";
        let seen = world.sh(&limits, &format!("{of_version_one} 2>/dev/null || {of_version_two}"));
        assert!(seen.out().starts_with("25165824\n50000"), "{world}: {} {seen}", seen.out());
        let killed = world.sh(&limits, "tail /dev/zero; echo $?; exec tail /dev/zero");
        assert_eq!((killed.code(), killed.out().as_str()), (Some(137), "137\n"), "{world}: {killed}");
        cases += 1;
    }
    if cases > 0 {
        proof::ran(PROOF, cases);
    }
}

#[test]
fn changes_are_gone_unless_they_are_kept() {
    const PROOF: &str = "run: changes are removed or kept";
    let worlds = worlds(PROOF);
    for world in &worlds {
        let change = "echo x >/new; rm /etc/motd; mkdir -p /deep/er; chown 1000 /deep/er 2>/dev/null; chmod 0 /deep; true";
        assert!(world.sh(&[], change).success(), "{world}");
        assert!(world.runs().is_empty(), "{world}: {:?}", world.runs());
        assert_eq!(world.sh(&[], "cat /etc/motd; ls -d /new").out(), "of the image\n", "{world}");
        let kept = world.sh(&["--keep"], "echo x >/new");
        let said = kept.err();
        let folder = said.lines().find_map(|line| line.strip_prefix("what the container changed is in "));
        let folder = std::path::PathBuf::from(folder.unwrap_or_else(|| panic!("{world}: {kept}")));
        assert_eq!(std::fs::read(folder.join("new")).expect("kept"), b"x\n", "{world}");
        assert!(world.run(&[], &["true"]).success(), "{world}");
        assert!(folder.join("new").exists(), "{world}: the next run leaves it");
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len());
    }
}

#[test]
fn eight_at_once_run_the_same_image() {
    const PROOF: &str = "run: eight at once";
    let Some(world) = plain(PROOF) else { return };
    thread::scope(|scope| {
        let runs: Vec<_> = (0..8)
            .map(|number| {
                let world = &world;
                scope.spawn(move || world.sh(&[], &format!("echo {number} >/new; cat /new; exit {number}")))
            })
            .collect();
        for (number, run) in runs.into_iter().enumerate() {
            let done = run.join().expect("a run");
            let expected = (i32::try_from(number).ok(), format!("{number}\n"));
            assert_eq!((done.code(), done.out()), expected, "{done}");
        }
    });
    assert!(world.runs().is_empty(), "{:?}", world.runs());
    proof::ran(PROOF, 8);
}
