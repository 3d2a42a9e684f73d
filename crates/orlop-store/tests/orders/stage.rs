//! The store that runs meet at, and what of it is a state.

use super::clock::{Book, Clock};
use super::conductor::Step;
use crate::stored;
use orlop_layer::Time;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use testkit::Scratch;
use testkit::scratch::scratch_in_memory;

/// Folders whose files come and go.
const LIVELY: [&str; 5] = ["names", "leases", "blobs/sha256", "forms/sha256", "layers/sha256"];

/// A file as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Held {
    size: u64,
    /// Of small files that are replaced.
    content: Vec<u8>,
    /// How many of the times that count had come when it was touched.
    after: usize,
}

/// What is in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Snapshot {
    files: BTreeMap<String, Held>,
    /// Leases and sweeps, in the order in which they began.
    times: Vec<String>,
}

pub(crate) struct Stage {
    scratch: Scratch,
    pub(crate) clock: Clock,
    /// What each run of all begins with.
    files: Vec<(PathBuf, Vec<u8>)>,
    lively: Vec<PathBuf>,
    /// What an image that has a name needs.
    needed: BTreeSet<String>,
    sweepers: Vec<usize>,
    check_end: fn(&Path),
}

impl Stage {
    /// A stage that begins with the store that `prepare` makes. `image` is what a store has for one image of a name.
    pub(crate) fn new(
        prepare: fn(&Path),
        image: &BTreeSet<PathBuf>,
        sweepers: Vec<usize>,
        check_end: fn(&Path),
    ) -> Self {
        let scratch = scratch_in_memory();
        let place = scratch.path("store");
        prepare(&place);
        let is_needed =
            |path: &&PathBuf| !["names", "leases", "format"].iter().any(|other| path.starts_with(other));
        let needed: BTreeSet<&PathBuf> = image.iter().filter(is_needed).collect();
        let of_objects = |path: &&PathBuf| {
            path.parent().filter(|folder| folder.starts_with("objects")).map(Path::to_owned)
        };
        let lively: Vec<PathBuf> =
            LIVELY.iter().map(PathBuf::from).chain(needed.iter().filter_map(of_objects)).collect();
        for folder in &lively {
            fs::create_dir_all(place.join(folder)).expect("made");
        }
        let is_mortal =
            |path: &PathBuf| path.parent().is_some_and(|folder| lively.iter().any(|it| it == folder));
        let read = |path: PathBuf| (path.clone(), fs::read(place.join(path)).expect("there"));
        let files = stored::files(&place).into_iter().filter(is_mortal).map(read).collect();
        let clock = Clock::in_folder(&scratch.path(""));
        let needed = needed.into_iter().map(|path| path.display().to_string()).collect();
        Self { scratch, clock, files, lively, needed, sweepers, check_end }
    }

    pub(crate) fn place(&self) -> PathBuf {
        self.scratch.path("store")
    }

    /// Everything as in the beginning, and old.
    pub(crate) fn reset(&self) -> Book {
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
        Book::new(self.clock.clone(), &place, &self.lively, self.sweepers.clone())
    }

    pub(crate) fn snapshot(&self, book: &Book) -> Snapshot {
        let mut files = BTreeMap::new();
        for folder in &self.lively {
            for entry in fs::read_dir(self.place().join(folder)).expect("a folder").flatten() {
                let Ok(found) = entry.metadata() else { continue };
                let name = book.alias(entry.file_name().as_bytes());
                let nanoseconds = u32::try_from(found.mtime_nsec()).expect("less than a second");
                let touched = Time { seconds: found.mtime(), nanoseconds };
                let after = book.times().iter().filter(|(when, _)| *when <= touched).count();
                let content = if folder.starts_with("names") {
                    fs::read(entry.path()).unwrap_or_default()
                } else {
                    Vec::new()
                };
                files.insert(
                    format!("{}/{name}", folder.display()),
                    Held { size: found.len(), content, after },
                );
            }
        }
        Snapshot { files, times: book.times().iter().map(|(_, name)| name.clone()).collect() }
    }

    /// The law of every moment: an image that has a name is whole.
    pub(crate) fn check_names(&self, snapshot: &Snapshot) -> Result<(), String> {
        if snapshot.files.keys().any(|path| path.starts_with("names/") && !path.contains("tmp")) {
            for needed in &self.needed {
                if !snapshot.files.contains_key(needed) {
                    return Err(format!("{needed} is gone, and there is a name for it"));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn check_end(&self) {
        (self.check_end)(&self.place());
    }
}

/// What a step may depend on: what is under its name, or the names of its folder. Only sweeps look at ages.
pub(crate) fn observed(actor: usize, step: &Step, snapshot: &Snapshot, book: &Book) -> u64 {
    let mut hasher = DefaultHasher::new();
    let last = book.alias(step.about.rsplit(|byte| *byte == b'/').next().unwrap_or_default());
    last.hash(&mut hasher);
    let is_sweeper = book.is_sweeper(actor);
    if last.is_empty() {
        snapshot.times.hash(&mut hasher);
    }
    let about = String::from_utf8_lossy(&step.about).into_owned();
    for (path, held) in &snapshot.files {
        let (folder, name) = path.rsplit_once('/').expect("in a folder");
        if name == last {
            (path, held.size, &held.content).hash(&mut hasher);
            if is_sweeper {
                (held.after, &snapshot.times).hash(&mut hasher);
            }
        } else if about.ends_with(&format!("store/{folder}")) {
            path.hash(&mut hasher);
        }
    }
    hasher.finish()
}
