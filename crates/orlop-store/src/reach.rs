//! What the names of a place reach: the ground of a sweep, of referrers, and of looking up by digest.
//!
//! Invariant: a walk ends (each digest once, nesting limited), and it errs on the side of keeping: whatever looks
//! like a descriptor or a digest in a document of unknown type counts as reached. A blob that is not there is
//! a leaf, because layouts may be sparse.

use crate::error::Error;
use orlop_spec::graph::{self, TooDeep};
use orlop_spec::media_type::{MediaType, Role};
use orlop_spec::port::{Result, Source};
use orlop_spec::{AnyDigest, Descriptor, Document, Fault, Index, Limits, Manifest, json};
use serde::Deserialize as _;
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};

/// What a reached descriptor stands for.
pub(crate) enum Reached {
    /// An index.
    Index(Box<Document<Index>>),
    /// A manifest.
    Manifest(Box<Document<Manifest>>),
    /// A blob, a document of unknown type, or one that is not there.
    Other,
}

/// What to do with a document that is there but is not what was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// The walk fails: what the document names cannot be known.
    Refuse,
    /// It is a leaf.
    PassBy,
}

/// Walks from `roots` and shows every descriptor once, parents first. Returns every digest that was met, in an order that is the same for every run.
pub(crate) fn reach(
    source: &dyn Source,
    limits: &Limits,
    roots: impl Iterator<Item = Descriptor>,
    damage: Damage,
    visit: &mut dyn FnMut(&Descriptor, &Reached),
) -> Result<BTreeSet<AnyDigest>> {
    let mut walk =
        Walk { source, limits, damage, seen: HashSet::new(), mentioned: BTreeSet::new(), next: Vec::new() };
    walk.push(roots, 0);
    while let Some((descriptor, depth)) = walk.next.pop() {
        let reached = walk.open(&descriptor, depth)?;
        visit(&descriptor, &reached);
    }
    walk.mentioned.extend(walk.seen.into_iter().map(|(digest, _)| digest));
    Ok(walk.mentioned)
}

struct Walk<'a> {
    source: &'a dyn Source,
    limits: &'a Limits,
    damage: Damage,
    /// What was opened, and whether as a document: one blob may be a layer to one parent and a manifest to another.
    seen: HashSet<(AnyDigest, bool)>,
    /// Digests that are named and not opened: configs, layers, and texts in documents of unknown type.
    mentioned: BTreeSet<AnyDigest>,
    next: Vec<(Descriptor, u32)>,
}

impl Walk<'_> {
    fn push(&mut self, children: impl Iterator<Item = Descriptor>, depth: u32) {
        let at = self.next.len();
        for child in children {
            if self.seen.insert((child.digest.clone(), child.media_type.is_document())) {
                self.next.push((child, depth));
            }
        }
        self.next[at..].reverse();
    }

    fn open(&mut self, descriptor: &Descriptor, depth: u32) -> Result<Reached> {
        match self.try_open(descriptor, depth) {
            Err(fault) if is_missing(&fault) || self.damage == Damage::PassBy => Ok(Reached::Other),
            outcome => outcome,
        }
    }

    fn try_open(&mut self, descriptor: &Descriptor, depth: u32) -> Result<Reached> {
        let role = descriptor.media_type.role();
        if matches!(role, Role::Config | Role::Layer(_)) || descriptor.digest.known().is_err() {
            return Ok(Reached::Other);
        }
        if depth > self.limits.index_depth {
            return Err(Fault::new(TooDeep { limit: self.limits.index_depth }));
        }
        match role {
            Role::Index => {
                let index = graph::read::<Index>(self.limits, self.source, descriptor)?;
                self.push(index.manifests.iter().chain(&index.subject).cloned(), depth + 1);
                Ok(Reached::Index(Box::new(index)))
            }
            Role::Manifest => {
                let manifest = graph::read::<Manifest>(self.limits, self.source, descriptor)?;
                self.mentioned.extend(manifest.blobs().map(|blob| blob.digest.clone()));
                self.push(manifest.subject.iter().cloned(), depth + 1);
                Ok(Reached::Manifest(Box::new(manifest)))
            }
            _ => self.unknown(descriptor, depth),
        }
    }

    /// A document of unknown type, where it is one: everything that it may name is kept.
    fn unknown(&mut self, descriptor: &Descriptor, depth: u32) -> Result<Reached> {
        if descriptor.size <= self.limits.document
            && let Ok(value) = json::value(&graph::read_raw(self.limits, self.source, descriptor)?)
        {
            let mut found = Vec::new();
            search(&value, &mut found, &mut self.mentioned);
            self.push(found.into_iter(), depth + 1);
        }
        Ok(Reached::Other)
    }
}

