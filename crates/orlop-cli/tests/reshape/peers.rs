//! The judges of every edit: skopeo, umoci, podman and containerd read the result, or refuse it as it is written here.
//!
//! ```text
//! ROWS ──► layout l ──┬──► skopeo copy      the documents and blobs, each by its digest
//!                     ├──► umoci unpack     a tree ┐
//!                     ├──► podman pull      a tree ├── all are one, and that of our own unpack
//!                     └──► ctr import       a tree ┘
//! ```
//!
//! What an edit may not change is compared with what umoci unpacks of the image before; what it must change is said by its row.
//! A line too many among [`REFUSED`] is a tool that has learned, a line too few a defect of ours.

use crate::world::{of, ok, three};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread;
use testkit::dump::{Aspect, Difference, Dump, Kind, differences, dump};
use testkit::engine::{Containerd, Podman};
use testkit::image::{Image, Packing, sha256};
use testkit::tarball::tar;
use testkit::{Command, Scratch, full, is_root, orlop, peer, proof};

/// An edit, and what its result is.
struct Row {
    /// The tag of the result.
    tag: &'static str,
    /// Lines that make it.
    lines: &'static [&'static str],
    /// Paths that come and that go; of an edit that changes nothing in the tree, none.
    comes: &'static [&'static str],
    goes: &'static [&'static str],
    /// Whether the gate asks every peer about it.
    when: When,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    Full,
}

const fn row(tag: &'static str, when: When, lines: &'static [&'static str]) -> Row {
    Row { tag, lines, comes: &[], goes: &[], when }
}

impl Row {
    const fn changes(self, comes: &'static [&'static str], goes: &'static [&'static str]) -> Self {
        Self { comes, goes, ..self }
    }
}

use When::{Always, Full};

const UP: &[&str] = &["etc/up", "same", "up"];

const ROWS: [Row; 25] = [
    row("config", Always, &["config L:latest --to L:config --env A=1 --label x=y --history-comment why"]),
    row("append", Always, &["append L:latest up --to L:append"]).changes(UP, &[]),
    row("insert", Full, &["insert L:latest up /opt --to L:insert"])
        .changes(&["opt", "opt/etc", "opt/etc/up", "opt/same", "opt/up"], &[]),
    row("whiteout", Always, &["insert L:latest --whiteout /etc/passwd --whiteout /big --to L:whiteout"])
        .changes(&[], &["etc/passwd", "big", "big/link", "big/more", "big/noise"]),
    row("opaque", Always, &["insert L:latest up /big --opaque --to L:opaque"])
        .changes(&["big/etc", "big/etc/up", "big/same", "big/up"], &["big/link", "big/more", "big/noise"]),
    row(
        "rebase",
        Always,
        &["append L:below up --to L:rebase", "rebase L:rebase --old-base L:below --new-base L:latest"],
    )
    .changes(UP, &[]),
    row("flat", Full, &["flatten L:latest --to L:flat"]),
    row("last", Always, &["flatten L:latest --last 2 --to L:last"]),
    row("kept", Full, &["flatten L:latest --base L:below --to L:kept"]),
    row("zstd", Always, &["convert L:latest --compress zstd --to L:zstd"]),
    row("none", Full, &["convert L:latest --compress none --to L:none"]),
    row("docker", Always, &["convert L:latest --media-types docker --to L:docker"]),
    row("docker-dir", Always, &["convert L:latest --media-types docker --to dir:docker-dir"]),
    row("sha512", Always, &["convert L:latest --algorithm sha512 --to L:sha512"]),
    row("parts", Always, &["convert L:latest --layer-size 300k --to L:parts"]),
    row("no-layer", Full, &["append L:latest up --to L:no-layer", "strip L:no-layer --rm-layer 3"]),
    row("no-path", Always, &["strip L:latest --rm-path /d/b --rm-path /big/noise --to L:no-path"])
        .changes(&[], &["d/b", "big/noise"]),
    row("index-create", Full, &["index create L:latest L:other L:index-create"]),
    row("index-add", Full, &["index create L:latest L:index-add", "index add L:index-add L:other"]),
    row("index-rm", Full, &["index create L:latest L:other L:index-rm", "index rm L:index-rm linux/s390x"]),
    row(
        "index-filter",
        Full,
        &[
            "index create L:latest L:other L:index-filter",
            "index filter L:index-filter --platform linux/amd64",
        ],
    ),
    row(
        "index-annotate",
        Always,
        &["index create L:latest L:other L:index-annotate", "index annotate L:index-annotate a=b"],
    ),
    row("repack", Always, &["repack tracked L:repack"]).changes(&["fresh"], &["etc/passwd"]),
    row("copy-append", Full, &["copy L:latest L:copy-append --append up"]).changes(UP, &[]),
    row("several", Full, &["copy L:latest L:several --append up --compress zstd --label a=b"])
        .changes(UP, &[]),
];

/// A result, the peer that does not read it, and what it says.
struct Refused {
    tag: &'static str,
    peer: &'static str,
    says: &'static str,
}

const fn refused(peer: &'static str, tag: &'static str, says: &'static str) -> Refused {
    Refused { tag, peer, says }
}

