//! Descriptors: a blob's name, size and kind (image-spec, `descriptor.md`).

use crate::base64;
use crate::digest::{AnyDigest, Digest};
use crate::document::DocumentError;
use crate::json::Extra;
use crate::media_type::MediaType;
use crate::platform::Platform;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Annotations: names to values, sorted (image-spec, `annotations.md`).
pub type Annotations = BTreeMap<Box<str>, Box<str>>;

/// Names a blob. Fields are written in the order of the specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: MediaType,
    /// The blob's name.
    pub digest: AnyDigest,
    /// Bytes of the blob.
    pub size: u64,
    /// Where else it may be fetched; never opened unless asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<Box<str>>,
    /// Free data about the blob.
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
    /// The blob itself in base64; must be equal to the content, is never added to existing content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<str>>,
    /// For which machine the image is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Type of the artifact that a manifest holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// What orlop has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Descriptor {
    /// A descriptor of which only the necessary is known.
    pub fn new(media_type: MediaType, digest: impl Into<AnyDigest>, size: u64) -> Self {
        Self {
            media_type,
            digest: digest.into(),
            size,
            urls: Vec::new(),
            annotations: Annotations::new(),
            data: None,
            platform: None,
            artifact_type: None,
            extra: Extra::new(),
        }
    }

    /// Proves the embedded `data`, where there is some and its digest is of an algorithm that can be computed.
    pub fn prove_data(&self) -> Result<(), DocumentError> {
        let (Some(data), Ok(digest)) = (&self.data, self.digest.known()) else { return Ok(()) };
        let is_named = |bytes: &[u8]| {
            bytes.len() as u64 == self.size && Digest::of(digest.algorithm(), bytes) == *digest
        };
        match base64::decode(data) {
            Some(bytes) if is_named(&bytes) => Ok(()),
            _ => Err(DocumentError::WrongData(Box::new(*digest))),
        }
    }

    /// Whether both name the same bytes.
    pub fn names_same_blob(&self, other: &Self) -> bool {
        self.digest == other.digest && self.size == other.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    #[test]
    fn item_13_embedded_data_is_the_content_or_refused() {
        let mut blob = Descriptor::new(MediaType::new("a/b"), Digest::of(Algorithm::Sha256, b"foo"), 3);
        assert!(blob.prove_data().is_ok());
        for (data, good) in
            [("Zm9v", true), ("Zm9vYg==", false), ("Zm8=", false), ("Zm9", false), ("", false)]
        {
            blob.data = Some(data.into());
            assert_eq!(blob.prove_data().is_ok(), good, "{data}");
        }
        blob.digest = "foo:abc".parse().expect("fits the grammar");
        assert!(blob.prove_data().is_ok(), "what cannot be computed is carried");
    }
}
