//! kill -9 in the middle of a pull and of a push, then the same command again: the result is exact, and what was done
//! before is not done again.

use std::path::Path;
use std::time::{Duration, Instant};
use testkit::dump::dump;
use testkit::image::{Image, Packing, sha256};
use testkit::registry::Registry;
use testkit::slow_link::{Link, SlowLink};
use testkit::tarball::{Member, tar};
use testkit::{Command, Scratch, full, orlop, proof, scratch};

/// Bytes in a second: a copy takes long enough to be killed anywhere.
const BANDWIDTH: u64 = 12 << 20;

/// Sizes of the layers: some are whole when the kill comes, one is not.
const LAYERS: [usize; 4] = [4 << 20, 2 << 20, 1 << 20, 100 << 10];

/// What a connection holds when it breaks off, and heads of requests.
const SLACK: u64 = 512 << 10;

/// The binary with folders of its own: journals live there from one run to the next.
fn at(home: &Path) -> Command {
    let command = orlop().env("HOME", home).env("XDG_RUNTIME_DIR", home);
    let command = command.env("XDG_CACHE_HOME", home.join("cache")).env("XDG_STATE_HOME", home.join("state"));
    command.env("XDG_CONFIG_HOME", home.join("config"))
}

/// An image that nothing compresses: the folder of its layout, and its bytes.
fn image(scratch: &Scratch) -> (String, u64) {
    let layers: Vec<_> = LAYERS
        .iter()
        .enumerate()
        .map(|(seed, size)| tar([Member::file("noise", noise(seed, *size))]))
        .collect();
    let layout = Image::of(&layers, Packing::Plain).layout();
    layout.write(&scratch.path("image"));
    (format!("oci:{}:latest", scratch.path("image").display()), LAYERS.iter().map(|size| *size as u64).sum())
}

fn noise(seed: usize, size: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed as u64 + 1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}

/// Points of a run as parts of its time, spread and odd.
fn points() -> Vec<f64> {
    let count = if full() { 50 } else { 5 };
    (0..count).map(|number| (f64::from(number) * 0.618_034 + 0.07).fract()).collect()
}

/// The blobs that a layout holds, and its index.
fn content(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder.join("blobs/sha256")).expect("blobs") {
        let entry = entry.expect("an entry");
        let bytes = std::fs::read(entry.path()).expect("a blob");
        all.push((entry.file_name().to_string_lossy().into_owned(), sha256(&bytes)));
    }
    all.sort();
    all
}

fn assert_exact(folder: &Path, image: &Path, what: &str) {
    let blobs = content(folder);
    assert!(blobs.iter().all(|(name, digest)| digest.strip_prefix("sha256:") == Some(name)), "{what}");
    assert_eq!(blobs, content(image), "{what}");
    let names = dump(folder).into_keys().map(|path| String::from_utf8_lossy(&path).into_owned());
    let litter: Vec<_> = names.filter(|path| path.contains("tmp") || path.contains("partial")).collect();
    assert!(litter.is_empty(), "{what}: {litter:?}");
}

/// One direction: the command that is killed and run again.
struct Road<'a> {
    link: &'a SlowLink,
    command: &'a dyn Fn(usize) -> Command,
    /// What a killed run may lose of what it carried.
    loss: u64,
}

impl Road<'_> {
    /// Kills at every point, runs again, and gives the most that was carried beyond the image.
    fn walk(&self, size: u64, check: &dyn Fn(usize, &str)) -> u64 {
        let start = Instant::now();
        (self.command)(0).ok();
        let time = start.elapsed();
        check(0, "without a kill");
        let mut most = 0;
        for (number, point) in points().into_iter().enumerate() {
            let before = self.link.carried();
            let killed =
                (self.command)(number + 1).time(time.mul_f64(point).max(Duration::from_millis(5))).run();
            let done = self.link.carried() - before;
            (self.command)(number + 1).ok();
            let all = self.link.carried() - before;
            let what = format!("killed at {point:.2} of {time:?} after {done} bytes ({killed})");
            check(number + 1, &what);
            let again = all.saturating_sub(size);
            assert!(again <= self.loss + SLACK, "{again} bytes were carried again: {what}");
            most = most.max(again);
        }
        most
    }
}

const PULL: &str = "kill: a pull killed at random points goes on";

#[test]
fn a_pull_that_is_killed_goes_on() {
    let Some(registry) = Registry::plain() else { return proof::skipped(PULL, "docker-registry is missing") };
    let scratch = scratch();
    let (source, size) = image(&scratch);
    at(scratch.root()).args(["copy", &source, &format!("docker://{}/app:1", registry.host())]).ok();
    let link = SlowLink::to(&registry.host(), Link { bandwidth: Some(BANDWIDTH), ..Link::default() });
    let name = format!("docker://{}/app:1", link.host());
    let target = |number: usize| scratch.path(&format!("pulled-{number}"));
    let command = |number: usize| {
        at(scratch.root()).args(["copy", &name]).arg(format!("oci:{}:latest", target(number).display()))
    };
    let check = |number: usize, what: &str| assert_exact(&target(number), &scratch.path("image"), what);
    let road = Road { link: &link, command: &command, loss: size / 10 };
    road.walk(size, &check);
    proof::ran(PULL, points().len());
}

const PUSH: &str = "kill: a push killed at random points goes on";

#[test]
fn a_push_that_is_killed_goes_on() {
    let Some(registry) = Registry::plain() else { return proof::skipped(PUSH, "docker-registry is missing") };
    let scratch = scratch();
    let (source, size) = image(&scratch);
    let link = SlowLink::to(&registry.host(), Link { bandwidth: Some(BANDWIDTH), ..Link::default() });
    // Another registry's worth of repositories would be mounted from: each run has folders of its own.
    let home = |number: usize| scratch.folder(&format!("home-{number}"));
    let command = |number: usize| {
        at(&home(number)).args(["copy", &source]).arg(format!("docker://{}/app{number}:1", link.host()))
    };
    let check = |number: usize, what: &str| {
        let back = scratch.path(&format!("back-{number}"));
        let copy = at(&home(number)).arg("copy").arg(format!("docker://{}/app{number}:1", registry.host()));
        copy.arg(format!("oci:{}:latest", back.display())).ok();
        assert_exact(&back, &scratch.path("image"), what);
    };
    // A blob that is sent in one piece begins again: all that were on their way at once.
    let road = Road { link: &link, command: &command, loss: size };
    road.walk(size, &check);
    proof::ran(PUSH, points().len());
}