/// Finds descriptors, and texts that are digests, anywhere in a value.
fn search(value: &Value, descriptors: &mut Vec<Descriptor>, digests: &mut BTreeSet<AnyDigest>) {
    match value {
        Value::String(text) => digests.extend(text.parse::<AnyDigest>().ok()),
        Value::Array(items) => items.iter().for_each(|item| search(item, descriptors, digests)),
        Value::Object(members) => {
            descriptors.extend(Descriptor::deserialize(value).ok());
            members.values().for_each(|member| search(member, descriptors, digests));
        }
        _ => {}
    }
}

/// Whether a fault says that a blob is not there at all.
pub(crate) fn is_missing(fault: &Fault) -> bool {
    matches!(fault.downcast_ref::<Error>(), Some(Error::BlobMissing { .. }))
}

/// Manifests and indexes among what `roots` reach whose subject is `digest`, described as the referrers of a
/// registry are (distribution-spec, "Listing Referrers").
pub(crate) fn referrers(
    source: &dyn Source,
    limits: &Limits,
    roots: impl Iterator<Item = Descriptor>,
    digest: &AnyDigest,
) -> Result<Vec<Descriptor>> {
    let mut found = Vec::new();
    let speaks_of = |subject: &Option<Descriptor>| subject.as_ref().is_some_and(|it| it.digest == *digest);
    reach(source, limits, roots, Damage::PassBy, &mut |descriptor, reached| match reached {
        Reached::Manifest(manifest) if speaks_of(&manifest.subject) => {
            let of_config = || manifest.config.media_type.clone();
            let kind = manifest.artifact_type.clone().unwrap_or_else(of_config);
            found.push(referrer(descriptor, Some(kind), &manifest.annotations));
        }
        Reached::Index(index) if speaks_of(&index.subject) => {
            found.push(referrer(descriptor, index.artifact_type.clone(), &index.annotations));
        }
        _ => {}
    })?;
    Ok(found)
}

fn referrer(
    descriptor: &Descriptor,
    kind: Option<MediaType>,
    annotations: &orlop_spec::descriptor::Annotations,
) -> Descriptor {
    let mut referrer =
        Descriptor::new(descriptor.media_type.clone(), descriptor.digest.clone(), descriptor.size);
    referrer.artifact_type = kind;
    referrer.annotations = annotations.clone();
    referrer
}

/// The manifest or index of a digest among what `roots` reach.
pub(crate) fn find(
    source: &dyn Source,
    limits: &Limits,
    roots: impl Iterator<Item = Descriptor>,
    digest: &AnyDigest,
) -> Result<Option<Descriptor>> {
    let mut found = None;
    reach(source, limits, roots, Damage::PassBy, &mut |descriptor, _| {
        if descriptor.digest == *digest && descriptor.media_type.is_document() {
            found = Some(descriptor.clone());
        }
    })?;
    Ok(found)
}

/// What bytes are, where they are a manifest or an index: what they say, else what their shape says.
pub(crate) fn media_type_of(bytes: &[u8]) -> Option<MediaType> {
    use orlop_spec::media_type::{OCI_INDEX, OCI_MANIFEST};
    let value = json::value(bytes).ok()?;
    let by_shape = if value.get("manifests").is_some() { OCI_INDEX } else { OCI_MANIFEST };
    let says = value.get("mediaType").and_then(Value::as_str);
    let media_type = MediaType::new(says.unwrap_or(by_shape));
    let has_shape = ["manifests", "config", "layers"].iter().any(|member| value.get(member).is_some());
    (has_shape && media_type.is_document()).then_some(media_type)
}
