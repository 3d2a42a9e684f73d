//! Writing into a repository.
//!
//! ```text
//! put a blob:      HEAD ── there ──► held
//!                    └──► POST ?mount&from ── 201 ──► mounted
//!                                    └── 202 ──► upload
//! put a document:  kept until the end
//! finish:          manifests by digest, a few at once ──► indexes by digest ──► HEAD what was seen ──► roots, each under its name
//! ```
//!
//! Invariant: no document is sent before everything was put, and a root is sent once, under its name. So a run that
//! ends early leaves blobs that no name reaches, which registries sweep, and nothing else.

use super::doors::{Ask, Door, Doors, PULL, PUSH};
use super::error::{Damage, Error};
use super::outgoing::Outgoing;
use super::source::{in_parallel, is_no_manifest};
use crate::client::{Client, Payload};
use orlop_spec::index::Index;
use orlop_spec::media_type::Role;
use orlop_spec::network::Access;
use orlop_spec::port::{BlobWriter, Depth, Hints, Name, Origin, Put, Result, Seen, Sink, Spool, Spools};
use orlop_spec::reference::Repository;
use orlop_spec::wire::failure::Failure;
use orlop_spec::wire::{Address, Head, ManifestName, Place, Request, endpoint, header};
use orlop_spec::{Algorithm, AnyDigest, Course, Descriptor, Document, Event, Fault};
use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A repository that images go to. Making one asks nobody anything.
pub struct Push<'a> {
    pub(super) doors: Doors<'a>,
    spools: &'a dyn Spools,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Documents in the order of their arrival: children before parents.
    documents: Vec<Paper>,
    /// Blobs that the repository holds.
    held: HashSet<AnyDigest>,
    /// Roots that stand under their names already.
    named: HashSet<(Name, AnyDigest)>,
}

/// A document that waits for the end.
#[derive(Clone)]
struct Paper {
    descriptor: Descriptor,
    raw: Arc<[u8]>,
}

impl<'a> Push<'a> {
    /// The repository, for writing; `spools` hold what must be known whole before it can be sent.
    pub fn create(client: Client<'a>, repository: &Repository, spools: &'a dyn Spools) -> Result<Self> {
        let doors = Doors::of(client, repository, Access::Write)?;
        Ok(Self { doors, spools, state: Mutex::default() })
    }

    /// The way of a blob from here.
    pub(super) fn course(&self, blob: &Descriptor) -> Course<'a> {
        Course::new(self.doors.client.context().observer, blob.digest.to_string())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a document until the end.
    fn keep(&self, blob: &Descriptor, origin: &dyn Origin) -> Result<Put> {
        if self.state().documents.iter().any(|paper| paper.descriptor.digest == blob.digest) {
            return Ok(Put::Held);
        }
        let limit = self.doors.client.context().limits.document;
        if blob.size > limit {
            let descriptor = Box::new(blob.clone());
            return Err(Fault::new(orlop_spec::graph::TooLarge { descriptor, limit }));
        }
        let outgoing = Outgoing::new(origin, blob, self.course(blob));
        let mut raw = Vec::new();
        let read = outgoing.open(0).and_then(|mut bytes| {
            bytes.read_to_end(&mut raw).map_err(|error| Fault::io(format!("read {}", blob.digest), error))
        });
        read.map_err(|fault| outgoing.fault().unwrap_or(fault))?;
        self.state().documents.push(Paper { descriptor: blob.clone(), raw: raw.into() });
        Ok(Put::Copied)
    }

    /// Makes the repository hold a blob, by the cheapest way.
    fn send(&self, blob: &Descriptor, origin: &dyn Origin) -> Result<Put> {
        let door = self.doors.home()?;
        if self.state().held.contains(&blob.digest) {
            return Ok(Put::Held);
        }
        let is_held = self.holds(door, blob)?;
        let put = if is_held { Put::Held } else { self.upload(door, blob, origin)? };
        self.state().held.insert(blob.digest.clone());
        if let Some(site) = door.site() {
            self.doors.client.network().journal.note_holder(site, &blob.digest, door.repository());
        }
        Ok(put)
    }

