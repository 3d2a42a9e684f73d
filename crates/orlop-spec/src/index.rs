//! The image index and the Docker manifest list (image-spec, `image-index.md`), and `index.json` of a layout.

use crate::descriptor::{Annotations, Descriptor};
use crate::document::{DocumentError, Parse, check_shape};
use crate::json::{self, Extra};
use crate::media_type::MediaType;
use serde::{Deserialize, Serialize};

/// Annotation of a descriptor in a layout's `index.json` that holds the tag.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Names manifests, most often one per platform. Fields are written in the order of the specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u64,
    /// Written always; readers accept its absence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// Type of the artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The manifests, or nested indexes, or anything. umoci writes `null` where there are none.
    #[serde(deserialize_with = "json::or_empty")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free data about the index.
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
    /// What orlop has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Index {
    /// An OCI index of `manifests`.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::new(crate::media_type::OCI_INDEX)),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: Annotations::new(),
            extra: Extra::new(),
        }
    }
}

impl Parse for Index {
    fn parse(bytes: &[u8], media_type: &MediaType) -> Result<Self, DocumentError> {
        let value = json::value(bytes)?;
        check_shape(&value, media_type, &["layers", "config"])?;
        Ok(json::parse(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_25_an_index_may_name_nothing() {
        let parse = |text: &str| Index::parse(text.as_bytes(), &MediaType::new(crate::media_type::OCI_INDEX));
        for text in [r#"{"schemaVersion":2,"manifests":null}"#, r#"{"schemaVersion":2,"manifests":[]}"#] {
            assert!(parse(text).expect("valid").manifests.is_empty());
        }
        assert!(parse(r#"{"schemaVersion":2}"#).is_err());
    }
}
