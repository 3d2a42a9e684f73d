//! The image config, OCI and Docker: one shape (image-spec, `config.md`).
//!
//! Docker writes `null` for empty lists and maps; both read as empty here, and what is not edited keeps its
//! bytes because a [`Document`](crate::Document) keeps them.

use crate::descriptor::Annotations;
use crate::digest::DiffId;
use crate::document::{DocumentError, Parse};
use crate::json::{self, Extra};
use crate::media_type::MediaType;
use crate::platform::Platform;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What an image is for, how it is run, and of what it is made. Fields in the order of the specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// When the image was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Box<str>>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Box<str>>,
    /// GOARCH.
    pub architecture: Box<str>,
    /// GOOS.
    pub os: Box<str>,
    /// Version of the operating system.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<Box<str>>,
    /// Features of the operating system.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "json::or_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<Box<str>>,
    /// Variant of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Box<str>>,
    /// How a container of the image runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Execution>,
    /// The layers.
    pub rootfs: RootFs,
    /// How the layers came to be, base first.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// What orlop has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How a container of the image runs (image-spec, `config.md`, "config").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Execution {
    /// `user`, `uid`, `user:group`, `uid:gid`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Box<str>>,
    /// `port`, `port/tcp`, `port/udp`; the values are empty objects.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<Box<str>, Value>,
    /// `NAME=VALUE`.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<Box<str>>,
    /// First part of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<Box<str>>>,
    /// Second part of the command, or all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<Box<str>>>,
    /// Folders that are to be mounts; the values are empty objects.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<Box<str>, Value>,
    /// Where the command starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<Box<str>>,
    /// Free data about the image.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "Annotations::is_empty")]
    pub labels: Annotations,
    /// Signal that ends the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<Box<str>>,
    /// Docker's health check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Docker's instructions for images built on this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_build: Option<Vec<Box<str>>>,
    /// What orlop has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Docker's health check; times in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", text]`.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<Box<str>>,
    /// Between checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<i64>,
    /// For one check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// Before failures count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_period: Option<i64>,
    /// Between checks while failures do not count yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_interval: Option<i64>,
    /// Failures until unhealthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i64>,
    /// What orlop has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The layers of an image by their diff ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Must be `layers`.
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// One per layer, base first.
    #[serde(deserialize_with = "json::or_empty")]
    pub diff_ids: Vec<DiffId>,
    /// What orlop has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One step in the making of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Box<str>>,
    /// The command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<Box<str>>,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Box<str>>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Box<str>>,
    /// Whether the step made no layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_layer: Option<bool>,
    /// What orlop has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Config {
    /// Says for which machine the image is. What is not said stays as it was, where it is the same system and
    /// architecture.
    pub fn set_platform(&mut self, platform: &Platform) {
        let Platform { architecture, os, mut os_version, mut os_features, mut variant, extra: _ } =
            platform.clone();
        if os == self.os && architecture == self.architecture {
            os_version = os_version.or_else(|| self.os_version.clone());
            variant = variant.or_else(|| self.variant.clone());
            if os_features.is_empty() {
                os_features.clone_from(&self.os_features);
            }
        }
        *self = Self { architecture, os, os_version, os_features, variant, ..self.clone() };
    }

    /// Steps that made a layer; must be as many as there are layers, where there is any history.
    pub fn layer_steps(&self) -> usize {
        self.history.iter().filter(|step| step.empty_layer != Some(true)).count()
    }
}

impl Parse for Config {
    fn parse(bytes: &[u8], _: &MediaType) -> Result<Self, DocumentError> {
        let config: Self = json::parse(bytes)?;
        if &*config.rootfs.kind != "layers" {
            return Err(DocumentError::Field {
                field: "rootfs.type",
                found: config.rootfs.kind.into(),
                law: "it must be `layers`",
            });
        }
        Ok(config)
    }
}
