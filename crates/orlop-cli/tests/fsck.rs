//! `fsck`: every flipped bit of a store is found, and what can be had again is put right.

use orlop::spec::media_type::Role;
use orlop::spec::port::{Catalog as _, Source as _};
use orlop::spec::{Cancel, Context, Descriptor, Index, Limits, Manifest, graph};
use orlop::store::{Options, Store};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::image::{Image, Packing};
use testkit::registry::{Guard, Registry, Wire};
use testkit::tarball::{Member, tar};
use testkit::{Command, Finished, Scratch, noise, orlop, peer, proof, scratch};

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root()).env("ORLOP_ROOT", it.path("store"))
}

/// Two images that share a layer, whose blobs no compressor of ours made, and one that ours made.
fn filled() -> Scratch {
    let it = scratch();
    let base = tar([
        Member::folder("etc/"),
        Member::file("etc/long", noise(7, 70_000)),
        Member::file("etc/short", "x"),
    ]);
    let more =
        |byte: u8| tar([Member::file("more", vec![byte; 5000]), Member::file("same", vec![b's'; 3000])]);
    for (name, byte, packing) in [("gz", b'a', Packing::Gzip), ("zst", b'b', Packing::Zstd)] {
        Image::of(&[base.clone(), more(byte)], packing).layout().write(&it.path(name));
        run(&it, &["copy", &format!("oci:{name}"), &format!("store:kept-{name}:1"), "--progress=none"]).ok();
    }
    it.folder("tree");
    it.file("tree/file", vec![b'm'; 9000]);
    it.file("tree/same", vec![b's'; 3000]);
    run(&it, &["build", "tree", "store:made:1", "--progress=none"]).ok();
    it
}

/// Every file of a store and its bytes, but those of the folders that are not of images.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            if entry.file_type().expect("told").is_dir() {
                folders.push(entry.path());
            } else {
                files.insert(entry.path(), fs::read(entry.path()).expect("read"));
            }
        }
    }
    files
}

fn overwrite(path: &Path, bytes: &[u8]) {
    let aside = path.with_extension("aside");
    fs::write(&aside, bytes).expect("written");
    fs::rename(aside, path).expect("in its place");
}

struct Checked {
    code: Option<i32>,
    document: Value,
    err: String,
}

impl Checked {
    fn of(it: &Scratch, more: &[&str]) -> Self {
        let told = run(it, &[&["fsck", "--format=json", "--progress=none"], more].concat()).run();
        let document = serde_json::from_str(&told.out()).unwrap_or(Value::Null);
        Self { code: told.code(), document, err: told.err() }
    }

    fn list(&self, member: &str) -> Vec<(String, String, String)> {
        let findings = self.document[member].as_array().unwrap_or_else(|| panic!("{member}: {}", self.err));
        let text = |finding: &Value, member: &str| finding[member].as_str().expect("text").to_owned();
        let names = |finding: &Value| {
            let names = finding["names"].as_array().expect("a list").iter();
            names.map(|name| name.as_str().expect("text").to_owned()).collect::<Vec<_>>().join(" ")
        };
        findings.iter().map(|it| (text(it, "path"), text(it, "wrong"), names(it))).collect()
    }
}

#[test]
fn a_store_that_is_whole_is_found_whole() {
    let it = filled();
    let checked = Checked::of(&it, &[]);
    assert_eq!((checked.code, checked.list("findings")), (Some(0), Vec::new()));
    assert!(checked.document["files"].as_u64() > Some(15), "{}", checked.document);
    let store = it.path("store");
    assert_eq!(files(&store), files(&store));
    let told = run(&it, &["fsck"]).ok().out();
    assert!(told.ends_with(": 0 damaged or missing\n"), "{told}");
}

/// Looks at a store without starting a program.
fn findings(root: &Path) -> Result<Vec<String>, String> {
    let limits = Limits::default();
    let (cancel, workers) = (Cancel::new(), NonZeroUsize::MIN);
    let cx = Context { observer: &(), cancel: &cancel, limits: &limits, workers };
    let store = Store::open(root, &Options::default()).map_err(|fault| fault.to_string())?;
    let checked = store.check(&cx).map_err(|fault| fault.to_string())?;
    Ok(checked.findings.iter().map(|finding| finding.item.path()).collect())
}

