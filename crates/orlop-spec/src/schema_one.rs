//! Docker's manifests from before 2016, schema 1, signed or not: read, and said as a config and layers of today.
//!
//! ```text
//! {"schemaVersion":1, "name", "tag", "architecture",
//!  "fsLayers": [{"blobSum": DIGEST}, …]            the newest first
//!  "history":  [{"v1Compatibility": "{…}"}, …]     one beside each layer; the newest holds the image's config
//!  "signatures": [{"protected": BASE64URL {"formatLength": N, "formatTail": BASE64URL}, …}]}
//!
//! payload, which the digest names = bytes 0..N │ tail
//! ```
//!
//! Invariant: only the payload is read; what stands beside it in a signed manifest says nothing about the image. Nobody's
//! key is known, so no signature is verified: the digest alone says that it is the image that was named.

use crate::base64;
use crate::config::{Config, History, RootFs};
use crate::diagnose::{Diagnose, Kind};
use crate::digest::{AnyDigest, DiffId};
use crate::json::{self, Extra, JsonError};
use crate::media_type::MediaType;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

/// Signed.
pub const SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// Not signed.
pub const UNSIGNED: &str = "application/vnd.docker.distribution.manifest.v1+json";

/// Whether documents of a type are of schema 1.
pub fn is_schema_one(media_type: &MediaType) -> bool {
    [SIGNED, UNSIGNED].contains(&media_type.as_str())
}

/// A manifest of schema 1.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaOne {
    /// Base first.
    steps: Vec<Step>,
    config: Extra,
}

/// A step in the making of the image.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    blob: AnyDigest,
    history: History,
}

/// Why bytes are no manifest of schema 1 that can be converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaOneError {
    /// Not JSON, or not of this shape.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// `schemaVersion` is not 1.
    #[error("schemaVersion is {0}, and not 1")]
    Version(u64),
    /// The signatures do not say what they sign.
    #[error("its signatures do not tell what they sign")]
    Signatures,
    /// No step, or another number of steps than of layers.
    #[error(
        "it has {layers} layers and {steps} steps in its history: both must be as many, and one at least"
    )]
    Counts {
        /// Layers.
        layers: usize,
        /// Steps.
        steps: usize,
    },
    /// The step is not the child of the one that it stands upon.
    #[error("step {0} of its history does not name the step before it as its parent")]
    Chain(usize),
    /// Another number of diff ids than layers that hold something.
    #[error("it has {layers} layers, and {found} diff ids are known")]
    DiffIds {
        /// Layers.
        layers: usize,
        /// Diff ids.
        found: usize,
    },
}

impl Diagnose for SchemaOneError {
    fn kind(&self) -> Kind {
        Kind::Integrity
    }
}

impl From<SchemaOneError> for crate::Fault {
    fn from(error: SchemaOneError) -> Self {
        Self::new(error)
    }
}

/// The bytes that the digest of a manifest names: all of them, or those that its signatures sign.
pub fn payload(bytes: &[u8]) -> Result<Cow<'_, [u8]>, SchemaOneError> {
    #[derive(Deserialize)]
    struct Signed {
        #[serde(default)]
        signatures: Option<Vec<Signature>>,
    }
    let Some(signatures) = json::parse::<Signed>(bytes)?.signatures else { return Ok(bytes.into()) };
    let mut payloads = signatures.iter().map(|signature| signature.payload(bytes));
    let first = payloads.next().flatten().ok_or(SchemaOneError::Signatures)?;
    let is_same = |other: Option<Vec<u8>>| other.is_some_and(|other| other == first);
    if payloads.all(is_same) { Ok(first.into()) } else { Err(SchemaOneError::Signatures) }
}

#[derive(Deserialize)]
struct Signature {
    protected: Box<str>,
}

impl Signature {
    /// What it signs; nothing where it does not say.
    fn payload(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Protected {
            format_length: usize,
            format_tail: Box<str>,
        }
        let protected: Protected = json::parse(&from_base64url(&self.protected)?).ok()?;
        let mut payload = bytes.get(..protected.format_length)?.to_vec();
        payload.extend(from_base64url(&protected.format_tail)?);
        Some(payload)
    }
}

/// RFC 4648, section 5, without padding, as JSON web signatures have it.
fn from_base64url(text: &str) -> Option<Vec<u8>> {
    let standard = text.chars().map(|digit| match digit {
        '-' => '+',
        '_' => '/',
        digit => digit,
    });
    let padding = std::iter::repeat_n('=', (4 - text.len() % 4) % 4);
    base64::decode(&standard.chain(padding).collect::<String>())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    schema_version: u64,
    #[serde(default)]
    architecture: Option<Box<str>>,
    fs_layers: Vec<Layer>,
    history: Vec<Compatibility>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    blob_sum: AnyDigest,
}

