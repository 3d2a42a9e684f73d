//! Images of Docker's schema 1 as images of today: a repository that gives each of them converted.
//!
//! ```text
//! manifest of schema 1 ──► layers ──► files without a name, proven ──► inflated ──► diff ids
//!                              config, manifest (OCI) ◄── history, diff ids, sizes
//! ```
//!
//! Invariant: no layer changes, and none is opened before it is proven; the new digest is told. What is converted in one
//! run is fetched once: its layers wait in the spool.

use crate::copy::in_parallel;
use crate::error::Error;
use crate::transport::Outside;
use orlop_fs::{Dir, File};
use orlop_layer::codec;
use orlop_layer::verified::{Damage, Damaged};
use orlop_remote::Remote;
use orlop_spec::digest::{DiffId, Hasher};
use orlop_spec::document::{Document, DocumentError};
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::{Compression, MediaType, OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST};
use orlop_spec::port::{Catalog, Lender, LocalFile, Name, Origin, Result, Selector, Source};
use orlop_spec::schema_one::{SchemaOne, is_schema_one};
use orlop_spec::{Algorithm, AnyDigest, Context, Descriptor, Event, Fault};
use std::collections::HashMap;
use std::io::{self, Read, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What becomes of images of schema 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Old {
    /// They are refused.
    #[default]
    Refused,
    /// They are converted.
    Converted,
}

/// What blobs move at once: as many as browsers and other clients allow themselves towards one host.
const LANES: usize = 6;

/// A repository whose images of schema 1 are converted.
pub(crate) struct Converting<'a> {
    remote: Remote<'a>,
    cx: Context<'a>,
    tmpdir: PathBuf,
    made: Mutex<Made>,
}

/// What was made in this run.
#[derive(Default)]
struct Made {
    /// By the digest of schema 1.
    roots: HashMap<AnyDigest, Descriptor>,
    documents: HashMap<AnyDigest, Arc<[u8]>>,
    layers: HashMap<AnyDigest, Arc<Layer>>,
}

/// A layer that was fetched, proven and looked into.
struct Layer {
    file: File,
    size: u64,
    compression: Compression,
    diff_id: DiffId,
}

