//! The way out: `--offline` and `--limit-rate`.

use std::time::{Duration, Instant};
use testkit::listener::Listener;
use testkit::registry::Registry;
use testkit::{Command, Scratch, orlop, proof, scratch};

fn command(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root())
}

fn build(it: &Scratch, size: usize) {
    it.folder("tree");
    it.file("tree/file", vec![7; size]);
    command(it, &["build", "tree", "oci:img:1", "--compress=none", "--progress=none"]).ok();
}

#[test]
fn offline_every_host_is_out_of_reach_at_once_and_places_here_are_not() {
    let it = scratch();
    build(&it, 100);
    let (sender, called) = std::sync::mpsc::channel();
    let trap = Listener::start(move |_| sender.send(()).expect("it is asked for"));
    let here = format!("docker://{}/app:1", trap.host());
    let cases: [(&[&str], &str); 9] = [
        (&["pull", "docker://registry.invalid/app:1", "oci:to:1"], "registry.invalid "),
        (&["pull", &here, "oci:to:1"], &trap.host()),
        (&["push", "oci:img:1", &here], &trap.host()),
        (&["copy", "oci:https://web.invalid/l#1", "oci:to:1"], "web.invalid "),
        (&["unpack", "https://web.invalid/root.tar", "root"], "web.invalid "),
        (&["ls", &here], &trap.host()),
        (&["untag", &here], &trap.host()),
        (&["login", "registry.invalid", "-u", "a", "-p", "b"], "registry.invalid "),
        (&["lock", &here], &trap.host()),
    ];
    for (words, host) in cases {
        let began = Instant::now();
        let refused = command(&it, &[words, &["--offline"]].concat()).run();
        assert_eq!(refused.code(), Some(6), "{words:?}: {refused}");
        assert!(refused.err().starts_with(&format!("error: {host}")), "{refused}");
        assert!(refused.err().contains("offline"), "{refused}");
        assert!(began.elapsed() < Duration::from_secs(2), "{words:?} waited");
    }
    assert!(called.try_recv().is_err(), "somebody was connected to");
    command(&it, &["copy", "oci:img:1", "oci:to:1", "--offline"]).ok();
    command(&it, &["lock", "oci:img:1", "--output=it.lock", "--offline"]).ok();
    command(&it, &["unpack", "oci:img:1", "root", "--locked=it.lock", "--offline"]).ok();
}

#[test]
fn a_rate_is_kept_and_is_no_stall() {
    const PROOF: &str = "line: a rate is kept";
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = scratch();
    build(&it, 8 << 20);
    let place = format!("docker://{}/app:1", registry.host());
    let timed = |words: &[&str]| {
        let began = Instant::now();
        command(&it, &[words, &["--stall-timeout=0.5", "--retry=0"]].concat()).ok();
        began.elapsed()
    };
    let rate = "--limit-rate=4M";
    for time in [timed(&["push", "oci:img:1", &place, rate]), timed(&["pull", &place, "oci:to:1", rate])] {
        assert!(time >= Duration::from_millis(1500), "{time:?} for 8 MiB at 4 MiB/s");
        assert!(time < Duration::from_secs(15), "{time:?} for 8 MiB at 4 MiB/s");
    }
    // Slower than what counts as a stall.
    assert!(timed(&["digest", &place, "--limit-rate=300"]) >= Duration::from_millis(500));
    proof::ran(PROOF, 3);
}
