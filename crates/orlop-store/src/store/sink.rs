//! The store as a place that images go to.
//!
//! ```text
//! layer ──┬─► sha256 ──► a file, kept where the blob cannot be rebuilt
//!         └─► inflate ──► diff id ──► contents, list
//! ```
//!
//! Invariant: a layer that is there is not read; one that is not is read once. What came before a run was stopped is
//! what the next one goes on with. A name comes after everything that it reaches is on the disk.

use super::arrival::Arrival;
use super::form::{self, Form, How, KeepBlobs};
use super::guard::Shelf;
use super::{Options, Store, format};
use crate::blobs::FileOrigin;
use crate::error::Error;
use crate::reach::{self, Damage};
use crate::take::Writing;
use orlop_layer::verified::Damaged;
use orlop_layer::{Budget, Codec, Decode, Stages, Verified};
use orlop_spec::diagnose::{IoFailed, is_full};
use orlop_spec::digest::DiffId;
use orlop_spec::media_type::{Compression, Role};
use orlop_spec::port::{
    BlobWriter, Depth, Hints, Lender, MadeBy, Name, Origin, Put, Result, Seen, Sink, Unnamed,
};
use orlop_spec::{AnyDigest, Cancel, Descriptor, Diagnose as _, Digest, Fault, Index, Kind, Manifest, graph};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Nobody stops what was not told whom to heed.
static NEVER: Cancel = Cancel::new();

/// Writes images into a store.
#[derive(Debug)]
pub struct StoreSink<'a> {
    store: Store,
    cancel: &'a Cancel,
    /// Where blobs can be fetched from again.
    lenders: Mutex<HashMap<AnyDigest, Lender>>,
    /// How many bytes layers are, uncompressed, that were taken or asked for.
    sizes: Mutex<HashMap<AnyDigest, u64>>,
    /// How many layers are taken at this moment.
    under_way: AtomicUsize,
    /// Whether a layer was taken or found, which is many files.
    has_layers: AtomicBool,
}

impl StoreSink<'static> {
    /// Opens the store in a folder for writing, and makes it where there is none.
    pub fn create(root: impl AsRef<Path>, options: &Options) -> Result<Self> {
        let root = root.as_ref();
        let held = Store::create(root, options).and_then(|store| store.hold().map(|()| store));
        let store = held.map_err(|fault| unless_full(root, fault))?;
        Ok(Self::of(store))
    }

    /// What a copy into the store of a folder would do. Nothing is made: not even a store where there is none.
    pub fn foreseeing(root: impl AsRef<Path>, options: &Options) -> Result<Box<dyn Sink>> {
        let root = root.as_ref();
        Ok(match Store::open_if_any(root, options)? {
            Some(store) => Box::new(Self::of(store)),
            None => Box::new(Unmade(root.into())),
        })
    }

    fn of(store: Store) -> Self {
        Self {
            store,
            cancel: &NEVER,
            lenders: Mutex::default(),
            sizes: Mutex::default(),
            under_way: AtomicUsize::new(0),
            has_layers: AtomicBool::new(false),
        }
    }
}

