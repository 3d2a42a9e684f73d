//! `index`: indexes made and changed; what they name stays as it is.
//!
//! ```text
//! index at a place ──change──► Index, printed around what stays ──┐
//! entries of images ─────────────────────────────────────────────┴─publish──► what is new, children first ──► the index ──► name
//! ```
//!
//! Invariants: an entry's digest, size, type and platform come from what it names; what is not spoken of stays, unknown
//! fields too. The target gets the index only when it holds all that it names, as in every copy. An index that is changed
//! where it was takes the place of the one that was read, and of no other.

use crate::copy::{self, Account, Copied};
use crate::draft;
use crate::edit::{Changed, Foreseen, algorithm_of};
use crate::error::Error;
use crate::image::{no_platform, platform_of};
use orlop_spec::config::Config;
use orlop_spec::descriptor::Annotations;
use orlop_spec::graph::{self, Node};
use orlop_spec::index::{Index, REF_NAME};
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::{MediaType, OCI_INDEX, Role};
use orlop_spec::platform::Platform;
use orlop_spec::port::{Catalog, Name, Rest, Result, Seen, Selector, Sink, Source, Transfer};
use orlop_spec::{Algorithm, AnyDigest, Context, Descriptor, Digest, Document};
use std::collections::HashSet;

/// One change of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Further entries; what becomes of one for a platform that is there already is said.
    Add(Vec<Descriptor>, Clash),
    /// These entries go.
    Remove(Vec<Which>),
    /// Only the entries for these platforms stay.
    Filter(Vec<Platform>),
    /// Annotations of an entry, or of the index itself, set and taken away.
    Annotate {
        /// Which entry; the index itself where there is none.
        which: Option<Which>,
        /// Keys and values.
        set: Annotations,
        /// Keys.
        unset: Vec<Box<str>>,
    },
}

/// What becomes of an entry for a platform that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Clash {
    /// The change is refused.
    #[default]
    Refuse,
    /// The new entry takes the place of the old one.
    Replace,
}

/// Names entries of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those for a platform.
    Platform(Platform),
    /// Those of a digest.
    Digest(AnyDigest),
}

impl Which {
    /// Whether an entry is meant. A version of the operating system that was not said is any.
    fn is(&self, entry: &Descriptor) -> bool {
        match (self, &entry.platform) {
            (Self::Digest(digest), _) => entry.digest == *digest,
            (Self::Platform(_), None) => false,
            (Self::Platform(wanted), Some(platform)) => {
                let (wanted, platform) = (wanted.normalized(), platform.normalized());
                let is_version = wanted.os_version.is_none() || wanted.os_version == platform.os_version;
                is_version
                    && (wanted.os, wanted.architecture, wanted.variant)
                        == (platform.os, platform.architecture, platform.variant)
            }
        }
    }
}

/// The index that `selector` names.
///
/// # Errors
/// Unfit where it names something else.
pub fn open(cx: &Context<'_>, source: &dyn Source, selector: &Selector) -> Result<Document<Index>> {
    let [root] = <[Descriptor; 1]>::try_from(source.resolve(selector)?).map_err(|_| NO_INDEX)?;
    if root.media_type.role() != Role::Index {
        return Err(NO_INDEX.into());
    }
    graph::read(cx.limits, source, &root)
}

const NO_INDEX: Error = Error::Unfit {
    what: "that is no index: it names one image",
    hint: "make an index of it: orlop index create SRC REF",
};

/// The entries that stand for what `selector` names: an image's own, or those of an index. `platform` says for which
/// machine a single image is, where its config is not to be asked.
pub fn entries(
    cx: &Context<'_>,
    source: &dyn Source,
    selector: &Selector,
    platform: Option<&Platform>,
) -> Result<Vec<Descriptor>> {
    let mut entries = Vec::new();
    for root in source.resolve(selector)? {
        match (root.media_type.role(), platform) {
            (Role::Index, None) => {
                let index: Document<Index> = graph::read(cx.limits, source, &root)?;
                entries.extend(index.into_value().manifests);
            }
            (Role::Index, Some(_)) => return Err(SEVERAL.into()),
            (_, platform) => entries.push(entry(cx, source, &root, platform)?),
        }
    }
    Ok(entries)
}

const SEVERAL: Error = Error::Unfit {
    what: "an index holds images for several platforms, and one platform was said",
    hint: "leave the platform out, or name one image of the index by its digest",
};

