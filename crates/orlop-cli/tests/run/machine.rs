//! The machine that a container sees.

use crate::world::worlds;
use testkit::proof;

#[test]
fn a_container_is_alone_with_itself() {
    const PROOF: &str = "run: own processes, names and files";
    let worlds = worlds(PROOF);
    for world in &worlds {
        let script = "echo $$; hostname; ls /proc | grep -c '^[0-9]'; test -e /proc/1/root/work || echo gone";
        let seen = world.sh(&["--hostname", "box.example"], &script.replace("grep", "/bin/busybox grep"));
        let lines: Vec<String> = seen.out().lines().map(str::to_owned).collect();
        assert_eq!(
            (lines[0].as_str(), lines[1].as_str(), lines[3].as_str()),
            ("1", "box.example", "gone"),
            "{world}: {seen}"
        );
        let processes: u32 = lines[2].parse().expect("a number");
        assert!((1..10).contains(&processes), "{world}: {processes} processes");
        let kernel = world.sh(
            &[],
            "echo x 2>/dev/null >/proc/sys/kernel/hostname && echo written; ls /proc/kcore >/dev/null; \
            test -s /proc/keys && echo keys; true",
        );
        assert_eq!(kernel.out(), "", "{world}: {kernel}");
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len());
    }
}

#[test]
fn the_root_can_be_read_only() {
    const PROOF: &str = "run: a root that is only read";
    let worlds = worlds(PROOF);
    for world in &worlds {
        let script = "touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo memory; cat /etc/motd";
        let seen = world.sh(&["--read-only"], script);
        assert_eq!(seen.out(), "refused\nmemory\nof the image\n", "{world}: {seen}");
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len());
    }
}

#[test]
fn the_network_is_this_machines_or_nothing() {
    const PROOF: &str = "run: network";
    let worlds = worlds(PROOF);
    let here = std::fs::read_link("/proc/self/ns/net").expect("a namespace");
    for world in &worlds {
        let seen = |flags: &[&str]| {
            let done = world.sh(flags, "/bin/busybox readlink /proc/self/ns/net; ip -o link | /bin/busybox wc -l; cat /etc/hosts 2>/dev/null");
            assert!(done.code().is_some(), "{world}: {done}");
            done.out()
        };
        let shared = seen(&[]);
        assert!(shared.starts_with(&format!("{}\n", here.display())), "{world}: {shared}");
        let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        assert!(shared.ends_with(&hosts), "{world}: names are looked up where this machine does");
        let own = seen(&["--network", "none"]);
        let lines: Vec<&str> = own.lines().collect();
        assert!(lines[0] != here.to_string_lossy(), "{world}: {own}");
        assert!(own.lines().count() == 2, "{world}: no hosts of this machine: {own}");
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len());
    }
}
