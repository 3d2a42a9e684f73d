//! An image: the manifest of one platform, its config, and its layers, all proven.

use crate::error::Error;
use crate::index;
use orlop_spec::config::Config;
use orlop_spec::digest::DiffId;
use orlop_spec::graph;
use orlop_spec::index::Index;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::{Compression, Role};
use orlop_spec::platform::{self, Platform, PlatformError};
use orlop_spec::port::{Result, Selector, Source};
use orlop_spec::{AnyDigest, Context, Descriptor, Document};
use std::collections::HashSet;

/// One image of a source.
pub struct Image<'s> {
    source: &'s dyn Source,
    manifest: Document<Manifest>,
    config: Document<Config>,
}

/// One layer of an image.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'i> {
    /// Names the blob.
    pub blob: &'i Descriptor,
    /// Names the uncompressed tar.
    pub diff_id: DiffId,
    /// How the blob is compressed.
    pub compression: Compression,
}

impl<'s> Image<'s> {
    /// Finds the image that `selector` names, and within an index the one for `wanted`. An image that is in no
    /// index is taken as it is.
    pub fn fetch(
        cx: &Context<'_>,
        source: &'s dyn Source,
        selector: &Selector,
        wanted: &Platform,
    ) -> Result<Self> {
        let roots = source.resolve(selector)?;
        let root = match roots.as_slice() {
            [root] => root.clone(),
            several => platform::select(several, wanted)?.clone(),
        };
        Self::open(cx, source, &root, wanted)
    }

    /// Opens the image below `root`, a manifest or an index.
    pub fn open(
        cx: &Context<'_>,
        source: &'s dyn Source,
        root: &Descriptor,
        wanted: &Platform,
    ) -> Result<Self> {
        let manifest = manifest_below(cx, source, root, wanted)?;
        if manifest.config.media_type.role() != Role::Config {
            let digest = manifest.descriptor().digest.clone();
            let artifact_type =
                manifest.artifact_type.clone().unwrap_or_else(|| manifest.config.media_type.clone());
            return Err(Error::Artifact { digest, artifact_type }.into());
        }
        Self::of(cx, source, manifest)
    }

    /// The image of a manifest that names an image's config.
    pub(crate) fn of(cx: &Context<'_>, source: &'s dyn Source, manifest: Document<Manifest>) -> Result<Self> {
        let config: Document<Config> = graph::read(cx.limits, source, &manifest.config)?;
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(Error::LayerCount {
                manifest: manifest.descriptor().digest.clone(),
                layers: manifest.layers.len(),
                diff_ids: config.rootfs.diff_ids.len(),
            }
            .into());
        }
        Ok(Self { source, manifest, config })
    }

    /// Where the image is.
    pub fn source(&self) -> &'s dyn Source {
        self.source
    }

    /// The manifest.
    pub fn manifest(&self) -> &Document<Manifest> {
        &self.manifest
    }

    /// The config.
    pub fn config(&self) -> &Document<Config> {
        &self.config
    }

    /// For which machine the image is, by its config.
    pub fn platform(&self) -> Platform {
        platform_of(&self.config)
    }

    /// The layers, base first; an error where one cannot be unpacked.
    pub fn layers(&self) -> Result<Vec<Layer<'_>>> {
        self.manifest
            .layers
            .iter()
            .zip(&self.config.rootfs.diff_ids)
            .map(|(blob, diff_id)| layer(blob, *diff_id))
            .collect()
    }
}

/// The platform that a config names.
pub fn platform_of(config: &Config) -> Platform {
    Platform {
        architecture: config.architecture.clone(),
        os: config.os.clone(),
        os_version: config.os_version.clone(),
        os_features: config.os_features.clone(),
        variant: config.variant.clone(),
        extra: orlop_spec::json::Extra::new(),
    }
}

