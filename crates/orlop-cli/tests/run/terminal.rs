//! Terminals: of the caller, or of the container alone.

use crate::world::{World, worlds};
use std::time::Duration;
use testkit::{peer, proof};

/// A script of the caller's in a terminal of 40 lines and 100 columns; what is shown in it.
fn in_terminal(world: &World, script: &str) -> String {
    let orlop = testkit::command::orlop_path();
    let run = format!("{} run --runtime {}", orlop.display(), world.runtime.display());
    let script = format!("stty rows 40 cols 100; {}", script.replace("RUN", &run));
    let words = ["script", "--quiet", "--return", "--echo", "never", "--command", &script, "/dev/null"];
    let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
    let done = world.as_caller(&words).time(Duration::from_secs(40)).run();
    // What `script` types when its own input ends.
    done.out().replace("^@", "").replace('\0', "")
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
        let seen = in_terminal(world, script);
        assert!(seen.contains("40 100\r\nown\r\n"), "{world}: {seen}");
        assert!(seen.contains("code 5") && seen.contains("restored"), "{world}: {seen}");

        let grows = "(sleep 1; stty rows 50 cols 90 </dev/tty) & RUN box sh -c 'sleep 2; stty size'";
        let seen = in_terminal(world, grows);
        assert!(seen.contains("50 90"), "{world}: {seen}");

        let piped = in_terminal(world, "RUN box sh -c 'test -t 1 || echo piped' | cat");
        assert!(piped.contains("piped"), "{world}: {piped}");
        let without = in_terminal(
            world,
            "RUN --no-tty box sh -c 'test -c /dev/tty && : </dev/tty && echo own; exit 0' 2>&1",
        );
        assert!(!without.contains("own"), "{world}: {without}");
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
            // Nothing is typed before the container says that it listens.
            let line = format!(
                "seen=$(mktemp); {{ until grep -q ready $seen; do sleep 0.1; done; printf '{keys}'; sleep 2; }} \
                 | \"$0\" {run} '{script}' | tee $seen; rm $seen"
            );
            let orlop = testkit::command::orlop_path().to_string_lossy().into_owned();
            let words = ["sh".into(), "-c".into(), line, orlop];
            world.as_caller(&words).time(Duration::from_secs(30)).run()
        };
        let script = "trap \"echo interrupted; exit 6\" INT; echo ready; while :; do sleep 0.05; done";
        let done = typed("\\003", script);
        assert!(done.out().contains("interrupted"), "{world}: {} {done}", done.out());
        let done = typed("word\\n\\004", "echo ready; read a; echo got $a; cat; echo end");
        assert!(done.out().contains("got word\r\nend\r\n"), "{world}: {} {done}", done.out());
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len());
    }
}
