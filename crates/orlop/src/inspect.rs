//! `inspect` and `digest`: what a name means, from documents alone. No layer is opened.

use crate::error::Error;
use crate::image::manifest_below;
use orlop_layer::Verified;
use orlop_spec::config::Config;
use orlop_spec::index::Index;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::Role;
use orlop_spec::platform::{self, Platform, PlatformError};
use orlop_spec::port::{Result, Selector, Source};
use orlop_spec::reference::Reference;
use orlop_spec::{Context, Descriptor, Diagnose as _, Document, Event, Fault, graph};
use std::io::Read as _;

/// What a name means.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// What the name points at.
    pub root: Descriptor,
    /// The root, where it is an index.
    pub index: Option<Document<Index>>,
    /// The root, or the manifest of one platform below the index.
    pub manifest: Option<Document<Manifest>>,
    /// The config of the manifest, where that is an image.
    pub config: Option<Document<Config>>,
}

impl Inspection {
    /// The descriptor of the config of an image.
    pub fn image_config(&self) -> Result<&Descriptor> {
        match (&self.config, &self.manifest) {
            (Some(config), _) => Ok(config.descriptor()),
            (None, Some(manifest)) => Err(Error::Artifact {
                digest: manifest.descriptor().digest.clone(),
                artifact_type: manifest.artifact_type.clone().unwrap_or(manifest.config.media_type.clone()),
            }
            .into()),
            (None, None) => Err(not_an_image(&self.root)),
        }
    }
}

/// Which platform of an index is meant.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// One that was asked for: it is an error when it is not there.
    Asked(&'a Platform),
    /// The host's, where it is there.
    Host(&'a Platform),
}

impl<'a> Wanted<'a> {
    fn platform(self) -> &'a Platform {
        match self {
            Self::Asked(platform) | Self::Host(platform) => platform,
        }
    }

    /// An index of which some images were copied lacks the others.
    fn may_miss(self, fault: &Fault) -> bool {
        let is_not_offered = matches!(fault.downcast_ref(), Some(PlatformError::NotOffered { .. }));
        matches!(self, Self::Host(_)) && (is_not_offered || fault.is_absence())
    }
}

/// Reads the documents that `selector` names.
pub fn inspect(
    cx: &Context<'_>,
    source: &dyn Source,
    selector: &Selector,
    wanted: Wanted<'_>,
) -> Result<Inspection> {
    let root = root(source, selector, wanted.platform())?;
    let (index, manifest) = match root.media_type.role() {
        Role::Index => {
            let index = graph::read(cx.limits, source, &root)?;
            (Some(index), below(cx, source, &root, wanted)?)
        }
        Role::Manifest => (None, Some(graph::read(cx.limits, source, &root)?)),
        _ => return Err(not_an_image(&root)),
    };
    let config = manifest.as_ref().map(|manifest| config(cx, source, manifest)).transpose()?.flatten();
    Ok(Inspection { root, index, manifest, config })
}

/// What a name points at: an index or a manifest, and where one tag has several entries, the one for `host`.
pub fn root(source: &dyn Source, selector: &Selector, host: &Platform) -> Result<Descriptor> {
    let roots = source.resolve(selector)?;
    match roots.as_slice() {
        [root] => Ok(root.clone()),
        several => Ok(platform::select(several, host)?.clone()),
    }
}

/// A tag that stood beside a digest and points elsewhere by now is worth a warning; the digest is what is meant.
pub fn warn_of_moved_tag(cx: &Context<'_>, source: &dyn Source, reference: &Reference) {
    let (Selector::Digest(digest), Some(tag)) = (&reference.selector, &reference.tag) else { return };
    let roots = match source.resolve(&Selector::Tag(tag.clone())) {
        Err(fault) if matches!(fault.downcast_ref(), Some(Error::NotLocked { .. })) => return,
        roots => roots.unwrap_or_default(),
    };
    if roots.iter().all(|root| root.digest != *digest) {
        let text = format!("the tag {tag} does not point at {digest}; the digest is what counts");
        cx.observer.event(Event::Warned(text));
    }
}

/// What a name points at for one platform: a manifest.
pub fn manifest(
    cx: &Context<'_>,
    source: &dyn Source,
    selector: &Selector,
    wanted: &Platform,
) -> Result<Document<Manifest>> {
    manifest_below(cx, source, &root(source, selector, wanted)?, wanted)
}

/// The bytes of a document, proven. What kind of document it is does not matter.
pub fn raw(cx: &Context<'_>, source: &dyn Source, blob: &Descriptor) -> Result<Vec<u8>> {
    let bytes = graph::read_raw(cx.limits, source, blob)?;
    let mut proven = Vec::with_capacity(bytes.len());
    let read = Verified::new(bytes.as_slice(), blob)?.read_to_end(&mut proven);
    read.map_err(|error| Fault::io(format!("read {}", blob.digest), error))?;
    Ok(proven)
}

fn below(
    cx: &Context<'_>,
    source: &dyn Source,
    root: &Descriptor,
    wanted: Wanted<'_>,
) -> Result<Option<Document<Manifest>>> {
    match manifest_below(cx, source, root, wanted.platform()) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(fault) if wanted.may_miss(&fault) => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn config(cx: &Context<'_>, source: &dyn Source, manifest: &Manifest) -> Result<Option<Document<Config>>> {
    match manifest.config.media_type.role() {
        Role::Config => graph::read(cx.limits, source, &manifest.config).map(Some),
        _ => Ok(None),
    }
}

fn not_an_image(root: &Descriptor) -> Fault {
    let Descriptor { digest, media_type, .. } = root.clone();
    Error::NotAnImage { digest, media_type }.into()
}
