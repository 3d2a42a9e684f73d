//! Power: what a disk may hold at the moment when the power goes, by the order of changes and syncs that strace saw.
//!
//! No more is taken for granted than POSIX promises: bytes are on the disk after a sync of their file, names after
//! one of their folder, everything after one of the file system. Until then each change, alone, may be there or not.
//! So nothing may wait for a sync when a name is published that stands for it; and at the end nothing may wait at
//! all.

use crate::stage::Stage;
use crate::strace::is_offered;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use testkit::{orlop, proof};

/// A command that publishes something durable.
struct Publication {
    args: &'static [&'static str],
    /// The last name that appears, or is replaced.
    name: &'static str,
    /// A layout whose blobs another writer left at the target and did not sync.
    unsynced: Option<&'static str>,
}

const fn publication(args: &'static [&'static str], name: &'static str) -> Publication {
    Publication { args, name, unsynced: None }
}

const PUBLICATIONS: [Publication; 27] = [
    publication(&["build", "tree", "oci:layout:new"], "layout/index.json"),
    publication(&["build", "tree", "oci:fresh:new"], "fresh/index.json"),
    publication(&["build", "tree", "oci:deep/er:new"], "deep/er/index.json"),
    // So many blobs that one call for the whole file system is cheaper.
    publication(
        &[
            "build",
            "tree",
            "tree",
            "tree",
            "tree",
            "tree",
            "tree",
            "tree",
            "tree",
            "tree",
            "tree",
            "tree",
            "tree",
            "tree",
            "tree",
            "small",
            "small",
            "tree/d",
            "oci:layout:new",
        ],
        "layout/index.json",
    ),
    publication(&["build", "--shared-blobs", "deep/shared", "tree", "oci:fresh:new"], "fresh/index.json"),
    Publication {
        args: &["copy", "oci:other:o", "oci:layout:new"],
        name: "layout/index.json",
        unsynced: Some("other"),
    },
    publication(&["tag", "oci:layout:old", "new"], "layout/index.json"),
    publication(&["untag", "oci:layout:gone"], "layout/index.json"),
    publication(&["copy", "oci:other:o", "oci-archive:oci.tar:new"], "oci.tar"),
    publication(&["build", "tree", "docker-archive:fresh.tar:new:1"], "fresh.tar"),
    publication(&["copy", "oci:other:o", "tar:root.tar"], "root.tar"),
    publication(&["copy", "oci:other:o", "dir:fresh"], "fresh/manifest.json"),
    publication(&["unpack", "--sync", "oci:other:o", "fresh"], "fresh"),
    publication(&["bundle", "--sync", "--replace", "oci:layout:old", "held"], "held"),
    publication(&["copy", "--root", "fresh", "oci:other:o", "store:new"], "fresh/names/new"),
    publication(&["copy", "--root", "st", "oci:other:o", "store:new"], "st/names/new"),
    publication(&["tag", "--root", "st", "store:old", "new"], "st/names/new"),
    publication(&["config", "oci:layout:old", "--env", "A=1"], "layout/index.json"),
    publication(&["insert", "oci:layout:old", "small", "/x", "--to", "oci:fresh:new"], "fresh/index.json"),
    publication(&["convert", "oci:layout:old", "--compress", "zstd"], "layout/index.json"),
    publication(&["flatten", "oci:layout:two", "--to", "oci-archive:oci.tar:new"], "oci.tar"),
    publication(
        &["strip", "oci:layout:two", "--rm-path", "/d/e/f1", "--to", "dir:fresh"],
        "fresh/manifest.json",
    ),
    publication(&["append", "--root", "st", "store:old", "tree"], "st/names/old"),
    publication(&["index", "create", "oci:other:o", "oci:layout:new"], "layout/index.json"),
    // The image first, and then what the folder is compared with.
    publication(
        &["repack", "--paranoid", "--refresh", "tracked", "oci:layout:new"],
        ".tracked.orlop-snapshot",
    ),
    publication(&["revert", "--paranoid", "tracked"], ".tracked.orlop-snapshot"),
    publication(&["flatpak", "index", "oci:app", "-o", "fresh/web"], "fresh/web/index/static"),
];

