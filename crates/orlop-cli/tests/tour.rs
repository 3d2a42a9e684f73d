//! The tour of the README, line by line: it is typed as it stands there, but for the names of hosts.

use std::process::Command as Plain;
use testkit::registry::{Guard, Registry, Wire};
use testkit::{Command, proof, scratch};

const PROOF: &str = "readme: the tour was made";

/// What a line hands to other programs is proven where those are (`peers`, `run`), and the web in `web`.
fn typed(line: &str, registry: &str) -> Option<String> {
    let line = line.split(" #").next().unwrap_or_default();
    let line = line.split(" && ").next().unwrap_or_default().replace("| podman load", "| tar -t");
    let is_ours =
        line.starts_with("orlop ") && !line.contains("https://web.example") && !line.contains(" run ");
    is_ours.then(|| line.replace("registry.example", registry))
}

#[test]
fn every_line_of_the_tour_does_what_it_says() {
    let Some(registry) = Registry::start(Wire::Clear, Guard::Open) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let readme = include_str!("../../../README.md");
    let tour = readme.split("## A tour").nth(1).and_then(|text| text.split("```").nth(1)).expect("a tour");
    let lines: Vec<String> = tour.lines().filter_map(|line| typed(line, &registry.host())).collect();
    let it = scratch();
    it.folder("rootfs/usr/bin");
    it.file("rootfs/usr/bin/app", "#!/bin/sh\n");
    it.folder("extra");
    it.file("extra/more", "x");
    let program = testkit::command::orlop_path();
    let path = format!(
        "{}:{}",
        program.parent().expect("a folder").display(),
        std::env::var("PATH").expect("a path")
    );
    for line in &lines {
        let done = Command::new("bash").args(["-o", "pipefail", "-c", line]).env("PATH", &path);
        let done =
            done.env("HOME", it.root()).env("ORLOP_ROOT", it.path("store")).current_dir(it.root()).run();
        let is_difference = line.starts_with("orlop diff") && done.code() == Some(8);
        assert!(done.success() || is_difference, "{line}: {done}");
    }
    for tree in ["root", "from-registry", "as-it-was"] {
        let done =
            Plain::new("diff").args(["-r", "rootfs", tree]).current_dir(it.root()).output().expect("run");
        assert!(done.status.success(), "{tree}: {}", String::from_utf8_lossy(&done.stdout));
    }
    proof::ran(PROOF, lines.len());
}
