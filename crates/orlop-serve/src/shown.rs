//! What repositories hold: everything that their entries reach, found once and kept for as long as they are offered.
//!
//! ```text
//! entries ──► tag ──► root ──► manifests ──► configs, layers
//!                       └──── Reached, kept by digest ────┘
//! ```
//!
//! Invariant: a blob is in a repository only where a manifest of that repository names it. What a root cannot reach,
//! because it is missing or damaged, is not there; the rest is. Only what was whole is believed for good: a root of which
//! something was not there is looked at again, once in [`AGAIN`].

use crate::offer::{Entry, Offer};
use orlop_spec::document::Document;
use orlop_spec::index::Index;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::Role;
use orlop_spec::port::{Catalog, Result};
use orlop_spec::wire::referrers;
use orlop_spec::{AnyDigest, Context, Descriptor, Diagnose as _, Event, graph};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what was not there is believed to be missing still.
const AGAIN: Duration = Duration::from_secs(1);

/// Everything that is offered at one time.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) repositories: BTreeMap<Box<str>, Repository>,
}

/// One repository.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    pub(crate) tags: BTreeMap<Box<str>, AnyDigest>,
    /// What each of its roots reaches, and in which place; the later ones go before the earlier ones.
    roots: Vec<(usize, Arc<Reached>)>,
}

/// A blob and where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held<'s> {
    pub(crate) blob: &'s Descriptor,
    pub(crate) place: usize,
}

/// What one root reaches, itself included. Repositories that have it share it.
#[derive(Debug, Default)]
struct Reached {
    manifests: HashMap<AnyDigest, Descriptor>,
    blobs: HashMap<AnyDigest, Descriptor>,
    referrers: Vec<(AnyDigest, Descriptor)>,
    /// What could not be read, in words where somebody has to be told.
    lacks: Vec<Option<Box<str>>>,
}

/// Keeps what was found.
pub(crate) struct Showcase<'a> {
    cx: Context<'a>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    shown: Arc<Shown>,
    reached: HashMap<(usize, AnyDigest), Arc<Reached>>,
    /// When something was not there.
    lacked: Option<Instant>,
}

impl<'a> Showcase<'a> {
    pub(crate) fn new(cx: Context<'a>) -> Self {
        Self { cx, state: Mutex::default() }
    }

    /// What is offered now.
    pub(crate) fn shown(&self, offer: &dyn Offer) -> Result<Arc<Shown>> {
        let entries = offer.entries()?;
        // What a thread that panicked left is whole: it is replaced as one.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = state.lacked.is_some_and(|then| then.elapsed() >= AGAIN);
        if is_due || state.entries != entries {
            *state = self.found(offer, entries, &state);
        }
        Ok(Arc::clone(&state.shown))
    }

    fn found(&self, offer: &dyn Offer, entries: Vec<Entry>, before: &State) -> State {
        let mut shown = Shown::default();
        let mut reached: HashMap<_, Arc<Reached>> = HashMap::new();
        for entry in &entries {
            let key = (entry.place, entry.root.digest.clone());
            let known = before.reached.get(&key);
            let it = reached.entry(key).or_insert_with(|| match known {
                Some(whole) if whole.lacks.is_empty() => Arc::clone(whole),
                _ => {
                    let found = self.reach(offer.place(entry.place), &entry.root);
                    self.tell(&found, known.map(|it| &**it));
                    Arc::new(found)
                }
            });
            shown.repositories.entry(entry.repository.clone()).or_default().take(entry, it);
        }
        let lacked = reached.values().any(|it| !it.lacks.is_empty()).then(Instant::now);
        State { entries, shown: Arc::new(shown), reached, lacked }
    }

    fn reach(&self, place: &dyn Catalog, root: &Descriptor) -> Reached {
        let mut reach = Reach { cx: &self.cx, place, seen: HashSet::new(), found: Reached::default() };
        reach.enter(root, 0);
        reach.found
    }

    /// Says what cannot be read, once for as long as it stays so.
    fn tell(&self, found: &Reached, before: Option<&Reached>) {
        let is_new = |text: &&Option<Box<str>>| before.is_none_or(|before| !before.lacks.contains(text));
        for text in found.lacks.iter().filter(is_new).flatten() {
            self.cx.observer.event(Event::Warned(format!("not offered: {text}")));
        }
    }
}

impl Repository {
    fn take(&mut self, entry: &Entry, reached: &Arc<Reached>) {
        self.roots.push((entry.place, Arc::clone(reached)));
        if let Some(tag) = &entry.tag {
            self.tags.insert(tag.clone(), entry.root.digest.clone());
        }
    }