/// Everything that the images of a store are; an error where something cannot be read.
fn read(root: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let store = Store::open(root, &Options::default()).map_err(|fault| fault.to_string())?;
    let mut all = BTreeMap::new();
    for (name, root) in store.names().map_err(|fault| fault.to_string())? {
        let mut next = vec![root.clone()];
        while let Some(blob) = next.pop() {
            let limits = Limits::default();
            let children = |blob: &Descriptor| -> Result<Vec<Descriptor>, orlop::spec::Fault> {
                Ok(match blob.media_type.role() {
                    Role::Index => graph::read::<Index>(&limits, &store, blob)?.manifests.clone(),
                    Role::Manifest => {
                        graph::read::<Manifest>(&limits, &store, blob)?.blobs().cloned().collect()
                    }
                    _ => Vec::new(),
                })
            };
            next.extend(children(&blob).map_err(|fault| fault.to_string())?);
            let origin = store.origin(&blob).map_err(|fault| fault.to_string())?;
            let mut bytes = Vec::new();
            let reader = origin.open(0).map_err(|fault| fault.to_string())?;
            let mut proven = orlop::layer::Verified::new(reader, &blob).map_err(|fault| fault.to_string())?;
            std::io::Read::read_to_end(&mut proven, &mut bytes).map_err(|error| error.to_string())?;
            all.insert(format!("{name:?} {}", blob.digest), bytes);
        }
    }
    Ok(all)
}

/// Bits anywhere in the store: found by `fsck` without exception, and no reader gives anything else than before.
#[test]
fn every_flipped_bit_is_found_and_nothing_else_is_read() {
    let it = filled();
    let store = it.path("store");
    let whole = files(&store);
    let before = read(&store).expect("whole");
    let places: Vec<(&PathBuf, &Vec<u8>)> = whole.iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
    let flips = if testkit::full() { 10_000 } else { 1000 };
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).expect("below")
    };
    for number in 0..flips {
        // Every file has its turn, the small ones as often as the large ones.
        let (path, bytes) = places[if number < places.len() { number } else { next(places.len()) }];
        let bit = next(bytes.len() * 8);
        let mut rotten = bytes.clone();
        rotten[bit / 8] ^= 1 << (bit % 8);
        overwrite(path, &rotten);
        let shown = path.strip_prefix(&store).expect("of the store").display().to_string();
        match findings(&store) {
            // Nobody knows what a store of an unknown format holds.
            Err(_) => assert_eq!(shown, "format"),
            Ok(found) => assert_eq!(found.join(" "), shown, "bit {bit}"),
        }
        if let Ok(after) = read(&store) {
            let is_as_before = |(name, bytes): (&String, &Vec<u8>)| before.get(name) == Some(bytes);
            assert!(after.iter().all(is_as_before), "{shown}, bit {bit}: something else is read");
        }
        overwrite(path, bytes);
    }
    assert_eq!(findings(&store), Ok(Vec::new()));
    proof::ran("fsck: every flipped bit", flips);
}

#[test]
fn whatever_is_missing_is_found_with_the_names_that_need_it() {
    let it = filled();
    let store = it.path("store");
    let whole = files(&store);
    let mut cases = 0;
    for (path, bytes) in &whole {
        let shown = path.strip_prefix(&store).expect("of the store").display().to_string();
        // A name that is gone is no name; without its format nothing is a store.
        if shown.starts_with("names") || shown == "format" {
            continue;
        }
        fs::remove_file(path).expect("removed");
        let checked = Checked::of(&it, &[]);
        assert_eq!(checked.code, Some(8), "{shown}: {}", checked.err);
        let found = checked.list("findings");
        assert!(
            found
                .iter()
                .any(|(path, wrong, names)| *path == shown && wrong == "missing" && !names.is_empty()),
            "{shown}: {found:?}"
        );
        overwrite(path, bytes);
        cases += 1;
    }
    proof::ran("fsck: whatever is missing", cases);
}

/// Form and list of the base of an image whose blobs are kept.
fn base(it: &Scratch) -> (PathBuf, PathBuf) {
    let told = run(it, &["images", "--format=json"]).ok().out();
    let document: Value = serde_json::from_str(&told).expect("JSON");
    let layer = &document["images"][0]["manifests"][0]["layers"][0];
    assert_eq!(layer["bytes"], "kept");
    let file = |part: &str, member: &str| {
        let digest = layer[member].as_str().expect("a digest");
        it.path(&format!("store/{part}/{}", digest.replace(':', "/")))
    };
    (file("forms", "digest"), file("layers", "diff_id"))
}

fn rot(path: &Path) {
    let mut bytes = fs::read(path).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    overwrite(path, &bytes);
}