const CALLS: &str = "trace=openat,write,pwrite64,copy_file_range,ioctl,ftruncate,fallocate,mkdirat,mknodat,symlinkat,\
    linkat,renameat,renameat2,unlinkat,fsync,fdatasync,syncfs";

#[test]
fn names_survive_a_loss_of_power_and_stand_for_what_is_there() {
    let name = "crash: nothing waits for a sync when a name is published, or at the end";
    if is_offered(name) {
        let stage = Stage::new();
        for publication in &PUBLICATIONS {
            replay(&stage, publication);
        }
        proof::ran(name, PUBLICATIONS.len());
    }
}

fn replay(stage: &Stage, publication: &Publication) {
    let work = stage.fresh();
    let mut disk = Disk::default();
    if let Some(layout) = publication.unsynced {
        disk.leave(&work.join(layout).join("blobs/sha256"), &work.join("layout/blobs/sha256"));
    }
    let log = work.join("strace.log");
    let strace = ["strace", "-f", "-qq", "-y", "-s", "300", "-e", CALLS, "-o"].map(Path::new);
    let strace = strace.into_iter().chain([log.as_path()]);
    orlop().args(publication.args).current_dir(&work).under(strace).ok();
    let calls = calls(&fs::read_to_string(&log).expect("strace writes text"));
    let place = work.join(publication.name);
    let last = calls.iter().rposition(|call| call.publishes().is_some_and(|name| name == place));
    let last = last.unwrap_or_else(|| panic!("{:?} publishes nothing", publication.args));
    for (position, call) in calls.iter().enumerate() {
        if position == last {
            // What the name itself lies in goes with it, and waits no longer than to the end.
            let mut waiting = disk.waiting(&work, &call.names[0]);
            waiting.retain(|path| !place.starts_with(path));
            assert!(waiting.is_empty(), "{:?}: published too early: {waiting:#?}", publication.args);
        }
        disk.apply(call);
    }
    let waiting = disk.waiting(&work, Path::new(""));
    assert!(waiting.is_empty(), "{:?}: lost although it succeeded: {waiting:#?}", publication.args);
}

/// What is not on the disk yet.
#[derive(Default)]
struct Disk {
    /// Files by the path that their handle shows, which a link does not change.
    bytes: BTreeSet<PathBuf>,
    names: BTreeSet<PathBuf>,
    /// The first path of each file that got a name later.
    first: HashMap<PathBuf, PathBuf>,
    /// Open files, by number.
    handles: HashMap<String, PathBuf>,
}

impl Disk {
    /// Copies files that a writer made and did not sync.
    fn leave(&mut self, from: &Path, to: &Path) {
        for file in fs::read_dir(from).expect("a layout").flatten() {
            let place = to.join(file.file_name());
            fs::copy(file.path(), &place).expect("copied");
            self.bytes.insert(place.clone());
            self.names.insert(place);
        }
    }

    fn file(&self, path: &Path) -> PathBuf {
        self.first.get(path).map_or_else(|| path.into(), Clone::clone)
    }

    fn apply(&mut self, call: &Call) {
        self.handles.extend(call.handles.iter().cloned());
        let path = |index: usize| call.handles[index].1.clone();
        match call.name.as_str() {
            "openat" if call.text.contains("O_CREAT") => drop(self.names.insert(call.names[0].clone())),
            "write" | "pwrite64" | "ioctl" | "ftruncate" | "fallocate" if !call.handles.is_empty() => {
                self.bytes.insert(self.file(&path(0)));
            }
            "copy_file_range" => drop(self.bytes.insert(self.file(&path(1)))),
            "mkdirat" | "mknodat" => drop(self.names.insert(call.names[0].clone())),
            "symlinkat" => drop(self.names.insert(call.names[call.names.len() - 1].clone())),
            "linkat" => self.link(&call.names[0], &call.names[1]),
            "renameat" | "renameat2" => self.rename(&call.names[0], &call.names[1]),
            "unlinkat" => self.forget(&call.names[0]),
            "fsync" | "fdatasync" => {
                let synced = path(0);
                self.bytes.remove(&self.file(&synced));
                self.names.retain(|name| name.parent() != Some(&synced));
            }
            "syncfs" => {
                self.bytes.clear();
                self.names.clear();
            }
            _ => {}
        }
    }

