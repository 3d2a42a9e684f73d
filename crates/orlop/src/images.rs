//! `images`: what the local store holds, by name. Told from documents alone: no layer is opened, no content counted.

use crate::image::platform_of;
use orlop_spec::digest::{AnyDigest, DiffId};
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::{MediaType, Role};
use orlop_spec::port::{Result, Source as _};
use orlop_spec::{Config, Context, Descriptor, Diagnose as _, Document, Index, Platform, graph, json};
use orlop_store::Store;
use orlop_store::store::form::How;
use orlop_store::store::names::Record;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// A name of the store.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The name, what it stands for, where it came from, when it was used.
    pub record: Record,
    /// The image; names of one image share it.
    pub image: Rc<Stored>,
    /// Bytes of the blobs that no other image has.
    pub unique: u64,
}

/// An image of the store.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The manifests that are here, one for each platform or artifact.
    pub manifests: Vec<Held>,
    /// How many manifests of the index are not here.
    pub absent: usize,
    /// What of its documents is damaged or missing, in words.
    pub broken: Vec<String>,
    /// Its blobs and their bytes.
    blobs: HashMap<AnyDigest, u64>,
}

/// A manifest of the store.
#[derive(Clone, Debug)]
pub struct Held {
    /// The manifest.
    pub manifest: Descriptor,
    /// The config; of an image, its digest is the image id.
    pub config: Descriptor,
    /// What it is for; nothing for an artifact.
    pub platform: Option<Platform>,
    /// What kind of artifact it is, where it is one.
    pub artifact_type: Option<MediaType>,
    /// When it was made, as its config says.
    pub created: Option<Box<str>>,
    /// Its layers, base first.
    pub layers: Vec<Layer>,
}

/// A layer of the store.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The blob.
    pub blob: Descriptor,
    /// The uncompressed layer, where it was taken apart.
    pub diff_id: Option<DiffId>,
    /// How the bytes of the blob come back. `None` where nothing is known and the blob itself is not here.
    pub how: Option<How>,
}

impl Stored {
    /// Bytes of all its blobs.
    pub fn size(&self) -> u64 {
        self.blobs.values().fold(0, |sum, size| sum.saturating_add(*size))
    }

    /// What its parts are for, each once.
    pub fn platforms(&self) -> Vec<&Platform> {
        let mut platforms: Vec<&Platform> = Vec::new();
        for platform in self.manifests.iter().filter_map(|held| held.platform.as_ref()) {
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        platforms
    }

    /// When the first of its parts was made that says so.
    pub fn created(&self) -> Option<&str> {
        self.manifests.iter().find_map(|held| held.created.as_deref())
    }

    fn has(&mut self, blob: &Descriptor) {
        self.blobs.insert(blob.digest.clone(), blob.size);
    }
}

/// Every name of the store that can be read, sorted.
pub fn images(cx: &Context<'_>, store: &Store) -> Result<Vec<Listed>> {
    let mut images: HashMap<AnyDigest, Rc<Stored>> = HashMap::new();
    let records = store.records().all()?.0;
    for record in &records {
        if !images.contains_key(&record.root.digest) {
            cx.cancel.check()?;
            images.insert(record.root.digest.clone(), Rc::new(stored(cx, store, &record.root)));
        }
    }
    let mut holders: HashMap<&AnyDigest, u32> = HashMap::new();
    for digest in images.values().flat_map(|image| image.blobs.keys()) {
        *holders.entry(digest).or_default() += 1;
    }
    let unique = |image: &Stored| {
        let own = image.blobs.iter().filter(|(digest, _)| holders[digest] == 1);
        own.fold(0_u64, |sum, (_, size)| sum.saturating_add(*size))
    };
    let listed = records.into_iter().map(|record| {
        let image = &images[&record.root.digest];
        Listed { unique: unique(image), image: Rc::clone(image), record }
    });
    Ok(listed.collect())
}

/// What is under a root. What cannot be read is told, and is no error: one bad image must not hide the others.
fn stored(cx: &Context<'_>, store: &Store, root: &Descriptor) -> Stored {
    let mut image = Stored::default();
    let mut met = HashSet::new();
    let mut next = vec![(root.clone(), 0)];
    while let Some((document, depth)) = next.pop() {
        if !met.insert(document.digest.clone()) || depth > cx.limits.index_depth {
            continue;
        }
        let outcome = match document.media_type.role() {
            Role::Index => graph::read::<Index>(cx.limits, store, &document).map(|index| {
                image.has(&document);
                next.extend(index.manifests.iter().rev().map(|child| (child.clone(), depth + 1)));
            }),
            Role::Manifest => graph::read::<Manifest>(cx.limits, store, &document).and_then(|manifest| {
                image.has(&document);
                manifest.blobs().for_each(|blob| image.has(blob));
                image.manifests.push(held(cx, store, &document, &manifest)?);
                Ok(())
            }),
            _ => {
                image.has(&document);
                Ok(())
            }
        };
        match outcome {
            Err(fault) if fault.is_absence() && depth > 0 => image.absent += 1,
            Err(fault) => image.broken.push(fault.to_string()),
            Ok(()) => {}
        }
    }
    image
}

fn held(
    cx: &Context<'_>,
    store: &Store,
    document: &Descriptor,
    manifest: &Document<Manifest>,
) -> Result<Held> {
    let config = match manifest.config.media_type.role() {
        Role::Config => json::parse::<Config>(&graph::read_raw(cx.limits, store, &manifest.config)?).ok(),
        _ => None,
    };
    let of_config = || manifest.config.media_type.clone();
    let artifact_type = match &config {
        Some(_) => manifest.artifact_type.clone(),
        None => Some(manifest.artifact_type.clone().unwrap_or_else(of_config)),
    };
    let layers = manifest.layers.iter().map(|blob| layer(store, blob)).collect::<Result<_>>()?;
    Ok(Held {
        manifest: document.clone(),
        config: manifest.config.clone(),
        platform: config.as_ref().map(platform_of).filter(|platform| &*platform.os != UNKNOWN),
        artifact_type,
        created: config.and_then(|config| config.created),
        layers,
    })
}

/// What builders say of a manifest that is no image, and yet stands among those of platforms.
const UNKNOWN: &str = "unknown";

fn layer(store: &Store, blob: &Descriptor) -> Result<Layer> {
    let form = match &blob.digest {
        AnyDigest::Known(digest) => store.forms().get(digest)?,
        AnyDigest::Other(_) => None,
    };
    let is_kept = || Ok::<_, orlop_spec::Fault>(store.origin(blob)?.local().is_some());
    let how = match &form {
        Some(form) => Some(form.how),
        None => is_kept()?.then_some(How::Kept),
    };
    Ok(Layer { blob: blob.clone(), diff_id: form.map(|form| form.diff_id), how })
}
