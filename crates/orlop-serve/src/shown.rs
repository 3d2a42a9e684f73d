//! What repositories hold: everything that their entries reach, found once and kept for as long as they are offered.
//!
//! ```text
//! entries ──► tag ──► root ──► manifests ──► configs, layers
//!                       └──── Reached, kept by digest ────┘
//! ```
//!
//! Invariant: a blob is in a repository only where a manifest of that repository names it. What a root cannot reach,
//! because it is missing or damaged, is not there; the rest is.

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

/// Everything that is offered at one time.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) repositories: BTreeMap<Box<str>, Repository>,
}

/// One repository.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    pub(crate) tags: BTreeMap<Box<str>, AnyDigest>,
    pub(crate) manifests: HashMap<AnyDigest, Held>,
    pub(crate) blobs: HashMap<AnyDigest, Held>,
    /// By subject.
    pub(crate) referrers: BTreeMap<AnyDigest, Vec<Descriptor>>,
}

/// A blob and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) blob: Descriptor,
    pub(crate) place: usize,
}

/// What one root reaches, itself included.
#[derive(Debug, Default)]
struct Reached {
    manifests: Vec<Descriptor>,
    blobs: Vec<Descriptor>,
    referrers: Vec<(AnyDigest, Descriptor)>,
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
        if state.entries != entries {
            *state = self.found(offer, entries, &state);
        }
        Ok(Arc::clone(&state.shown))
    }

    fn found(&self, offer: &dyn Offer, entries: Vec<Entry>, before: &State) -> State {
        let mut shown = Shown::default();
        let mut reached = HashMap::new();
        for entry in &entries {
            let key = (entry.place, entry.root.digest.clone());
            let known = before.reached.get(&key).or_else(|| reached.get(&key)).cloned();
            let it = known.unwrap_or_else(|| Arc::new(self.reach(offer.place(entry.place), &entry.root)));
            shown.repositories.entry(entry.repository.clone()).or_default().take(entry, &it);
            reached.insert(key, it);
        }
        State { entries, shown: Arc::new(shown), reached }
    }

    fn reach(&self, place: &dyn Catalog, root: &Descriptor) -> Reached {
        let mut reach = Reach { cx: &self.cx, place, seen: HashSet::new(), found: Reached::default() };
        reach.enter(root, 0);
        reach.found
    }
}

impl Repository {
    fn take(&mut self, entry: &Entry, reached: &Reached) {
        let held = |blob: &Descriptor| (blob.digest.clone(), Held { blob: blob.clone(), place: entry.place });
        self.manifests.extend(reached.manifests.iter().map(held));
        self.blobs.extend(reached.blobs.iter().map(held));
        for (subject, referrer) in &reached.referrers {
            let known = self.referrers.entry(subject.clone()).or_default();
            if !known.iter().any(|it| it.digest == referrer.digest) {
                known.push(referrer.clone());
            }
        }
        if let Some(tag) = &entry.tag {
            self.tags.insert(tag.clone(), entry.root.digest.clone());
        }
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
            return self.found.blobs.push(plain(blob));
        }
        if depth > self.cx.limits.index_depth || !self.seen.insert(blob.digest.clone()) {
            return;
        }
        let read = if role == Role::Index { self.index(blob, depth) } else { self.manifest(blob) };
        match read {
            Ok(()) => self.found.manifests.push(plain(blob)),
            // A platform that nobody copied is an ordinary thing.
            Err(fault) if fault.is_absence() => {}
            Err(fault) => self.cx.observer.event(Event::Warned(format!("not offered: {fault}"))),
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
        self.found.blobs.extend(manifest.blobs().map(plain));
        Ok(())
    }
}

/// What names a blob, without what a parent says of it.
fn plain(blob: &Descriptor) -> Descriptor {
    Descriptor::new(blob.media_type.clone(), blob.digest.clone(), blob.size)
}