/// What they were when this was written down.
const VERSIONS: &str = "skopeo 1.9.3, umoci 0.4.7, podman 4.3.1, containerd 1.6.20";

/// umoci knows neither zstd, nor Docker's types, nor indexes of several machines; in layouts containers/image looks for OCI's
/// types alone; no other algorithm than sha256 is known to any of them throughout.
const REFUSED: [Refused; 12] = [
    refused("skopeo", "docker", "no descriptor found"),
    refused("skopeo", "sha512", "Internal error writing blob"),
    refused("umoci", "zstd", "not correct mediatype"),
    refused("umoci", "docker", "not implemented"),
    refused("umoci", "sha512", "unsupported algorithm"),
    refused("umoci", "index-create", "tag is ambiguous"),
    refused("umoci", "index-add", "tag is ambiguous"),
    refused("umoci", "index-annotate", "tag is ambiguous"),
    refused("umoci", "several", "not correct mediatype"),
    refused("podman", "docker", "no descriptor found"),
    refused("podman", "sha512", "does not match expected"),
    refused("containerd", "sha512", "not found"),
];

/// Where the images are that the edits begin with: `latest`, three layers on `below`; `other`, for another machine; a folder
/// `up`, and a tracked one in which a file is new and one is gone.
///
/// All entries are of one time: where a hard link says another one than its file, each peer takes which it likes.
fn begin() -> Scratch {
    let layers: Vec<Vec<u8>> = three().into_iter().map(tar).collect();
    let it = of(Image::of(&layers, Packing::Gzip));
    let below = of(Image::of(&layers[..1], Packing::Gzip));
    ok(&below, &format!("copy oci:l:latest oci:{}:below", it.path("l").display()));
    it.folder("up/etc");
    it.file("up/up", "up");
    it.file("up/etc/up", "up");
    fs::hard_link(it.path("up/up"), it.path("up/same")).expect("one file system");
    ok(&it, "build up oci:l:other --platform linux/s390x --created 0");
    ok(&it, "unpack oci:l:latest tracked --track");
    it.file("tracked/fresh", "fresh");
    fs::remove_file(it.path("tracked/etc/passwd")).expect("ours");
    it
}

fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(|row| row.when == Always || full())
}

impl Row {
    fn make(&self, it: &Scratch) {
        for line in self.lines {
            ok(it, &line.replace("L:", "oci:l:"));
        }
    }

    /// The result, as a reference of containers/image and of ours.
    fn reference(&self, it: &Scratch) -> String {
        match self.tag {
            "docker-dir" => format!("dir:{}", it.path(self.tag).display()),
            tag => format!("oci:{}:{tag}", it.path("l").display()),
        }
    }

    /// The tree that we unpack, which must be what the edit says it is.
    fn tree(&self, it: &Scratch, before: &Dump) -> Dump {
        let folder = it.path(&format!("ours-{}", self.tag));
        orlop().args(["unpack", &self.reference(it)]).arg(&folder).ok();
        let tree = dump(&folder);
        if self.comes.is_empty() && self.goes.is_empty() {
            assert_eq!(differing(before, &tree, Own::RootTime), [], "{}", self.tag);
        }
        let paths = |tree: &Dump| -> BTreeSet<String> {
            tree.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
        };
        let (was, is) = (paths(before), paths(&tree));
        let said = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(&is - &was, said(self.comes), "{}", self.tag);
        assert_eq!(&was - &is, said(self.goes), "{}", self.tag);
        tree
    }
}

/// What a peer may have its own way in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    /// The time of the folder that it unpacks into.
    RootTime,
    /// That folder, which engines make before they unpack; and the times of folders, out of which they take what a whiteout
    /// names after these have got theirs.
    FolderTimes,
}

fn differing(ours: &Dump, theirs: &Dump, own: Own) -> Vec<Difference> {
    let mut theirs = theirs.clone();
    let (mine, other) = (&ours[b".".as_slice()], theirs.get_mut(b".".as_slice()).expect("a root"));
    match own {
        Own::RootTime => other.mtime = mine.mtime,
        Own::FolderTimes => {
            other.clone_from(mine);
            let folders = theirs.iter_mut().filter(|(_, node)| node.kind == Kind::Directory);
            folders.for_each(|(path, node)| {
                node.mtime = ours.get(path).map_or(node.mtime, |mine| mine.mtime);
            });
        }
    }
    differences(&theirs, ours, &[Aspect::Holes])
}

/// What a peer makes of a result: a folder, where it unpacks; or what it says.
type Verdict = Result<Option<(PathBuf, Own)>, String>;

/// What a command says where it refuses.
fn told(command: Command) -> Result<String, String> {
    let done = command.run();
    if done.success() { Ok(done.out()) } else { Err(done.err()) }
}