    /// Whether the repository has a blob.
    fn holds(&self, door: &Door, blob: &Descriptor) -> Result<bool> {
        let request = |place: &Place| Ok(place.head_blob(&blob.digest));
        let told = self.doors.ask(door, &Ask::new(PUSH, &request))?;
        if told.status() == 404 {
            return Ok(false);
        }
        let (_, head) = told.success()?.drained();
        match header::content_length(&head.headers) {
            Some(found) if found != blob.size => {
                let damage = if found < blob.size { Damage::Short(found) } else { Damage::Long };
                Err(Error::Damaged { digest: blob.digest.clone(), size: blob.size, damage }.into())
            }
            _ => Ok(true),
        }
    }

    /// Sends the documents that wait, roots last.
    fn publish(&self, roots: &[(Name, Descriptor)], seen: &[Seen]) -> Result<()> {
        let door = self.doors.home()?;
        let documents = std::mem::take(&mut self.state().documents);
        let papers = roots.iter().map(|(name, root)| self.paper(door, &documents, name, root));
        let papers = papers.collect::<Result<Vec<_>>>()?;
        self.send_as_blobs(&documents)?;
        // A registry that cannot name the root as it is named here must refuse before a tag stands.
        let is_plain = |paper: &Paper| {
            paper.descriptor.digest.known().is_ok_and(|digest| digest.algorithm() == Algorithm::Sha256)
        };
        let is_root = |paper: &&Paper| {
            roots.iter().any(|(_, root)| root.digest == paper.descriptor.digest) && is_plain(paper)
        };
        let below: Vec<&Paper> = documents.iter().filter(|paper| !is_root(paper)).collect();
        let (indexes, others): (Vec<&Paper>, Vec<&Paper>) =
            below.into_iter().partition(|paper| paper.descriptor.media_type.role() == Role::Index);
        in_parallel(&others, |paper| self.put_document(door, paper, &Name::Untagged))?;
        indexes.into_iter().try_for_each(|paper| self.put_document(door, paper, &Name::Untagged))?;
        let place = |paper: &Paper| {
            documents.iter().position(|other| other.descriptor.digest == paper.descriptor.digest)
        };
        let mut named: Vec<(&Name, Paper)> = roots
            .iter()
            .map(|(name, _)| name)
            .zip(papers)
            .filter_map(|(name, it)| Some((name, it?)))
            .collect();
        named.sort_by_key(|(_, paper)| place(paper));
        let entities = self.doors.check(door, seen)?;
        named.iter().try_for_each(|(name, paper)| match entities.iter().find(|(other, _)| other == *name) {
            Some((_, entity)) => self.put_seen(door, paper, (name, seen), entity),
            None => self.put_document(door, paper, name),
        })
    }

    /// The document to send for a root; nothing where it stands under its name already.
    fn paper(
        &self,
        door: &Door,
        documents: &[Paper],
        name: &Name,
        root: &Descriptor,
    ) -> Result<Option<Paper>> {
        if let Some(paper) = documents.iter().find(|paper| paper.descriptor.digest == root.digest) {
            return Ok(Some(paper.clone()));
        }
        if self.state().named.contains(&(name.clone(), root.digest.clone())) {
            return Ok(None);
        }
        self.doors.rooted(door, root).map(|raw| Some(Paper { descriptor: root.clone(), raw }))
    }

    /// A manifest that another one names as its config or layer must stand among the blobs.
    fn send_as_blobs(&self, documents: &[Paper]) -> Result<()> {
        for paper in documents.iter().filter(|paper| paper.descriptor.media_type.role() == Role::Manifest) {
            let manifest: Document<orlop_spec::Manifest> =
                Document::open(paper.raw.clone(), paper.descriptor.clone())?;
            for blob in manifest.blobs().filter(|blob| blob.media_type.is_document()) {
                if let Some(named) = documents.iter().find(|it| it.descriptor.digest == blob.digest) {
                    self.send(blob, &named.raw.to_vec())?;
                }
            }
        }
        Ok(())
    }

