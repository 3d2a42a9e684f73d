//! Reading a repository.

use super::blob::Blob;
use super::doors::{Doors, Old, PULL};
use super::error::Error;
use super::manifest::Fetched;
use crate::client::Client;
use orlop_spec::network::{Access, Serves};
use orlop_spec::port::{Catalog, Lender, Name, Origin, Result, Selector, Source};
use orlop_spec::reference::Repository;
use orlop_spec::wire::ManifestName;
use orlop_spec::wire::failure::Failure;
use orlop_spec::{AnyDigest, Descriptor, Diagnose as _, Fault, Names};
use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A repository of a registry. Opening one asks nobody anything.
pub struct Remote<'a> {
    pub(super) doors: Doors<'a>,
    resolve: Resolve,
    /// Documents that were fetched in order to be named, so that they need not be fetched again to be read.
    kept: Mutex<HashMap<AnyDigest, Arc<[u8]>>>,
}

/// How an image is found by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Resolve {
    /// Its document is fetched at once, as it will be read: one question in all.
    #[default]
    Fetch,
    /// Only its name is asked for: for digests, and for comparing.
    Look,
}

impl<'a> Remote<'a> {
    /// The repository, for reading and for changing its names.
    pub fn open(client: Client<'a>, repository: &Repository, resolve: Resolve) -> Result<Self> {
        let doors = Doors::of(client, repository, Access::Read)?;
        Ok(Self { doors, resolve, kept: Mutex::default() })
    }

    /// The same, which gives manifests of Docker's schema 1 as well: their descriptors bear its media types.
    #[must_use]
    pub fn with_schema_one(mut self) -> Self {
        self.doors.old = Old::Given;
        self
    }

    /// A manifest of Docker's schema 1 that was resolved: what its digest names, without signatures.
    pub fn old_manifest(&self, root: &Descriptor) -> Result<Arc<[u8]>> {
        self.document(root)
    }

    /// The image that a tag or digest names.
    fn named(&self, wanted: &str, what: Serves, asked: Option<&AnyDigest>) -> Result<Descriptor> {
        let name = match asked {
            Some(digest) => ManifestName::digest(digest),
            None => ManifestName::tag(wanted)?,
        };
        let found = self.doors.first(what, |door| match self.resolve {
            Resolve::Fetch => self.doors.get(door, PULL, &name, asked).map(|found| self.keep(found)),
            Resolve::Look => match self.doors.look(door, PULL, &name, asked)? {
                Some(found) => Ok(found),
                None => self.doors.get(door, PULL, &name, asked).map(|found| self.keep(found)),
            },
        });
        found.map_err(|fault| if is_no_manifest(&fault) { self.no_such(wanted, asked) } else { fault })
    }

    fn keep(&self, found: Fetched) -> Descriptor {
        self.kept().insert(found.descriptor.digest.clone(), found.raw);
        found.descriptor
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<AnyDigest, Arc<[u8]>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That there is no such image, with tags that are near where a tag was asked for.
    fn no_such(&self, wanted: &str, asked: Option<&AnyDigest>) -> Fault {
        // A list that cannot be had helps nobody, and is not what was asked for.
        let known = if asked.is_none() { self.doors.tags().unwrap_or_default() } else { Vec::new() };
        let known = Names::new(known).near(wanted);
        let repository = Box::new(self.doors.repository.clone());
        Error::NoSuchImage { repository, wanted: wanted.into(), known }.into()
    }

    /// The only tag.
    fn only(&self) -> Result<Box<str>> {
        let tags = self.doors.tags()?;
        match <[Box<str>; 1]>::try_from(tags) {
            Ok([tag]) => Ok(tag),
            Err(tags) if tags.is_empty() => Err(self.no_such("", None)),
            Err(tags) => {
                let (count, repository) = (tags.len(), Box::new(self.doors.repository.clone()));
                Err(Error::SeveralImages { repository, count, known: Names::new(tags) }.into())
            }
        }
    }

    fn at(&self, position: usize) -> Result<Box<str>> {
        let tags = self.doors.tags()?;
        let (count, repository) = (tags.len(), Box::new(self.doors.repository.clone()));
        let none = Error::NoSuchPosition { repository, position, count };
        Ok(tags.into_iter().nth(position).ok_or(none)?)
    }

    /// The tag that a selector means; `None` where it means a digest.
    pub(super) fn tag(&self, selector: &Selector) -> Result<Option<Box<str>>> {
        Ok(Some(match selector {
            Selector::Tag(tag) => tag.clone(),
            Selector::Only => self.only()?,
            Selector::At(position) => self.at(*position)?,
            Selector::Digest(_) => return Ok(None),
        }))
    }

    /// What a tag stands for, by its name alone.
    fn look_up(&self, tag: &str) -> Result<Descriptor> {
        let name = ManifestName::tag(tag)?;
        self.doors.first(Serves::Tags, |door| match self.doors.look(door, PULL, &name, None)? {
            Some(found) => Ok(found),
            None => self.doors.get(door, PULL, &name, None).map(|found| found.descriptor),
        })
    }

    pub(super) fn document(&self, blob: &Descriptor) -> Result<Arc<[u8]>> {
        if let Some(raw) = self.kept().get(&blob.digest) {
            return Ok(raw.clone());
        }
        let name = ManifestName::digest(&blob.digest);
        let get = |door: &_| self.doors.get(door, PULL, &name, Some(&blob.digest));
        self.doors.first(Serves::Digests, get).map(|found| found.raw)
    }
}

/// Whether a registry says that there is no such manifest, or no such repository.
pub(super) fn is_no_manifest(fault: &Fault) -> bool {
    fault.downcast_ref::<Failure>().is_some_and(Failure::is_absence)
}

impl Source for Remote<'_> {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let found = match (self.tag(selector)?, selector) {
            (None, Selector::Digest(digest)) => {
                self.named(&digest.to_string(), Serves::Digests, Some(digest))
            }
            (tag, _) => self.named(&tag.unwrap_or_default(), Serves::Tags, None),
        };
        Ok(vec![found?])
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        let bytes = Blob { doors: &self.doors, blob: blob.clone() };
        if blob.media_type.is_document() || self.kept().contains_key(&blob.digest) {
            return Ok(Box::new(Leaf { remote: self, bytes }));
        }
        Ok(Box::new(bytes))
    }

    fn is_far(&self) -> bool {
        true
    }
}

