//! The store that runs meet at, and what is seen of it from outside.

use super::clock::{Book, Clock, Luck};
use crate::stored;
use orlop_fs::Dir;
use orlop_fs::lock::{Share, Wait};
use orlop_layer::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use testkit::Scratch;
use testkit::scratch::scratch_in_memory;

/// Folders whose files come and go.
pub(crate) const LIVELY: [&str; 5] = ["names", "leases", "blobs/sha256", "forms/sha256", "layers/sha256"];

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) size: u64,
    /// Of small files that are replaced.
    pub(crate) content: Vec<u8>,
    pub(crate) touched: Time,
    /// Which runs had begun when it was touched, a bit each.
    pub(crate) begun: u8,
}

/// What is in the store, and who has locked it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) files: BTreeMap<String, Held>,
    /// How many share each folder, and how many hold it alone.
    pub(crate) locks: Vec<[u32; 2]>,
    pub(crate) begun: u8,
}

pub(crate) struct Stage {
    scratch: Scratch,
    pub(crate) clock: Clock,
    /// What each run of all begins with.
    files: Vec<(PathBuf, Vec<u8>)>,
    lively: Vec<PathBuf>,
    /// Their inodes.
    numbers: Vec<u64>,
    /// What an image that has a name needs.
    needed: BTreeSet<String>,
    check_end: fn(&Path),
}

impl Stage {
    /// A stage that begins with the store that `prepare` makes. `image` is what a store has for one image of a name.
    pub(crate) fn new(prepare: fn(&Path), image: &BTreeSet<PathBuf>, check_end: fn(&Path)) -> Self {
        let scratch = scratch_in_memory();
        let place = scratch.path("store");
        prepare(&place);
        let is_needed =
            |path: &&PathBuf| !["names", "leases", "format"].iter().any(|other| path.starts_with(other));
        let needed: BTreeSet<&PathBuf> = image.iter().filter(is_needed).collect();
        let of_objects = |path: &&PathBuf| {
            path.parent().filter(|folder| folder.starts_with("objects")).map(Path::to_owned)
        };
        let objects: BTreeSet<PathBuf> = needed.iter().filter_map(of_objects).collect();
        let lively: Vec<PathBuf> = LIVELY.iter().map(PathBuf::from).chain(objects).collect();
        assert!(lively.len() <= LIVELY.len() + 1, "contents are in one folder");
        for folder in &lively {
            fs::create_dir_all(place.join(folder)).expect("made");
        }
        let is_mortal =
            |path: &PathBuf| path.parent().is_some_and(|folder| lively.iter().any(|it| it == folder));
        let read = |path: PathBuf| (path.clone(), fs::read(place.join(path)).expect("there"));
        let files = stored::files(&place).into_iter().filter(is_mortal).map(read).collect();
        let clock = Clock::in_folder(&scratch.path(""));
        let needed = needed.into_iter().map(|path| path.display().to_string()).collect();
        let numbers =
            lively.iter().map(|folder| fs::metadata(place.join(folder)).expect("a folder").ino()).collect();
        Self { scratch, clock, files, lively, numbers, needed, check_end }
    }

    pub(crate) fn place(&self) -> PathBuf {
        self.scratch.path("store")
    }

    pub(crate) fn folders(&self) -> impl Iterator<Item = String> {
        self.lively.iter().map(|folder| folder.display().to_string())
    }

    pub(crate) fn needed(&self) -> &BTreeSet<String> {
        &self.needed
    }

    /// What this machine lacks for it.
    pub(crate) fn lack(&self) -> Option<&'static str> {
        if !self.clock.is_fine() {
            return Some("the clock of this kernel's files does not tell steps apart");
        }
        let names = Dir::open(self.place().join("names")).expect("a folder");
        let _shared = names.lock(Share::Shared, Wait::No).expect("asked");
        (self.locks()[0] != [1, 0]).then_some("the kernel does not tell who holds a lock")
    }

    /// Everything as in the beginning, and old.
    pub(crate) fn reset(&self, actors: usize, luck: Luck) -> Book {
        let place = self.place();
        for folder in &self.lively {
            for entry in fs::read_dir(place.join(folder)).expect("a folder").flatten() {
                fs::remove_file(entry.path()).expect("removed");
            }
        }
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (path, content) in &self.files {
            fs::write(place.join(path), content).expect("written");
            fs::File::open(place.join(path)).expect("there").set_modified(old).expect("set");
        }
        Book::new(self.clock.clone(), &place, &self.lively, (actors, luck))
    }

    pub(crate) fn look(&self, book: &Book) -> Seen {
        let mut files = BTreeMap::new();
        for folder in &self.lively {
            for entry in fs::read_dir(self.place().join(folder)).expect("a folder").flatten() {
                let Ok(found) = entry.metadata() else { continue };
                let name = book.alias(entry.file_name().as_bytes());
                let nanoseconds = u32::try_from(found.mtime_nsec()).expect("less than a second");
                let touched = Time { seconds: found.mtime(), nanoseconds };
                let content = if folder.starts_with("names") {
                    fs::read(entry.path()).unwrap_or_default()
                } else {
                    Vec::new()
                };
                let begun = book.begun_by(touched);
                let held = Held { size: found.len(), content, touched, begun };
                files.insert(format!("{}/{name}", folder.display()), held);
            }
        }
        self.clock.tick();
        Seen { files, locks: self.locks(), begun: book.begun_by(self.clock.now()) }
    }

    /// What the kernel says of each open file. Its list of all locks leaves some out while others come and go.
    fn locks(&self) -> Vec<[u32; 2]> {
        let mut locks = vec![[0, 0]; self.numbers.len()];
        for file in fs::read_dir("/proc/self/fdinfo").into_iter().flatten().flatten() {
            let text = fs::read_to_string(file.path()).unwrap_or_default();
            for line in text.lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                let ["lock:", _, "FLOCK", _, how, _, file, ..] = words[..] else { continue };
                let inode: Option<u64> = file.rsplit(':').next().and_then(|inode| inode.parse().ok());
                if let Some(folder) = self.numbers.iter().position(|number| Some(*number) == inode) {
                    locks[folder][usize::from(how == "WRITE")] += 1;
                }
            }
        }
        locks
    }

    pub(crate) fn check_end(&self) {
        (self.check_end)(&self.place());
    }
}
