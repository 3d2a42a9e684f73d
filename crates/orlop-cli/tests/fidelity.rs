//! Fidelity: the torture tree through build and unpack, and through build and other tools' unpacking.
//!
//! What the other tools lose is theirs and stands in a table with the version that it was seen with: a line too
//! few is a defect of ours, a line too many is a tool that has learned.

use std::collections::BTreeSet;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use testkit::dump::{Aspect, Dump, differences, dump};
use testkit::engine::Podman;
use testkit::scratch::scratch_in_memory;
use testkit::torture::{Feature, Power, compare, give_away, lost_features, make};
use testkit::{Command, Scratch, is_root, orlop, peer, proof, scratch};

/// What no image can hold; both are omitted and reported.
const OMITTED: [&str; 2] = ["file whose own name begins .wh.", "socket"];

struct Fixture {
    scratch: Scratch,
    features: Vec<Feature>,
    before: Dump,
}

impl Fixture {
    fn new(scratch: Scratch, power: Power) -> Self {
        let features = make(&scratch.path("tree"), power);
        let before = dump(&scratch.path("tree"));
        Self { scratch, features, before }
    }

    fn tree(&self) -> PathBuf {
        self.scratch.path("tree")
    }

    fn layout(&self) -> String {
        format!("oci:{}:t", self.scratch.path("layout").display())
    }

    /// Builds, and both omissions are reported with their paths.
    fn build(&self, compress: &str) {
        let build = orlop().args(["build", "--unrepresentable", "skip", "--compress", compress]);
        let done = build.arg(self.tree()).arg(self.layout()).ok();
        for path in [".wh.literal", "sock"] {
            assert!(done.err().contains(path), "the omission of {path} is not reported:\n{}", done.err());
        }
    }

    fn losses(&self, copy: &Path) -> BTreeSet<&'static str> {
        lost_features(&compare(&self.features, &self.before, &dump(copy))).into_iter().collect()
    }
}

/// E7: umoci 261 and 677 and buildah 4625: owners, capabilities and attributes were lost, and nobody was told.
#[test]
fn as_root_nothing_is_lost_but_what_no_image_can_hold() {
    let name = "fidelity: torture tree through build and unpack, as root";
    if !is_root() {
        return proof::not_offered(name, "devices and foreign owners need root");
    }
    let mut cases = 0;
    for (place, compress) in [("disk", "none"), ("disk", "gzip"), ("disk", "zstd"), ("memory", "gzip")] {
        let scratch = if place == "disk" { scratch() } else { scratch_in_memory() };
        let fixture = Fixture::new(scratch, Power::Root);
        fixture.build(compress);
        let copy = fixture.scratch.path("copy");
        orlop().args(["unpack", &fixture.layout()]).arg(&copy).ok();
        assert_eq!(fixture.losses(&copy), BTreeSet::from(OMITTED), "{place}, {compress}");
        let mut expected = fixture.before.clone();
        for path in [b".wh.literal".as_slice(), b"sock"] {
            expected.remove(path);
        }
        assert_eq!(differences(&expected, &dump(&copy), &[]), [], "{place}, {compress}");
        assert_eq!(differences(&fixture.before, &dump(&fixture.tree()), &[]), [], "the source was changed");
        cases += fixture.features.len();
    }
    proof::ran(name, cases);
}

