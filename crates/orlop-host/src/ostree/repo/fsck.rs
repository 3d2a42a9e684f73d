//! Proof that a repository holds what it says.
//!
//! ```text
//! objects ── hash of the bytes = name? well formed? ──► what is damaged ─┐
//! commits ─► dirtrees, dirmetas, files: what is missing ─────────────────┼─► which refs need it
//! refs ─► commits: which of them lead nowhere ───────────────────────────┘
//! ```
//!
//! Invariant: what is whole is never called damaged, whoever writes meanwhile; what a commit lacks that was fetched only in
//! part is not missing.

use super::{Repo, RepoError};
use crate::Error;
use crate::ostree::id::{Kind, ObjectId, ObjectName};
use crate::ostree::refname::RefSpec;
use orlop_spec::{Context, Diagnose as _, Event};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// It is not what its name says, or no proper object of its kind.
    Damaged,
    /// Somebody needs it, and it is not there.
    Missing,
    /// A ref to a commit that is not there.
    Dangling,
}

/// Something of a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A ref.
    Ref(Box<str>),
    /// An object.
    Object(ObjectName),
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub item: Item,
    /// In which way.
    pub wrong: Wrong,
    /// The refs whose commits need it; of commits without a ref, the id.
    pub needed_by: Vec<String>,
}

/// What a look at a whole repository found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
    /// Commits that are there.
    pub commits: u64,
    /// Those of them that were fetched only in part.
    pub partial: u64,
    /// Objects that were read.
    pub objects: u64,
    /// Their bytes, without compression.
    pub bytes: u64,
}

impl fmt::Display for Item {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ref(name) => out.write_str(name),
            Self::Object(object) => object.fmt(out),
        }
    }
}

const CHECKED: [Kind; 4] = [Kind::Commit, Kind::DirTree, Kind::DirMeta, Kind::File];
const PHASE: &str = "check";

impl Repo {
    /// Reads and proves everything.
    pub fn check(&self, cx: &Context<'_>) -> Result<Checked, Error> {
        let objects = self.list(&CHECKED)?;
        let mut checked = Checked { objects: objects.len() as u64, ..Checked::default() };
        let proven = self.prove(cx, &objects)?;
        checked.bytes = proven.bytes;
        let mut bad: BTreeMap<ObjectName, Wrong> =
            proven.damaged.iter().map(|object| (*object, Wrong::Damaged)).collect();
        let commits: Vec<ObjectId> = objects
            .iter()
            .filter(|object| object.kind == Kind::Commit && !proven.damaged.contains(object))
            .map(|object| object.id)
            .collect();
        checked.commits = commits.len() as u64;
        let there: HashSet<ObjectName> = objects.into_iter().collect();
        let mut whole = Vec::new();
        for commit in commits {
            if self.is_partial(&commit)? {
                checked.partial += 1;
            } else {
                whole.push(commit);
            }
        }
        self.look_for_missing(cx, &whole, &there, &mut bad)?;
        let refs = self.all_refs(&mut checked.findings)?;
        self.find_dangling(&refs, &mut checked.findings)?;
        checked.findings.extend(self.told(cx, &whole, &refs, &bad)?);
        Ok(checked)
    }

    /// Reads objects on all workers.
    fn prove(&self, cx: &Context<'_>, objects: &[ObjectName]) -> Result<Proven, Error> {
        let next = AtomicUsize::new(0);
        let proven = Mutex::new(Proven::default());
        let item = || "objects".to_owned();
        cx.observer.event(Event::Started { phase: PHASE, item: item(), total: None });
        let work = || -> Result<(), Error> {
            while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
                cx.cancel.check().map_err(RepoError::from)?;
                let read = self.read_whole(object);
                let mut proven = proven.lock().expect("no holder panics");
                match read {
                    Ok(Some(bytes)) => {
                        proven.bytes += bytes;
                        cx.observer.event(Event::Advanced { item: item(), bytes });
                    }
                    Ok(None) => drop(proven.damaged.insert(*object)),
                    // It went since it was listed; whether somebody needs it is asked later.
                    Err(Error::Repo(RepoError::Missing { .. })) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (1..cx.workers.get()).map(|_| scope.spawn(work)).collect();
            let first = work();
            workers
                .into_iter()
                .map(|worker| worker.join().expect("no worker panics"))
                .fold(first, Result::and)
        })?;
        cx.observer.event(Event::Finished { item: item() });
        Ok(proven.into_inner().expect("no holder panics"))
    }

    /// Its size, once its bytes are proven; `None` where they are wrong.
    fn read_whole(&self, object: &ObjectName) -> Result<Option<u64>, Error> {
        let size = match object.kind {
            Kind::Commit => self.commit(&object.id).map(|commit| commit.to_bytes().len() as u64),
            Kind::DirTree => self.dirtree(&object.id).map(|tree| tree.to_bytes().len() as u64),
            Kind::DirMeta => self.dirmeta(&object.id).map(|meta| meta.to_bytes().len() as u64),
            _ => self.file(&object.id).and_then(|file| {
                let failed = |error| orlop_fs::Error::io("read", object.to_string().as_bytes(), error);
                Ok(io::copy(&mut file.reader(), &mut io::sink()).map_err(failed)?)
            }),
        };
        match size {
            Err(error) if is_gone(&error) => Err(error),
            Err(error) if error.kind() == orlop_spec::Kind::Integrity => Ok(None),
            size => size.map(Some),
        }
    }

