//! What is kept beside a tree is not believed when it is damaged, and a repair may be killed anywhere.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use testkit::dump::{Aspect, differences, dump};
use testkit::{Command, Finished, Scratch, full, is_root, noise, orlop, proof, scratch};

const BACKENDS: [&str; 3] = ["erofs", "skeleton", "checkout"];

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).env("ORLOP_ROOT", it.path("store")).current_dir(it.root())
}

/// An image `app:1` in the store, of files with objects and without.
fn filled() -> Scratch {
    let it = scratch();
    it.folder("tree");
    it.folder("tree/bin");
    for (name, bytes) in
        [("file", noise(1, 300)), ("bin/large", noise(2, 200_000)), ("bin/small", vec![7; 9])]
    {
        it.file(&format!("tree/{name}"), bytes);
    }
    run(&it, &["build", "tree", "store:app:1", "--progress=none"]).ok();
    it
}

/// Everything beside the trees of a store that no mount shows: by path, what is there.
fn beside(store: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let views = fs::read_dir(store.join("trees")).expect("a store").flatten();
    let entries = views.flat_map(|view| fs::read_dir(view.path()).expect("a folder").flatten());
    let files = entries.filter(|entry| entry.file_name() != "image" && entry.path().is_file());
    files.map(|entry| (entry.path(), fs::read(entry.path()).expect("read"))).collect()
}

/// What may become of a file: bits anywhere in it, a part of it, nothing of it, another file's bytes.
fn damages(bytes: &[u8], other: &[u8]) -> Vec<Option<Vec<u8>>> {
    let flips = if full() { 64 } else { 3 };
    let mut all: Vec<Option<Vec<u8>>> = (0..flips.min(bytes.len()))
        .map(|number| {
            let mut rotten = bytes.to_vec();
            let at = bytes.len() * (2 * number + 1) / (2 * flips);
            rotten[at] ^= 1 << (number % 8);
            Some(rotten)
        })
        .collect();
    all.extend([Some(bytes[..bytes.len() / 2].to_vec()), Some(Vec::new()), Some(other.to_vec()), None]);
    all
}

fn put(path: &Path, bytes: Option<&[u8]>) {
    fs::remove_file(path).ok();
    if let Some(bytes) = bytes {
        fs::write(path, bytes).expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("set");
    }
}

/// Whatever becomes of manifests, samples and what looks saw: nothing else is shown, and nothing that is wrong is missed.
#[test]
fn what_is_beside_a_tree_is_proven_or_not_believed() {
    const PROOF: &str = "verify: what is kept beside a tree, damaged";
    if !is_root() {
        return proof::not_offered(PROOF, "only root mounts for others to see");
    }
    let it = filled();
    let store = it.path("store");
    let shows = |backend: &str| {
        let words = ["mount", "app:1", "--backend", backend, "--", "sh", "-c"];
        run(&it, &[&words[..], &["cat \"$ORLOP_MOUNT/file\" \"$ORLOP_MOUNT/bin/large\""]].concat()).run()
    };
    let offered: Vec<&str> = BACKENDS.into_iter().filter(|backend| shows(backend).success()).collect();
    // What changed a moment ago is not noted as seen.
    std::thread::sleep(std::time::Duration::from_millis(150));
    run(&it, &["verify", "app:1"]).ok();
    let whole = beside(&store);
    let names: Vec<&str> =
        whole.keys().map(|path| path.file_name().and_then(|it| it.to_str()).expect("text")).collect();
    for expected in ["manifest", "sample", "seen-objects"] {
        assert!(names.contains(&expected), "{names:?}");
    }
    let expected = [noise(1, 300), noise(2, 200_000)].concat();
    let object = {
        let digest = orlop::spec::Digest::of(orlop::spec::Algorithm::Sha256, &noise(1, 300)).hex();
        store.join("objects").join(&digest[..2]).join(&digest[2..])
    };
    let mut cases = 0;
    for (path, bytes) in &whole {
        let what = path.strip_prefix(&store).expect("of the store").display();
        let other = whole.values().find(|other| *other != bytes).expect("there are several");
        for (number, damage) in damages(bytes, other).iter().enumerate() {
            put(path, damage.as_deref());
            for backend in offered.iter().filter(|backend| what.to_string().contains(&format!(".{backend}")))
            {
                let shown = shows(backend);
                // Shown as it is, or refused by name; nothing else is ever shown.
                if shown.success() {
                    assert!(
                        shown.stdout == expected,
                        "{what}, damage {number}: {backend} shows something else"
                    );
                } else {
                    assert!(
                        shown.err().contains(path.to_str().expect("text")),
                        "{what}, damage {number}: {shown}"
                    );
                }
            }
            run(&it, &["verify", "app:1"]).ok();
            let sound = fs::read(&object).expect("there");
            let mut rotten = sound.clone();
            rotten[17] ^= 1;
            put(&object, Some(&rotten));
            put(path, damage.as_deref());
            let found = run(&it, &["verify", "app:1"]).run();
            assert_eq!(found.code(), Some(8), "{what}, damage {number}: {found}");
            put(&object, Some(&sound));
            cases += 1;
        }
        put(path, Some(bytes));
    }
    proof::ran(PROOF, cases);
}