/// The documents and the blobs as they are; each is proven by its digest.
fn skopeo(it: &Scratch, row: &Row) -> Verdict {
    let target = it.folder("skopeo").join(row.tag);
    let skopeo = || Command::new("skopeo").arg("--insecure-policy");
    let copy = skopeo().args(["copy", "--quiet", "--all", &row.reference(it)]);
    told(copy.arg(format!("dir:{}", target.display())))?;
    let manifest = fs::read(target.join("manifest.json")).expect("copied");
    let digest = ok(it, &format!("digest {}", row.reference(it))).out();
    assert_eq!(sha256(&manifest), digest.trim(), "{}", row.tag);
    let seen = told(skopeo().args(["inspect", &row.reference(it)]))?;
    let seen: serde_json::Value = serde_json::from_str(&seen).expect("JSON");
    let made = ok(it, &format!("inspect --format json {}", row.reference(it))).out();
    let count = seen["Layers"].as_array().expect("layers").len();
    assert!(count > 0 && made.contains(seen["Layers"][count - 1].as_str().expect("a digest")), "{made}");
    Ok(None)
}

fn umoci(it: &Scratch, row: &Row) -> Verdict {
    let bundle = it.folder("umoci").join(row.tag);
    let image = format!("{}:{}", it.path("l").display(), row.tag);
    told(Command::new("umoci").args(["unpack", "--image", &image]).arg(&bundle))?;
    Ok(Some((bundle.join("rootfs"), Own::RootTime)))
}

/// What is a layer of another image too is not unpacked again: a form is judged by a storage of its own. podman takes no long
/// path for one.
fn podman(it: &Scratch, row: &Row) -> Verdict {
    let number = ROWS.iter().position(|other| other.tag == row.tag).expect("a row");
    let podman = Podman::in_folder(&it.folder("p"), &number.to_string()).expect("it was found before");
    let id = told(podman.command().args(["pull", "--quiet", &row.reference(it)]))?;
    Ok(Some((podman.mount(id.trim()), Own::FolderTimes)))
}

/// Each result has a namespace of its own, for the same reason.
fn containerd(it: &Scratch, row: &Row, containerd: &Containerd) -> Verdict {
    let archive = it.path(&format!("{}.tar", row.tag));
    let reference = format!("oci-archive:{}:localhost/judged:1", archive.display());
    orlop().args(["copy", &row.reference(it), &reference]).ok();
    containerd.unpacked(row.tag, &archive).map(|folder| Some((folder, Own::FolderTimes)))
}

#[test]
fn skopeo_umoci_podman_and_containerd_read_every_result_or_refuse_it_as_written_here() {
    let (it, engine) = (begin(), testkit::scratch());
    rows().for_each(|row| row.make(&it));
    if !is_root() {
        return proof::not_offered("edit: umoci reads every result", "owners are set by root");
    }
    // umoci's tree of the image before it was edited is the measure of what may not change.
    let Some(_) = peer("umoci") else {
        return proof::skipped("edit: umoci reads every result", "umoci is missing");
    };
    let before = it.path("before");
    let latest = format!("{}:latest", it.path("l").display());
    Command::new("umoci").args(["unpack", "--image", &latest]).arg(&before).ok();
    let before = dump(&before.join("rootfs"));
    let trees: Vec<Dump> = rows().map(|row| row.tree(&it, &before)).collect();
    let daemon = Containerd::start(&engine);
    let judges: [(&str, Judge<'_>); 4] = [
        ("skopeo", Box::new(|row| skopeo(&it, row))),
        ("umoci", Box::new(|row| umoci(&it, row))),
        ("podman", Box::new(|row| podman(&it, row))),
        ("containerd", Box::new(|row| containerd(&it, row, daemon.as_ref().expect("it was started")))),
    ];
    thread::scope(|threads| {
        for (name, judge) in &judges {
            let trees = &trees;
            let proof = format!("edit: {name} reads every result");
            if peer(name).is_none() || (*name == "containerd" && daemon.is_none()) {
                proof::skipped(&proof, &format!("{name} is missing"));
                continue;
            }
            threads.spawn(move || proof::ran(&proof, judged(name, judge, trees)));
        }
    });
}

type Judge<'a> = Box<dyn Fn(&Row) -> Verdict + Sync + 'a>;

/// How many results a peer read, or refused as it is written down.
fn judged(name: &str, judge: &Judge<'_>, trees: &[Dump]) -> usize {
    let tool = peer(name).expect("it was found before");
    let mut count = 0;
    for (row, tree) in rows().zip(trees) {
        let tag = row.tag;
        // The form `dir:` is known to containers/image alone.
        if tag == "docker-dir" && ["umoci", "containerd"].contains(&name) {
            continue;
        }
        let expected = REFUSED.iter().find(|it| (it.peer, it.tag) == (name, tag)).map(|it| it.says);
        let hint = format!("{tag}: {tool}; the table was made with {VERSIONS}");
        match (judge(row), expected) {
            (Ok(found), None) => {
                if let Some((folder, own)) = found {
                    assert_eq!(differing(tree, &dump(&folder), own), [], "{hint}");
                }
            }
            (Err(said), Some(says)) => assert!(said.contains(says), "{hint}: {said}"),
            (Ok(_), Some(says)) => panic!("{hint}: it was refused ({says}), and is read now"),
            (Err(said), None) => panic!("{hint}: {said}"),
        }
        count += 1;
    }
    count
}