impl StoreSink<'_> {
    /// Stops at this flag also where no bytes come: in the holes of a file, and where a layer is compressed again.
    #[must_use]
    pub fn heeding(self, cancel: &Cancel) -> StoreSink<'_> {
        StoreSink { cancel, ..self }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn full(&self, fault: Fault) -> Fault {
        unless_full(self.store.path(), fault)
    }

    fn put_any(&self, blob: &Descriptor, origin: &dyn Origin, hints: &Hints) -> Result<Put> {
        self.note(blob, origin);
        if let (Role::Layer(form), AnyDigest::Known(digest)) = (blob.media_type.role(), &blob.digest) {
            return self.put_layer((blob, digest), (form.compression, hints.made_by), origin);
        }
        loop {
            let put = self.store.blobs.put(blob, origin, hints)?;
            // One that was there, or was given its name by a quicker run, may be swept away before it is touched.
            if self.store.touch_blob(&blob.digest)? {
                self.limit(blob)?;
                return Ok(put);
            }
        }
    }

    /// The layers of one image are limited together: each was by itself, whenever it was taken.
    fn limit(&self, blob: &Descriptor) -> Result<()> {
        if blob.media_type.role() != Role::Manifest || !self.has_layers.load(Ordering::Relaxed) {
            return Ok(());
        }
        let manifest = graph::read::<Manifest>(&self.store.limits, &self.store, blob)?;
        let all = Budget::new(self.store.limits.size);
        manifest.layers.iter().try_for_each(|layer| Ok(all.take(self.size_of(layer)?)?))
    }

    /// How many bytes a layer is, uncompressed. What is no layer that is understood, or cannot be read, is none: nobody can
    /// unpack it.
    fn size_of(&self, layer: &Descriptor) -> Result<u64> {
        let sizes = || self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(size) = sizes().get(&layer.digest).copied() {
            return Ok(size);
        }
        let Some(Form { diff_id, .. }) = self.store.form(&layer.digest)? else { return Ok(0) };
        let size = match self.store.size(&diff_id, self.cancel) {
            Err(fault) if fault.is_absence() || fault.kind() == Kind::Integrity => 0,
            size => size?,
        };
        sizes().insert(layer.digest.clone(), size);
        Ok(size)
    }

    fn publish(&self, roots: &[(Name, Descriptor)], seen: &[Seen]) -> Result<()> {
        for (position, (name, root)) in roots.iter().enumerate() {
            let is_another = |(other, at): &(Name, Descriptor)| other == name && at.digest != root.digest;
            if name.tag().is_some() && roots[..position].iter().any(is_another) {
                let (place, name) = (self.store.path().into(), name.tag().unwrap_or_default().into());
                return Err(Error::Ambiguous { place, name, count: 2 }.into());
            }
            if self.store.blobs.open(root)?.is_none() {
                return Err(self.store.blobs.missing(root).into());
            }
        }
        if self.has_layers.load(Ordering::Relaxed) {
            self.store.root.sync_fs()?;
        } else {
            self.store.blobs.sync()?;
        }
        self.store.names.publish(roots, seen, &|root| self.origin_of(root))
    }

    fn put_layer(
        &self,
        (blob, digest): (&Descriptor, &Digest),
        form: (Compression, Option<MadeBy>),
        origin: &dyn Origin,
    ) -> Result<Put> {
        if self.store.holds_layer(blob)? {
            // Who took it may not have come to its sync.
            self.has_layers.store(true, Ordering::Relaxed);
            return Ok(Put::Held);
        }
        self.take_layer((blob, digest), form, origin).map(|()| Put::Copied)
    }

    /// Takes a layer in, whatever is here of it.
    pub(super) fn take_layer(
        &self,
        (blob, digest): (&Descriptor, &Digest),
        (compression, made_by): (Compression, Option<MadeBy>),
        origin: &dyn Origin,
    ) -> Result<()> {
        let arrival = Arrival::open(&self.store.blobs, (blob, digest), origin)?;
        let diff_id = arrival.read(&mut |read| self.import(blob, compression, read))?;
        self.keep((blob, digest), diff_id, (compression, made_by), arrival)
    }

    /// Takes the layer apart; nothing where it is the blob that was named, but no layer that can be.
    fn import(
        &self,
        blob: &Descriptor,
        compression: Compression,
        read: &mut (dyn Read + Send),
    ) -> Result<Option<DiffId>> {
        let alone = self.under_way.fetch_add(1, Ordering::Relaxed) == 0;
        let how = Decode {
            compression,
            expected: None,
            layer: 0,
            limits: &self.store.limits,
            budget: &Budget::new(self.store.limits.size),
            cancel: self.cancel,
            stages: if alone { Stages::Pipelined } else { Stages::One },
            progress: &|_| (),
        };
        let imported = Verified::new(read, blob).and_then(|mut read| self.store.import(&mut read, &how));
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        match imported {
            Ok(decoded) => {
                let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
                sizes.insert(blob.digest.clone(), decoded.size);
                Ok(Some(decoded.diff_id))
            }
            Err(fault) if is_about_the_layer(&fault) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Keeps what of a layer cannot be made again.
    fn keep(
        &self,
        (blob, digest): (&Descriptor, &Digest),
        diff_id: Option<DiffId>,
        form: (Compression, Option<MadeBy>),
        arrival: Arrival<'_>,
    ) -> Result<()> {
        self.has_layers.store(true, Ordering::Relaxed);
        let Some(diff_id) = diff_id else { return self.persist(digest, arrival) };
        let how = self.how((blob, &diff_id), form, &arrival)?;
        match how {
            How::Kept => self.persist(digest, arrival)?,
            How::Made(_) | How::Gone => arrival.discard(),
        }
        self.store.forms.set(digest, &Form { diff_id, size: blob.size, how })
    }

    /// Keeps a blob. What came of it in an earlier run is older than this one's lease, and so is what another run may have
    /// given the name.
    fn persist(&self, digest: &Digest, arrival: Arrival<'_>) -> Result<()> {
        let blobs = self.store.root.open_dir(format::BLOBS)?;
        let shelf = Shelf::new(blobs.make_or_open_dir(digest.algorithm().name(), 0o777)?);
        let _nobody_removes = shelf.share()?;
        arrival.persist()?;
        Ok(shelf.folder().touch(digest.hex())?)
    }

    /// How the bytes of a blob come back.
    fn how(
        &self,
        made: (&Descriptor, &DiffId),
        (compression, made_by): (Compression, Option<MadeBy>),
        arrival: &Arrival<'_>,
    ) -> Result<How> {
        let keep = self.store.keep_blobs;
        if keep == KeepBlobs::All {
            return Ok(How::Kept);
        }
        // Whoever says so has just compressed these very bytes, and hashed what came of it.
        if let Some(made_by) = made_by.filter(|made_by| made_by.compression == compression) {
            return Ok(How::Made(Codec::from(made_by).into()));
        }
        let mut head = FileOrigin::whole(arrival.file().try_clone()?).into_reader(0);
        let made_by = match form::guess(&mut head, compression, made.0.size)? {
            Some(codec) if self.store.prove(made, codec, self.store.workers, self.cancel)? => Some(codec),
            _ => None,
        };
        Ok(match made_by {
            Some(codec) => How::Made(codec.into()),
            None if keep == KeepBlobs::Nothing => How::Gone,
            None => How::Kept,
        })
    }

    fn note(&self, blob: &Descriptor, origin: &dyn Origin) {
        if let Some(lender) = origin.lenders().into_iter().next() {
            let mut lenders = self.lenders.lock().unwrap_or_else(PoisonError::into_inner);
            lenders.insert(blob.digest.clone(), lender);
        }
    }

    /// Where an image can be fetched from again: where one of its blobs was, or would have been.
    fn origin_of(&self, root: &Descriptor) -> Option<String> {
        let lenders = self.lenders.lock().unwrap_or_else(PoisonError::into_inner);
        if lenders.is_empty() {
            return None;
        }
        let (store, roots) = (&self.store, iter::once(root.clone()));
        // What cannot be read has no origin that anybody knows.
        let reached = reach::reach(store, &store.limits, roots, Damage::PassBy, &mut |_, _| ()).ok()?;
        let lender = reached.iter().find_map(|digest| lenders.get(digest))?;
        Some(format!("docker://{}/{}@{}", lender.site.authority(), lender.repository, root.digest))
    }
}

/// Whether the blob is what was named, and yet no layer that is understood. One that is more than is allowed is another matter.
fn is_about_the_layer(fault: &Fault) -> bool {
    let is_damaged = fault.downcast_ref::<Damaged>().is_some();
    fault.kind() == Kind::Integrity && !is_damaged
}

/// What to say where the disk is full.
fn unless_full(place: &Path, fault: Fault) -> Fault {
    if fault.is_full() {
        return Error::StoreFull { place: place.into(), source: fault }.into();
    }
    fault
}

impl Sink for StoreSink<'_> {
    fn put(&self, blob: &Descriptor, origin: &dyn Origin, hints: &Hints) -> Result<Put> {
        self.put_any(blob, origin, hints).map_err(|fault| self.full(fault))
    }

    fn unnamed(&self) -> Unnamed {
        Unnamed::InFull
    }

    fn opens_layers(&self) -> bool {
        true
    }

    /// Looks at everything that the root reaches: it is here already, so nothing is fetched.
    fn has(&self, name: &Name, root: &Descriptor, _: Depth) -> Result<bool> {
        self.store.has(name, root)
    }

    fn foresee(&self, blob: &Descriptor) -> Result<Put> {
        let is_layer = matches!(blob.media_type.role(), Role::Layer(_));
        if is_layer && self.store.holds_layer(blob)? { Ok(Put::Held) } else { self.store.blobs.foresee(blob) }
    }

    fn begin(&self, hints: &Hints) -> Result<Box<dyn BlobWriter + '_>> {
        let temp = self.store.root.create_temp().map_err(|error| self.full(error.into()))?;
        let writing = Writing::new(temp, hints.algorithm);
        Ok(Box::new(Begun { sink: self, writing, made_by: hints.made_by }))
    }

    /// What was seen is looked at under the lock under which the names are written.
    fn finish_if(self: Box<Self>, roots: &[(Name, Descriptor)], seen: &[Seen]) -> Result<()> {
        self.publish(roots, seen).map_err(|fault| self.full(fault))
    }
}