    /// Adds what whole commits need and is neither there nor damaged.
    fn look_for_missing(
        &self,
        cx: &Context<'_>,
        commits: &[ObjectId],
        there: &HashSet<ObjectName>,
        bad: &mut BTreeMap<ObjectName, Wrong>,
    ) -> Result<(), Error> {
        let mut met = HashSet::new();
        for id in commits {
            let commit = self.commit(id)?;
            let mut open = vec![
                ObjectName::new(commit.tree, Kind::DirTree),
                ObjectName::new(commit.meta, Kind::DirMeta),
            ];
            while let Some(object) = open.pop() {
                if !met.insert(object) || bad.contains_key(&object) {
                    continue;
                }
                cx.cancel.check().map_err(RepoError::from)?;
                // Written since the list was made, or not at all.
                if !there.contains(&object) && !self.has(&object)? {
                    bad.insert(object, Wrong::Missing);
                } else if object.kind == Kind::DirTree {
                    open.extend(self.parts(&object.id)?);
                }
            }
        }
        Ok(())
    }

    /// What a folder needs.
    fn parts(&self, id: &ObjectId) -> Result<Vec<ObjectName>, Error> {
        let tree = self.dirtree(id)?;
        let files = tree.files.iter().map(|(_, file)| ObjectName::new(*file, Kind::File));
        let folders = tree.folders.iter().flat_map(|(_, tree, meta)| {
            [ObjectName::new(*tree, Kind::DirTree), ObjectName::new(*meta, Kind::DirMeta)]
        });
        Ok(files.chain(folders).collect())
    }

    /// The refs; one whose file holds no id is a finding.
    fn all_refs(&self, findings: &mut Vec<Finding>) -> Result<Vec<(RefSpec, ObjectId)>, Error> {
        match self.refs() {
            Err(Error::Repo(RepoError::BadRef { name })) => {
                findings.push(Finding {
                    item: Item::Ref(name),
                    wrong: Wrong::Damaged,
                    needed_by: Vec::new(),
                });
                Ok(Vec::new())
            }
            refs => refs,
        }
    }

    fn find_dangling(&self, refs: &[(RefSpec, ObjectId)], findings: &mut Vec<Finding>) -> Result<(), Error> {
        for (spec, id) in refs {
            if !self.has_commit(id)? {
                let item = Item::Ref(spec.to_string().into());
                findings.push(Finding { item, wrong: Wrong::Dangling, needed_by: Vec::new() });
            }
        }
        Ok(())
    }

    /// What is wrong, with the names of those who need it.
    fn told(
        &self,
        cx: &Context<'_>,
        commits: &[ObjectId],
        refs: &[(RefSpec, ObjectId)],
        bad: &BTreeMap<ObjectName, Wrong>,
    ) -> Result<Vec<Finding>, Error> {
        let mut needed: HashMap<ObjectName, Vec<String>> = HashMap::new();
        for (spec, id) in refs {
            let object = ObjectName::new(*id, Kind::Commit);
            if bad.contains_key(&object) {
                needed.entry(object).or_default().push(spec.to_string());
            }
        }
        for id in commits.iter().filter(|_| !bad.is_empty()) {
            let names: Vec<String> =
                refs.iter().filter(|(_, commit)| commit == id).map(|(spec, _)| spec.to_string()).collect();
            let names = if names.is_empty() { vec![id.to_string()] } else { names };
            for object in self.bad_parts(cx, id, bad)? {
                needed.entry(object).or_default().extend_from_slice(&names);
            }
        }
        let finding = |(object, wrong): (&ObjectName, &Wrong)| Finding {
            item: Item::Object(*object),
            wrong: *wrong,
            needed_by: needed.remove(object).unwrap_or_default(),
        };
        Ok(bad.iter().map(finding).collect())
    }

    fn bad_parts(
        &self,
        cx: &Context<'_>,
        commit: &ObjectId,
        bad: &BTreeMap<ObjectName, Wrong>,
    ) -> Result<HashSet<ObjectName>, Error> {
        let commit = self.commit(commit)?;
        let mut found = HashSet::new();
        let mut met = HashSet::new();
        let mut open =
            vec![ObjectName::new(commit.tree, Kind::DirTree), ObjectName::new(commit.meta, Kind::DirMeta)];
        while let Some(object) = open.pop() {
            if !met.insert(object) {
                continue;
            }
            cx.cancel.check().map_err(RepoError::from)?;
            if bad.contains_key(&object) {
                found.insert(object);
            } else if object.kind == Kind::DirTree {
                open.extend(self.parts(&object.id)?);
            }
        }
        Ok(found)
    }
}

/// Also of what an object refers to: it is looked for by who needs it.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Repo(RepoError::Missing { .. }))
}

#[derive(Default)]
struct Proven {
    damaged: HashSet<ObjectName>,
    bytes: u64,
}
