//! The config that sloci-image writes, and the names of its files.

use super::options::{Form, Options};
use orlop::spec::Platform;
use orlop::spec::config::{Config, Execution};
use orlop::spec::json::Extra;
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// What `sloci-image` takes a machine's name for; anything else stands as it is.
fn architecture(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" | "arm64" => "arm64",
        arm if arm.starts_with("arm") => "arm",
        other => other,
    }
}

impl Options {
    /// For which machine the image is; `machine` is what this one calls itself.
    pub fn platform(&self, machine: &str) -> Platform {
        let os = self.os.as_deref().unwrap_or("linux");
        let arch = architecture(self.arch.as_deref().unwrap_or(machine));
        Platform::new(os, arch, self.arch_variant.as_deref())
    }

    /// The folder or the archive that is made.
    pub fn target(&self, machine: &str) -> PathBuf {
        let mut name = self.name.clone();
        if self.form == Form::Archive {
            name.push(self.archive_suffix(machine));
        }
        name.into()
    }

    fn archive_suffix(&self, machine: &str) -> OsString {
        let arch = self.arch.as_deref().unwrap_or(machine);
        let variant = self.arch_variant.as_ref().map(|variant| format!("-{variant}")).unwrap_or_default();
        let os = self.os.as_deref().unwrap_or("linux");
        format!("-{}-{arch}{variant}-{os}.oci-image.tar", self.tag).into()
    }

    /// Fills the config of the one layer's image.
    pub fn configure(&self, config: &mut Config) {
        config.author = given(self.author.as_ref());
        for step in &mut config.history {
            step.created_by = Some(self.author.clone().unwrap_or_default().into());
        }
        config.config = Some(self.execution());
    }

    fn execution(&self) -> Execution {
        let words = |words: &[String]| words.iter().map(|word| Box::from(word.as_str())).collect::<Vec<_>>();
        let keys = |keys: &[String]| keys.iter().map(|key| (Box::from(key.as_str()), json!({}))).collect();
        let labels: BTreeMap<_, _> = self
            .labels
            .iter()
            .map(|(key, value)| (Box::from(key.as_str()), Box::from(value.as_str())))
            .collect();
        let mut execution = Execution {
            user: given(self.user.as_ref()),
            exposed_ports: keys(&self.ports),
            env: words(&self.env),
            entrypoint: Some(words(&self.entrypoint)),
            cmd: Some(words(&self.cmd)),
            volumes: keys(&self.volumes),
            working_dir: given(self.working_dir.as_ref()),
            labels,
            ..Execution::default()
        };
        execution.extra = empty_members(&execution);
        execution
    }
}

/// An empty value counts as none.
fn given(value: Option<&String>) -> Option<Box<str>> {
    value.filter(|value| !value.is_empty()).map(|value| value.as_str().into())
}

/// sloci-image writes these members even when they hold nothing, and its readers may look for them.
fn empty_members(execution: &Execution) -> Extra {
    let members = [
        ("ExposedPorts", execution.exposed_ports.is_empty(), json!({})),
        ("Env", execution.env.is_empty(), json!([])),
        ("Volumes", execution.volumes.is_empty(), json!({})),
        ("Labels", execution.labels.is_empty(), json!({})),
    ];
    members
        .into_iter()
        .filter(|(_, is_empty, _)| *is_empty)
        .map(|(name, _, value)| (name.to_owned(), value))
        .collect()
}
