//! A state: what is in the store, who has locked which folder, and where each run is. Numbers, with their digest.
//!
//! ```text
//! which runs have begun | locks of each folder | place of each run | each file
//! ```

use super::conductor::{Waiting, What};
use orlop_fs::seam::{Glance, Operation};
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, Hash, Hasher};

/// Numbers for what is equal.
#[derive(Default)]
pub(crate) struct Numbers<T>(HashMap<T, u32>, Vec<T>);

impl<T: Clone + Eq + Hash> Numbers<T> {
    pub(crate) fn of(&mut self, it: &T) -> u32 {
        if let Some(number) = self.0.get(it) {
            return *number;
        }
        let number = u32::try_from(self.1.len()).expect("few");
        self.0.insert(it.clone(), number);
        self.1.push(it.clone());
        number
    }

    pub(crate) fn get(&self, number: u32) -> &T {
        &self.1[number as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.1.len()
    }
}

/// For what is a digest already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed so");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl BuildHasher for Plain {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

/// A digest of one more number.
pub(crate) fn mixed(digest: u64, number: u64) -> u64 {
    let spread = digest.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    let mut mixed = spread.wrapping_add(number.wrapping_mul(0xff51_afd7_ed55_8ccd));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

pub(crate) fn digest_of(text: &str) -> u64 {
    text.bytes().fold(1, |digest, byte| mixed(digest, byte.into()))
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    words: Vec<u32>,
    digest: u64,
}

impl State {
    pub(crate) fn get(&self, at: usize) -> u32 {
        self.words.get(at).copied().unwrap_or(0)
    }

    pub(crate) fn set(&mut self, at: usize, word: u32) {
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        let part = |word: u32| if word == 0 { 0 } else { mixed(at as u64, word.into()) };
        self.digest ^= part(self.words[at]) ^ part(word);
        self.words[at] = word;
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }
}

/// What stands where in a state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) folders: usize,
    pub(crate) actors: u8,
}

/// Which runs have begun.
pub(crate) const BEGUN: usize = 0;

/// Where the lock of a folder is.
pub(crate) fn lock_at(folder: usize) -> usize {
    BEGUN + 1 + folder
}

impl Plan {
    pub(crate) fn node(self, actor: u8) -> usize {
        lock_at(self.folders) + usize::from(actor)
    }

    pub(crate) fn file(self, file: u32) -> usize {
        self.node(self.actors) + file as usize
    }

    /// A bit for each run.
    pub(crate) fn all(self) -> u8 {
        u8::MAX >> (8 - self.actors)
    }
}

/// A file that is there: its content, and which runs had begun when it was touched.
pub(crate) fn file_word(content: u32, begun: u8) -> u32 {
    (content + 1) << 8 | u32::from(begun)
}

pub(crate) fn begun_of(word: u32) -> u8 {
    word.to_le_bytes()[0]
}

/// What a step is about.
#[derive(Clone, Debug)]
pub(crate) enum About {
    /// A file that only its writer sees.
    Own,
    /// Files of this name.
    Name(Vec<u32>),
    /// The names in a folder: those that are known.
    Folder(Vec<u32>),
    /// A folder's lock.
    Lock(usize),
}

/// Files and folders of the store.
#[derive(Default)]
pub(crate) struct Files {
    pub(crate) paths: Numbers<String>,
    pub(crate) contents: Numbers<(u64, Vec<u8>)>,
    folders: Vec<String>,
    /// Until which part of a sweep the time of each file counts.
    counts_until: Vec<u32>,
    /// What nobody makes.
    never: BTreeSet<String>,
}

/// Until which part of a sweep times of files count in the folders of [`LIVELY`](super::stage::LIVELY): names never, leases
/// while they are asked for, then one kind of files after the other. Lists are listed twice before contents.
const COUNTS_UNTIL: [u32; 6] = [0, 0, 1, 2, 3, 5];

impl Files {
    pub(crate) fn new(folders: impl Iterator<Item = String>) -> Self {
        Self { folders: folders.collect(), ..Self::default() }
    }

    pub(crate) fn of(&mut self, path: &String) -> u32 {
        assert!(!self.never.contains(path), "{path} was thought never to be there");
        let number = self.paths.of(path);
        if self.counts_until.len() < self.paths.len() {
            let folder = self.folders.iter().position(|it| path.starts_with(&format!("{it}/")));
            // What may be litter counts to the end.
            let until =
                if path.contains("/temp ") { u32::MAX } else { COUNTS_UNTIL[folder.expect("one of them")] };
            self.counts_until.push(until);
        }
        number
    }

    /// Nobody makes what is at this path.
    pub(crate) fn never(&mut self, path: &str) {
        if let Some((_, path)) = path.rsplit_once("/store/") {
            self.never.insert(path.into());
        }
    }

    /// Whether a sweep in this part may still look at the time of a file.
    pub(crate) fn counts(&self, file: u32, part: u32) -> bool {
        part <= self.counts_until[file as usize]
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, &str)> {
        (0..).zip(self.paths.1.iter().map(String::as_str))
    }

    /// A step tells of a change only the name, of a look the whole path. Who looks for litter passes other names by where
    /// only contents and documents are.
    pub(crate) fn about(&self, step: &Waiting, is_for_litter: bool) -> About {
        let folder = self.folders.iter().position(|folder| step.about.ends_with(&format!("store/{folder}")));
        match (step.what, folder) {
            (What::Glance(Glance::Lock), Some(folder)) => About::Lock(folder),
            (What::Glance(Glance::List), Some(folder)) => {
                let all = |path: &str| !is_for_litter || folder < 2 || path.contains("/temp ");
                About::Folder(self.those(|path| self.is_in(folder, path) && all(path)))
            }
            (What::Change(_), _) if step.about.is_empty() => About::Own,
            (What::Change(_), _) => {
                About::Name(self.those(|path| path.rsplit('/').next() == Some(&step.about)))
            }
            _ => About::Name(self.those(|path| step.about.ends_with(&format!("store/{path}")))),
        }
    }

    fn is_in(&self, folder: usize, path: &str) -> bool {
        path.rsplit_once('/').is_some_and(|(parent, _)| parent == self.folders[folder])
    }

    fn those(&self, is: impl Fn(&str) -> bool) -> Vec<u32> {
        self.all().filter(|(_, path)| is(path)).map(|(number, _)| number).collect()
    }
}

/// Whether what has a name after the step keeps the time that it had before.
pub(crate) fn keeps_times(what: What) -> bool {
    matches!(what, What::Change(Operation::Link | Operation::Rename))
}