/// The entry of one manifest, by what it says of itself.
fn entry(
    cx: &Context<'_>,
    source: &dyn Source,
    root: &Descriptor,
    platform: Option<&Platform>,
) -> Result<Descriptor> {
    let manifest: Document<Manifest> = graph::read(cx.limits, source, root)?;
    let mut entry = manifest.descriptor().clone();
    entry.annotations = root.annotations.clone();
    entry.annotations.remove(REF_NAME);
    entry.artifact_type.clone_from(&manifest.artifact_type);
    entry.platform = match platform {
        Some(platform) => Some(platform.clone()),
        None if manifest.config.media_type.role() == Role::Config => {
            let config: Document<Config> = graph::read(cx.limits, source, &manifest.config)?;
            Some(platform_of(&config))
        }
        // An artifact is for no machine.
        None => None,
    };
    Ok(entry)
}

/// Changes an index.
///
/// # Errors
/// Not found where an entry that is named is not there; unfit where a platform would stand twice.
pub fn change(mut index: Index, change: &Change) -> Result<Index> {
    match change {
        Change::Add(entries, clash) => {
            for entry in entries {
                add(&mut index.manifests, entry, *clash)?;
            }
        }
        Change::Remove(which) => {
            let gone = found(&index, which)?;
            let speaks_of_it = |entry: &Descriptor| subject(entry).is_some_and(|it| gone.contains(it));
            index.manifests.retain(|it| !gone.contains(&*it.digest.to_string()) && !speaks_of_it(it));
        }
        Change::Filter(platforms) => {
            let which: Vec<_> = platforms.iter().cloned().map(Which::Platform).collect();
            let kept = found(&index, &which)?;
            let speaks_of_it = |entry: &Descriptor| subject(entry).is_some_and(|it| kept.contains(it));
            index.manifests.retain(|it| kept.contains(&*it.digest.to_string()) || speaks_of_it(it));
        }
        Change::Annotate { which: None, set, unset } => annotate(&mut index.annotations, set, unset),
        Change::Annotate { which: Some(which), set, unset } => {
            find(&index, which)?;
            for entry in index.manifests.iter_mut().filter(|entry| which.is(entry)) {
                annotate(&mut entry.annotations, set, unset);
            }
        }
    }
    Ok(index)
}

/// The digests of the entries that are named. What is attached to an entry goes and stays with it.
fn found(index: &Index, which: &[Which]) -> Result<HashSet<String>> {
    which.iter().try_for_each(|which| find(index, which))?;
    let named = index.manifests.iter().filter(|entry| which.iter().any(|which| which.is(entry)));
    Ok(named.map(|entry| entry.digest.to_string()).collect())
}

/// Of which entry of the index an entry speaks: so builders attach what they attest.
pub(crate) fn subject(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(draft::SPEAKS_ABOUT).map(|digest| &**digest)
}

fn add(entries: &mut Vec<Descriptor>, entry: &Descriptor, clash: Clash) -> Result<()> {
    let machine = |entry: &Descriptor| entry.platform.as_ref().map(Platform::normalized).filter(is_machine);
    let rival = machine(entry).and_then(|platform| {
        let at = entries.iter().position(|other| machine(other).as_ref() == Some(&platform))?;
        Some((at, platform))
    });
    match (rival, clash) {
        (None, _) if entries.iter().any(|other| other.digest == entry.digest) => {}
        (None, _) => entries.push(entry.clone()),
        (Some((at, _)), _) if entries[at].digest == entry.digest => {}
        (Some((at, _)), Clash::Replace) => entries[at] = entry.clone(),
        (Some((_, platform)), Clash::Refuse) => {
            return Err(Error::PlatformTaken { platform: Box::new(platform) }.into());
        }
    }
    Ok(())
}

/// What is attached to images says that it is for no machine: `unknown/unknown`.
fn is_machine(platform: &Platform) -> bool {
    &*platform.os != "unknown"
}

fn annotate(annotations: &mut Annotations, set: &Annotations, unset: &[Box<str>]) {
    annotations.extend(set.clone());
    for key in unset {
        annotations.remove(key);
    }
}

fn find(index: &Index, which: &Which) -> Result<()> {
    if index.manifests.iter().any(|entry| which.is(entry)) {
        return Ok(());
    }
    match which {
        Which::Platform(platform) => Err(no_platform(platform, &index.manifests).into()),
        Which::Digest(digest) => Err(Error::NoEntry { digest: digest.clone() }.into()),
    }
}

/// Where a changed index goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where it was: what it named before is there.
    Same,
    /// Elsewhere.
    Other,
}

/// An index that is ready to be published.
pub struct Edited<'a> {
    /// Holds everything that the index names.
    pub from: &'a dyn Catalog,
    /// The place that the index was read from.
    pub at: &'a dyn Catalog,
    /// The index as it was; nothing where it is made.
    pub before: Option<&'a Document<Index>>,
    /// The index as it shall be.
    pub after: Index,
    /// Where it goes.
    pub place: Place,
    /// What its new name led to, where that is the name that it was read by.
    pub seen: Option<Seen>,
}