    fn put_document(&self, door: &Door, paper: &Paper, name: &Name) -> Result<()> {
        self.doors.client.context().cancel.check()?;
        let name = called(name, &paper.descriptor)?;
        let answered = self.doors.put(door, PUSH, &paper.descriptor, &paper.raw, &name)?;
        self.doors.note_subject(door, &paper.descriptor, &paper.raw, answered)
    }

    fn put_seen(
        &self,
        door: &Door,
        paper: &Paper,
        (name, seen): (&Name, &[Seen]),
        entity: &str,
    ) -> Result<()> {
        self.doors.client.context().cancel.check()?;
        let (document, name) = ((&paper.descriptor, &*paper.raw), called(name, &paper.descriptor)?);
        let answered = self.doors.put_seen(door, document, (&name, seen), entity)?;
        self.doors.note_subject(door, &paper.descriptor, &paper.raw, answered)
    }

    /// Whether every manifest of an index is there.
    fn has_children(&self, door: &Door, root: &Descriptor) -> Result<bool> {
        let name = ManifestName::digest(&root.digest);
        let found = self.doors.get(door, PUSH, &name, Some(&root.digest))?;
        let index: Document<Index> = Document::open(found.raw, found.descriptor)?;
        let children: Vec<&Descriptor> =
            index.manifests.iter().filter(|child| child.media_type.is_document()).collect();
        let held = in_parallel(&children, |child| {
            let name = ManifestName::digest(&child.digest);
            match self.doors.look(door, PUSH, &name, Some(&child.digest)) {
                Ok(_) => Ok(true),
                Err(fault) if is_no_manifest(&fault) => Ok(false),
                Err(fault) => Err(fault),
            }
        })?;
        Ok(held.into_iter().all(|is_held| is_held))
    }
}

/// That a registry which names what it stored names what was sent (item 204). It may use another algorithm.
pub(super) fn is_called(address: &Address, head: &Head, expected: &AnyDigest) -> Result<()> {
    match endpoint::content_digest(address, head)? {
        Some(found) if found.algorithm_name() == expected.algorithm_name() && found != *expected => {
            let (address, expected) = (Box::new(address.clone()), expected.clone());
            Err(Error::OtherDigest { address, expected, found }.into())
        }
        _ => Ok(()),
    }
}

impl Doors<'_> {
    /// Sends a document under a name; gives whether the registry noted its subject.
    pub(super) fn put(
        &self,
        door: &Door,
        actions: &'static str,
        document: &Descriptor,
        raw: &[u8],
        name: &ManifestName,
    ) -> Result<Answered> {
        self.put_if(door, actions, (document, raw), name, None)
    }

    /// The same, if what stands under the name is still this entity.
    pub(super) fn put_if(
        &self,
        door: &Door,
        actions: &'static str,
        (document, raw): (&Descriptor, &[u8]),
        name: &ManifestName,
        entity: Option<&str>,
    ) -> Result<Answered> {
        let request = |place: &Place| -> Result<Request> {
            let request = place.put_manifest(name, &document.media_type)?;
            Ok(match entity {
                Some(entity) => request.with("If-Match", entity),
                None => request,
            })
        };
        let ask = Ask { payload: Payload::Bytes(raw), ..Ask::new(actions, &request) };
        let (address, head) = self.demand(door, &ask)?.drained();
        is_called(&address, &head, &document.digest)?;
        Ok(if header::subject(&head.headers).is_some() { Answered::SubjectNoted } else { Answered::Plainly })
    }

    /// A document that the repository must have, because it is to be named.
    pub(super) fn rooted(&self, door: &Door, root: &Descriptor) -> Result<Arc<[u8]>> {
        let found = self.get(door, PULL, &ManifestName::digest(&root.digest), Some(&root.digest));
        let missing = |fault: Fault| {
            let (digest, repository) = (root.digest.clone(), Box::new(self.repository.clone()));
            if is_no_manifest(&fault) { Error::RootMissing { digest, repository }.into() } else { fault }
        };
        found.map(|found| found.raw).map_err(missing)
    }
}

