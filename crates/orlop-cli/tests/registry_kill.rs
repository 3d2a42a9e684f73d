//! kill -9 and `^C` in the middle of a pull and of a push, then the same command again: the result is exact, nothing moves again
//! that the other side is known to have, and the account says what moved a second time.
//!
//! The points are bytes of the transfer, from a fixed seed and spread over all of it. A way that counts bytes sends the
//! signal when it has seen so many and passes no further one on before: the program is alive then.

use rustix::process::Signal;
use serde_json::Value;
use std::path::Path;
use testkit::fault_server::{FaultServer, Guard};
use testkit::image::{Image, Layout, Packing, sha256};
use testkit::registry::Registry;
use testkit::scratch::scratch_in_memory;
use testkit::tarball::{Member, tar};
use testkit::toll::{Direction, Toll};
use testkit::{Command, Finished, Scratch, full, noise, orlop, proof};

/// Sizes of the layers: one is sent in two chunks, the others in one piece each.
const LAYERS: [usize; 4] = [78 << 20, 300 << 10, 200 << 10, 50 << 10];
const CHUNK: u64 = 64 << 20;
/// What is sent in one piece begins again, and is too small for the journal.
const SMALL: u64 = 600 << 10;
/// Heads of requests and answers, and framing.
const HEADS: u64 = 64 << 10;
/// The journal is told of every mebibyte that is sent.
const NOTE: u64 = 1 << 20;
/// What sockets hold of an answer when its reader dies, on both sides of the way.
const IN_FLIGHT: u64 = 12 << 20;

/// An image that nothing compresses.
struct Goods {
    folder: Scratch,
    layout: Layout,
}

impl Goods {
    fn new() -> Self {
        let layers = (1..).zip(LAYERS).map(|(seed, size)| tar([Member::file("noise", noise(seed, size))]));
        let layout = Image::of(&layers.collect::<Vec<_>>(), Packing::Plain).layout();
        let folder = scratch_in_memory();
        layout.write(&folder.path("image"));
        Self { folder, layout }
    }

    fn reference(&self) -> String {
        format!("oci:{}:latest", self.folder.path("image").display())
    }

