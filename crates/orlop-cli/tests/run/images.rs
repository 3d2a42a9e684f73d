//! Which images run, and what an image may not do.

use crate::world::{Caller, plain, worlds};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use testkit::registry::Registry;
use testkit::{Command, orlop, proof};

#[test]
fn a_name_that_the_store_lacks_is_pulled() {
    const PROOF: &str = "run: images are pulled";
    let Some(world) = plain(PROOF) else { return };
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let name = format!("{}/team/box:1", registry.host());
    let insecure = registry.host();
    orlop()
        .args(["copy", "oci:l:box", &format!("docker://{name}"), "--insecure", &insecure])
        .current_dir(world.scratch.root())
        .ok();
    let run = |flags: &[&str]| {
        let flags = [&["--insecure", insecure.as_str()], flags].concat();
        let done = world.command(&flags, &[&name, "sh", "-c", "echo $OF; exit 4"]).run();
        (done.code(), done.out(), done.err())
    };
    let (code, _, said) = run(&["--pull", "never"]);
    assert!(code == Some(125) && said.contains("error:"), "{said}");
    assert_eq!(registry.requests().iter().filter(|line| line.contains("GET")).count(), 0, "nobody was asked");
    let (code, out, said) = run(&[]);
    assert_eq!((code, out.as_str()), (Some(4), "image\n"), "{said}");
    let named = world.verb(&["digest", &format!("store:{name}")]).run();
    assert!(named.success(), "{named}");
    let requests = registry.requests().len();
    let (code, ..) = run(&[]);
    assert_eq!((code, registry.requests().len()), (Some(4), requests), "a name of the store asks nobody");
    let (code, ..) = run(&["--pull", "always"]);
    assert_eq!(code, Some(4));
    assert!(registry.requests().len() > requests, "it was asked for");
    proof::ran(PROOF, 4);
}

#[test]
fn an_image_of_any_place_runs_and_one_for_another_machine_does_not() {
    const PROOF: &str = "run: images of other places, and of other machines";
    let Some(world) = plain(PROOF) else { return };
    orlop().args(["copy", "oci:l:box", "oci-archive:box.tar:box"]).current_dir(world.scratch.root()).ok();
    orlop()
        .args(["build", "tree", "oci:l:foreign", "--platform", "linux/s390x", "--cmd", "/bin/sh"])
        .current_dir(world.scratch.root())
        .ok();
    let part = |part: &str| fs::read_dir(world.store().join(part)).expect("a store").count();
    world.verb(&["gc", "store:", "--grace", "0"]).ok();
    let before = (part("names"), part("forms/sha256"), part("blobs/sha256"));
    for place in ["oci:l:box", "oci-archive:box.tar", "store:box", "./box.tar"] {
        let done = world.command(&[], &[place, "sh", "-c", "echo $OF"]).run();
        assert_eq!(done.out(), "image\n", "{place}: {done}");
        assert_eq!(part("names"), before.0, "{place}");
    }
    fs::write(world.scratch.path("tree/passing"), "x".repeat(1000)).expect("written");
    orlop()
        .args(["build", "tree", "oci:l:passing", "--cmd", "/bin/sh"])
        .current_dir(world.scratch.root())
        .ok();
    let script = "cat /passing | wc -c";
    let done = world.command(&[], &["oci:l:passing", "sh", "-c", script]).run();
    assert_eq!(done.out().trim(), "1000", "{done}");
    assert!(part("forms/sha256") > before.1, "it was taken in");
    world.verb(&["gc", "store:", "--grace", "0"]).ok();
    let after = (part("names"), part("forms/sha256"), part("blobs/sha256"));
    assert_eq!(after, before, "nothing is left of an image that was run from elsewhere");
    let emulated = Path::new("/proc/sys/fs/binfmt_misc/qemu-s390x").exists();
    let foreign = world.command(&[], &["oci:l:foreign", "true"]).run();
    if !emulated {
        assert_eq!(foreign.code(), Some(125), "{foreign}");
        assert!(
            foreign.err().contains("linux/s390x") && foreign.err().contains("qemu-user-static"),
            "{foreign}"
        );
    }
    let index = world.command(&["--platform", "linux/riscv64"], &["oci:l:foreign", "true"]).run();
    assert_eq!(index.code(), Some(125), "{index}");
    let none = world.command(&[], &["oci:l:nothing", "true"]).run();
    assert_eq!(none.code(), Some(125), "{none}");
    assert_eq!(part("names"), before.0, "nothing keeps an image that could not run");
    proof::ran(PROOF, 7);
}