#[derive(Deserialize)]
struct Compatibility {
    #[serde(rename = "v1Compatibility")]
    text: Box<str>,
}

/// What a step says of itself.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    id: Option<Box<str>>,
    #[serde(default)]
    parent: Option<Box<str>>,
    #[serde(default)]
    created: Option<Box<str>>,
    #[serde(default)]
    author: Option<Box<str>>,
    #[serde(default)]
    comment: Option<Box<str>>,
    #[serde(default)]
    throwaway: Option<bool>,
    #[serde(default)]
    container_config: Option<Container>,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default, rename = "Cmd")]
    command: Option<Words>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Several(Vec<String>),
}

/// What a config of today says otherwise, or not at all.
const DROPPED: [&str; 6] = ["id", "parent", "parent_id", "layer_id", "throwaway", "Size"];

impl SchemaOne {
    /// Reads a payload.
    pub fn parse(payload: &[u8]) -> Result<Self, SchemaOneError> {
        let written: Written = json::parse(payload)?;
        if written.schema_version != 1 {
            return Err(SchemaOneError::Version(written.schema_version));
        }
        let (layers, steps) = (written.fs_layers.len(), written.history.len());
        let Some(newest) = written.history.first().filter(|_| layers == steps) else {
            return Err(SchemaOneError::Counts { layers, steps });
        };
        let mut config: Extra = json::parse(newest.text.as_bytes())?;
        config.retain(|key, _| !DROPPED.contains(&key.as_str()));
        let default = |key: &str, value: &str| (key.to_owned(), Value::from(value));
        let architecture = written.architecture.as_deref().unwrap_or_default();
        // Where the oldest versions say nothing, there was nothing else.
        for (key, value) in [default("architecture", architecture), default("os", "linux")] {
            config.entry(key).or_insert(value);
        }
        Ok(Self { steps: steps_of(&written)?, config })
    }

    /// The blobs of the layers that hold something, base first; one may come more than once.
    pub fn layers(&self) -> impl Iterator<Item = &AnyDigest> {
        self.steps.iter().filter(|step| step.history.empty_layer != Some(true)).map(|step| &step.blob)
    }

    /// The config of the image, when the diff ids of [`SchemaOne::layers`] are known.
    pub fn config(&self, diff_ids: &[DiffId]) -> Result<Config, SchemaOneError> {
        let (layers, found) = (self.layers().count(), diff_ids.len());
        if layers != found {
            return Err(SchemaOneError::DiffIds { layers, found });
        }
        let rootfs = RootFs { kind: "layers".into(), diff_ids: diff_ids.into(), extra: Extra::new() };
        let history: Vec<_> = self.steps.iter().map(|step| &step.history).collect();
        let mut config = self.config.clone();
        config.insert("rootfs".into(), json::value(&json::print(&rootfs))?);
        config.insert("history".into(), json::value(&json::print(&history))?);
        Ok(json::parse(&json::print(&config))?)
    }
}

/// The steps base first, each the child of the one before. Docker once wrote a step twice: then it counts once.
fn steps_of(written: &Written) -> Result<Vec<Step>, SchemaOneError> {
    let mut steps = Vec::with_capacity(written.history.len());
    let mut below: Option<Box<str>> = None;
    let pairs = written.fs_layers.iter().zip(&written.history).rev();
    for (number, (layer, compatibility)) in pairs.enumerate() {
        let said: Said = json::parse(compatibility.text.as_bytes())?;
        if said.id.is_some() && said.id == below && number > 0 {
            continue;
        }
        let parent = said.parent.clone().filter(|parent| !parent.is_empty());
        if parent != below {
            return Err(SchemaOneError::Chain(number));
        }
        below.clone_from(&said.id);
        steps.push(Step { blob: layer.blob_sum.clone(), history: said.history() });
    }
    Ok(steps)
}

impl Said {
    fn history(self) -> History {
        let command =
            self.container_config.and_then(|container| container.command).map(|words| match words {
                Words::One(word) => word,
                Words::Several(words) => words.join(" "),
            });
        let some = |text: Option<Box<str>>| text.filter(|text| !text.is_empty());
        History {
            created: self.created,
            created_by: some(command.map(Into::into)),
            author: some(self.author),
            comment: some(self.comment),
            empty_layer: self.throwaway.filter(|it| *it),
            extra: Extra::new(),
        }
    }
}

#[cfg(test)]
mod tests;
