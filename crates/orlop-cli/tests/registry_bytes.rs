//! Edits at a registry, by the bytes of every body that goes there and comes back: what is new is sent once, and no layer is
//! fetched that no step must read.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use testkit::noise::noise;
use testkit::recorder::{Exchange, Recorder};
use testkit::registry::Registry;
use testkit::tarball::{Member, tar};
use testkit::{Command, Scratch, orlop, proof, scratch};

/// What questions and answers need besides bodies, each.
const HEADS: u64 = 2048;

/// What a registry says that is no document and no blob: that it is one, and what it refuses.
const REMARK: u64 = 512;

/// A registry, and the way to it that is written down.
struct World {
    it: Scratch,
    registry: Registry,
    recorder: Recorder,
}

impl World {
    /// In the repository `app`: `base` and `newer`, of a large layer each; `app`, three layers on `base`; `multi`, an index of
    /// `base` and of an image for another machine.
    fn new() -> Option<Self> {
        let (it, registry) = (scratch(), Registry::plain()?);
        let world = Self { it, recorder: Recorder::to(&registry.host()), registry };
        for (seed, folder) in ["base", "newer", "one", "two", "three"].into_iter().enumerate() {
            world.it.folder(folder);
            world.it.file(&format!("{folder}/{folder}"), noise(seed as u64 + 1, 300_000));
        }
        for folder in ["up", "more"] {
            world.it.folder(folder);
            world.it.file(&format!("{folder}/{folder}"), "what is laid over");
        }
        for words in [
            "build base AT:base --created 0 --owner squash",
            "build newer AT:newer --created 0 --owner squash",
            "build one two three AT:app --base AT:base --created 0 --owner squash",
            "build newer AT:arm --platform linux/arm64 --created 0 --owner squash",
            "index create AT:base AT:arm AT:multi",
        ] {
            world.run(words).ok();
        }
        world.recorder.exchanges();
        Some(world)
    }

    /// A line, in which `AT` is the repository by the way that is written down.
    fn run(&self, line: &str) -> Command {
        let at = format!("docker://{}/app", self.recorder.host());
        let line = line.replace("AT", &at);
        let home = self.it.root();
        let words = orlop().args(line.split(' ')).current_dir(home);
        let words = words.env("HOME", home).env("XDG_CACHE_HOME", self.it.path("cache"));
        words.env("XDG_STATE_HOME", self.it.path("state")).env("ORLOP_ROOT", self.it.path("store"))
    }

    /// Runs a line, with a tar for one that reads its input.
    fn edit(&self, line: &str) {
        let command = self.run(line);
        let command = match line.strip_suffix(" -") {
            Some(_) => command.input(tar([Member::folder("in"), Member::file("in/file", "from a stream")])),
            None => command,
        };
        command.ok();
    }

    /// A folder that `repack` takes back to its image.
    fn prepare(&self, line: &str) {
        if line.starts_with("repack root") {
            self.run("unpack AT:app root --track").ok();
            self.it.file("root/new", "new in the folder");
        }
    }

    /// Everything that a name leads to: digests, and whether each is a layer.
    fn reached(registry: &Registry, repository: &str, name: &str) -> BTreeMap<String, bool> {
        let raw = registry.document(repository, name);
        let document: Value = serde_json::from_slice(&raw).expect("JSON");
        let mut all = BTreeMap::from([(testkit::image::sha256(&raw), false)]);
        let digests = |key: &str| -> Vec<String> {
            let list = document[key].as_array().into_iter().flatten();
            list.map(|it| it["digest"].as_str().expect("a digest").to_owned()).collect()
        };
        for child in digests("manifests") {
            all.extend(Self::reached(registry, repository, &child));
        }
        all.extend(document["config"]["digest"].as_str().map(|digest| (digest.to_owned(), false)));
        all.extend(digests("layers").into_iter().map(|digest| (digest, true)));
        all
    }

    /// The digests of the layers of an image, the base first.
    fn layers(&self, tag: &str) -> Vec<String> {
        let manifest: Value = serde_json::from_slice(&self.registry.document("app", tag)).expect("JSON");
        let layers = manifest["layers"].as_array().expect("layers").iter();
        layers.map(|layer| layer["digest"].as_str().expect("a digest").to_owned()).collect()
    }
}