    /// Paths within a layout, and contents.
    fn blobs(&self) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        self.layout.files.iter().filter(|(path, _)| path.starts_with("blobs/"))
    }

    fn size(&self) -> u64 {
        self.blobs().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

/// The program with folders of its own: the journal lives there from one run to the next.
fn at(home: &Path) -> Command {
    let command = orlop().env("HOME", home).env("XDG_RUNTIME_DIR", home);
    let command = command.env("XDG_CACHE_HOME", home.join("cache")).env("XDG_STATE_HOME", home.join("state"));
    command.env("XDG_CONFIG_HOME", home.join("config"))
}

const SEED: u64 = 20;

/// So many points of a transfer of `size` bytes: one in each of as many equal parts, wherever the seed puts it there.
fn points(count: usize, size: u64) -> Vec<u64> {
    let dice = noise(SEED, 8 * count);
    let dice = dice.chunks(8).map(|eight| u64::from_le_bytes(eight.try_into().expect("eight")));
    let part = size / count as u64;
    (0..).zip(dice).map(|(number, dice): (u64, u64)| number * part + 1 + dice % part).collect()
}

fn in_gate_or_full(gate: usize, whole: usize) -> usize {
    if full() { whole } else { gate }
}

/// What the last line of `--progress=json` says.
struct Account(Value);

impl Account {
    fn of(done: &Finished) -> Self {
        let err = done.err();
        let last = err.lines().rfind(|line| line.contains(r#""event":"account""#)).expect("an account");
        Self(serde_json::from_str(last).expect("JSON"))
    }

    fn copied(&self) -> u64 {
        self.0["phases"].as_array().into_iter().flatten().filter_map(|phase| phase["bytes"].as_u64()).sum()
    }

    fn resumed(&self) -> u64 {
        self.0["reused"]["resumed"]["bytes"].as_u64().unwrap_or(0)
    }

    fn held(&self) -> u64 {
        self.0["reused"]["reused"]["bytes"].as_u64().unwrap_or(0)
    }

    fn again(&self) -> u64 {
        self.0["retried"]["bytes"].as_u64().expect("a sum")
    }
}

#[track_caller]
fn assert_near(found: u64, expected: u64, slack: u64, what: &str) {
    assert!(found.abs_diff(expected) <= slack, "{found} instead of {expected} (± {slack}): {what}");
}

/// Bytes that a killed run and its rerun carried.
struct Carried {
    killed: u64,
    rerun: u64,
}

/// Runs a command until so many bytes have come past, asks what the registry holds then, and runs it again.
fn kill_and_rerun(
    toll: &Toll,
    (direction, point, signal): (Direction, u64, Signal),
    command: &dyn Fn() -> Command,
    between: &dyn Fn() -> u64,
) -> (Carried, u64, Account) {
    let count = || match direction {
        Direction::Up => toll.count().up,
        Direction::Down => toll.count().down,
    };
    let before = count();
    toll.doom(direction, point, signal);
    let killed = command().started(toll.victim()).run();
    let is_over =
        if signal == Signal::KILL { killed.signal() == Some(9) } else { killed.code() == Some(130) };
    assert!(toll.has_struck() && is_over && !killed.timed_out, "at {point}: {killed}");
    let middle = count();
    let held = between();
    let done = command().ok();
    let carried = Carried { killed: middle - before, rerun: count() - middle };
    assert!(carried.killed >= point, "{} of {point}", carried.killed);
    (carried, held, Account::of(&done))
}

const PUSH: &str = "kill: a push killed at random points goes on";

#[test]
fn a_push_that_is_killed_goes_on() {
    let goods = Goods::new();
    let points = points(in_gate_or_full(10, 50), goods.size());
    for point in &points {
        push(&goods, *point, Signal::KILL);
    }
    proof::ran(PUSH, points.len());
}

/// Pushes to a registry that keeps every chunk that came whole.
fn push(goods: &Goods, point: u64, signal: Signal) {
    let (home, server) = (scratch_in_memory(), FaultServer::start(None, Guard::Open));
    let toll = Toll::to(&server.host());
    let target = format!("docker://{}/app:1", toll.host());
    let command = || at(home.root()).args(["push", &goods.reference(), &target, "--progress=json"]);
    let held = || server.shelf().taken();
    let (carried, held, account) = kill_and_rerun(&toll, (Direction::Up, point, signal), &command, &held);
    let what = format!("seed {SEED}, {signal:?} at byte {point}, when the registry had {held}");
    let (size, again) = (goods.size(), carried.killed + carried.rerun - goods.size());
    // What the registry has said it has is not sent again.
    assert_near(carried.rerun, size - held, HEADS, &what);
    assert!(again <= CHUNK + SMALL + 2 * HEADS, "{again} bytes were sent again: {what}");
    assert_near(account.copied(), carried.rerun, HEADS, &what);
    assert_near(account.copied() + account.resumed() + account.held(), size, 0, &what);
    assert_near(account.again(), again, NOTE + SMALL + HEADS, &what);
    let shelf = server.shelf();
    for (path, bytes) in goods.blobs() {
        let digest = sha256(bytes);
        let manifest =
            shelf.manifests.get(&("app".into(), digest.clone())).map(|(_, bytes)| bytes.as_slice());
        assert!(shelf.blob("app", &digest).or(manifest) == Some(bytes), "{path}: {what}");
    }
    let root = sha256(&goods.layout.files[&goods.layout.manifest_path()]);
    assert_eq!(shelf.tags.get(&("app".into(), "1".into())), Some(&root), "{what}");
}

const DEBIAN: &str = "kill: a push to docker-registry killed at random points is exact after the next";

/// Debian's registry gives a chunk that broke off up, and with it all that it had of the blob.
#[test]
fn a_push_to_docker_registry_that_is_killed_is_exact_after_the_next() {
    let Some(registry) = Registry::plain() else {
        return proof::skipped(DEBIAN, "docker-registry is missing");
    };
    let goods = Goods::new();
    let points = points(in_gate_or_full(3, 10), goods.size());
    let toll = Toll::to(&registry.host());
    for (number, point) in points.iter().enumerate() {
        let home = scratch_in_memory();
        let target = format!("docker://{}/app{number}:1", toll.host());
        let command = || at(home.root()).args(["push", &goods.reference(), &target, "--progress=json"]);
        let (carried, _, account) =
            kill_and_rerun(&toll, (Direction::Up, *point, Signal::KILL), &command, &|| 0);
        let what = format!("seed {SEED}, killed at byte {point}");
        let again = carried.killed + carried.rerun - goods.size();
        assert_near(account.copied(), carried.rerun, HEADS, &what);
        assert_near(account.again(), again, NOTE + SMALL + HEADS, &what);
        let back = home.path("back");
        let source = format!("docker://{}/app{number}:1", registry.host());
        at(home.root()).args(["pull", &source]).arg(format!("oci:{}:latest", back.display())).ok();
        assert_exact(&goods, &back, &what);
    }
    proof::ran(DEBIAN, points.len());
}

const PULL: &str = "kill: a pull killed at random points goes on";

#[test]
fn a_pull_that_is_killed_goes_on() {
    let goods = Goods::new();
    let server = holder(&goods);
    let points = points(in_gate_or_full(10, 50), goods.size());
    for point in &points {
        pull(&goods, &server, *point, Signal::KILL);
    }
    proof::ran(PULL, points.len());
}

/// A registry that has the image.
fn holder(goods: &Goods) -> FaultServer {
    let server = FaultServer::start(None, Guard::Open);
    server.shelf().put_layout("app", "1", &goods.layout);
    server
}

fn pull(goods: &Goods, server: &FaultServer, point: u64, signal: Signal) {
    let (home, toll) = (scratch_in_memory(), Toll::to(&server.host()));
    let (source, target) = (format!("docker://{}/app:1", toll.host()), home.path("pulled"));
    let place = format!("oci:{}:latest", target.display());
    let command = || at(home.root()).args(["pull", &source, &place, "--progress=json"]);
    go_on_with(goods, &toll, (point, signal), &command, &|| kept(&target));
    assert_exact(goods, &target, &format!("seed {SEED}, {signal:?} at byte {point}"));
}

const STORE: &str = "kill: a pull into the store killed at random points goes on";

#[test]
fn a_pull_into_the_store_that_is_killed_goes_on() {
    let goods = Goods::new();
    let server = holder(&goods);
    let points = points(in_gate_or_full(10, 50), goods.size());
    for point in &points {
        pull_into_store(&goods, &server, *point, Signal::KILL);
    }
    pull_into_store(&goods, &server, CHUNK / 3, Signal::INT);
    proof::ran(STORE, points.len() + 1);
}

fn pull_into_store(goods: &Goods, server: &FaultServer, point: u64, signal: Signal) {
    let (home, toll) = (scratch_in_memory(), Toll::to(&server.host()));
    let (source, root, back) = (format!("{}/app:1", toll.host()), home.path("store"), home.path("back"));
    let program = || at(home.root()).env("ORLOP_ROOT", &root);
    let command = || program().args(["pull", &source, "--progress=json"]);
    go_on_with(goods, &toll, (point, signal), &command, &|| kept(&root) + made(&root));
    let place = format!("oci:{}:latest", back.display());
    program().args(["copy", &format!("store:{source}"), &place]).ok();
    assert_exact(goods, &back, &format!("seed {SEED}, {signal:?} at byte {point}"));
}

/// Bytes of blobs that a store makes again when they are asked for.
fn made(store: &Path) -> u64 {
    let entries = std::fs::read_dir(store.join("forms/sha256")).into_iter().flatten().flatten();
    let forms = entries.map(|entry| std::fs::read_to_string(entry.path()).expect("a form"));
    let size = |form: &str| form.lines().find_map(|line| line.strip_prefix("size ")?.parse::<u64>().ok());
    forms.filter(|form| form.contains("\nmade ")).map(|form| size(&form).expect("its size")).sum()
}

/// What a pull that is stopped and done again moves, and says.
fn go_on_with(
    goods: &Goods,
    toll: &Toll,
    (point, signal): (u64, Signal),
    command: &dyn Fn() -> Command,
    held: &dyn Fn() -> u64,
) {
    let (carried, held, account) = kill_and_rerun(toll, (Direction::Down, point, signal), command, held);
    let what = format!("seed {SEED}, {signal:?} at byte {point}, when {held} were on the disk");
    let again = carried.killed + carried.rerun - goods.size();
    assert_near(carried.rerun, goods.size() - held, HEADS, &what);
    assert!(again <= IN_FLIGHT + SMALL, "{again} bytes were fetched again: {what}");
    assert_near(account.copied(), carried.rerun, HEADS, &what);
    assert_near(account.copied() + account.resumed() + account.held(), goods.size(), 0, &what);
    assert_eq!(account.again(), 0, "nothing came twice in one run: {what}");
}

const STOP: &str = "kill: a pull and a push that are interrupted go on";

/// In the first chunk and in the second: what the other side has of either is not lost, and the account is right.
#[test]
fn what_is_interrupted_goes_on() {
    let goods = Goods::new();
    let server = holder(&goods);
    let points = [CHUNK / 3, CHUNK + 5 * NOTE];
    for point in points {
        pull(&goods, &server, point, Signal::INT);
        push(&goods, point, Signal::INT);
    }
    proof::ran(STOP, 2 * points.len());
}

/// Bytes of blobs and of the parts of blobs that a layout has.
fn kept(layout: &Path) -> u64 {
    let entries = std::fs::read_dir(layout.join("blobs/sha256")).into_iter().flatten().flatten();
    entries.map(|entry| entry.metadata().map_or(0, |it| it.len())).sum()
}

/// A layout holds the blobs of the image, and nothing else.
fn assert_exact(goods: &Goods, layout: &Path, what: &str) {
    let entries = std::fs::read_dir(layout.join("blobs/sha256")).expect("a layout");
    assert_eq!(entries.count(), goods.blobs().count(), "{what}");
    for (path, bytes) in goods.blobs() {
        assert!(std::fs::read(layout.join(path)).is_ok_and(|found| found == *bytes), "{path}: {what}");
    }
    let index = std::fs::read_to_string(layout.join("index.json")).expect("an index");
    assert!(index.contains(&sha256(&goods.layout.files[&goods.layout.manifest_path()])), "{what}");
}