/// A store that is not there: what a copy into it would do, for whoever makes nothing.
#[derive(Debug)]
struct Unmade(PathBuf);

impl Unmade {
    fn no_store<T>(&self) -> Result<T> {
        Err(Error::NoStore { place: self.0.clone() }.into())
    }
}

impl Sink for Unmade {
    fn put(&self, _: &Descriptor, _: &dyn Origin, _: &Hints) -> Result<Put> {
        self.no_store()
    }

    fn begin(&self, _: &Hints) -> Result<Box<dyn BlobWriter + '_>> {
        self.no_store()
    }

    fn unnamed(&self) -> Unnamed {
        Unnamed::InFull
    }

    fn opens_layers(&self) -> bool {
        true
    }

    fn finish_if(self: Box<Self>, _: &[(Name, Descriptor)], _: &[Seen]) -> Result<()> {
        self.no_store()
    }
}

/// A blob that is written here.
struct Begun<'a> {
    sink: &'a StoreSink<'a>,
    writing: Writing<'a>,
    made_by: Option<MadeBy>,
}

impl Write for Begun<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writing.write(bytes).map_err(|source| {
            if !is_full(&source) {
                return source;
            }
            self.sink.full(Fault::new(IoFailed { what: "write a blob".into(), source })).into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writing.flush()
    }
}