/// Puts an index, and what it names and the target lacks, into a target. It is printed in the type that it had.
pub fn publish(cx: &Context<'_>, edited: &Edited<'_>, name: &Name, to: Box<dyn Sink + '_>) -> Result<Copied> {
    let Ready { nodes, document, mut roots, expected } = edited.ready(cx, name, &*to)?;
    let account = copy::put_all(cx, edited.from, &nodes, &*to, Transfer::default(), Account::default())?;
    draft::put(cx, &*to, &document)?;
    let root = document.descriptor().clone();
    roots.push((name.clone(), root.clone()));
    crate::publish::publish(cx, to, &roots, &expected)?;
    Ok(Copied { roots: vec![root], account })
}

/// What [`publish`] would do. Nothing is written.
pub fn foresee(cx: &Context<'_>, edited: &Edited<'_>, name: &Name, to: &dyn Sink) -> Result<Foreseen> {
    let Ready { nodes, document, .. } = edited.ready(cx, name, to)?;
    let mut foreseen = Foreseen::default();
    let new = document.descriptor();
    for blob in nodes.iter().map(Node::descriptor).chain([new]) {
        cx.cancel.check()?;
        foreseen.account.foresee(to, blob)?;
    }
    let old = edited.before.map(Document::descriptor);
    if old.is_none_or(|old| old.digest != new.digest) {
        let (old, new) = (old.cloned(), Some(new.clone()));
        foreseen.changed.push(Changed { old, platform: None, new, layers: Vec::new() });
    }
    Ok(foreseen)
}

/// An index on its way.
struct Ready {
    /// What it names and the target may lack.
    nodes: Vec<Node>,
    document: Document<Index>,
    /// What else is published, because the place is written anew.
    roots: Vec<(Name, Descriptor)>,
    expected: Vec<Seen>,
}

impl Edited<'_> {
    fn ready(&self, cx: &Context<'_>, name: &Name, to: &dyn Sink) -> Result<Ready> {
        let after = &self.after;
        let is_there = self.place == Place::Same && to.rest() == Rest::Stays;
        let (roots, expected) = match (self.place, to.rest()) {
            (Place::Same, Rest::Goes) => beside(self.at, name)?,
            _ => (Vec::new(), Vec::from_iter(self.seen.clone())),
        };
        let entries = after.manifests.iter().filter(|entry| !is_there || is_new(self.before, entry));
        let mut nodes = Vec::new();
        for child in entries.chain(roots.iter().map(|(_, root)| root)) {
            nodes.extend(graph::walk(cx, self.from, child, &graph::all)?);
        }
        let mut met = HashSet::new();
        nodes.retain(|node: &Node| {
            met.insert((node.descriptor().digest.clone(), matches!(node, Node::Blob(_))))
        });
        Ok(Ready { nodes, document: printed(self.before, after.clone()), roots, expected })
    }
}

/// A new index is one of OCI's; one that was changed is printed around what stays, and named as it was.
fn printed(before: Option<&Document<Index>>, mut after: Index) -> Document<Index> {
    let Some(before) = before else {
        let media_type = after.media_type.get_or_insert_with(|| MediaType::new(OCI_INDEX)).clone();
        return Document::print(after, media_type, Algorithm::Sha256);
    };
    let media_type = after.media_type.clone().unwrap_or_else(|| before.descriptor().media_type.clone());
    if after != **before {
        after.media_type.get_or_insert(media_type.clone());
    }
    before.revised(after, media_type, algorithm_of(before.descriptor()))
}

fn is_new(before: Option<&Document<Index>>, entry: &Descriptor) -> bool {
    before.is_none_or(|before| before.manifests.iter().all(|old| old.digest != entry.digest))
}

/// Names and their roots, and what was seen.
pub(crate) type Beside = (Vec<(Name, Descriptor)>, Vec<Seen>);

/// What else a place holds that is written anew as a whole, and all that was seen there.
pub(crate) fn beside(place: &dyn Catalog, name: &Name) -> Result<Beside> {
    let (names, name) = (place.names()?, place.spelled(name)?);
    let seen = Seen::all(&names);
    Ok((names.into_iter().filter(|(other, _)| *other != name).collect(), seen))
}

/// Parses what names an entry: a digest, or a platform.
pub fn parse_which(text: &str) -> std::result::Result<Which, orlop_spec::platform::PlatformError> {
    match text.parse::<Digest>() {
        Ok(digest) => Ok(Which::Digest(digest.into())),
        Err(_) => text.parse().map(Which::Platform),
    }
}

#[cfg(test)]
mod tests;
