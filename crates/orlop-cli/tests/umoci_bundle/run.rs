//! What runc starts of the bundles of both tools is one container, but where `docs/formats/umoci-bundle.md` says otherwise.

#[path = "../../../orlop-spec/tests/schema/mod.rs"]
mod schema;

use super::ready;
use crate::world::{Tool, World};
use serde_json::Value;
use std::fs;
use testkit::engine::static_busybox;
use testkit::{Command, Finished, peer, proof};

/// What a process sees of its rights, its limits and its names; then what holds in bundles of ours alone.
const SEES: &str = "b=/bin/busybox; $b id -u; $b id -G; $b grep -E '^(Cap|NoNewPrivs)' /proc/self/status; ulimit -Sn; ulimit -Hn; \
    $b hostname; echo $HOME $TERM; $b test -s /etc/resolv.conf && echo names; \
    echo --; $b cut -d: -f3 /proc/self/cgroup | $b sort -u; $b ls /data; $b wc -c </proc/keys; exit 7";

/// A namespace of cgroups, which umoci has since 0.6; what the image has at the place of a volume; no keys of the host.
const OURS_ALONE: &str = "/\nkept\n0\n";

/// As root for root, for a user, and with mapped users; and for an ordinary user.
const WAYS: [(&str, &[&str], Starts); 4] = [
    ("", &[], Starts::Root),
    ("7:8", &[], Starts::Root),
    ("", &["--uid-map", "0:100000:65536", "--gid-map", "0:100000:65536"], Starts::Root),
    ("", &["--rootless"], Starts::Nobody),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Starts {
    Root,
    Nobody,
}

#[test]
fn runc_starts_the_same_container_of_either_bundle() {
    let name = "umoci: runc runs the bundles of both";
    if !ready(name) {
        return;
    }
    let (Some(_), Some(busybox)) = (peer("runc"), static_busybox()) else {
        return proof::skipped(name, "runc or a static busybox is missing");
    };
    for (number, (user, flags, starts)) in WAYS.into_iter().enumerate() {
        let world = World::new();
        let busybox = format!("mkdir bin data etc; cp {} bin", busybox.display());
        world.shell(".", &format!("{busybox}; touch data/kept; tar -cf layer.tar bin data etc"));
        world.run(Tool::Theirs, &["raw", "add-layer", "--image", "image:base", "--tag", "run", "layer.tar"]);
        let entry = ["/bin/busybox", "sh", "-c", SEES].map(|word| format!("--config.entrypoint={word}"));
        let entry: Vec<&str> = entry.iter().map(String::as_str).collect();
        let rest = ["--config.volume=/data", "--config.user", user];
        world.run(Tool::Theirs, &[&["config", "--image", "image:run"], &entry[..], &rest].concat());
        if starts == Starts::Nobody {
            world.shell(".", "chown -R 65534:65534 .; chmod 755 .");
        }
        let seen = Tool::BOTH.map(|tool| {
            let words = [&["unpack", "--image", "image:run"], flags, &[tool.name()]].concat();
            match starts {
                Starts::Root => world.run(tool, &words),
                Starts::Nobody => world.run_as_nobody(tool, &words),
            };
            // Bundles are closed to everybody but their makers, and so to users that stand for root.
            world.shell(".", &format!("chmod 755 . {}", tool.name()));
            let done = run(&world, tool, number, starts);
            assert_eq!(done.code(), Some(7), "{user:?} {flags:?} {tool:?}: {done}");
            let out = done.out();
            let (alike, alone) = out.split_once("--\n").expect("both parts");
            (alike.to_owned(), alone.to_owned())
        });
        let [(ours, alone), (theirs, other)] = seen;
        assert_eq!(ours, theirs, "{user:?} {flags:?}");
        assert_eq!(alone, OURS_ALONE, "{user:?} {flags:?}");
        assert_ne!(other, OURS_ALONE, "the table no longer says what differs");
    }
    proof::ran(name, 2 * WAYS.len());
}

/// Starts a bundle, which is changed to need no terminal. It fits the schema of the specification.
fn run(world: &World, tool: Tool, number: usize, starts: Starts) -> Finished {
    let path = world.path(tool.name()).join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).expect("a bundle")).expect("JSON");
    if tool == Tool::Ours {
        assert_eq!(schema::faults("runtime-spec/config-schema.json", &config), [""; 0]);
        assert_eq!(config["ociVersion"], "1.2.1");
    }
    config["process"]["terminal"] = false.into();
    fs::write(&path, config.to_string()).expect("ours");
    let id = format!("orlop-umoci-{}-{}-{number}", tool.name(), std::process::id());
    let state = world.path("state");
    fs::create_dir_all(&state).expect("ours");
    std::os::unix::fs::chown(&state, Some(65534), Some(65534)).expect("root");
    let command = Command::new("runc").arg("--root").arg(state.join("runc")).args(["run", "--bundle"]);
    let command = command.arg(world.path(tool.name())).arg(id).env("XDG_RUNTIME_DIR", &state);
    match starts {
        Starts::Root => command.run(),
        Starts::Nobody => command.unprivileged().run(),
    }
}

