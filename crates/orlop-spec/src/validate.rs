//! The laws of documents, as findings: what a checker reports about a document that may break several of them.
//!
//! Pure and without mercy for order: every rule looks at the raw JSON, so that one broken field hides no other.
//! What needs more than one document is in [`image`] and [`entry`]; what needs the layers' files is not here.

mod config;
mod descriptor;
mod rule;

pub use config::config;
pub use rule::Rule;

use crate::config::Config;
use crate::descriptor::Descriptor;
use crate::document::Parse;
use crate::index::{Index, REF_NAME};
use crate::json;
use crate::manifest::Manifest;
use crate::media_type::{MediaType, OCI_EMPTY, OCI_INDEX, OCI_MANIFEST, Role};
use crate::platform::Platform;
use crate::reference::is_ref_name;
use descriptor::Expected;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;

/// A law that a document breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which law.
    pub rule: Rule,
    /// How bad it is.
    pub severity: Severity,
    /// Where in the document, as a JSON pointer (RFC 6901).
    pub place: String,
    /// What is wrong, in words. Holds text of the document: to be escaped before a terminal sees it.
    pub what: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Allowed, but some tools will stumble.
    Warning,
    /// The specification says MUST.
    Error,
}

/// Where an index stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKind {
    /// `index.json` of a layout, whose entries have tags.
    Layout,
    /// A blob, whose entries have none.
    Blob,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.place.is_empty() { "/" } else { &self.place };
        write!(out, "{}: {place}: {}", self.rule, self.what)
    }
}

/// Whether a blob is what its descriptor says: size, digest, embedded data.
pub fn content(blob: &Descriptor, raw: &[u8]) -> Vec<Finding> {
    let mut findings = Findings::default();
    if raw.len() as u64 != blob.size {
        findings.error(Rule::Size, "", format!("{} bytes long, named as {}", raw.len(), blob.size));
    }
    match blob.digest.known() {
        Err(_) => findings.warning(Rule::UnknownAlgorithm, "", format!("nothing proves {}", blob.digest)),
        Ok(digest) => {
            let found = crate::Digest::of(digest.algorithm(), raw);
            if found != *digest {
                findings.error(Rule::Digest, "", format!("its digest is {found}, not {digest}"));
            }
        }
    }
    findings.0
}

/// The laws of a manifest. `media_type` is what its descriptor says.
pub fn manifest(raw: &[u8], media_type: &MediaType) -> Vec<Finding> {
    let mut findings = Findings::default();
    let Some(document) = findings.document(raw) else { return findings.0 };
    findings.head(&document, media_type, OCI_MANIFEST, &["manifests", "fsLayers"]);
    match document.get("config") {
        Some(config) => findings.descriptor("/config", config, Expected::Blob),
        None => findings.error(Rule::Shape, "", "it has no config"),
    }
    let empty = document.pointer("/config/mediaType").and_then(Value::as_str) == Some(OCI_EMPTY);
    if empty && document.get("artifactType").is_none() {
        findings.error(Rule::ArtifactType, "/artifactType", "an empty config needs an artifactType");
    }
    match document.get("layers").map(Value::as_array) {
        Some(Some(layers)) if layers.is_empty() => {
            findings.warning(Rule::NoLayers, "/layers", "there is no layer");
        }
        Some(Some(layers)) => {
            for (position, layer) in layers.iter().enumerate() {
                findings.descriptor(&format!("/layers/{position}"), layer, Expected::Blob);
            }
        }
        _ => findings.error(Rule::Shape, "/layers", "it is no list"),
    }
    findings.parsed::<Manifest>(raw, media_type);
    findings.0
}

/// The laws of an index. `media_type` is what its descriptor says; an `index.json` has none.
pub fn index(raw: &[u8], media_type: Option<&MediaType>, kind: IndexKind) -> Vec<Finding> {
    let mut findings = Findings::default();
    let Some(document) = findings.document(raw) else { return findings.0 };
    let own = MediaType::new(OCI_INDEX);
    let media_type = media_type.unwrap_or(&own);
    findings.head(&document, media_type, OCI_INDEX, &["layers", "config"]);
    let Some(Some(entries)) = document.get("manifests").map(Value::as_array) else {
        findings.error(Rule::Shape, "/manifests", "it is no list");
        return findings.0;
    };
    let mut seen: HashSet<(Option<&str>, Option<Vec<u8>>)> = HashSet::new();
    for (position, entry) in entries.iter().enumerate() {
        let place = format!("/manifests/{position}");
        findings.descriptor(&place, entry, Expected::Document);
        findings.name(&place, entry, kind);
        let name = entry.get("annotations").and_then(|map| map.get(REF_NAME)).and_then(Value::as_str);
        let name = name.filter(|_| kind == IndexKind::Layout);
        let platform = entry
            .get("platform")
            .and_then(|platform| serde_json::from_value::<Platform>(platform.clone()).ok());
        let key = (name, platform.map(|platform| json::print(&platform.normalized())));
        let can_clash = if kind == IndexKind::Layout { key.0.is_some() } else { key.1.is_some() };
        if can_clash && !seen.insert(key) {
            findings.warning(Rule::Ambiguous, &place, "an earlier entry has the same name and platform");
        }
    }
    findings.parsed::<Index>(raw, media_type);
    findings.0
}