    fn link(&mut self, from: &Path, to: &Path) {
        let open =
            from.strip_prefix("/proc/self/fd").ok().and_then(|number| self.handles.get(number.to_str()?));
        let file = self.file(open.map_or(from, |path| path));
        self.first.insert(to.into(), file);
        self.names.insert(to.into());
    }

    /// What lies beneath the old name has new paths.
    fn rename(&mut self, from: &Path, to: &Path) {
        let moved =
            |path: &PathBuf| path.strip_prefix(from).map_or_else(|_| path.clone(), |rest| beneath(to, rest));
        self.forget(to);
        self.bytes = self.bytes.iter().map(moved).collect();
        self.names = self.names.iter().map(moved).collect();
        self.first = self.first.iter().map(|(name, file)| (moved(name), moved(file))).collect();
        self.names.insert(to.into());
    }

    /// A name that is gone need not be kept; what had it may have others.
    fn forget(&mut self, name: &Path) {
        self.first.remove(name);
        self.names.remove(name);
    }

    /// What lies below `work` under a name but is not on the disk; `published` itself may still lack its name.
    fn waiting(&self, work: &Path, published: &Path) -> Vec<PathBuf> {
        let is_there = |file: &Path| file == self.file(published) || self.has_name(file);
        let bytes = self.bytes.iter().filter(|file| file.starts_with(work) && is_there(file));
        let names = self.names.iter().filter(|name| name.starts_with(work) && *name != published);
        bytes.chain(names).filter(|path| !path.ends_with("strace.log") && !is_lease(path)).cloned().collect()
    }

    /// Files without a name show one that begins so.
    fn has_name(&self, file: &Path) -> bool {
        let is_nameless = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"#"));
        self.first.values().any(|first| first == file) || (!is_nameless && file.exists())
    }
}

/// A lease means nothing after its run, and so nothing after the power was lost.
fn is_lease(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with("st/leases") || folder.ends_with("fresh/leases"))
}

fn beneath(folder: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { folder.into() } else { folder.join(rest) }
}

/// A system call that succeeded.
struct Call {
    name: String,
    text: String,
    /// Open files, in order: number and path.
    handles: Vec<(String, PathBuf)>,
    /// Names, in order, each with its folder.
    names: Vec<PathBuf>,
}

impl Call {
    /// The name that appears by this.
    fn publishes(&self) -> Option<&Path> {
        match self.name.as_str() {
            "renameat" | "renameat2" | "linkat" => Some(&self.names[1]),
            _ => None,
        }
    }
}

/// The calls of a log, in the order in which they ended.
fn calls(log: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let (thread, line) = line.split_once(' ').expect("strace begins with the thread");
        let line = line.trim_start();
        if let Some(start) = line.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, start);
        } else if let Some((_, rest)) = line.split_once(" resumed>").filter(|_| line.starts_with("<...")) {
            let start = begun.remove(thread).expect("what is resumed was begun");
            calls.extend(call(&format!("{start}{rest}")));
        } else {
            calls.extend(call(line));
        }
    }
    calls
}

/// `name(3</folder>, "file", FLAGS) = 4</folder/file>`, unless it failed.
fn call(line: &str) -> Option<Call> {
    let (name, text) = line.split_once('(')?;
    let (_, result) = text.rsplit_once(" = ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let (mut handles, mut names) = (Vec::new(), Vec::new());
    let (mut rest, mut folder) = (text, PathBuf::new());
    while let Some(at) = rest.find(['<', '"']) {
        let (before, close) = (&rest[..at], if rest[at..].starts_with('<') { '>' } else { '"' });
        let inside = &rest[at + 1..];
        // Names of ours hold no quote; the bytes of a write may, and nothing comes after them.
        let Some(end) = inside.find(close) else { break };
        if close == '>' {
            folder = inside[..end].into();
            let number = before.rsplit([' ', '(', ',']).next().unwrap_or_default();
            handles.push((number.to_owned(), folder.clone()));
        } else {
            names.push(folder.join(&inside[..end]));
        }
        rest = &inside[end + 1..];
    }
    Some(Call { name: name.into(), text: text.into(), handles, names })
}