/// J7: the words of an image are data.
#[test]
fn j7_no_word_of_an_image_reaches_the_machine() {
    const PROOF: &str = "run: J7, words of an image";
    let worlds = worlds(PROOF);
    for world in &worlds {
        let owned = world.scratch.path("owned");
        let shell = format!("$(touch {0}); `touch {0}`; touch {0} #", owned.display());
        let mount = format!("{{\"source\":\"{}\"}}", owned.display());
        let flags = [
            "--label",
            &format!("run.oci.hooks.stdout={shell}"),
            "--label",
            "run.oci.handler=/bin/sh",
            "--label",
            // crun connects to it before it starts anything.
            &format!("run.oci.pidfd_receiver={}", owned.display()),
            "--label",
            &format!("io.podman.mounts={mount}"),
            "--annotation",
            &format!("org.example.hook={shell}"),
            "--env",
            &format!("LD_PRELOAD={shell}"),
            "--env",
            &format!("PROMPT_COMMAND={shell}"),
            "--author",
            &shell,
            "--stop-signal",
            "TERM",
            "--volume",
            "/v;touch x",
            "--cmd",
            "/bin/sh",
        ];
        world.build("tree", "hostile", &flags);
        let done = world.command(&[], &["hostile", "sh", "-c", "echo ran; ls -d /v*"]).run();
        assert_eq!((done.code(), done.out().as_str()), (Some(0), "ran\n/v;touch x\n"), "{world}: {done}");
        assert!(!owned.exists() && !world.scratch.path("x").exists(), "{world}");
        let config = world.command(&["--dry-run"], &["hostile"]).ok().out();
        for word in ["run.oci", "io.podman"] {
            assert!(!config.contains(word), "{world}: a runtime may obey it: {config}");
        }
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len());
    }
}

/// P7: who a user is, the image says by a plain file of its own.
#[test]
fn p7_accounts_are_read_from_plain_files_of_the_image() {
    const PROOF: &str = "run: P7, accounts of an image";
    let worlds = worlds(PROOF);
    for world in &worlds {
        let host = fs::read_to_string("/etc/passwd").expect("there");
        let user = host.lines().last().and_then(|line| line.split(':').next()).expect("a user").to_owned();
        let passwd = world.scratch.path("tree/etc/passwd");
        let mut number = 0;
        let mut refused = |why: &str| {
            number += 1;
            let name = format!("accounts{number}");
            world.build("tree", &name, &["--cmd", "/bin/sh"]);
            let done = world
                .command(&["-u", &user], &[&name, "true"])
                .time(std::time::Duration::from_secs(20))
                .run();
            assert_eq!(done.code(), Some(125), "{world}, {why}: {done}");
        };
        fs::remove_file(&passwd).expect("ours");
        refused("without the file");
        symlink("../../../../../../../../etc/passwd", &passwd).expect("ours");
        refused("a link out");
        fs::remove_file(&passwd).expect("ours");
        Command::new("mkfifo").arg(&passwd).ok();
        refused("a fifo");
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len() * 3);
    }
}

#[test]
fn a_dry_run_prints_the_configuration_and_makes_nothing() {
    const PROOF: &str = "run: --dry-run";
    let Some(world) = plain(PROOF) else { return };
    let nowhere = world.scratch.path("nowhere");
    let done = world
        .command(
            &[
                "--dry-run",
                "-u",
                "app",
                "-m",
                "1g",
                "--network",
                "none",
                "--root",
                nowhere.to_str().expect("text"),
            ],
            &["oci:l:box", "ls", "-l"],
        )
        .run();
    let config: Value = serde_json::from_str(&done.out()).unwrap_or_else(|_| panic!("{done}"));
    assert_eq!(config["process"]["args"], serde_json::json!(["ls", "-l"]));
    assert_eq!(
        (&config["process"]["user"]["uid"], &config["process"]["cwd"]),
        (&1000.into(), &"/srv".into())
    );
    assert_eq!(config["linux"]["resources"]["memory"]["limit"], 1 << 30);
    assert!(!nowhere.exists(), "nothing was made");
    let stored = world.command(&["--dry-run"], &["box"]).run();
    let config: Value = serde_json::from_str(&stored.out()).unwrap_or_else(|_| panic!("{stored}"));
    assert_eq!(config["process"]["args"], serde_json::json!(["/bin/sh"]));
    assert!(world.runs().is_empty());
    assert_eq!(world.caller, Caller::Root);
    proof::ran(PROOF, 2);
}

#[test]
fn what_was_changed_in_the_store_is_not_run() {
    const PROOF: &str = "run: --verify";
    let Some(world) = plain(PROOF) else { return };
    for _ in 0..2 {
        let done = world.sh(&["--verify"], "exit 4");
        assert_eq!(done.code(), Some(4), "{done}");
    }
    let objects = Command::new("find").arg(world.store().join("objects")).args(["-type", "f"]).ok().out();
    let object = Path::new(objects.lines().next().expect("busybox"));
    let mut bytes = fs::read(object).expect("ours");
    bytes[100] ^= 1;
    fs::write(object, bytes).expect("ours");
    let done = world.sh(&["--verify"], "exit 4");
    assert_eq!(done.code(), Some(125), "{done}");
    assert!(done.err().contains("orlop verify"), "{done}");
    proof::ran(PROOF, 3);
}
