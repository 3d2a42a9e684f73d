//! The image manifest (appc specification 0.8.11, `aci.md`, "Image Manifest Schema").
//!
//! Invariant: what was read is JSON of the right shape; whether it says what an image may say is for
//! [`validate`](super::validate). What has no field here is kept beside them.

use orlop_spec::json::{self, Extra, JsonError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What `acKind` must say.
pub const KIND: &str = "ImageManifest";
/// The version of the specification that orlop writes.
pub const VERSION: &str = "0.8.11";
/// The annotation that says when an image was made.
pub const CREATED: &str = "created";
/// The annotation that says who made it.
pub const AUTHORS: &str = "authors";
/// The annotation that names its site.
pub const HOMEPAGE: &str = "homepage";
/// The annotation that names its manual.
pub const DOCUMENTATION: &str = "documentation";

/// What an image is and how it runs. Fields in the order of the specification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageManifest {
    /// Must be [`KIND`].
    #[serde(rename = "acKind", default, deserialize_with = "json::or_empty")]
    pub kind: Box<str>,
    /// Version of the specification.
    #[serde(rename = "acVersion", default, deserialize_with = "json::or_empty")]
    pub version: Box<str>,
    /// An identifier.
    #[serde(default, deserialize_with = "json::or_empty")]
    pub name: Box<str>,
    /// `version`, `os`, `arch`, and more.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Pair>,
    /// How it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<App>,
    /// Images that it lies over, in their order.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// Where there are any, every path that is left once the image lies over its dependencies.
    #[serde(
        rename = "pathWhitelist",
        default,
        deserialize_with = "json::or_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub path_whitelist: Vec<Box<str>>,
    /// Free data, a few with a meaning.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Pair>,
    /// What orlop has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A name and a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The name.
    #[serde(default, deserialize_with = "json::or_empty")]
    pub name: Box<str>,
    /// The value.
    #[serde(default, deserialize_with = "json::or_empty")]
    pub value: Box<str>,
}

impl Pair {
    /// A pair.
    pub fn new(name: &str, value: impl Into<Box<str>>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// How an image runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct App {
    /// The command, each word for itself.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub exec: Vec<Box<str>>,
    /// A name, a number, or the path of a file whose owner is meant.
    #[serde(default, deserialize_with = "json::or_empty")]
    pub user: Box<str>,
    /// The same.
    #[serde(default, deserialize_with = "json::or_empty")]
    pub group: Box<str>,
    /// Further groups.
    #[serde(
        rename = "supplementaryGIDs",
        default,
        deserialize_with = "json::or_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub supplementary_gids: Vec<i64>,
    /// What is run before and after.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub event_handlers: Vec<EventHandler>,
    /// Where the command starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<Box<str>>,
    /// Its environment.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<Pair>,
    /// What it may use.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub isolators: Vec<Isolator>,
    /// Folders that are to be mounts.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub mount_points: Vec<MountPoint>,
    /// Ports that it listens on.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// Free data for people.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub user_annotations: BTreeMap<Box<str>, Box<str>>,
    /// Free data for programs.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub user_labels: BTreeMap<Box<str>, Box<str>>,
    /// What orlop has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A command beside the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventHandler {
    /// `pre-start` or `post-stop`.
    #[serde(default, deserialize_with = "json::or_empty")]
    pub name: Box<str>,
    /// The command.
    #[serde(default, deserialize_with = "json::or_empty")]
    pub exec: Vec<Box<str>>,
}

/// A limit or a right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Isolator {
    /// An identifier.
    #[serde(default, deserialize_with = "json::or_empty")]
    pub name: Box<str>,
    /// As the name demands.
    #[serde(default)]
    pub value: Value,
}

/// A folder that is to be a mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MountPoint {
    /// A name.
    #[serde(default, deserialize_with = "json::or_empty")]
    pub name: Box<str>,
    /// Where.
    #[serde(default, deserialize_with = "json::or_empty")]
    pub path: Box<str>,
    /// Whether nothing is written there.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "is_false")]
    pub read_only: bool,
}

/// One port or several in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// A name.
    #[serde(default, deserialize_with = "json::or_empty")]
    pub name: Box<str>,
    /// `tcp` or `udp`.
    #[serde(default, deserialize_with = "json::or_empty")]
    pub protocol: Box<str>,
    /// The first.
    #[serde(default, deserialize_with = "json::or_empty")]
    pub port: u64,
    /// How many; one where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Whether somebody else listens for it.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "is_false")]
    pub socket_activated: bool,
}

/// An image that another lies over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// Its name.
    #[serde(default, deserialize_with = "json::or_empty")]
    pub image_name: Box<str>,
    /// `sha512-` and 128 digits.
    #[serde(rename = "imageID", default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<Box<str>>,
    /// Labels that it must have.
    #[serde(default, deserialize_with = "json::or_empty", skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Pair>,
    /// Bytes of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in references")]
fn is_false(value: &bool) -> bool {
    !value
}

impl ImageManifest {
    /// Reads one.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        json::parse(bytes)
    }

    /// As orlop writes it: two spaces a level, for people look at it.
    #[expect(clippy::missing_panics_doc, reason = "manifests have string keys and finite numbers")]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec_pretty(self).expect("manifests have string keys and finite numbers");
        bytes.push(b'\n');
        bytes
    }

    /// A label.
    pub fn label(&self, name: &str) -> Option<&str> {
        find(&self.labels, name)
    }

    /// An annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        find(&self.annotations, name)
    }
}

fn find<'a>(pairs: &'a [Pair], name: &str) -> Option<&'a str> {
    pairs.iter().find(|pair| &*pair.name == name).map(|pair| &*pair.value)
}
