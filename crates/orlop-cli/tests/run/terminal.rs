//! Terminals: of the caller, or of the container alone.

use crate::world::{World, worlds};
use std::time::Duration;
use testkit::{Finished, peer, proof};

/// A script of the caller's in a terminal of 40 lines and 100 columns; what is typed comes first.
fn in_terminal(world: &World, script: &str, typed: &str) -> Finished {
    let orlop = testkit::command::orlop_path();
    let run = format!("{} run --runtime {}", orlop.display(), world.runtime.display());
    let script = format!("stty rows 40 cols 100; {}", script.replace("RUN", &run));
    let words = ["script", "--quiet", "--return", "--echo", "never", "--command", &script, "/dev/null"];
    let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
    world.as_caller(&words).input(typed).time(Duration::from_secs(40)).run()
}

#[test]
fn a_terminal_is_passed_through() {
    const PROOF: &str = "run: a terminal";
    if peer("script").is_none() {
        return proof::skipped(PROOF, "script is missing");
    }
    let worlds = worlds(PROOF);
    for world in &worlds {
        let script = "before=$(stty -a); RUN box sh -c 'stty size; test -c /dev/tty && echo own; exit 5'; echo code $?; \
            test \"$before\" = \"$(stty -a)\" && echo restored";
        let seen = in_terminal(world, script, "");
        assert!(seen.out().contains("40 100\r\nown\r\n"), "{world}: {} {seen}", seen.out());
        assert!(seen.out().contains("code 5") && seen.out().contains("restored"), "{world}: {}", seen.out());

        let grows = "(sleep 1; stty rows 50 cols 90 </dev/tty) & RUN box sh -c 'sleep 2; stty size'";
        let seen = in_terminal(world, grows, "");
        assert!(seen.out().contains("50 90"), "{world}: {} {seen}", seen.out());

        let piped = in_terminal(world, "RUN box sh -c 'test -t 1 || echo piped' | cat", "");
        assert!(piped.out().contains("piped"), "{world}: {} {piped}", piped.out());
        let without = in_terminal(
            world,
            "RUN --no-tty box sh -c 'test -c /dev/tty && : </dev/tty && echo own; exit 0' 2>&1",
            "",
        );
        assert!(!without.out().contains("own"), "{world}: {} {without}", without.out());
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len());
    }
}

#[test]
fn what_is_typed_is_the_containers_and_so_is_interrupt() {
    const PROOF: &str = "run: keys of a terminal";
    let worlds = worlds(PROOF);
    for world in &worlds {
        // Where there is no terminal here, the container gets one all the same.
        let typed = |keys: &str, script: &str| {
            let run = format!("run --runtime {} -t -i box sh -c", world.runtime.display());
            let line = format!("(sleep 1; printf '{keys}'; sleep 2) | exec \"$0\" {run} '{script}'");
            let orlop = testkit::command::orlop_path().to_string_lossy().into_owned();
            let words = ["sh".into(), "-c".into(), line, orlop];
            world.as_caller(&words).time(Duration::from_secs(15)).run()
        };
        let script = "trap \"echo interrupted; exit 6\" INT; echo ready; while :; do sleep 0.05; done";
        let done = typed("\\003", script);
        assert!(done.out().contains("interrupted"), "{world}: {} {done}", done.out());
        let done = typed("word\\n\\004", "read a; echo got $a; cat; echo end");
        assert!(done.out().contains("got word\r\nend\r\n"), "{world}: {} {done}", done.out());
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len());
    }
}