/// A document, which registries keep apart from blobs; or a blob of such a type.
struct Leaf<'r> {
    remote: &'r Remote<'r>,
    bytes: Blob<'r>,
}

impl Origin for Leaf<'_> {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        match self.remote.document(&self.bytes.blob) {
            Ok(raw) => {
                let at = usize::try_from(at).unwrap_or(usize::MAX).min(raw.len());
                Ok(Box::new(std::io::Cursor::new(raw[at..].to_vec())))
            }
            Err(fault) if is_no_manifest(&fault) => self.bytes.open(at),
            Err(fault) => Err(fault),
        }
    }

    fn is_far(&self) -> bool {
        true
    }

    fn lenders(&self) -> Vec<Lender> {
        self.bytes.lenders()
    }
}

impl Catalog for Remote<'_> {
    /// One question for the tags, and one for each of them.
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        let tags = self.doors.tags()?;
        let roots = in_parallel(&tags, |tag| match self.look_up(tag) {
            // Removed meanwhile, or a tag of something that no client understands.
            Err(fault) if is_no_manifest(&fault) => Ok(None),
            Err(fault) if matches!(fault.downcast_ref(), Some(Error::SchemaOne { .. })) => Ok(None),
            found => found.map(Some),
        })?;
        let named = tags.into_iter().zip(roots);
        Ok(named.filter_map(|(tag, root)| Some((Name::Tag(tag), root?))).collect())
    }

    fn list(&self) -> Result<Vec<(Name, Option<Descriptor>)>> {
        Ok(self.doors.tags()?.into_iter().map(|tag| (Name::Tag(tag), None)).collect())
    }

    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        self.doors.first(Serves::Digests, |door| self.doors.referrers(door, digest))
    }
}

/// Answers in the order of the questions, a few at once; the first error ends it.
pub(super) fn in_parallel<T: Sync, A: Send>(
    questions: &[T],
    ask: impl Fn(&T) -> Result<A> + Sync,
) -> Result<Vec<A>> {
    /// What browsers and other clients allow themselves towards one host.
    const LANES: usize = 6;
    let next = AtomicUsize::new(0);
    let lane = || {
        let mut answers = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(question) = questions.get(at) else { return Ok(answers) };
            match ask(question) {
                Ok(answer) => answers.push((at, answer)),
                Err(fault) => {
                    next.store(questions.len(), Ordering::Relaxed);
                    return Err(fault);
                }
            }
        }
    };
    if questions.len() <= 1 {
        return Ok(lane()?.into_iter().map(|(_, answer)| answer).collect());
    }
    let mut answers = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES.min(questions.len())).map(|_| scope.spawn(lane)).collect();
        let mut all = Vec::with_capacity(questions.len());
        for lane in lanes {
            all.extend(lane.join().expect("a lane does not panic")?);
        }
        Ok::<_, Fault>(all)
    })?;
    answers.sort_by_key(|(at, _)| *at);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}
