//! What is left when somebody is killed: nothing that runs or is mounted, and no folder after the next run.

use crate::world::{World, worlds};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use testkit::{Finished, proof};

/// Kills `who` of a run, told its first process, when the container is there; the end of the run.
fn killed(world: &World, marker: &str, who: impl Fn(Pid) -> Pid + Send + 'static) -> Finished {
    let folder = world.scratch.folder(&format!("ready{marker}"));
    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("ours");
    let ready = folder.join("ready");
    let volume = format!("{}:/v", folder.display());
    let script = format!("mkdir -p /deep/er; touch /v/ready; sleep {marker} & exec sleep {marker}");
    let command =
        world.command(&["-v", &volume], &["box", "sh", "-c", &script]).time(Duration::from_secs(30));
    // In a session of its own: what the test kills at the end is a group of processes, and would hide what is left.
    let started = command.under(["setsid", "--wait"]).started(move |pid| {
        thread::spawn(move || {
            while !ready.exists() {
                thread::sleep(Duration::from_millis(10));
            }
            kill_process(who(child(pid)), Signal::KILL).expect("it runs");
        });
    });
    started.run()
}

/// The only child of a process: of `setsid` the run, of a run its supervisor.
fn child(run: Pid) -> Pid {
    let path = format!("/proc/{run}/task/{run}/children", run = run.as_raw_pid());
    let children = fs::read_to_string(path).expect("it runs");
    let child = children.split_whitespace().next().expect("a child");
    Pid::from_raw(child.parse().expect("a number")).expect("a process")
}

/// Whether some process has a word in its command line; waits until none has.
fn is_running(marker: &str) -> bool {
    let end = Instant::now() + Duration::from_secs(5);
    let runs = || {
        let all = fs::read_dir("/proc").expect("there").flatten();
        let mut lines = all.filter_map(|it| fs::read(it.path().join("cmdline")).ok());
        lines.any(|line| line.split(|byte| *byte == 0).any(|word| word == marker.as_bytes()))
    };
    while Instant::now() < end {
        if !runs() {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    runs()
}

fn is_mounted(store: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("there");
    mounts.contains(&*store.to_string_lossy())
}

/// Does `work` while a container of the image waits, which then goes on with `script`; the end of its run.
fn beside_a_run(world: &World, script: &str, work: impl FnOnce()) -> Finished {
    let folder = world.scratch.folder("go");
    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("ours");
    let volume = format!("{}:/v", folder.display());
    let script = format!("touch /v/ready; while ! test -e /v/go; do sleep 0.05; done; {script}");
    thread::scope(|scope| {
        let long = scope.spawn(|| world.sh(&["-v", &volume], &script));
        while !folder.join("ready").exists() && !long.is_finished() {
            thread::sleep(Duration::from_millis(10));
        }
        work();
        fs::write(folder.join("go"), "").expect("ours");
        long.join().expect("a run")
    })
}

/// Folders of cgroups of containers.
fn cgroups(name: &str) -> usize {
    let found = testkit::Command::new("find").args(["/sys/fs/cgroup", "-type", "d", "-name", name]).run();
    found.out().lines().count()
}

#[test]
fn whoever_is_killed_takes_the_container_along() {
    const PROOF: &str = "run: nothing is left when somebody is killed";
    let worlds = worlds(PROOF);
    for (number, world) in worlds.iter().enumerate() {
        let marker = format!("86{}{number}", std::process::id());
        let done = killed(world, &marker, |pid| pid);
        assert!(!done.success(), "{world}: {done}");
        assert!(!is_running(&marker), "{world}: the container goes on");
        assert!(!is_mounted(&world.store()), "{world}");
        let left = world.runs();
        assert_eq!(left.len(), 1, "{world}: a killed run cannot tidy up");
        assert!(world.run(&[], &["true"]).success(), "{world}");
        assert!(world.runs().is_empty(), "{world}: {:?}", world.runs());
        assert_eq!(cgroups(&format!("orlop-{}", left[0])), 0, "{world}");

        let marker = format!("87{}{number}", std::process::id());
        let done = killed(world, &marker, child);
        assert_eq!(done.code(), Some(137), "{world}: {done}");
        assert!(!is_running(&marker), "{world}: the container goes on");
        assert!(!is_mounted(&world.store()), "{world}");
        assert!(world.runs().is_empty(), "{world}: {:?}", world.runs());
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len() * 2);
    }
}

#[test]
fn a_run_that_lives_is_not_taken_for_dead() {
    const PROOF: &str = "run: the folder of a living run stays";
    let worlds = worlds(PROOF);
    for world in &worlds {
        let done = beside_a_run(world, "cat /etc/motd; echo x >/x; cat /x", || {
            assert!(world.run(&[], &["true"]).success(), "{world}");
            assert_eq!(world.runs().len(), 1, "{world}");
        });
        assert_eq!(done.out(), "of the image\nx\n", "{world}");
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len());
    }
}

/// `roots` in the folder of a run says by itself what is in use: the lease of its supervisor is not asked.
#[test]
fn what_a_run_uses_is_not_swept_though_its_lease_is_lost() {
    const PROOF: &str = "run: what runs is a root of sweeps by itself";
    let worlds = worlds(PROOF);
    for world in &worlds {
        let parts = ["objects", "layers", "forms", "blobs", "trees"];
        let count = || parts.map(|part| below(&world.store().join(part)));
        let mut counted = None;
        let done = beside_a_run(world, "cat /etc/motd", || {
            let before = count();
            for part in ["names", "leases"] {
                for record in fs::read_dir(world.store().join(part)).expect("a store").flatten() {
                    fs::remove_file(record.path()).expect("forgotten, or lost");
                }
            }
            thread::sleep(Duration::from_millis(20));
            world.verb(&["gc", "store:", "--grace", "0"]).ok();
            counted = Some((before, count()));
        });
        assert!(done.success(), "{world}: {done}");
        let (before, after) = counted.expect("it was counted");
        assert_eq!(after[..4], before[..4], "{world}: a sweep took what runs");
        assert!(after[4] > 0, "{world}: a sweep took what is mounted");
        thread::sleep(Duration::from_millis(20));
        world.verb(&["gc", "store:", "--grace", "0"]).ok();
        assert_eq!(below(&world.store().join("objects")), 0, "{world}: nothing kept it but the run");
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len());
    }
}

/// Files below a folder.
fn below(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { below(&entry.path()) } else { 1 }).sum()
}
