//! Many processes at one store, that pull, name, forget, read and sweep at random, and are killed at random: no name is
//! lost, nothing that a name reaches is missing, and who is not killed meets no error.
//!
//! Each worker has names of its own, and knows what they must stand for. Sweeps have no grace.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use testkit::image::{Image, Layer, Packing, gzip};
use testkit::scratch::scratch_in_memory;
use testkit::tarball::{Member, tar};
use testkit::{Command, Scratch, full, noise, orlop, proof};

const WORKERS: usize = 16;
/// Images, which share half of their files.
const IMAGES: usize = 24;
/// Those that one worker uses: so few do that an image often has one name, or none.
const OWN: usize = 3;
const SEED: u64 = 7;

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 += 1;
        let bytes = noise(SEED ^ (self.0 << 8), 8).try_into().expect("eight");
        usize::try_from(u64::from_le_bytes(bytes) % limit as u64).expect("less than the limit")
    }
}

struct Worker<'a> {
    number: usize,
    scratch: &'a Scratch,
    digests: &'a [String],
    /// What the names of this worker stand for, by the number of the image.
    names: BTreeMap<String, usize>,
    dice: Dice,
    steps: usize,
    killed: usize,
}

impl Worker<'_> {
    fn command(&self, words: &[&str]) -> Command {
        at(self.scratch, words)
    }

    fn step(&mut self) {
        self.steps += 1;
        let (image, slot) = ((self.number * OWN + self.dice.below(OWN)) % IMAGES, self.dice.below(3));
        let name = format!("w{}/app:{slot}", self.number);
        let owned = self.names.keys().nth(slot).cloned();
        let store = |name: &str| format!("store:{name}");
        match (self.dice.below(8), owned) {
            (0..=2, _) | (_, None) => {
                let from = format!("oci:images:{image}");
                self.change(&["copy", &from, &store(&name)], &name, Some(image));
            }
            (3, Some(old)) => {
                let stands_for = self.names[&old];
                self.change(&["tag", &store(&old), &name], &name, Some(stands_for));
            }
            (4, Some(old)) => self.change(&["untag", &store(&old)], &old, None),
            (5, Some(old)) => self.read(&old),
            (6, _) => self.sweep(),
            (_, Some(old)) => {
                self.command(&["inspect", &store(&old)]).ok();
            }
        }
    }

    /// A change of a name, perhaps killed: then the name is old or new.
    fn change(&mut self, words: &[&str], name: &str, new: Option<usize>) {
        let old = self.names.get(name).copied();
        let now = if self.is_killed(words) {
            let found = self.command(&["digest", &format!("store:{name}")]).run();
            let digest = found.success().then(|| found.out());
            let digest = digest.as_deref().map(|line| line.rsplit('@').next().unwrap_or(line).trim());
            let is = |image: Option<usize>| image.map(|image| self.digests[image].as_str()) == digest;
            assert!(is(old) || is(new), "{words:?}, killed, left {found}");
            if is(new) { new } else { old }
        } else {
            new
        };
        match now {
            Some(image) => self.names.insert(name.to_owned(), image),
            None => self.names.remove(name),
        };
    }

    fn read(&self, name: &str) {
        let target = format!("out{}", self.number);
        self.command(&["unpack", &format!("store:{name}"), &target]).ok();
        let target = self.scratch.path(&target);
        let own = fs::read(target.join("own/0")).expect("a file of the image");
        assert_eq!(own, content(self.names[name] + 1, 0), "{name}");
        testkit::scratch::remove(&target);
    }

    fn sweep(&mut self) {
        self.is_killed(&["gc", "--grace", "0s", "store:"]);
    }

    /// Runs a command that must succeed, unless it is killed first.
    fn is_killed(&mut self, words: &[&str]) -> bool {
        let command = self.command(words);
        if self.dice.below(6) > 0 {
            command.ok();
            return false;
        }
        let after = format!("0.{:03}", 1 + self.dice.below(40));
        let done = command.under(["timeout", "-s", "KILL", &after]).run();
        let is_killed = !done.success();
        assert!(!is_killed || done.signal() == Some(9) || done.code() == Some(137), "{words:?}: {done}");
        self.killed += usize::from(is_killed);
        is_killed
    }
}

fn at(scratch: &Scratch, words: &[&str]) -> Command {
    let root = scratch.path("store");
    orlop().args(words).env("ORLOP_ROOT", root).env("HOME", scratch.path("")).current_dir(scratch.path(""))
}

fn content(image: usize, file: usize) -> Vec<u8> {
    noise((image * 100 + file) as u64, 200 + 900 * file)
}

