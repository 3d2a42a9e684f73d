//! Platforms: for which machine an image is made (image-spec, `image-index.md`, "Platform variants").

use crate::json::Extra;
use serde::{Deserialize, Serialize};

/// Operating system and architecture, in Go's names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// GOARCH.
    pub architecture: Box<str>,
    /// GOOS.
    pub os: Box<str>,
    /// Version of the operating system; used on Windows.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<Box<str>>,
    /// Features that the operating system must have.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<Box<str>>,
    /// Variant of the processor, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Box<str>>,
    /// What orlop has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}
