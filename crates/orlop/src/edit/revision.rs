//! An image that is being changed.
//!
//! Invariant: history and layers stay in step (image-spec, `config.md`, "history"): each layer has one step that is not
//! empty, in the order of the layers.

use crate::image::Image;
use orlop_layer::codec::Codec;
use orlop_spec::config::{Config, History};
use orlop_spec::digest::DiffId;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::{DOCKER_MANIFEST, MediaType, Role};
use orlop_spec::port::Source;
use orlop_spec::{Algorithm, Descriptor, Document};
use std::ops::Range;

/// A layer of an image that is being changed.
#[derive(Clone)]
pub enum Piece<'a> {
    /// One that is somewhere already; its bytes are not looked at.
    Kept {
        /// Names the blob.
        blob: Descriptor,
        /// Names the uncompressed tar.
        diff_id: DiffId,
        /// Where it is; nothing for the place of the image itself.
        home: Option<&'a dyn Source>,
    },
    /// One that was written into the target.
    Made {
        /// Names the blob.
        blob: Descriptor,
        /// Names the uncompressed tar.
        diff_id: DiffId,
        /// How it was compressed, where that is to be known.
        codec: Option<Codec>,
        /// Where it waits; nothing where the target has it.
        home: Option<&'a dyn Source>,
    },
}

impl Piece<'_> {
    /// One that was written into the target.
    pub fn made(blob: Descriptor, diff_id: DiffId) -> Self {
        Self::Made { blob, diff_id, codec: None, home: None }
    }

    /// Names the blob.
    pub fn blob(&self) -> &Descriptor {
        match self {
            Self::Kept { blob, .. } | Self::Made { blob, .. } => blob,
        }
    }

    /// Names the uncompressed tar.
    pub fn diff_id(&self) -> DiffId {
        match self {
            Self::Kept { diff_id, .. } | Self::Made { diff_id, .. } => *diff_id,
        }
    }
}

/// An image that is being changed.
pub struct Revision<'a> {
    image: &'a Image<'a>,
    config: Config,
    manifest: Manifest,
    layers: Vec<Piece<'a>>,
}

impl<'a> Revision<'a> {
    /// The image as it is.
    pub fn new(image: &'a Image<'a>) -> Self {
        let (config, manifest) = (image.config().clone().into_value(), image.manifest().clone().into_value());
        let kept = |(blob, diff_id): (&Descriptor, &DiffId)| Piece::Kept {
            blob: blob.clone(),
            diff_id: *diff_id,
            home: None,
        };
        let layers = manifest.layers.iter().zip(&config.rootfs.diff_ids).map(kept).collect();
        Self { image, config, manifest, layers }
    }

    /// The image as it was before any step.
    pub fn image(&self) -> &'a Image<'a> {
        self.image
    }

    /// The config as it is by now.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The config, to be changed; layers and history have methods of their own.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// The manifest, to be changed; config and layers are written at the end.
    pub fn manifest_mut(&mut self) -> &mut Manifest {
        &mut self.manifest
    }

    /// The layers as they are by now, base first.
    pub fn layers(&self) -> &[Piece<'a>] {
        &self.layers
    }

    /// Puts a layer on top, and the step that made it.
    pub fn append(&mut self, layer: Piece<'a>, step: History) {
        self.settle_history();
        self.layers.push(layer);
        self.config.history.push(History { empty_layer: None, ..step });
    }

    /// Adds a step that made no layer.
    pub fn note(&mut self, step: History) {
        self.settle_history();
        self.config.history.push(History { empty_layer: Some(true), ..step });
    }