/// How a root is named in a registry: by its digest where it has no tag.
pub(super) fn called(name: &Name, root: &Descriptor) -> Result<ManifestName> {
    Ok(match name {
        Name::Tag(tag) => ManifestName::tag(tag)?,
        Name::Untagged => ManifestName::digest(&root.digest),
    })
}

/// Whether a registry keeps the referrers of a subject itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// It said so.
    SubjectNoted,
    /// It said nothing.
    Plainly,
}

impl Sink for Push<'_> {
    fn put(&self, blob: &Descriptor, origin: &dyn Origin, _: &Hints) -> Result<Put> {
        if blob.media_type.is_document() { self.keep(blob, origin) } else { self.send(blob, origin) }
    }

    fn has(&self, name: &Name, root: &Descriptor, depth: Depth) -> Result<bool> {
        let door = self.doors.home()?;
        let wanted = called(name, root)?;
        let found = match self.doors.look(door, PUSH, &wanted, None) {
            Err(fault) if fault.downcast_ref::<Failure>().is_some() => return Ok(false),
            found => found?,
        };
        if found.is_none_or(|found| found.digest != root.digest) {
            return Ok(false);
        }
        let is_whole =
            root.media_type.role() != Role::Index || depth == Depth::Root || self.has_children(door, root)?;
        if is_whole {
            self.state().named.insert((name.clone(), root.digest.clone()));
        }
        Ok(is_whole)
    }

    /// Whether it is there; that a blob could be mounted shows when it is tried.
    fn foresee(&self, blob: &Descriptor) -> Result<Put> {
        let door = self.doors.home()?;
        let is_held = if blob.media_type.is_document() {
            let name = ManifestName::digest(&blob.digest);
            match self.doors.look(door, PUSH, &name, Some(&blob.digest)) {
                Err(fault) if is_no_manifest(&fault) => false,
                found => found.map(|_| true)?,
            }
        } else {
            self.holds(door, blob)?
        };
        Ok(if is_held { Put::Held } else { Put::Copied })
    }

    fn begin(&self, hints: &Hints) -> Result<Box<dyn BlobWriter + '_>> {
        let hints = hints.clone();
        Ok(Box::new(Begun { push: self, hints, spool: self.spools.spool()?, size: 0 }))
    }

    fn is_far(&self) -> bool {
        true
    }

    fn finish_if(self: Box<Self>, roots: &[(Name, Descriptor)], seen: &[Seen]) -> Result<()> {
        self.publish(roots, seen)
    }
}

/// A blob whose digest is known at its end: it waits in a spool.
struct Begun<'p> {
    push: &'p Push<'p>,
    hints: Hints,
    spool: Box<dyn Spool>,
    size: u64,
}

impl Write for Begun<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.spool.write(bytes)?;
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.spool.flush()
    }
}

impl BlobWriter for Begun<'_> {
    fn commit(mut self: Box<Self>, blob: &Descriptor) -> Result<()> {
        self.flush().map_err(|error| Fault::io("write a spool", error))?;
        let Self { push, hints, spool, size } = *self;
        let (observer, item) = (push.doors.client.context().observer, blob.digest.to_string());
        observer.event(Event::Started { phase: "push", item: item.clone(), total: Some(blob.size) });
        let put = push.put(blob, &Spooled { spool: &*spool, size }, &hints)?;
        if put != Put::Copied {
            observer.event(Event::Reused { blob: Box::new(blob.clone()), put });
        }
        observer.event(Event::Finished { item });
        Ok(())
    }
}

/// What a spool holds.
struct Spooled<'s> {
    spool: &'s dyn Spool,
    size: u64,
}

impl Origin for Spooled<'_> {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(FromSpool { spool: self.spool, at, left: self.size.saturating_sub(at) }))
    }
}

struct FromSpool<'s> {
    spool: &'s dyn Spool,
    at: u64,
    left: u64,
}

impl Read for FromSpool<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.spool.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
