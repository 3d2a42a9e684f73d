//! Manifests that speak about another one: asked of the registry, or kept under a tag where it keeps none
//! (distribution-spec, "Listing Referrers", "Referrers Tag Schema").
//!
//! ```text
//! GET referrers/sha256:ab12… ── 404 ──► GET manifests/sha256-ab12…   an index of descriptors
//! ```

use super::doors::{Door, Doors, PULL, PUSH};
use super::error::Error;
use super::manifest::Fetched;
use super::push::Answered;
use super::source::is_no_manifest;
use orlop_spec::index::Index;
use orlop_spec::media_type::{MediaType, OCI_INDEX, Role};
use orlop_spec::port::Result;
use orlop_spec::wire::failure::Failure;
use orlop_spec::wire::referrers::{self, Change, Fallback};
use orlop_spec::wire::{Address, Place};
use orlop_spec::{
    Algorithm, AnyDigest, Descriptor, Diagnose as _, Digest, Document, Event, Fault, Kind, json,
};
use std::sync::Arc;

/// How often an index is written again that somebody else wrote over.
const TRIES: usize = 3;

impl Doors<'_> {
    /// What speaks about `digest`.
    pub(super) fn referrers(&self, door: &Door, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        let mut found = Vec::new();
        let request = |place: &Place| Ok(place.referrers(digest, None));
        let asked = self.pages(door, PULL, &request, &mut |address, page| {
            found.extend(index_of(address, page)?.manifests);
            Ok(())
        });
        match asked {
            Ok(()) => Ok(found),
            Err(fault) if is_unknown(&fault) => {
                let found = self.fallback(door, PULL, digest)?;
                Ok(found.map_or_else(Vec::new, |found| referrers::listed(&found.raw)))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Enters a document that was sent into the index of its subject, unless the registry has done so.
    pub(super) fn note_subject(
        &self,
        door: &Door,
        document: &Descriptor,
        raw: &Arc<[u8]>,
        answered: Answered,
    ) -> Result<()> {
        match subject_of(document, raw)? {
            Some((subject, entry)) if answered == Answered::Plainly => {
                self.change_fallback(door, PUSH, &subject, &|index| index.add(entry.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Takes a document that was removed out of the index of its subject, where there is one.
    pub(super) fn forget_subject(
        &self,
        door: &Door,
        actions: &'static str,
        document: &Descriptor,
        raw: &Arc<[u8]>,
    ) -> Result<()> {
        let Some((subject, _)) = subject_of(document, raw)? else { return Ok(()) };
        self.change_fallback(door, actions, &subject, &|index| index.remove(&document.digest))
    }

    /// Changes the index of a subject; what others entered stays (item 207). Registries compare nothing when they
    /// write, so it is looked at again afterwards.
    fn change_fallback(
        &self,
        door: &Door,
        actions: &'static str,
        subject: &AnyDigest,
        change: &dyn Fn(&mut Fallback) -> Change,
    ) -> Result<()> {
        let (name, media_type) = (referrers::tag(subject), MediaType::new(OCI_INDEX));
        for _ in 0..TRIES {
            let mut index = match self.fallback(door, actions, subject)? {
                Some(found) => Fallback::read(found.raw, found.descriptor)?,
                None => Fallback::default(),
            };
            if change(&mut index) == Change::None {
                return Ok(());
            }
            let raw = index.print();
            let digest = Digest::of(Algorithm::Sha256, &raw);
            let document = Descriptor::new(media_type.clone(), digest, raw.len() as u64);
            self.put(door, actions, &document, &raw, &name)?;
        }
        let text = format!(
            "the list of what speaks of {subject} in {} is written by others again and again, and may lack something",
            self.repository
        );
        self.client.context().observer.event(Event::Warned(text));
        Ok(())
    }

    /// What stands under the tag of a subject.
    fn fallback(&self, door: &Door, actions: &'static str, subject: &AnyDigest) -> Result<Option<Fetched>> {
        match self.get(door, actions, &referrers::tag(subject), None) {
            Err(fault) if is_no_manifest(&fault) => Ok(None),
            found => found.map(Some),
        }
    }
}

/// What a document speaks about, and how it is listed there.
fn subject_of(document: &Descriptor, raw: &Arc<[u8]>) -> Result<Option<(AnyDigest, Descriptor)>> {
    Ok(match document.media_type.role() {
        Role::Manifest => referrers::of_manifest(&Document::open(raw.clone(), document.clone())?),
        Role::Index => referrers::of_index(&Document::open(raw.clone(), document.clone())?),
        _ => None,
    })
}

fn index_of(address: &Address, page: &[u8]) -> Result<Index> {
    let no_sense = || Error::NoSense { address: Box::new(address.clone()), what: "index of referrers" };
    Ok(json::parse(page).map_err(|_| no_sense())?)
}

/// Whether a registry does not know the question: older ones answer it as they answer any unknown address.
fn is_unknown(fault: &Fault) -> bool {
    let failure = fault.downcast_ref::<Failure>();
    failure.is_some_and(|failure| failure.kind() == Kind::NotFound || failure.is_unsupported())
        || matches!(fault.downcast_ref(), Some(Error::NoSense { .. }))
}