    /// Puts layers, each with its step, in the place of others. Steps without a layer that stood among those go with them;
    /// those before and after stay.
    pub fn replace(&mut self, range: Range<usize>, with: Vec<(Piece<'a>, History)>) {
        self.settle_history();
        let steps = self.steps(range.clone());
        let (layers, history): (Vec<_>, Vec<_>) = with.into_iter().unzip();
        self.layers.splice(range, layers);
        let history = history.into_iter().map(|step| History { empty_layer: None, ..step });
        self.config.history.splice(steps, history);
    }

    /// Lets another blob of the same content stand for a layer: history and diff ids stay where they can.
    pub fn exchange(&mut self, at: usize, layer: Piece<'a>) {
        self.layers[at] = layer;
    }

    /// The steps that made some layers, from that of the first one to that of the last one. Of no layers, the place
    /// behind the step of the layer before.
    pub fn steps(&self, layers: Range<usize>) -> Range<usize> {
        let made: Vec<usize> = self.made().collect();
        let behind =
            |layer: usize| layer.checked_sub(1).and_then(|at| made.get(at)).map_or(0, |step| step + 1);
        if layers.is_empty() {
            let at = behind(layers.start);
            return at..at;
        }
        made.get(layers.start).copied().unwrap_or(self.config.history.len())..behind(layers.end)
    }

    /// The numbers of the steps that made a layer.
    fn made(&self) -> impl Iterator<Item = usize> {
        let steps = self.config.history.iter().enumerate();
        steps.filter(|(_, step)| step.empty_layer != Some(true)).map(|(at, _)| at)
    }

    /// Makes history count as many layers as there are, where it does not: an image without any gets a step for each
    /// layer, missing ones are added, and those too many made no layer.
    pub fn settle_history(&mut self) {
        let (steps, layers) = (self.config.layer_steps(), self.layers.len());
        for _ in steps..layers {
            self.config.history.push(History::default());
        }
        let surplus: Vec<usize> = self.made().skip(layers).collect();
        for at in surplus {
            self.config.history[at].empty_layer = Some(true);
        }
    }

    /// Lets the layers that were just written be found where they were written.
    pub(super) fn wait_at(&mut self, shelf: &'a dyn Source) {
        for layer in &mut self.layers {
            if let Piece::Made { home, .. } = layer {
                home.get_or_insert(shelf);
            }
        }
    }

    /// The blobs that the target may lack, each with where it is, where that is not the place of the image itself.
    pub(super) fn kept(&self) -> impl Iterator<Item = (&Descriptor, Option<&'a dyn Source>)> {
        self.layers.iter().filter_map(|layer| match layer {
            Piece::Kept { blob, home, .. } => Some((blob, *home)),
            Piece::Made { blob, home, .. } => home.map(|home| (blob, Some(home))),
        })
    }

    /// Whether the image had a layer before any step.
    pub(super) fn had(&self, blob: &Descriptor) -> bool {
        self.image.manifest().layers.iter().any(|layer| layer.digest == blob.digest)
    }

    /// Prints config and manifest around what stays.
    pub(super) fn print(self, algorithm: Algorithm) -> (Document<Config>, Document<Manifest>) {
        let Self { image, mut config, mut manifest, layers } = self;
        let before = image.manifest();
        let family = before.descriptor().media_type.clone();
        let family = manifest.media_type.clone().unwrap_or(family);
        config.rootfs.diff_ids = layers.iter().map(Piece::diff_id).collect();
        manifest.layers = layers.iter().map(|layer| in_words_of(&family, layer)).collect();
        let config = image.config().revised(config, manifest.config.media_type.clone(), algorithm);
        if config.descriptor().digest != before.config.digest {
            let Descriptor { digest, size, .. } = config.descriptor().clone();
            manifest.config = Descriptor { digest, size, data: None, urls: Vec::new(), ..manifest.config };
        }
        if manifest != **before {
            manifest.media_type = Some(family.clone());
        }
        (config, before.revised(manifest, family, algorithm))
    }
}

/// The descriptor of a layer in a manifest of some type. One that is kept has the name that it had; Docker has names of its
/// own for new ones.
fn in_words_of(manifest: &MediaType, layer: &Piece<'_>) -> Descriptor {
    let (Piece::Kept { blob, .. } | Piece::Made { blob, .. }) = layer;
    match (layer, blob.media_type.role()) {
        (Piece::Made { .. }, Role::Layer(form)) if manifest.as_str() == DOCKER_MANIFEST => {
            Descriptor { media_type: MediaType::of_docker_layer(form.compression), ..blob.clone() }
        }
        _ => blob.clone(),
    }
}