    /// A manifest or index.
    pub(crate) fn manifest(&self, digest: &AnyDigest) -> Option<Held<'_>> {
        self.find(|reached| reached.manifests.get(digest))
    }

    /// A config or a layer; manifests are blobs, too.
    pub(crate) fn blob(&self, digest: &AnyDigest) -> Option<Held<'_>> {
        self.find(|reached| reached.blobs.get(digest)).or_else(|| self.manifest(digest))
    }

    /// The manifests that speak about one, each once.
    pub(crate) fn referrers(&self, subject: &AnyDigest) -> Vec<Descriptor> {
        let mut seen = HashSet::new();
        let all = self.roots.iter().flat_map(|(_, reached)| &reached.referrers);
        let those = all.filter(|(about, referrer)| about == subject && seen.insert(&referrer.digest));
        those.map(|(_, referrer)| referrer.clone()).collect()
    }

    fn find<'s>(&'s self, get: impl Fn(&'s Reached) -> Option<&'s Descriptor>) -> Option<Held<'s>> {
        self.roots.iter().rev().find_map(|(place, reached)| Some(Held { blob: get(reached)?, place: *place }))
    }
}

struct Reach<'a> {
    cx: &'a Context<'a>,
    place: &'a dyn Catalog,
    seen: HashSet<AnyDigest>,
    found: Reached,
}

impl Reach<'_> {
    fn enter(&mut self, blob: &Descriptor, depth: u32) {
        let role = blob.media_type.role();
        if !matches!(role, Role::Manifest | Role::Index) {
            self.found.blobs.insert(blob.digest.clone(), plain(blob));
            return;
        }
        if depth > self.cx.limits.index_depth || !self.seen.insert(blob.digest.clone()) {
            return;
        }
        let read = if role == Role::Index { self.index(blob, depth) } else { self.manifest(blob) };
        match read {
            Ok(()) => drop(self.found.manifests.insert(blob.digest.clone(), plain(blob))),
            // A platform that nobody copied is an ordinary thing.
            Err(fault) if fault.is_absence() => self.found.lacks.push(None),
            Err(fault) => self.found.lacks.push(Some(fault.to_string().into())),
        }
    }

    fn index(&mut self, blob: &Descriptor, depth: u32) -> Result<()> {
        let index: Document<Index> = graph::read(self.cx.limits, self.place, blob)?;
        self.found.referrers.extend(referrers::of_index(&index));
        for child in &index.manifests {
            self.enter(child, depth + 1);
        }
        Ok(())
    }

    fn manifest(&mut self, blob: &Descriptor) -> Result<()> {
        let manifest: Document<Manifest> = graph::read(self.cx.limits, self.place, blob)?;
        self.found.referrers.extend(referrers::of_manifest(&manifest));
        self.found.blobs.extend(manifest.blobs().map(|blob| (blob.digest.clone(), plain(blob))));
        Ok(())
    }
}

/// What names a blob, without what a parent says of it.
fn plain(blob: &Descriptor) -> Descriptor {
    Descriptor::new(blob.media_type.clone(), blob.digest.clone(), blob.size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_spec::media_type::{MediaType, OCI_INDEX};
    use orlop_spec::port::Sink as _;
    use orlop_spec::{Algorithm, Cancel, Limits};
    use std::num::NonZeroUsize;
    use testkit::suites::memory::Memory;
    use testkit::suites::put_document;

    /// One image in many repositories.
    struct Many(Memory, Descriptor);

    impl Offer for Many {
        fn entries(&self) -> Result<Vec<Entry>> {
            let entry = |number| Entry {
                repository: format!("app{number}").into(),
                tag: None,
                root: self.1.clone(),
                place: 0,
            };
            Ok((0..9).map(entry).collect())
        }

        fn place(&self, _: usize) -> &dyn Catalog {
            &self.0
        }
    }

    #[test]
    fn repositories_that_have_one_root_share_what_it_reaches() {
        let memory = Memory::default();
        let index = Document::print(Index::new(Vec::new()), MediaType::new(OCI_INDEX), Algorithm::Sha256);
        let root = put_document(&memory, &index);
        Box::new(memory.clone()).finish(&[]).expect("whole");
        let (limits, cancel) = (Limits::default(), Cancel::new());
        let cx = Context { observer: &(), cancel: &cancel, limits: &limits, workers: NonZeroUsize::MIN };
        let showcase = Showcase::new(cx);
        let shown = showcase.shown(&Many(memory, root)).expect("it shows");
        let all: Vec<_> = shown.repositories.values().flat_map(|it| &it.roots).collect();
        assert_eq!(all.len(), 9);
        assert!(all.iter().all(|(_, reached)| Arc::ptr_eq(reached, &all[0].1)), "nine copies");
    }
}
