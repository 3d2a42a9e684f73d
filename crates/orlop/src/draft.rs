//! A draft: an image that is being made, from nothing or from another image.
//!
//! Invariant: config and manifest are printed once, at the end, by the order of their types; history and layers
//! stay in step.

use crate::error::Error;
use crate::image::{Image, platform_of};
use orlop_spec::config::{Config, History, RootFs};
use orlop_spec::descriptor::Annotations;
use orlop_spec::digest::DiffId;
use orlop_spec::edit::Edit;
use orlop_spec::json::Extra;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::{MediaType, OCI_CONFIG, OCI_MANIFEST, Role};
use orlop_spec::platform::Platform;
use orlop_spec::port::{Hints, Result, Sink};
use orlop_spec::{Algorithm, Context, Descriptor, Document};

/// Annotation of an attestation in an index: the digest of the manifest that it speaks about.
pub(crate) const SPEAKS_ABOUT: &str = "vnd.docker.reference.digest";

/// An image that is being made.
#[derive(Clone, Debug)]
pub struct Draft {
    config: Config,
    layers: Vec<Descriptor>,
    annotations: Annotations,
}

impl Draft {
    /// An image without layers.
    pub fn scratch(platform: Platform) -> Self {
        let config = Config {
            created: None,
            author: None,
            architecture: platform.architecture,
            os: platform.os,
            os_version: platform.os_version,
            os_features: platform.os_features,
            variant: platform.variant,
            config: None,
            rootfs: RootFs { kind: "layers".into(), diff_ids: Vec::new(), extra: Extra::new() },
            history: Vec::new(),
            extra: Extra::new(),
        };
        Self { config, layers: Vec::new(), annotations: Annotations::new() }
    }

    /// An image that begins as `base`. Layers get the names that OCI gives to their forms; their bytes stay.
    pub fn from(base: &Image<'_>) -> Self {
        Self {
            config: base.config().clone().into_value(),
            layers: base.manifest().layers.iter().map(as_oci).collect(),
            annotations: base.manifest().annotations.clone(),
        }
    }

    /// The config, to be changed.
    pub fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    /// For which machine the image is.
    pub fn platform(&self) -> Platform {
        platform_of(&self.config)
    }

    /// Says for which machine the image is.
    pub fn set_platform(&mut self, platform: &Platform) {
        self.config.set_platform(platform);
    }

    /// Changes the config as the user says.
    pub fn edit(&mut self, edit: &Edit) -> Result<()> {
        self.config = edit.apply(self.config.clone())?;
        Ok(())
    }

    /// Annotations of the manifest, to be changed.
    pub fn annotations(&mut self) -> &mut Annotations {
        &mut self.annotations
    }

    /// Puts a layer on top, and the step that made it.
    pub fn append(&mut self, blob: Descriptor, diff_id: DiffId, step: History) {
        self.complete_history();
        self.layers.push(blob);
        self.config.rootfs.diff_ids.push(diff_id);
        self.config.history.push(step);
    }

    /// Adds a step that made no layer.
    pub fn note(&mut self, step: History) {
        self.complete_history();
        self.config.history.push(History { empty_layer: Some(true), ..step });
    }

    /// Prints config and manifest into `to`, which holds the layers; gives the manifest's descriptor with the
    /// platform in it.
    ///
    /// # Errors
    /// Where it has more layers, or a document more bytes, than the limits allow to whoever reads it.
    pub fn write(self, cx: &Context<'_>, to: &dyn Sink, algorithm: Algorithm) -> Result<Descriptor> {
        check_layers(cx, self.layers.len())?;
        let platform = self.platform();
        let config = Document::print(self.config, MediaType::new(OCI_CONFIG), algorithm);
        put(cx, to, &config)?;
        let mut manifest = Manifest::new(config.descriptor().clone(), self.layers);
        manifest.annotations = self.annotations;
        let manifest = Document::print(manifest, MediaType::new(OCI_MANIFEST), algorithm);
        put(cx, to, &manifest)?;
        Ok(Descriptor { platform: Some(platform), ..manifest.descriptor().clone() })
    }

    /// A base without any history gets one step for each layer, so that the counts agree (image-spec,
    /// `config.md`, "history").
    fn complete_history(&mut self) {
        if self.config.history.is_empty() {
            self.config.history = vec![History::default(); self.layers.len()];
        }
    }
}

/// That an image of so many layers can be read again.
pub(crate) fn check_layers(cx: &Context<'_>, count: usize) -> Result<()> {
    let limit = cx.limits.layers;
    if count > limit { Err(Error::WouldHaveManyLayers { count, limit }.into()) } else { Ok(()) }
}

/// Puts a document that orlop printed, and that can be read again.
pub(crate) fn put<T>(cx: &Context<'_>, to: &dyn Sink, document: &Document<T>) -> Result<()> {
    let (Descriptor { media_type, size, .. }, limit) = (document.descriptor(), cx.limits.document);
    if *size > limit {
        let what = match media_type.role() {
            Role::Manifest => "manifest",
            Role::Index => "index",
            _ => "config",
        };
        return Err(Error::WouldBeLarge { what, size: *size, limit }.into());
    }
    to.put(document.descriptor(), &document.raw().to_vec(), &Hints::default()).map(drop)
}

/// The descriptor of a layer of a Docker image in OCI's words.
pub(crate) fn as_oci(layer: &Descriptor) -> Descriptor {
    match layer.media_type.role() {
        Role::Layer(form)
            if layer.media_type.as_str().starts_with("application/vnd.docker.image.rootfs.diff") =>
        {
            Descriptor { media_type: MediaType::of_layer(form.compression), ..layer.clone() }
        }
        _ => layer.clone(),
    }
}
