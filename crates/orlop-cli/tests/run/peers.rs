//! The same image in another engine.

use crate::world::plain;
use testkit::engine::Podman;
use testkit::{Command, peer, proof};

#[test]
fn podman_gives_the_process_the_same() {
    const PROOF: &str = "run: the same process as by podman";
    let Some(world) = plain(PROOF) else { return };
    let (Some(podman), Some(version)) = (Podman::new(&world.scratch), peer("podman")) else {
        return proof::skipped(PROOF, "podman is missing");
    };
    Command::new("true").ok();
    testkit::orlop()
        .args(["copy", "oci:l:box", "oci-archive:box.tar:box"])
        .current_dir(world.scratch.root())
        .ok();
    podman.command().args(["load", "-i"]).arg(world.scratch.path("box.tar")).ok();
    let script =
        "id -u; id -g; pwd; echo $OF $KEPT $HOME $PATH; cat /etc/motd; ls /dev/null /dev/zero /dev/urandom";
    let theirs = podman.run("localhost/box:latest", &["sh", "-c", script]);
    assert!(theirs.success(), "{version}: {theirs}");
    let ours = world.sh(&["--network", "none"], script);
    assert_eq!(ours.out(), theirs.out(), "{version}");
    assert_eq!(ours.code(), theirs.code());
    for (words, code) in [(["nope"], 127), (["/etc/passwd"], 126)] {
        assert_eq!(podman.run("localhost/box:latest", &words).code(), Some(code), "{version}");
        assert_eq!(world.run(&[], &words).code(), Some(code));
    }
    proof::ran(PROOF, 3);
}