/// The bodies that were sent, by digest, each as often as it went.
fn sent(exchanges: &[Exchange]) -> Vec<String> {
    let mut all: Vec<String> =
        exchanges.iter().filter(|it| it.sent.size > 0).map(|it| it.sent.digest.clone()).collect();
    all.sort();
    all
}

/// What came that is no document: layers, by digest, each as often as it came.
fn fetched(exchanges: &[Exchange], documents: &BTreeSet<String>) -> Vec<String> {
    let is_said = |it: &Exchange| it.received.size <= REMARK && !it.target.contains("sha256:");
    let came = exchanges.iter().filter(|it| it.received.size > 0 && !is_said(it));
    let mut all: Vec<String> =
        came.map(|it| it.received.digest.clone()).filter(|digest| !documents.contains(digest)).collect();
    all.sort();
    all
}

fn heads_are_short(exchanges: &[Exchange], what: &str) {
    for exchange in exchanges {
        assert!(exchange.heads <= HEADS, "{what}: {exchange:#?}");
    }
}

/// An edit in place, the image that it changes, which of its layers, by number, it must read, and how many it makes.
const EDITS: [(&str, &str, &[usize], usize); 21] = [
    ("config AT:app --label a=b --history-comment why", "app", &[], 0),
    ("append AT:app up", "app", &[], 1),
    ("insert AT:app up /opt", "app", &[], 1),
    ("insert AT:app --whiteout /one", "app", &[], 1),
    ("rebase AT:app --old-base AT:base --new-base AT:newer", "app", &[], 0),
    ("strip AT:app --rm-layer 2", "app", &[], 0),
    ("flatten AT:app --base AT:newer", "app", &[1, 2, 3, 4, 5], 1),
    ("convert AT:app --media-types docker", "app", &[], 0),
    ("index annotate AT:multi a=b", "multi", &[], 0),
    ("config AT:multi --label a=b", "multi", &[], 0),
    ("append AT:multi more", "multi", &[], 1),
    ("config AT:multi --platform linux/arm64 --label c=d", "multi", &[], 0),
    // One of its images says so already, and stays.
    ("config AT:multi --label c=d", "multi", &[], 0),
    // What comes on the standard input, as a tar.
    ("append AT:app -", "app", &[], 1),
    ("convert AT:app --compress zstd", "app", &[0, 1, 2], 3),
    // In which layers a path is, only they know; two of them stay.
    ("strip AT:app --rm-path /three", "app", &[0, 1, 2], 1),
    ("flatten AT:app --last 2", "app", &[1, 2], 1),
    ("repack root AT:app", "app", &[], 1),
    // The lowest becomes what it was, and is there; the uppermost is so already.
    ("convert AT:app --compress gzip", "app", &[0, 1, 2], 1),
    ("append AT:app up --compress none", "app", &[], 1),
    ("flatten AT:app", "app", &[0, 1, 2, 3], 1),
];

/// E24: umoci 345: to change an image of a registry it had to be copied from there and back again.
#[test]
fn an_edit_in_place_sends_what_is_new_and_fetches_what_it_must_read() {
    const PROOF: &str = "edit: bytes at a registry, in place";
    let Some(world) = World::new() else { return proof::skipped(PROOF, "docker-registry is missing") };
    for (line, tag, read, made) in EDITS {
        let reached = |tags: [&str; 3]| -> BTreeMap<String, bool> {
            tags.iter().flat_map(|tag| World::reached(&world.registry, "app", tag)).collect()
        };
        let before = reached([tag, "base", "newer"]);
        let layers = if read.is_empty() { Vec::new() } else { world.layers(tag) };
        let must_read: BTreeSet<&String> = read.iter().map(|at| &layers[*at]).collect();
        world.prepare(line);
        world.recorder.exchanges();
        world.edit(line);
        let exchanges = world.recorder.exchanges();
        let after = reached([tag; 3]);
        let new: Vec<&String> = after.keys().filter(|digest| !before.contains_key(*digest)).collect();
        assert!(!new.is_empty(), "{line}");
        assert_eq!(new.iter().filter(|digest| after[**digest]).count(), made, "{line}");
        assert_eq!(sent(&exchanges).iter().collect::<Vec<_>>(), new, "{line}: {exchanges:#?}");
        let documents = [&before, &after].into_iter().flatten().filter(|(_, is_layer)| !**is_layer);
        let documents = documents.map(|(digest, _)| digest.clone()).collect();
        let fetched = fetched(&exchanges, &documents);
        assert!(fetched.iter().eq(must_read), "{line}: {exchanges:#?}");
        heads_are_short(&exchanges, line);
    }
    for tag in ["app", "multi"] {
        world.run(&format!("validate AT:{tag}")).ok();
    }
    proof::ran(PROOF, EDITS.len());
}

