//! The filter of system calls.

use crate::world::{Caller, World, plain, worlds};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use testkit::proof;

/// A call that programs make and that need no power is refused, as if the disk were full.
const NO_FOLDERS: &str = r#"{
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28 }]
}"#;

/// How the kernel says that calls are filtered.
fn mode(world: &World, flags: &[&str]) -> String {
    world.sh(flags, "grep ^Seccomp: /proc/self/status").out().split_whitespace().last().unwrap_or("").into()
}

#[test]
fn calls_are_filtered_unless_the_caller_says_otherwise() {
    const PROOF: &str = "run: a filter of system calls";
    let worlds = worlds(PROOF);
    for world in &worlds {
        let is_bwrap = world.runtime.ends_with("bwrap");
        let unfiltered = mode(world, &["--seccomp", "none"]);
        assert_eq!(unfiltered, "0", "{world}");
        assert_eq!(mode(world, &[]), if is_bwrap { "0" } else { "2" }, "{world}");
        let file = world.scratch.file("filter.json", NO_FOLDERS).display().to_string();
        let made = world.sh(&["--seccomp", &file], "mkdir /tmp-of-it; cat /etc/motd");
        if is_bwrap {
            assert!(made.code() == Some(125) && made.err().contains("cannot filter system calls"), "{made}");
        } else {
            assert!(made.err().contains("No space left on device"), "{world}: {made}");
            assert_eq!(made.out(), "of the image\n", "{world}");
        }
        let made = world.sh(&["--seccomp", "none"], "mkdir /tmp-of-it && echo made");
        assert_eq!(made.out(), "made\n", "{world}: {made}");
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len());
    }
}

#[test]
fn a_filter_that_is_none_is_refused() {
    const PROOF: &str = "run: a filter that is none is refused";
    let Some(world) = plain(PROOF) else { return };
    world.scratch.file("bad.json", r#"{"defaultAction":"SCMP_ACT_PERHAPS"}"#);
    for (flags, said) in [("bad.json", "bad.json is no filter of system calls"), ("nope.json", "nope.json")] {
        let refused = world.run(&["--seccomp", flags], &["true"]);
        assert!(refused.code() == Some(125) && refused.err().contains(said), "{refused}");
    }
    proof::ran(PROOF, 2);
}

/// Each call with its answer and its condition. What is allowed and refused at once is allowed.
fn rules(filter: &Value) -> BTreeSet<String> {
    let mut rules = BTreeSet::new();
    for rule in filter["syscalls"].as_array().expect("a list") {
        for name in rule["names"].as_array().expect("names") {
            let arguments = rule["args"].as_array().cloned().unwrap_or_default();
            let condition: Vec<String> = arguments
                .iter()
                .map(|it| {
                    format!(
                        "{} {} {} {}",
                        it["index"],
                        it["op"],
                        it["value"],
                        it["valueTwo"].as_u64().unwrap_or(0)
                    )
                })
                .collect();
            rules.insert(format!("{} {} {} {condition:?}", name, rule["action"], rule["errnoRet"]));
        }
    }
    let allowed: Vec<String> = rules.iter().filter(|it| it.contains("ALLOW\" null []")).cloned().collect();
    for name in allowed.iter().filter_map(|it| it.split(' ').next()) {
        rules.remove(&format!("{name} \"SCMP_ACT_ERRNO\" 1 []"));
    }
    rules
}

#[test]
fn the_filter_is_the_one_of_podman() {
    const PROOF: &str = "run: the filter of podman";
    const THEIRS: &str = "/usr/share/containers/seccomp.json";
    let Some(world) = World::new(PROOF, Caller::Root, "runc") else { return };
    if !Path::new(THEIRS).exists() {
        return proof::skipped(PROOF, "the filter of podman is missing");
    }
    let filter = |which: &str| {
        let printed = world.run(&["--dry-run", "--seccomp", which], &[]);
        let config: Value = serde_json::from_str(&printed.out()).expect("a configuration");
        config["linux"]["seccomp"].clone()
    };
    let (ours, theirs) = (filter("default"), filter(THEIRS));
    for member in ["defaultAction", "defaultErrnoRet", "architectures"] {
        assert_eq!(ours[member], theirs[member], "{member}");
    }
    let (ours, theirs) = (rules(&ours), rules(&theirs));
    assert!(ours.len() > 400, "{}", ours.len());
    let differences: Vec<_> = ours.symmetric_difference(&theirs).collect();
    assert!(differences.is_empty(), "{differences:?}");
    proof::ran(PROOF, ours.len());
}