/// Something that is spoilt, then repaired, then looked at.
struct Repair<'a> {
    spoil: &'a dyn Fn(),
    command: &'a dyn Fn() -> Command,
    check: &'a dyn Fn(&str),
}

impl Repair<'_> {
    /// Runs it with a fault.
    fn disturbed(&self, fault: &str) -> Finished {
        (self.spoil)();
        let told = (self.command)().env("ORLOP_FAULT", fault).run();
        (self.check)(fault);
        told
    }

    /// Kills it before each of its operations; in a full run each of them fails as well. How many there are.
    fn disturb(&self) -> usize {
        let mut last = 0;
        loop {
            let told = self.disturbed(&format!("kill:{}", last + 1));
            if told.signal() != Some(9) {
                assert!(told.success(), "after {last} operations it is done: {told}");
                break;
            }
            last += 1;
        }
        let faults: &[&str] = if full() { &["eio", "enospc"] } else { &[] };
        for fault in faults {
            (1..=last).for_each(|point| drop(self.disturbed(&format!("{fault}:{point}"))));
        }
        last
    }
}

/// What somebody did to a folder that was unpacked.
fn tamper(out: &Path) {
    fs::write(out.join("file"), "evil").expect("written");
    fs::remove_file(out.join("bin/small")).expect("removed");
    fs::write(out.join("bin/added"), "evil").expect("written");
    fs::set_permissions(out.join("bin/large"), fs::Permissions::from_mode(0o4777)).expect("set");
}

/// A repair that is killed, or fails, at any file operation leaves what the next one makes right: all that is compared.
/// Times are not, so those of a folder that was being changed stay.
#[test]
fn a_repair_of_a_folder_may_be_killed_anywhere() {
    let it = filled();
    let unpack = || {
        fs::remove_dir_all(it.path("out")).ok();
        run(&it, &["unpack", "store:app:1", "out", "--owner=squash"]).ok();
    };
    unpack();
    let before = dump(&it.path("out"));
    let repair = || run(&it, &["verify", "store:app:1", "out", "--owner=squash", "--repair"]);
    let spoil = || {
        unpack();
        tamper(&it.path("out"));
    };
    let check = |fault: &str| {
        repair().ok();
        assert_eq!(differences(&before, &dump(&it.path("out")), &[Aspect::Time]), [], "after {fault}");
    };
    let points = Repair { spoil: &spoil, command: &repair, check: &check }.disturb();
    run(&it, &["validate", "store:app:1"]).ok();
    assert!(points > 10, "{points} operations; is ORLOP_FAULT compiled in?");
    proof::ran("crash: a repair of a folder killed at every file operation", points);
}

/// The same of what is mounted.
#[test]
fn a_repair_of_a_view_may_be_killed_anywhere() {
    const PROOF: &str = "crash: a repair of a view killed at every file operation";
    if !is_root() {
        return proof::not_offered(PROOF, "only root mounts for others to see");
    }
    let it = filled();
    let mut points = 0;
    for backend in BACKENDS {
        if !run(&it, &["mount", "app:1", "--backend", backend, "--", "true"]).run().success() {
            continue;
        }
        let view = fs::read_dir(it.path("store/trees"))
            .expect("a store")
            .flatten()
            .find(|view| view.file_name().to_string_lossy().contains(&format!(".{backend}")))
            .expect("it was made")
            .path();
        let spoil = || match backend {
            "erofs" => fs::write(view.join("image"), "evil").expect("written"),
            _ => fs::write(view.join("root/bin/small"), "evil").expect("written"),
        };
        let repair = || run(&it, &["verify", "app:1", "--repair"]);
        let check = |_: &str| {
            repair().ok();
            run(&it, &["verify", "app:1", "--paranoid"]).ok();
        };
        let found = Repair { spoil: &spoil, command: &repair, check: &check }.disturb();
        assert!(found >= 4, "{backend}: {found} operations; is ORLOP_FAULT compiled in?");
        points += found;
    }
    if points == 0 {
        return proof::not_offered(PROOF, "the kernel mounts none");
    }
    proof::ran(PROOF, points);
}
