//! A registry that is far away: every byte arrives 25 ms late, in each direction, so that an answer takes 50 ms at least.
//!
//! Time is measured here, and beside skopeo on the same way: what waits for the way dominates, not this machine.

use std::time::{Duration, Instant};
use testkit::registry::{Guard, Registry, Wire, skopeo};
use testkit::slow_link::{Link, Loss, SlowLink};
use testkit::{Command, Scratch, orlop, proof, scratch};

const FAR: Link =
    Link { latency: Duration::from_millis(25), bandwidth: Some(20 << 20), loss: None, losses: 0 };
const LAYERS: usize = 16;

/// A layout with an image of many layers of 512 KiB that nothing compresses.
fn image() -> Scratch {
    let it = scratch();
    let mut sources = Vec::new();
    for layer in 0..LAYERS {
        sources.push(format!("layer{layer}"));
        it.folder(&sources[layer]);
        it.file(&format!("layer{layer}/file{layer}"), noise(512 << 10, layer as u64));
    }
    let words = ["build"].into_iter().chain(sources.iter().map(String::as_str));
    run(&it, &words.chain(["oci:from:1", "--progress=none"]).collect::<Vec<_>>()).ok();
    it
}

fn noise(size: usize, mut seed: u64) -> Vec<u8> {
    let next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root())
}

fn timed(command: Command) -> Duration {
    let began = Instant::now();
    command.ok();
    began.elapsed()
}

#[test]
fn over_a_long_way_nobody_is_faster_than_skopeo_by_waiting_less() {
    const PROOF: &str = "far: push and pull beside skopeo at 50 ms";
    let (Some(_), Some(registry)) = (skopeo(), Registry::start(Wire::Clear, Guard::Open)) else {
        return proof::skipped(PROOF, "skopeo or docker-registry is missing");
    };
    let it = image();
    let link = SlowLink::to(&registry.host(), FAR);
    let place = |name: &str| format!("docker://{}/{name}:1", link.host());
    let other = |words: [&str; 2]| {
        let flags = ["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"];
        timed(skopeo().expect("found before").args(flags).args(words).current_dir(it.root()))
    };
    let own = |words: [&str; 2]| timed(run(&it, &["copy", words[0], words[1], "--progress=none"]));

    let push = (own(["oci:from:1", &place("own")]), other(["oci:from:1", &place("other")]));
    let again = (own(["oci:from:1", &place("own")]), other(["oci:from:1", &place("other")]));
    let pull = (own([&place("own"), "oci:own:1"]), other([&place("own"), "oci:other:1"]));
    let digest = |place: &str| run(&it, &["digest", place]).ok().out();
    assert_eq!(digest("oci:own:1"), digest("oci:from:1"));
    for (what, (own, other)) in [("push", push), ("push again", again), ("pull", pull)] {
        assert!(own < other.mul_f32(1.25), "{what}: {own:?}, skopeo {other:?}");
    }
    proof::ran(PROOF, 3);
}

/// What one connection of a far registry carries is often less than the way could: a large layer comes by several.
#[test]
fn one_large_layer_comes_faster_than_one_connection_carries() {
    const PROOF: &str = "far: one large layer by several connections";
    let (Some(_), Some(registry)) = (skopeo(), Registry::start(Wire::Clear, Guard::Open)) else {
        return proof::skipped(PROOF, "skopeo or docker-registry is missing");
    };
    let it = scratch();
    it.folder("tree");
    it.file("tree/big", noise(80 << 20, 7));
    run(&it, &["build", "tree", "oci:from:1", "--compress=none", "--progress=none"]).ok();
    run(&it, &["push", "oci:from:1", &format!("docker://{}/app:1", registry.host()), "--progress=none"]).ok();
    let link = SlowLink::to(&registry.host(), Link { bandwidth: Some(16 << 20), ..FAR });
    let place = format!("docker://{}/app:1", link.host());
    let own = timed(run(&it, &["pull", &place, "oci:own:1", "--progress=none"]));
    let flags = ["copy", "-q", "--src-tls-verify=false", &place, "oci:other:1"];
    let other = timed(skopeo().expect("found before").args(flags).current_dir(it.root()));
    let digest = |place: &str| run(&it, &["digest", place]).ok().out();
    assert_eq!(digest("oci:own:1"), digest("oci:from:1"));
    run(&it, &["validate", "oci:own:1"]).ok();
    assert!(own.mul_f32(1.5) < other, "{own:?}, skopeo {other:?}");
    proof::ran(PROOF, 1);
}

/// Of what was received when a connection breaks, nothing is asked for again.
#[test]
fn over_a_way_that_breaks_little_is_moved_twice() {
    const PROOF: &str = "far: broken connections cost less than a tenth";
    let Some(registry) = Registry::start(Wire::Clear, Guard::Open) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = image();
    run(&it, &["push", "oci:from:1", &format!("docker://{}/app:1", registry.host()), "--progress=none"]).ok();
    let size = (LAYERS * (512 << 10)) as u64;
    // The first connection only finds out that there is no TLS.
    for losses in [2, 5] {
        let link =
            SlowLink::to(&registry.host(), Link { loss: Some((300 << 10, Loss::Reset)), losses, ..FAR });
        let target = format!("oci:to{losses}:1");
        let place = format!("docker://{}/app:1", link.host());
        let told = run(&it, &["pull", &place, &target, "--progress=json"]).ok();
        assert!(told.err().contains("\"event\":\"retried\""), "{}", told.err());
        run(&it, &["validate", &target]).ok();
        assert!(link.carried() < size + size / 10, "{} bytes for {size}", link.carried());
    }
    proof::ran(PROOF, 2);
}