/// The tree and both commands are an ordinary user's.
#[test]
fn an_ordinary_user_keeps_everything_but_owners() {
    let name = "fidelity: torture tree through build and unpack, as an ordinary user";
    let fixture = Fixture::new(scratch(), Power::User);
    let run = |command: Command| if is_root() { command.unprivileged() } else { command };
    if is_root() {
        give_away(fixture.scratch.root(), 65534, 65534);
    }
    let copy = fixture.scratch.path("copy");
    let build =
        orlop().args(["build", "--unrepresentable", "skip"]).arg(fixture.tree()).arg(fixture.layout());
    run(build).ok();
    run(orlop().args(["unpack", &fixture.layout()]).arg(&copy)).ok();
    let mut expected = fixture.before.clone();
    for path in [b".wh.literal".as_slice(), b"sock"] {
        expected.remove(path);
    }
    // The bits would make the program run as the caller; a record keeps them.
    for (path, mode) in [(b"suid", b"4755"), (b"sgid", b"2755")] {
        let node = expected.get_mut(path.as_slice()).expect("a part of the torture tree");
        node.mode = 0o755;
        node.xattrs.insert(b"user.orlop.mode".to_vec(), mode.to_vec());
    }
    // Root reads the file of mode 0000 in both trees; an ordinary test run reads it in neither.
    assert_eq!(differences(&expected, &dump(&copy), &[Aspect::Owner]), []);
    assert_eq!(
        differences(&fixture.before, &dump(&fixture.tree()), &[Aspect::Owner]),
        [],
        "the source was changed"
    );
    proof::ran(name, fixture.features.len());
}

/// A peer, the version in which the losses were seen, and the losses beside [`OMITTED`].
struct Losses {
    peer: &'static str,
    seen_with: &'static str,
    lost: &'static [&'static str],
}

/// podman with the vfs driver; its overlay driver loses the character device 0:0 too.
const LOSSES: [Losses; 3] = [
    Losses { peer: "tar", seen_with: "1.34", lost: &["sparse file (holes kept)"] },
    Losses {
        peer: "umoci",
        seen_with: "0.4.7",
        lost: &["sparse file (holes kept)", "user xattr, binary and empty values", "xattr name with '='"],
    },
    Losses {
        peer: "podman",
        seen_with: "4.3.1",
        lost: &[
            "mtime before 1970",
            "root directory: mode, owner, mtime",
            "sparse file (holes kept)",
            "user xattr, binary and empty values",
            "xattr name with '='",
        ],
    },
];

#[test]
fn other_tools_unpack_the_same_tree_but_for_their_own_losses() {
    for losses in &LOSSES {
        let name = format!("fidelity: torture tree through build and {}", losses.peer);
        let Some(tool) = peer(losses.peer) else {
            proof::skipped(&name, &format!("{} is missing", losses.peer));
            continue;
        };
        if !is_root() {
            proof::not_offered(&name, "devices and foreign owners need root");
            continue;
        }
        let fixture = Fixture::new(scratch(), Power::Root);
        fixture.build("gzip");
        let copy = unpacked_by(losses.peer, &fixture);
        let expected: BTreeSet<_> = losses.lost.iter().chain(&OMITTED).copied().collect();
        let found = fixture.losses(&copy);
        assert_eq!(found, expected, "{tool}; the table was made with {}", losses.seen_with);
        proof::ran(&name, fixture.features.len());
    }
}

fn unpacked_by(tool: &str, fixture: &Fixture) -> PathBuf {
    let scratch = &fixture.scratch;
    let layout = scratch.path("layout");
    match tool {
        "umoci" => {
            let image = format!("{}:t", layout.display());
            Command::new("umoci").args(["unpack", "--image", &image]).arg(scratch.path("bundle")).ok();
            scratch.path("bundle/rootfs")
        }
        "podman" => {
            let podman = Podman::new(scratch).expect("it was found before");
            let archive = scratch.path("archive.tar");
            orlop()
                .args(["copy", &fixture.layout()])
                .arg(format!("oci-archive:{}:t", archive.display()))
                .ok();
            let id = podman.command().args(["load", "--quiet", "--input"]).arg(&archive).ok().out();
            podman.mount(id.trim().rsplit(": ").next().expect("an image"))
        }
        _ => {
            let copy = scratch.folder("copy");
            let extract = Command::new("tar").arg("-C").arg(&copy);
            // With `--acls` it looks for ACLs as text only, and takes away those that it has set as attributes.
            let kept = ["--xattrs", "--xattrs-include=*", "--same-owner", "-xpzf"];
            extract.args(kept).arg(only_layer(&layout)).ok();
            copy
        }
    }
}

