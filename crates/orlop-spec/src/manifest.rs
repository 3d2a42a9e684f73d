//! The image manifest, OCI and Docker schema 2: one shape (image-spec, `manifest.md`).

use crate::descriptor::{Annotations, Descriptor};
use crate::document::{DocumentError, Parse, check_shape};
use crate::json::{self, Extra};
use crate::media_type::MediaType;
use serde::{Deserialize, Serialize};

/// Names a config and layers, the base layer first. Fields are written in the order of the specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u64,
    /// Written always; readers accept its absence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// Type of the artifact, where it is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The config.
    pub config: Descriptor,
    /// The layers, base first.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free data about the image.
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
    /// What orlop has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Manifest {
    /// An OCI manifest of `config` and `layers`.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::new(crate::media_type::OCI_MANIFEST)),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: Annotations::new(),
            extra: Extra::new(),
        }
    }

    /// Every blob that the manifest needs: config, then layers. The subject is no part of it.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::once(&self.config).chain(&self.layers)
    }
}

impl Parse for Manifest {
    fn parse(bytes: &[u8], media_type: &MediaType) -> Result<Self, DocumentError> {
        let value = json::value(bytes)?;
        check_shape(&value, media_type, &["manifests", "fsLayers"])?;
        Ok(json::parse(bytes)?)
    }
}