/// Layers that the same registry has elsewhere are mounted: they neither come nor go.
#[test]
fn an_edit_to_another_repository_mounts_the_layers() {
    const PROOF: &str = "edit: bytes at a registry, to another repository";
    let Some(world) = World::new() else { return proof::skipped(PROOF, "docker-registry is missing") };
    let edits = [
        "config AT:app --label a=b",
        "append AT:app up",
        "strip AT:app --rm-layer 1",
        "convert AT:app --media-types docker",
    ];
    for (number, line) in edits.into_iter().enumerate() {
        let other = format!("other/{number}");
        let source = World::reached(&world.registry, "app", "app");
        world.recorder.exchanges();
        world.run(&format!("{line} --to docker://{}/{other}:1", world.recorder.host())).ok();
        let exchanges = world.recorder.exchanges();
        let there = World::reached(&world.registry, &other, "1");
        let lent = |(digest, is_layer): &(&String, &bool)| **is_layer && source.contains_key(*digest);
        let layers: Vec<&String> = there.iter().filter(lent).map(|(digest, _)| digest).collect();
        for layer in &layers {
            let mount =
                |it: &&Exchange| it.method == "POST" && it.status == 201 && it.target.contains(*layer);
            assert_eq!(exchanges.iter().filter(mount).count(), 1, "{line}: {layer}: {exchanges:#?}");
        }
        assert!(layers.len() >= 3, "{line}");
        // A config that stays may be mounted or sent.
        let is_new = |digest: &String| there.contains_key(digest) && !layers.contains(&digest);
        assert!(sent(&exchanges).iter().all(is_new), "{line}: {exchanges:#?}");
        let all = [source, there];
        let documents = all.iter().flatten().filter(|(_, is_layer)| !**is_layer);
        let documents = documents.map(|(digest, _)| digest.clone()).collect();
        assert_eq!(fetched(&exchanges, &documents), Vec::<String>::new(), "{line}: {exchanges:#?}");
        heads_are_short(&exchanges, line);
    }
    proof::ran(PROOF, edits.len());
}

/// At another registry nothing can be lent: each layer comes once and goes once.
#[test]
fn an_edit_to_another_registry_moves_each_layer_once() {
    const PROOF: &str = "edit: bytes at a registry, to another registry";
    let (Some(world), Some(far)) = (World::new(), Registry::plain()) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let far_recorder = Recorder::to(&far.host());
    let source = World::reached(&world.registry, "app", "app");
    for (number, line) in ["config AT:app --label a=b", "append AT:app up"].into_iter().enumerate() {
        let other = format!("other/{number}");
        world.run(&format!("{line} --to docker://{}/{other}:1", far_recorder.host())).ok();
        let (here, gone) = (world.recorder.exchanges(), far_recorder.exchanges());
        let there = World::reached(&far, &other, "1");
        assert_eq!(sent(&here), Vec::<String>::new(), "{line}: {here:#?}");
        // What the second edit writes is in a repository that has none of it: nothing of it is there to be mounted twice.
        let mounted = gone.iter().filter(|it| it.status == 201 && it.target.contains("mount=")).count();
        let total = there.keys().cloned().collect::<Vec<_>>();
        if number == 0 {
            assert_eq!((sent(&gone), mounted), (total, 0), "{line}: {gone:#?}");
        } else {
            assert_eq!(sent(&gone).len() + mounted, total.len(), "{line}: {gone:#?}");
        }
        let documents =
            source.iter().filter(|(_, is_layer)| !**is_layer).map(|(digest, _)| digest.clone()).collect();
        let layers: Vec<String> = match number {
            0 => source.iter().filter(|(_, is_layer)| **is_layer).map(|(digest, _)| digest.clone()).collect(),
            // They are lent by the first repository there.
            _ => Vec::new(),
        };
        assert_eq!(fetched(&here, &documents), layers, "{line}: {here:#?}");
    }
    proof::ran(PROOF, 2);
}