/// The largest blob: the layer, beside two small documents.
fn only_layer(layout: &Path) -> PathBuf {
    let blobs = std::fs::read_dir(layout.join("blobs/sha256")).expect("a layout").flatten();
    blobs.max_by_key(|blob| blob.metadata().expect("a file").len()).expect("a layer").path()
}

#[test]
fn item_40_what_was_unpacked_builds_the_same_image() {
    let name = "fidelity: build, unpack, build gives one digest";
    let fixture = Fixture::new(scratch(), if is_root() { Power::Root } else { Power::User });
    let target = |tag: &str| format!("oci:{}:{tag}", fixture.scratch.path("layout").display());
    let build = |tree: PathBuf, tag: &str| {
        let build = orlop().args(["build", "--unrepresentable", "skip"]).arg(tree).arg(target(tag)).ok();
        build.out().trim().rsplit('@').next().map(str::to_owned)
    };
    let first = build(fixture.tree(), "one");
    let copy = fixture.scratch.path("copy");
    orlop().args(["unpack", &target("one")]).arg(&copy).ok();
    assert_eq!(build(copy, "two"), first);
    proof::ran(name, 1);
}

/// The records hold what the ordinary user could not set: what it builds again has every owner.
#[test]
fn owners_in_records_survive_an_ordinary_users_unpack_and_build() {
    let name = "fidelity: owners through records of an ordinary user";
    if !is_root() {
        return proof::not_offered(name, "the first image has foreign owners, which needs root");
    }
    let scratch = scratch();
    let tree = scratch.folder("tree");
    let owners = [("d", (1000, 100)), ("d/f", (0, 5)), ("g", (7, 0)), ("h", (4_000_000_000, 65_534))];
    std::fs::create_dir(tree.join("d")).expect("new");
    for (path, (uid, gid)) in owners {
        if path != "d" {
            std::fs::write(tree.join(path), path).expect("new");
        }
        chown(tree.join(path), Some(uid), Some(gid)).expect("root may");
    }
    let target = |tag: &str| format!("oci:{}:{tag}", scratch.path("layout").display());
    let digest = |command: Command| command.ok().out().trim().rsplit('@').next().map(str::to_owned);
    let first = digest(orlop().arg("build").arg(&tree).arg(target("one")));
    give_away(scratch.root(), 65534, 65534);
    let copy = scratch.path("copy");
    orlop().args(["unpack", &target("one")]).arg(&copy).unprivileged().ok();
    assert_eq!(digest(orlop().arg("build").arg(&copy).arg(target("two")).unprivileged()), first);
    proof::ran(name, owners.len());
}

#[test]
fn item_55_a_name_that_reads_as_a_whiteout_is_refused_with_all_its_kind() {
    let scratch = scratch();
    let tree = scratch.folder("tree");
    std::fs::create_dir(tree.join("d")).expect("new");
    for name in [".wh.one", "d/.wh.two", "d/.wh..wh..opq", "plain"] {
        std::fs::write(tree.join(name), "x").expect("new");
    }
    let target = format!("oci:{}:t", scratch.path("layout").display());
    let done = orlop().arg("build").arg(&tree).arg(&target).run();
    assert!(!done.success(), "{done}");
    for name in [".wh.one", "d/.wh.two", "d/.wh..wh..opq", "--unrepresentable"] {
        assert!(done.err().contains(name), "{name} is not listed:\n{}", done.err());
    }
    assert!(!scratch.path("layout").exists());
    orlop().args(["build", "--unrepresentable", "skip"]).arg(&tree).arg(&target).ok();
    orlop().args(["unpack", &target]).arg(scratch.path("out")).ok();
    let paths: Vec<_> = dump(&scratch.path("out")).into_keys().collect();
    assert_eq!(paths, [b".".as_slice(), b"d", b"plain"]);
}