/// The laws of a layout's `oci-layout` file.
pub fn layout(raw: &[u8]) -> Vec<Finding> {
    let mut findings = Findings::default();
    let Some(document) = findings.document(raw) else { return findings.0 };
    match document.get("imageLayoutVersion") {
        Some(Value::String(version)) if version == "1.0.0" => {}
        Some(Value::String(version)) => {
            findings.error(Rule::LayoutVersion, "/imageLayoutVersion", format!("{version:?} is not known"));
        }
        _ => findings.error(Rule::LayoutVersion, "/imageLayoutVersion", "it is missing"),
    }
    findings.0
}

/// What a manifest and its config must agree on.
pub fn image(manifest: &Manifest, config: &Config) -> Vec<Finding> {
    let mut findings = Findings::default();
    let (layers, ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if layers != ids {
        findings.error(Rule::DiffIds, "/rootfs/diff_ids", format!("{ids} diff ids for {layers} layers"));
    }
    for (position, layer) in manifest.layers.iter().enumerate() {
        if !matches!(layer.media_type.role(), Role::Layer(_)) {
            let what = format!("{} is no layer of files, but the config is an image's", layer.media_type);
            findings.warning(Rule::MediaType, &format!("/layers/{position}/mediaType"), what);
        }
    }
    findings.0
}

/// What an entry of an index and the config that it leads to must agree on.
pub fn entry(entry: &Descriptor, config: &Config) -> Vec<Finding> {
    let mut findings = Findings::default();
    let Some(declared) = &entry.platform else { return findings.0 };
    let variant = config.variant.as_deref();
    let own = Platform::new(&config.os, &config.architecture, variant).normalized();
    let said = Platform {
        os_version: None,
        os_features: Vec::new(),
        extra: json::Extra::new(),
        ..declared.normalized()
    };
    if own != said {
        findings.error(Rule::Platform, "/platform", format!("the index says {declared}, the config {own}"));
    }
    findings.0
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, rule: Rule, place: &str, what: impl Into<String>) {
        self.0.push(Finding { rule, severity: Severity::Error, place: place.into(), what: what.into() });
    }

    fn warning(&mut self, rule: Rule, place: &str, what: impl Into<String>) {
        self.0.push(Finding { rule, severity: Severity::Warning, place: place.into(), what: what.into() });
    }

    /// An object in strict JSON.
    fn document(&mut self, raw: &[u8]) -> Option<Value> {
        match json::value(raw) {
            Ok(document) if document.is_object() => return Some(document),
            Ok(_) => self.error(Rule::Shape, "", "it is no object"),
            Err(error) => self.error(Rule::Json, "", error.to_string()),
        }
        None
    }

    /// What passes every rule is read by every verb: a field of a wrong type that no rule speaks of is found here.
    fn parsed<T: Parse>(&mut self, raw: &[u8], media_type: &MediaType) {
        let clean = self.0.iter().all(|finding| finding.severity < Severity::Error);
        if clean && let Err(error) = T::parse(raw, media_type) {
            self.error(Rule::Shape, "", error.to_string());
        }
    }

    /// The laws that manifests and indexes share.
    fn head(&mut self, document: &Value, media_type: &MediaType, default: &str, foreign: &[&str]) {
        if document.get("schemaVersion").and_then(Value::as_u64) != Some(2) {
            self.error(Rule::SchemaVersion, "/schemaVersion", "it is not 2");
        }
        match document.get("mediaType") {
            Some(Value::String(found)) if found == media_type.as_str() => {}
            Some(Value::String(found)) => {
                self.error(
                    Rule::MediaType,
                    "/mediaType",
                    format!("{found:?}, but it is named as {media_type}"),
                );
            }
            Some(_) => self.error(Rule::MediaType, "/mediaType", "it is no text"),
            None => self.warning(
                Rule::MediaType,
                "/mediaType",
                format!("it is missing; most tools expect {default}"),
            ),
        }
        for name in foreign.iter().filter(|name| document.get(**name).is_some()) {
            self.error(Rule::Shape, &format!("/{name}"), "manifest and index are mixed (CVE-2021-41190)");
        }
        if let Some(artifact) = document.get("artifactType") {
            self.media_type("/artifactType", artifact);
        }
        if let Some(subject) = document.get("subject") {
            self.descriptor("/subject", subject, Expected::Document);
        }
        self.annotations("/annotations", document.get("annotations"));
    }

    /// Tags stand on the entries of a layout, nowhere else.
    fn name(&mut self, place: &str, entry: &Value, kind: IndexKind) {
        let Some(Value::String(name)) = entry.get("annotations").and_then(|map| map.get(REF_NAME)) else {
            return;
        };
        let place = format!("{place}/annotations/{REF_NAME}");
        match kind {
            IndexKind::Layout if is_ref_name(name) => {}
            IndexKind::Layout => {
                self.warning(Rule::RefName, &place, format!("{name:?} is outside of the grammar"));
            }
            IndexKind::Blob => self.warning(Rule::RefName, &place, "it counts only in index.json"),
        }
    }
}

#[cfg(test)]
mod tests;