#[test]
fn what_kept_blobs_hold_is_repaired_without_a_network() {
    let it = filled();
    let store = it.path("store");
    let whole = files(&store);
    let (form, list) = base(&it);
    let shared = |path: &PathBuf| path.to_string_lossy().contains("/objects/") && whole[path].len() == 70_000;
    let object = whole.keys().find(|path| shared(path)).expect("an object");
    for damage in [rot as fn(&Path), |path| fs::remove_file(path).expect("removed")] {
        for path in [object, &list, &form] {
            damage(path);
        }
        let found = Checked::of(&it, &[]);
        assert_eq!(found.code, Some(8));
        let repaired = Checked::of(&it, &["--repair", "--offline"]);
        assert_eq!((repaired.code, repaired.list("findings")), (Some(0), Vec::new()), "{}", repaired.err);
        assert!(!repaired.list("repaired").is_empty());
        for path in [object, &list, &form] {
            assert!(fs::read(path).expect("there") == whole[path], "{}", path.display());
        }
    }
}

/// The form of a blob that our compressor made is found out again from its layer.
#[test]
fn forms_are_an_index_that_can_be_made_again() {
    let it = filled();
    let store = it.path("store");
    let whole = files(&store);
    fs::remove_dir_all(store.join("forms")).expect("removed");
    fs::create_dir(store.join("forms")).expect("made");
    assert_eq!(Checked::of(&it, &[]).code, Some(8));
    let repaired = Checked::of(&it, &["--repair", "--offline"]);
    assert_eq!((repaired.code, repaired.list("findings")), (Some(0), Vec::new()), "{}", repaired.err);
    assert_eq!(files(&store), whole);
}

#[test]
fn what_cannot_be_had_again_stays_as_it_is_and_is_named() {
    let it = filled();
    let whole = files(&it.path("store"));
    let only = |path: &&PathBuf| whole[*path] == vec![b'm'; 9000];
    let object = whole.keys().find(only).expect("an object");
    rot(object);
    let rotten = files(&it.path("store"));
    let repaired = Checked::of(&it, &["--repair", "--offline"]);
    assert_eq!(repaired.code, Some(8), "{}", repaired.err);
    let path = object.strip_prefix(it.path("store")).expect("of the store").display().to_string();
    assert_eq!(repaired.list("findings"), [(path, "damaged".into(), "made:1".into())]);
    assert_eq!(repaired.list("repaired"), []);
    let after = files(&it.path("store"));
    assert!(rotten.iter().all(|(path, bytes)| after.get(path) == Some(bytes)), "nothing is removed");
}

/// Everything of an image of a registry, damaged and missing, comes back from there.
#[test]
fn a_registry_gives_back_what_rotted() {
    const PROOF: &str = "fsck: repair from a registry";
    let Some(registry) = Registry::start(Wire::Clear, Guard::Open) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = filled();
    let (host, insecure) = (registry.host(), ["--insecure", &registry.host()].map(str::to_owned));
    let insecure: Vec<&str> = insecure.iter().map(String::as_str).collect();
    for name in ["kept-gz:1", "kept-zst:1", "made:1"] {
        let target = format!("docker://{host}/{name}");
        run(&it, &[&["push", &format!("store:{name}"), &target, "--progress=none"], &insecure[..]].concat())
            .ok();
    }
    fs::remove_dir_all(it.path("store")).expect("removed");
    for name in ["kept-gz:1", "kept-zst:1", "made:1"] {
        run(&it, &[&["pull", &format!("{host}/{name}"), "--progress=none"], &insecure[..]].concat()).ok();
    }
    let store = it.path("store");
    let whole = files(&store);
    let damaged: Vec<&PathBuf> = whole
        .keys()
        .filter(|path| {
            ["blobs", "forms", "layers", "objects"].iter().any(|part| path.starts_with(store.join(part)))
        })
        .collect();
    let repairs = |damage: &dyn Fn(usize, &Path)| {
        damaged.iter().enumerate().for_each(|(number, path)| damage(number, path));
        assert_eq!(Checked::of(&it, &[]).code, Some(8));
        let repaired = Checked::of(&it, &[&["--repair"], &insecure[..]].concat());
        assert_eq!((repaired.code, repaired.list("findings")), (Some(0), Vec::new()), "{}", repaired.err);
        let after = files(&store);
        assert!(whole == after, "as before");
    };
    repairs(&|_, path| rot(path));
    repairs(&|number, path| {
        if number % 2 == 0 { rot(path) } else { fs::remove_file(path).expect("removed") }
    });
    repairs(&|number, path| {
        if number % 3 == 0 {
            fs::remove_file(path).expect("removed");
        }
    });
    for path in &damaged {
        rot(path);
        let repaired = Checked::of(&it, &[&["--repair"], &insecure[..]].concat());
        assert_eq!(repaired.code, Some(0), "{}: {}", path.display(), repaired.err);
        assert!(fs::read(path).expect("there") == whole[*path], "{}", path.display());
    }
    proof::ran(PROOF, damaged.len());
}