/// A layer by its descriptor; an error where it cannot be unpacked.
pub(crate) fn layer(blob: &Descriptor, diff_id: DiffId) -> Result<Layer<'_>> {
    blob.prove_data()?;
    match blob.media_type.role() {
        Role::Layer(form) => Ok(Layer { blob, diff_id, compression: form.compression }),
        _ => {
            Err(Error::UnknownLayer { digest: blob.digest.clone(), media_type: blob.media_type.clone() }
                .into())
        }
    }
}

/// The manifest below `root` for `wanted`: the first of an index that fits, else the first that fits in an index
/// nested in it that names no platform of its own, else the first that names none itself.
pub fn manifest_below(
    cx: &Context<'_>,
    source: &dyn Source,
    root: &Descriptor,
    wanted: &Platform,
) -> Result<Document<Manifest>> {
    let mut search = Search { cx, source, wanted, seen: HashSet::new(), there: Vec::new() };
    match search.find(root, 0)? {
        Some(manifest) => Ok(manifest),
        None => Err(no_platform(wanted, &search.there).into()),
    }
}

struct Search<'a> {
    cx: &'a Context<'a>,
    source: &'a dyn Source,
    wanted: &'a Platform,
    /// Indexes that were opened; none is opened twice.
    seen: HashSet<AnyDigest>,
    /// What was passed over, for the error.
    there: Vec<Descriptor>,
}

impl Search<'_> {
    fn find(&mut self, root: &Descriptor, depth: u32) -> Result<Option<Document<Manifest>>> {
        self.cx.cancel.check()?;
        let limit = self.cx.limits.index_depth;
        match root.media_type.role() {
            Role::Manifest => return read_manifest(self.cx, self.source, root).map(Some),
            Role::Index if depth >= limit => return Err(orlop_spec::Fault::new(graph::TooDeep { limit })),
            Role::Index if !self.seen.insert(root.digest.clone()) => return Ok(None),
            Role::Index => {}
            _ => {
                let Descriptor { digest, media_type, .. } = root.clone();
                return Err(Error::NotAnImage { digest, media_type }.into());
            }
        }
        let index: Document<Index> = graph::read(self.cx.limits, self.source, root)?;
        let (declared, silent): (Vec<_>, Vec<_>) =
            index.manifests.iter().cloned().partition(|child| child.platform.is_some());
        if let Ok(child) = platform::select(&declared, self.wanted) {
            return self.find(child, depth + 1);
        }
        self.there.extend(declared);
        for child in nested(&index) {
            if let Some(manifest) = self.find(child, depth + 1)? {
                return Ok(Some(manifest));
            }
        }
        let silent: Vec<_> = silent.into_iter().filter(|child| !is_nested(child)).collect();
        match platform::select(&silent, self.wanted) {
            Ok(child) => self.find(child, depth + 1),
            Err(_) => Ok(None),
        }
    }
}

/// The indexes in an index that name no platform, so that only they know for which machines they are.
pub(crate) fn nested(index: &Index) -> impl Iterator<Item = &Descriptor> {
    index.manifests.iter().filter(|child| is_nested(child))
}

pub(crate) fn is_nested(child: &Descriptor) -> bool {
    child.platform.is_none() && child.media_type.role() == Role::Index
}

fn read_manifest(cx: &Context<'_>, source: &dyn Source, blob: &Descriptor) -> Result<Document<Manifest>> {
    let manifest: Document<Manifest> = graph::read(cx.limits, source, blob)?;
    if manifest.layers.len() > cx.limits.layers {
        return Err(orlop_spec::Fault::new(graph::TooManyLayers { limit: cx.limits.layers }));
    }
    Ok(manifest)
}

pub(crate) fn no_platform(wanted: &Platform, candidates: &[Descriptor]) -> PlatformError {
    let images =
        candidates.iter().filter(|entry| index::subject(entry).is_none()).cloned().collect::<Vec<_>>();
    PlatformError::NotOffered { wanted: Box::new(wanted.clone()), offered: platform::declared(&images) }
}
