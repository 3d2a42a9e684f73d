//! When what began, and what got which random name.

use super::conductor::{Step, What};
use orlop_fs::Dir;
use orlop_fs::seam::Operation;
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

    /// A file whose time was asked for gets a finer one when it is touched, and no later time is before that.
    pub(crate) fn tick(&self) {
        self.now();
        self.0.touch("tick").expect("touched");
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

/// What is known of a run beyond the files.
pub(crate) struct Book {
    clock: Clock,
    leases: PathBuf,
    /// Folders whose files come and go.
    lively: HashSet<Vec<u8>>,
    sweepers: Vec<usize>,
    /// Random names, by who made them.
    aliases: HashMap<Vec<u8>, String>,
    /// When leases and sweeps began, in their order.
    times: Vec<(Time, String)>,
    /// The step that each run takes.
    taking: HashMap<usize, Step>,
}

impl Book {
    pub(crate) fn new(clock: Clock, place: &Path, lively: &[PathBuf], sweepers: Vec<usize>) -> Self {
        let bytes = |folder: &PathBuf| place.join(folder).into_os_string().into_encoded_bytes();
        Self {
            clock,
            leases: place.join("leases"),
            lively: lively.iter().map(bytes).collect(),
            sweepers,
            aliases: HashMap::new(),
            times: Vec::new(),
            taking: HashMap::new(),
        }
    }

    pub(crate) fn times(&self) -> &[(Time, String)] {
        &self.times
    }

    pub(crate) fn is_sweeper(&self, actor: usize) -> bool {
        self.sweepers.contains(&actor)
    }

    pub(crate) fn alias(&self, name: &[u8]) -> String {
        self.aliases.get(name).cloned().unwrap_or_else(|| String::from_utf8_lossy(name).into_owned())
    }

    /// Files without names are seen by their writer alone; when they were made matters to a sweep that is to begin.
    /// Folders are all there, and stay.
    pub(crate) fn is_private(&self, step: &Step) -> bool {
        match step.what {
            What::Change(Operation::Sync | Operation::MakeDir) => true,
            What::Change(_) => step.about.is_empty() && self.all_sweeps_began(),
            What::Glance(_) => !self.is_lively(&step.about),
        }
    }

    fn all_sweeps_began(&self) -> bool {
        self.times.iter().filter(|(_, name)| name.starts_with("sweep")).count() == self.sweepers.len()
    }

    fn is_lively(&self, path: &[u8]) -> bool {
        let parent = path.iter().rposition(|byte| *byte == b'/').map_or(path, |at| &path[..at]);
        self.lively.contains(path) || self.lively.contains(parent)
    }

    /// The clock moves with every step.
    pub(crate) fn before(&mut self, actor: usize, step: &Step) {
        self.clock.tick();
        let sweep = format!("sweep {actor}");
        let is_begin = step.what == What::Change(Operation::Create) && step.about.is_empty();
        if is_begin && self.is_sweeper(actor) && self.times.iter().all(|(_, name)| *name != sweep) {
            self.times.push((self.clock.now(), sweep));
        }
        self.taking.insert(actor, step.clone());
    }

    /// Notes what got a random name.
    pub(crate) fn after(&mut self, actor: usize) {
        let Some(Step { what: What::Change(Operation::Link), about }) = self.taking.remove(&actor) else {
            return;
        };
        let digits = about.rsplit(|byte| *byte == b'-').next().unwrap_or_default();
        if digits.len() != 12 || !digits.iter().all(u8::is_ascii_alphanumeric) {
            return;
        }
        let own = format!("{actor}.");
        let count = self.aliases.values().filter(|alias| alias.starts_with(&own)).count();
        let alias = format!("{own}{count}");
        if let Ok(Some(lease)) = Dir::open(&self.leases).and_then(|leases| leases.try_stat(&about)) {
            self.times.push((lease.mtime, alias.clone()));
            self.times.sort();
        }
        self.aliases.insert(about, alias);
    }
}