/// What others write and remove meanwhile is never called damaged.
#[test]
fn nothing_is_found_in_a_store_that_others_work_in() {
    let it = filled();
    let rounds = if testkit::full() { 200 } else { 12 };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (it, done) = (&it, &done);
            scope.spawn(move || {
                let mut number = 0;
                while !done.load(Ordering::Relaxed) {
                    number += 1;
                    let (tree, name) = (format!("tree-{worker}"), format!("store:other-{worker}:1"));
                    it.folder(&tree);
                    it.file(&format!("{tree}/file"), format!("{worker} {number} {}", "x".repeat(200)));
                    run(it, &["build", &tree, &name, "--progress=none"]).ok();
                    run(it, &["untag", &name]).ok();
                }
            });
        }
        let looks: Vec<Checked> = (0..rounds).map(|_| Checked::of(&it, &[])).collect();
        done.store(true, Ordering::Relaxed);
        for checked in looks {
            assert_eq!((checked.code, checked.list("findings")), (Some(0), Vec::new()), "{}", checked.err);
        }
    });
    proof::ran("fsck: beside others", rounds);
}

#[test]
fn a_store_of_a_newer_form_is_refused_and_not_called_damaged() {
    let it = filled();
    let newer = |file: &str, text: &str| {
        let path = it.path("store").join(file);
        let before = fs::read(&path).expect("there");
        overwrite(&path, text.as_bytes());
        let told = run(&it, &["fsck"]).run();
        assert_eq!(told.code(), Some(1), "{file}: {}", told.err());
        assert!(told.out().is_empty(), "{}", told.out());
        assert_eq!(fs::read(&path).expect("there"), text.as_bytes(), "and left as it is");
        overwrite(&path, &before);
    };
    newer("format", "orlop store 2\n");
    newer("format", "orlop store 1\nneeds more\n");
}

/// What was mounted is kept, and is judged by its layers.
#[test]
fn a_tree_that_was_tampered_with_is_found_and_made_again() {
    const PROOF: &str = "fsck: trees";
    let it = filled();
    if !testkit::is_root() {
        return proof::not_offered(PROOF, "only root mounts without a namespace");
    }
    let at = it.folder("mounted");
    let at = at.to_str().expect("text");
    for backend in ["erofs", "checkout"] {
        let mounted = run(&it, &["mount", "kept-gz:1", at, "--backend", backend]).run();
        if !mounted.success() {
            return proof::not_offered(PROOF, mounted.err().lines().next().unwrap_or_default());
        }
        run(&it, &["umount", at]).ok();
    }
    assert_eq!(Checked::of(&it, &[]).code, Some(0));
    let whole = files(&it.path("store/trees"));
    let is_shown = |path: &&PathBuf| {
        path.ends_with("image") || (path.ends_with("more") && path.to_string_lossy().contains("checkout"))
    };
    let shown: Vec<&PathBuf> = whole.keys().filter(is_shown).collect();
    assert_eq!(shown.len(), 2, "{:?}", whole.keys());
    for path in shown {
        rot(path);
        let found = Checked::of(&it, &[]);
        let key = path.strip_prefix(it.path("store")).expect("of the store").display().to_string();
        let listed = found.list("findings");
        assert_eq!((found.code, listed.len()), (Some(8), 1), "{key}: {listed:?}");
        assert!(key.starts_with(&listed[0].0) && listed[0].2 == "kept-gz:1", "{key}: {listed:?}");
        let repaired = Checked::of(&it, &["--repair", "--offline"]);
        assert_eq!((repaired.code, repaired.list("repaired").len()), (Some(0), 1), "{}", repaired.err);
        assert!(fs::read(path).expect("there") == whole[path], "as before");
    }
    proof::ran(PROOF, 2);
}

