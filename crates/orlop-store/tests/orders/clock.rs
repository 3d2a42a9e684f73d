//! When runs began, and what got which random name.

use super::conductor::{Step, What};
use orlop_fs::Dir;
use orlop_fs::seam::Operation;
use orlop_fs::temp;
use orlop_layer::Time;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The clock of the file system, moved by hand.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Dir>);

impl Clock {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        std::fs::write(folder.join("tick"), "").expect("written");
        Self(Arc::new(Dir::open(folder).expect("a folder")))
    }

    /// A file whose time was asked for gets a finer one when it is touched, and no later time is before that. But where the
    /// coarse clock has moved since, it gets the time of that, which another file may have: so it is touched again.
    pub(crate) fn tick(&self) {
        for _ in 0..2 {
            self.now();
            self.0.touch("tick").expect("touched");
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.0.stat("tick").expect("there").mtime
    }

    /// Whether the clock tells steps apart.
    pub(crate) fn is_fine(&self) -> bool {
        let is_later = |_| {
            self.tick();
            let before = self.now();
            let made = self.0.create_temp().expect("made").file().stat().expect("there").mtime;
            self.tick();
            made >= before && self.now() > made
        };
        (0..100).all(is_later)
    }
}

/// What is known of the runs beyond the files.
pub(crate) struct Book {
    clock: Clock,
    /// Folders whose files come and go.
    lively: HashSet<Vec<u8>>,
    /// Random names, by who made them.
    aliases: HashMap<Vec<u8>, String>,
    /// When each run made its first file: a lease has that time, and a sweep takes it for now.
    began: Vec<Option<Time>>,
    luck: Luck,
    is_unlucky: bool,
}

/// Which of two runs has the random name that comes first, where both have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Luck {
    OfFirst,
    OfLast,
}

impl Book {
    pub(crate) fn new(clock: Clock, place: &Path, lively: &[PathBuf], (actors, luck): (usize, Luck)) -> Self {
        let bytes = |folder: &PathBuf| place.join(folder).into_os_string().into_encoded_bytes();
        Self {
            clock,
            lively: lively.iter().map(bytes).collect(),
            aliases: HashMap::new(),
            began: vec![None; actors],
            luck,
            is_unlucky: false,
        }
    }

    /// Whether names came in another order than they should.
    pub(crate) fn is_unlucky(&self) -> bool {
        self.is_unlucky
    }

    /// The runs that had begun at a time, a bit each.
    pub(crate) fn begun_by(&self, when: Time) -> u8 {
        let bits = self.began.iter().enumerate();
        bits.filter(|(_, began)| began.is_some_and(|it| it <= when)).map(|(actor, _)| 1 << actor).sum()
    }

    pub(crate) fn alias(&self, name: &[u8]) -> String {
        self.aliases.get(name).cloned().unwrap_or_else(|| String::from_utf8_lossy(name).into_owned())
    }

    /// Whether nobody else can tell when it is done: folders are all there, and stay, and what is forced to the disk is
    /// there for everybody before.
    pub(crate) fn is_private(&self, step: &Step) -> bool {
        match step.what {
            What::Change(operation) => matches!(operation, Operation::Sync | Operation::MakeDir),
            What::Glance(_) => !self.is_lively(&step.about),
        }
    }

    fn is_lively(&self, path: &[u8]) -> bool {
        let parent = path.iter().rposition(|byte| *byte == b'/').map_or(path, |at| &path[..at]);
        self.lively.contains(path) || self.lively.contains(parent)
    }

    /// A run comes to a step, and tells what it is about under a name that is the same in every order.
    pub(crate) fn meet(&mut self, actor: usize, step: &Step) -> String {
        let at = step.about.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let (folder, name) = step.about.split_at(at);
        if is_random(name) && !self.aliases.contains_key(name) {
            let own = format!("{actor}.");
            let count = self.aliases.values().filter(|alias| alias.contains(&own)).count();
            let kind = if temp::is_temp_name(name) { "temp " } else { "" };
            let alias = format!("{kind}{own}{count}");
            let is_wrong = |(other, known): (&Vec<u8>, &String)| {
                !temp::is_temp_name(other)
                    && (name < other.as_slice()) != ((alias < *known) == (self.luck == Luck::OfFirst))
            };
            self.is_unlucky |= kind.is_empty() && self.aliases.iter().any(is_wrong);
            self.aliases.insert(name.into(), alias);
        }
        format!("{}{}", String::from_utf8_lossy(folder), self.alias(name))
    }

    /// The clock moves with every step.
    pub(crate) fn before(&mut self, actor: usize, step: &Step) {
        self.clock.tick();
        if self.began[actor].is_none() && step.begins() {
            self.began[actor] = Some(self.clock.now());
        }
    }
}

fn is_random(name: &[u8]) -> bool {
    let digits = name.strip_prefix(temp::PREFIX.as_bytes()).unwrap_or(name);
    digits.len() == 12 && digits.iter().all(u8::is_ascii_alphanumeric)
}