/// Images of files that all have, and of files of their own; what their digests are.
fn images(scratch: &Scratch) -> Vec<String> {
    for (folder, image) in [("base", 0)].into_iter().chain((1..=IMAGES).map(|image| ("own", image))) {
        let tree = scratch.folder(&format!("tree{image}/{folder}"));
        for file in 0..20 {
            fs::write(tree.join(file.to_string()), content(image, file)).expect("written");
        }
    }
    let build = |image: usize| {
        let (own, name) = (format!("tree{}", image + 1), format!("oci:images:{image}"));
        if image == 0 {
            // Compressed as we do not, so that its blobs are kept.
            let layers = [("base", 0), ("own", 1)].map(|(folder, image)| {
                let files =
                    (0..20).map(|file| Member::file(format!("{folder}/{file}"), content(image, file)));
                Layer::new(&tar(files), Packing::Gzip)
            });
            let in_two = |layer: Layer| Layer { blob: [layer.blob, gzip(b"")].concat(), ..layer };
            let image = layers.into_iter().fold(Image::new(), |image, layer| image.layer(in_two(layer)));
            image.layout().write(&scratch.path("foreign"));
            at(scratch, &["copy", "oci:foreign:latest", &name]).ok();
        } else {
            at(scratch, &["build", "tree0", &own, &name]).ok();
        }
        let digest = at(scratch, &["digest", &name]).ok().out();
        digest.rsplit('@').next().expect("a digest").trim().to_owned()
    };
    let digests = (0..IMAGES).map(build).collect();
    at(scratch, &["copy", "oci:images:0", "store:trial"]).ok();
    let forms = fs::read_dir(scratch.path("store/forms/sha256")).expect("a store").flatten();
    let mut forms = forms.map(|form| fs::read_to_string(form.path()).expect("a form"));
    assert!(forms.all(|form| form.lines().any(|line| line == "kept")), "somebody else compressed these");
    at(scratch, &["untag", "store:trial"]).ok();
    digests
}

#[test]
fn no_name_is_lost_and_no_content_is_missing() {
    let scratch = scratch_in_memory();
    let digests = images(&scratch);
    let time = Duration::from_secs(if full() { 120 } else { 5 });
    let end = Instant::now() + time;
    let workers: Vec<Worker<'_>> = thread::scope(|threads| {
        let work = |number: usize| {
            let (scratch, digests) = (&scratch, &digests[..]);
            threads.spawn(move || {
                let (names, dice) = (BTreeMap::new(), Dice((number as u64) << 32));
                let mut worker = Worker { number, scratch, digests, names, dice, steps: 0, killed: 0 };
                while Instant::now() < end {
                    worker.step();
                }
                worker
            })
        };
        let running: Vec<_> = (0..WORKERS).map(work).collect();
        running.into_iter().map(|worker| worker.join().expect("no worker meets an error")).collect()
    });
    let steps: usize = workers.iter().map(|worker| worker.steps).sum();
    let killed: usize = workers.iter().map(|worker| worker.killed).sum();
    assert!(steps > 100 && killed > 0, "{steps} steps, {killed} killed");
    is_whole(&scratch, &workers);
    at(&scratch, &["gc", "--grace", "0s", "store:"]).ok();
    is_whole(&scratch, &workers);
    nothing_is_left(&scratch, &workers);
    proof::ran("store: a crowd that pulls, names, reads, forgets and sweeps, killed at random", steps);
}

fn is_whole(scratch: &Scratch, workers: &[Worker<'_>]) {
    let names: usize = workers.iter().map(|worker| worker.names.len()).sum();
    assert_eq!(
        fs::read_dir(scratch.path("store/names")).expect("a store").flatten().filter(is_name).count(),
        names
    );
    for worker in workers {
        for (name, image) in &worker.names {
            let found = at(scratch, &["digest", &format!("store:{name}")]).ok().out();
            assert!(found.contains(&worker.digests[*image]), "{name}: {found}");
            at(scratch, &["validate", &format!("store:{name}")]).ok();
        }
    }
}

/// A killed writer may have left a temporary file.
fn is_name(entry: &fs::DirEntry) -> bool {
    !entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// When all names are gone, a sweep leaves an empty store.
fn nothing_is_left(scratch: &Scratch, workers: &[Worker<'_>]) {
    for name in workers.iter().flat_map(|worker| worker.names.keys()) {
        at(scratch, &["untag", &format!("store:{name}")]).ok();
    }
    // What was touched in this very tick of the clock is not old.
    thread::sleep(Duration::from_millis(20));
    at(scratch, &["gc", "--grace", "0s", "store:"]).ok();
    let mut folders = vec![scratch.path("store")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the store").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                assert_eq!(entry.path(), Path::new(&scratch.path("store")).join("format"), "it is left");
            }
        }
    }
}