/// A repair that is killed, or fails, at any file operation loses nothing that was whole, and the next one finishes it.
#[test]
fn a_repair_that_is_killed_anywhere_is_finished_by_the_next() {
    let it = filled();
    let store = it.path("store");
    let whole = files(&store);
    let (form, list) = base(&it);
    let object =
        whole.iter().find(|(path, bytes)| path.starts_with(store.join("objects")) && bytes.len() == 70_000);
    let damaged = [&form, &list, object.expect("an object").0];
    let repair = || run(&it, &["fsck", "--repair", "--offline", "--progress=none"]);
    let mut points = 0;
    for fault in ["kill", "eio", "enospc"] {
        for point in 1.. {
            for path in damaged {
                rot(path);
            }
            let told = repair().env("ORLOP_FAULT", format!("{fault}:{point}")).run();
            let is_whole = |path: &Path| fs::read(path).is_ok_and(|bytes| bytes == whole[path]);
            let others = whole.keys().filter(|path| !damaged.contains(path));
            let lost: Vec<&PathBuf> = others.filter(|path| !is_whole(path)).collect();
            assert!(lost.is_empty(), "{fault}:{point} lost {lost:?}");
            let ended_well = told.success();
            assert_eq!(repair().run().code(), Some(0), "after {fault}:{point}");
            assert!(whole.keys().all(|path| is_whole(path)), "after {fault}:{point}");
            points += 1;
            if ended_well && point > 1 {
                break;
            }
        }
    }
    assert!(points > 30, "{points} operations; is ORLOP_FAULT compiled in?");
    proof::ran("crash: a repair killed and failed at every file operation", points);
}

/// As long as this runs, the disk gives the file at `path` up to its `read`th read. Whether there were so many.
fn disturbed(it: &Scratch, path: &Path, read: usize, words: &[&str]) -> (Finished, bool) {
    let log = it.path("strace.log");
    let (log, path) = (log.to_str().expect("text"), path.to_str().expect("text"));
    let fault = format!("inject=read,pread64,copy_file_range:error=EIO:when={read}+");
    let only = ["-P", path, "-e", "trace=read,pread64,copy_file_range", "-e", &fault];
    let told = run(it, words).under([&["strace", "-f", "-qq", "-o", log][..], &only].concat()).run();
    (told, fs::read_to_string(log).expect("written").contains("INJECTED"))
}

/// A disk that gives the beginning of a file gives no file: it is found, whichever part is lost, and nothing is made of it.
#[test]
fn what_the_disk_gives_in_part_is_found_and_not_used() {
    const PROOF: &str = "fsck: files whose middle the disk does not give, by strace";
    if peer("strace").is_none() {
        return proof::skipped(PROOF, "strace is missing");
    }
    if !Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).run().success() {
        return proof::not_offered(PROOF, "this kernel or container does not allow ptrace");
    }
    let it = scratch();
    it.folder("tree");
    it.file("tree/large", noise(3, 700_000));
    it.file("tree/small", "x");
    run(&it, &["build", "tree", "store:a:1", "--progress=none"]).ok();
    let store = it.path("store");
    let (mut cases, mut within) = (0, 0);
    for path in files(&store).keys().filter(|path| !path.ends_with("format")) {
        let shown = path.strip_prefix(&store).expect("of the store").display().to_string();
        let is_long = shown.starts_with("objects");
        for read in 1..=4 {
            let (told, is_hit) = disturbed(&it, path, read, &["fsck", "--format=json", "--progress=none"]);
            let document: Value =
                serde_json::from_str(&told.out()).unwrap_or_else(|_| panic!("{shown}: {told}"));
            let found: Vec<_> = document["findings"].as_array().expect("a list").iter().collect();
            // What was proven as a whole may be asked for again, for what it reaches.
            if !is_hit || (read > 1 && found.is_empty() && !is_long) {
                assert_eq!((told.code(), found.len()), (Some(0), 0), "{shown}, read {read}: {told}");
                break;
            }
            assert_eq!(told.code(), Some(8), "{shown}, read {read}: {told}");
            assert_eq!((found.len(), &found[0]["path"]), (1, &Value::from(&*shown)), "read {read}");
            assert_eq!(found[0]["wrong"], "unreadable", "{shown}, read {read}");
            cases += 1;
            within += usize::from(read > 1);
            if is_long {
                let (told, _) = disturbed(&it, path, read, &["unpack", "store:a:1", "out"]);
                assert!(!told.success() && !it.path("out").exists(), "{shown}, read {read}: {told}");
                assert!(told.err().contains("Input/output error"), "{told}");
            }
        }
    }
    assert!(cases >= 7 && within >= 2, "{cases} cases, {within} of them within a file");
    run(&it, &["unpack", "store:a:1", "out", "--progress=none"]).ok();
    proof::ran(PROOF, cases);
}
