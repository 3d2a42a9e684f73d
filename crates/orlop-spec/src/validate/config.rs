//! The laws of an image's config (image-spec, `config.md`).

use super::descriptor::escaped;
use super::{Finding, Findings, Rule};
use crate::config::Config;
use crate::edit::{Folder, Ports, Signal};
use crate::media_type::{MediaType, OCI_CONFIG};
use crate::platform::Platform;
use crate::time::Timestamp;
use crate::user::User;
use serde_json::Value;
use std::collections::HashSet;

/// The laws of a config alone.
pub fn config(raw: &[u8]) -> Vec<Finding> {
    let mut findings = Findings::default();
    let Some(document) = findings.document(raw) else { return findings.0 };
    findings.machine(&document);
    findings.time("/created", document.get("created"));
    findings.layers(&document);
    if let Some(execution) = document.get("config").filter(|value| !value.is_null()) {
        findings.execution(execution);
    }
    findings.parsed::<Config>(raw, &MediaType::new(OCI_CONFIG));
    findings.0
}

impl Findings {
    fn machine(&mut self, document: &Value) {
        let text = |name: &str| document.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        match (text("os"), text("architecture")) {
            (Some(os), Some(architecture)) => {
                if !Platform::new(os, architecture, None).is_known() {
                    self.warning(
                        Rule::Platform,
                        "/architecture",
                        format!("{os}/{architecture} is not in Go's names"),
                    );
                }
            }
            (os, _) => {
                let missing = if os.is_none() { "os" } else { "architecture" };
                self.error(Rule::Platform, &format!("/{missing}"), "it is missing");
            }
        }
    }

    fn time(&mut self, place: &str, found: Option<&Value>) {
        match found {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.parse::<Timestamp>().is_ok() => {}
            Some(found) => self.error(Rule::Time, place, format!("{found} is no time (RFC 3339)")),
        }
    }

    /// The diff ids, and as many steps of history that made a layer.
    fn layers(&mut self, document: &Value) {
        if document.pointer("/rootfs/type").and_then(Value::as_str) != Some("layers") {
            self.error(Rule::RootfsType, "/rootfs/type", "it is not `layers`");
        }
        let ids = match document.pointer("/rootfs/diff_ids") {
            Some(Value::Array(ids)) => ids.as_slice(),
            Some(Value::Null) => &[],
            _ => return self.error(Rule::DiffIds, "/rootfs/diff_ids", "it is no list"),
        };
        for (position, id) in ids.iter().enumerate() {
            self.digest(&format!("/rootfs/diff_ids/{position}"), id);
        }
        let Some(Value::Array(steps)) = document.get("history") else { return };
        for (position, step) in steps.iter().enumerate() {
            self.time(&format!("/history/{position}/created"), step.get("created"));
        }
        let made = steps.iter().filter(|step| step.get("empty_layer") != Some(&Value::Bool(true))).count();
        if made != ids.len() && !steps.is_empty() {
            self.error(
                Rule::History,
                "/history",
                format!("{made} steps made a layer, and there are {}", ids.len()),
            );
        }
    }

    fn execution(&mut self, execution: &Value) {
        let Value::Object(fields) = execution else {
            return self.error(Rule::Shape, "/config", "it is no object");
        };
        let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
        self.texts("User", given("User"), |text| text.is_empty() || text.parse::<User>().is_ok());
        self.texts("WorkingDir", given("WorkingDir"), |text| {
            text.is_empty() || text.parse::<Folder>().is_ok()
        });
        self.texts("StopSignal", given("StopSignal"), |text| {
            text.is_empty() || text.parse::<Signal>().is_ok()
        });
        self.texts("Entrypoint", given("Entrypoint"), |_| true);
        self.texts("Cmd", given("Cmd"), |_| true);
        self.texts("Env", given("Env"), |text| {
            text.find('=').is_some_and(|at| at > 0) && !text.contains('\0')
        });
        self.names("ExposedPorts", given("ExposedPorts"), |text| text.parse::<Ports>().is_ok());
        self.names("Volumes", given("Volumes"), |text| text.parse::<Folder>().is_ok());
        self.annotations("/config/Labels", given("Labels"));
        self.environment(given("Env"));
    }

    /// A text or a list of texts, each of which must be `good`.
    fn texts(&mut self, field: &str, found: Option<&Value>, good: fn(&str) -> bool) {
        let place = format!("/config/{field}");
        match found {
            None => {}
            Some(Value::Array(items)) if matches!(field, "Entrypoint" | "Cmd" | "Env") => {
                for (position, item) in items.iter().enumerate() {
                    self.text(&format!("{place}/{position}"), item, good);
                }
            }
            Some(item) if !matches!(field, "Entrypoint" | "Cmd" | "Env") => self.text(&place, item, good),
            Some(_) => self.error(Rule::Execution, &place, "it is no list"),
        }
    }

    fn text(&mut self, place: &str, found: &Value, good: fn(&str) -> bool) {
        match found {
            Value::String(text) if good(text) => {}
            Value::String(text) => {
                self.warning(Rule::Execution, place, format!("{text:?} cannot be used as it is"));
            }
            _ => self.error(Rule::Execution, place, "it is no text"),
        }
    }

    /// A map whose names must be `good`.
    fn names(&mut self, field: &str, found: Option<&Value>, good: fn(&str) -> bool) {
        let place = format!("/config/{field}");
        match found {
            None => {}
            Some(Value::Object(map)) => {
                for name in map.keys().filter(|name| !good(name)) {
                    let place = format!("{place}/{}", escaped(name));
                    self.warning(Rule::Execution, &place, format!("{name:?} cannot be used as it is"));
                }
            }
            Some(_) => self.error(Rule::Execution, &place, "it is no map"),
        }
    }

    /// Of a name that stands twice, tools take different values.
    fn environment(&mut self, found: Option<&Value>) {
        let mut names = HashSet::new();
        for (position, entry) in found.and_then(Value::as_array).into_iter().flatten().enumerate() {
            let name = entry.as_str().unwrap_or_default().split('=').next().unwrap_or_default();
            if !names.insert(name) {
                self.warning(
                    Rule::Execution,
                    &format!("/config/Env/{position}"),
                    format!("{name:?} stands twice"),
                );
            }
        }
    }
}