/// More than the caller may have makes a runtime fail.
#[test]
fn a_limit_of_open_files_is_one_that_the_caller_may_set() {
    let folder = testkit::scratch();
    let ours = |words: &[&str]| {
        let line = Command::new("prlimit").arg("--nofile=300:300").arg(testkit::command::orlop_path());
        line.args(["compat", "umoci"]).args(words).current_dir(folder.root()).ok();
    };
    ours(&["init", "--layout", "l"]);
    ours(&["new", "--image", "l:a"]);
    ours(&["raw", "config", "--image", "l:a", "config.json"]);
    let config: Value =
        serde_json::from_slice(&fs::read(folder.path("config.json")).expect("written")).expect("JSON");
    let limit = serde_json::json!([{ "type": "RLIMIT_NOFILE", "soft": 300, "hard": 300 }]);
    assert_eq!(config["process"]["rlimits"], limit);
}

/// What the host's file system of names forbids is said again, or no ordinary user could mount it. As 0.6.0 has it, which does not
/// keep an order.
#[test]
fn the_file_of_names_is_mounted_as_the_host_has_it() {
    let name = "umoci: names of the host";
    if !ready(name) {
        return;
    }
    let world = World::new();
    let program = testkit::command::orlop_path();
    let cases = [
        ("", vec!["rbind", "ro"]),
        ("nosuid,nodev", vec!["nosuid", "nodev", "rbind", "ro"]),
        ("ro,nosuid,noexec,noatime", vec!["nosuid", "noexec", "noatime", "rbind", "ro"]),
    ];
    for (how, expected) in &cases {
        let held = "mkdir -p etc; mount -t tmpfs tmpfs etc; echo nameserver 192.0.2.1 >etc/resolv.conf";
        let shown = format!("mount -o 'remount,{how}' etc; mount --bind etc /etc");
        let words = "compat umoci raw config --rootless --image image:base config.json";
        let line = format!("{held}; {shown}; exec {} {words}", program.display());
        let done =
            Command::new("unshare").args(["--mount", "sh", "-ec", &line]).current_dir(world.path("")).run();
        assert!(done.success(), "{how}: {done}");
        let config: Value = serde_json::from_str(&world.read("config.json")).expect("JSON");
        let mounts = config["mounts"].as_array().expect("a list");
        let of = mounts.iter().find(|it| it["destination"] == "/etc/resolv.conf").expect("a mount");
        assert_eq!(of["options"], serde_json::json!(expected), "{how}");
    }
    let line = format!(
        "mkdir -p none; mount --bind none /etc; exec {} compat umoci raw config --rootless --image image:base config.json",
        program.display()
    );
    Command::new("unshare").args(["--mount", "sh", "-ec", &line]).current_dir(world.path("")).ok();
    assert!(!world.read("config.json").contains("resolv.conf"), "there is none to mount");
    proof::ran(name, cases.len() + 1);
}