impl BlobWriter for Begun<'_> {
    fn commit(self: Box<Self>, blob: &Descriptor) -> Result<()> {
        let Self { sink, writing, made_by } = *self;
        // Whoever takes it from its file proves it, whether it was proven or not.
        let (temp, _) = writing.end(blob).map_err(|fault| sink.full(fault))?;
        let spooled = FileOrigin::whole(temp.file().try_clone()?);
        sink.put(blob, &spooled, &Hints { made_by, ..Hints::default() }).map(drop)
    }
}

impl Store {
    /// Whether an image is here under a name, with everything that it reaches; then it can be relied on.
    fn has(&self, name: &Name, root: &Descriptor) -> Result<bool> {
        let Some(record) = name.tag().map(|tag| self.names.get(tag)).transpose()?.flatten() else {
            return Ok(false);
        };
        if record.root.digest != root.digest {
            return Ok(false);
        }
        self.is_whole(root)
    }

    fn is_whole(&self, root: &Descriptor) -> Result<bool> {
        let mut next = vec![(root.clone(), 0)];
        while let Some((descriptor, depth)) = next.pop() {
            let is_here = match descriptor.media_type.role() {
                Role::Layer(_) => self.holds_layer(&descriptor)?,
                _ => self.touch_blob(&descriptor.digest)? && self.blobs.foresee(&descriptor)? == Put::Held,
            };
            if !is_here || depth > self.limits.index_depth {
                return Ok(false);
            }
            match descriptor.media_type.role() {
                Role::Index => {
                    let index = graph::read::<Index>(&self.limits, self, &descriptor)?;
                    next.extend(index.manifests.iter().map(|child| (child.clone(), depth + 1)));
                }
                Role::Manifest => {
                    let manifest = graph::read::<Manifest>(&self.limits, self, &descriptor)?;
                    next.extend(manifest.blobs().map(|blob| (blob.clone(), depth + 1)));
                }
                _ => {}
            }
        }
        Ok(true)
    }
}