impl<'a> Converting<'a> {
    pub(crate) fn new(remote: Remote<'a>, outside: &Outside<'a>) -> Self {
        let (cx, tmpdir) = (outside.cx, outside.tmpdir.clone());
        Self { remote: remote.with_schema_one(), cx, tmpdir, made: Mutex::default() }
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The image as it is today.
    fn today(&self, root: Descriptor) -> Result<Descriptor> {
        if !is_schema_one(&root.media_type) {
            return Ok(root);
        }
        if let Some(known) = self.made().roots.get(&root.digest) {
            return Ok(known.clone());
        }
        let new = self.convert(&root)?;
        let told =
            format!("{} is of Docker's schema 1; converted, its digest is {}", root.digest, new.digest);
        self.cx.observer.event(Event::Warned(told));
        self.made().roots.insert(root.digest, new.clone());
        Ok(new)
    }

    fn convert(&self, root: &Descriptor) -> Result<Descriptor> {
        let bad = |source| Error::BadSchemaOne { digest: root.digest.clone(), source };
        let old = SchemaOne::parse(&self.remote.old_manifest(root)?).map_err(bad)?;
        let blobs: Vec<AnyDigest> = old.layers().cloned().collect();
        if blobs.len() > self.cx.limits.layers {
            return Err(Error::TooManyLayers { limit: self.cx.limits.layers }.into());
        }
        let mut missing = blobs.clone();
        missing.sort_by_key(ToString::to_string);
        missing.dedup();
        missing.retain(|blob| !self.made().layers.contains_key(blob));
        in_parallel(LANES, &missing, |blob| {
            let layer = Arc::new(self.fetch(blob)?);
            self.made().layers.insert(blob.clone(), layer);
            Ok(())
        })?;
        let mut made = self.made();
        let layers: Vec<Arc<Layer>> = blobs.iter().map(|blob| Arc::clone(&made.layers[blob])).collect();
        let diff_ids: Vec<DiffId> = layers.iter().map(|layer| layer.diff_id).collect();
        let config = Document::print(
            old.config(&diff_ids).map_err(bad)?,
            MediaType::new(OCI_CONFIG),
            Algorithm::Sha256,
        );
        let named = blobs.iter().zip(&layers).map(|(blob, layer)| {
            Descriptor::new(MediaType::of_layer(layer.compression), blob.clone(), layer.size)
        });
        let manifest = Manifest::new(config.descriptor().clone(), named.collect());
        let manifest = Document::print(manifest, MediaType::new(OCI_MANIFEST), Algorithm::Sha256);
        made.documents.insert(config.descriptor().digest.clone(), Arc::clone(config.raw()));
        made.documents.insert(manifest.descriptor().digest.clone(), Arc::clone(manifest.raw()));
        Ok(manifest.descriptor().clone())
    }

    /// Fetches a layer whose size nobody says, proves it, and looks into it.
    fn fetch(&self, digest: &AnyDigest) -> Result<Layer> {
        let expected = *digest.known().map_err(DocumentError::from)?;
        let (limit, item) = (self.cx.limits.size, digest.to_string());
        self.cx.observer.event(Event::Started { phase: "convert", item: item.clone(), total: None });
        let unsized_blob = layer_of(digest, limit);
        let origin = self.remote.origin(&unsized_blob)?;
        let mut file = Dir::open(&self.tmpdir)?.spool()?;
        let mut hasher = Hasher::new(expected.algorithm());
        let size = self.each_step(&mut origin.open(0)?, &mut |bytes| {
            hasher.update(bytes);
            file.write_all(bytes).map_err(|error| Fault::io("write a spool", error))?;
            self.cx.observer.event(Event::Advanced { item: item.clone(), bytes: bytes.len() as u64 });
            Ok(())
        })?;
        if size > limit {
            return Err(orlop_layer::Error::Limit { what: "a layer", limit }.into());
        }
        let found = hasher.finish();
        if found != expected {
            let damage = Damage::Digest { found: Box::new(found) };
            return Err(Fault::new(Damaged { blob: expected, size, damage }));
        }
        let (compression, diff_id) = self.look_into(&file)?;
        self.cx.observer.event(Event::Finished { item });
        Ok(Layer { file, size, compression, diff_id })
    }

    fn look_into(&self, file: &File) -> Result<(Compression, DiffId)> {
        let mut start = [0; 4];
        let count = file.read_at(&mut start, 0)?;
        let compression = codec::detect(&start[..count]);
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut plain = codec::decoder(compression, Part { file, at: 0 }, self.cx.limits);
        self.each_step(&mut plain, &mut |bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
        Ok((compression, DiffId(hasher.finish())))
    }

    fn each_step(&self, from: &mut dyn Read, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
        let mut buffer = vec![0; 256 << 10];
        let mut total = 0;
        loop {
            self.cx.cancel.check()?;
            match from.read(&mut buffer) {
                Ok(0) => return Ok(total),
                Ok(count) => {
                    take(&buffer[..count])?;
                    total += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::io("read a layer", error)),
            }
        }
    }
}

/// A layer of the repository, as large as is said.
fn layer_of(digest: &AnyDigest, size: u64) -> Descriptor {
    Descriptor::new(MediaType::new(OCI_LAYER_GZIP), digest.clone(), size)
}

impl Source for Converting<'_> {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        self.remote.resolve(selector)?.into_iter().map(|root| self.today(root)).collect()
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        if let Some(document) = self.made().documents.get(&blob.digest) {
            return Ok(Box::new(document.to_vec()));
        }
        let layer = self.made().layers.get(&blob.digest).map(Arc::clone);
        match layer {
            Some(layer) => {
                let lenders = self.remote.origin(&layer_of(&blob.digest, layer.size))?.lenders();
                Ok(Box::new(Kept { layer, lenders }))
            }
            None => self.remote.origin(blob),
        }
    }

    fn is_far(&self) -> bool {
        true
    }
}

impl Catalog for Converting<'_> {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        let names = self.remote.names()?.into_iter();
        names.map(|(name, root)| Ok((name, self.today(root)?))).collect()
    }

    fn list(&self) -> Result<Vec<(Name, Option<Descriptor>)>> {
        self.remote.list()
    }

    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        self.remote.referrers(digest)
    }
}

/// A layer that waits in the spool.
struct Kept {
    layer: Arc<Layer>,
    /// Repositories of the registry that it came from hold it still.
    lenders: Vec<Lender>,
}

impl Origin for Kept {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(Part { file: &self.layer.file, at }))
    }

    fn local(&self) -> Option<LocalFile> {
        let file = self.layer.file.try_clone().ok()?.into();
        Some(LocalFile { file, at: 0, size: self.layer.size, whole: false })
    }

    fn lenders(&self) -> Vec<Lender> {
        self.lenders.clone()
    }
}

/// The rest of a file.
struct Part<'f> {
    file: &'f File,
    at: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at).map_err(Fault::from)?;
        self.at += count as u64;
        Ok(count)
    }
}
