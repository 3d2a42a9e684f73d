//! What is taken out of a config.

use super::value::{Ports, SettingError};
use crate::config::{Config, Execution};
use crate::descriptor::Annotations;
use std::collections::BTreeMap;
use std::str::FromStr;

/// A field that is emptied, or one key of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unset {
    field: Field,
    key: Option<Box<str>>,
}

/// Names of fields, as the flags that set them are called.
const FIELDS: [(&str, Field); 20] = [
    ("annotation", Field::Annotation),
    ("author", Field::Author),
    ("cmd", Field::Cmd),
    ("created", Field::Created),
    ("entrypoint", Field::Entrypoint),
    ("env", Field::Env),
    ("expose", Field::Expose),
    ("healthcheck", Field::Healthcheck),
    ("history", Field::History),
    ("label", Field::Label),
    ("onbuild", Field::OnBuild),
    ("os-features", Field::OsFeatures),
    ("os-version", Field::OsVersion),
    ("shell", Field::Shell),
    ("stop-signal", Field::StopSignal),
    ("stop-timeout", Field::StopTimeout),
    ("user", Field::User),
    ("variant", Field::Variant),
    ("volume", Field::Volume),
    ("workdir", Field::Workdir),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Annotation,
    Author,
    Cmd,
    Created,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    History,
    Label,
    OnBuild,
    OsFeatures,
    OsVersion,
    Shell,
    StopSignal,
    StopTimeout,
    User,
    Variant,
    Volume,
    Workdir,
}

impl Field {
    fn has_keys(self) -> bool {
        matches!(self, Self::Annotation | Self::Env | Self::Expose | Self::Label | Self::Volume)
    }
}

impl FromStr for Unset {
    type Err = SettingError;

    /// `FIELD`, or `FIELD=KEY` for one key of a field that has several.
    fn from_str(text: &str) -> Result<Self, SettingError> {
        let (name, key) = text.split_once('=').map_or((text, None), |(name, key)| (name, Some(key.into())));
        let field = FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| *field);
        match field {
            Some(field) if key.is_none() || field.has_keys() => Ok(Self { field, key }),
            Some(_) => Err(SettingError::NoKeys(name.into())),
            None => Err(SettingError::NoField(name.into())),
        }
    }
}

/// The names of all fields that can be emptied.
pub fn fields() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|(name, _)| *name)
}

impl Unset {
    /// Empties the field.
    pub fn apply(&self, config: &mut Config, annotations: &mut Annotations) {
        match self.field {
            Field::Annotation => self.remove(annotations),
            Field::Author => config.author = None,
            Field::Created => config.created = None,
            Field::History => config.history.clear(),
            Field::OsFeatures => config.os_features.clear(),
            Field::OsVersion => config.os_version = None,
            Field::Variant => config.variant = None,
            _ => {
                if let Some(execution) = &mut config.config {
                    self.execute(execution);
                }
            }
        }
    }

    fn execute(&self, execution: &mut Execution) {
        match self.field {
            Field::Cmd => execution.cmd = None,
            Field::Entrypoint => execution.entrypoint = None,
            Field::Env => execution
                .env
                .retain(|entry| self.key.as_deref().is_some_and(|key| entry.split('=').next() != Some(key))),
            Field::Expose => self.remove_port(&mut execution.exposed_ports),
            Field::Healthcheck => execution.healthcheck = None,
            Field::Label => self.remove(&mut execution.labels),
            Field::OnBuild => execution.on_build = None,
            Field::Shell => drop(execution.extra.shift_remove("Shell")),
            Field::StopSignal => execution.stop_signal = None,
            Field::StopTimeout => drop(execution.extra.shift_remove("StopTimeout")),
            Field::User => execution.user = None,
            Field::Volume => self.remove(&mut execution.volumes),
            Field::Workdir => execution.working_dir = None,
            Field::Annotation
            | Field::Author
            | Field::Created
            | Field::History
            | Field::OsFeatures
            | Field::OsVersion
            | Field::Variant => {}
        }
    }

    /// A leading dot stands for what it stands for where keys are set.
    fn remove<V>(&self, map: &mut BTreeMap<Box<str>, V>) {
        match &self.key {
            Some(key) => drop(map.remove(&super::value::dot_expanded(key))),
            None => map.clear(),
        }
    }

    /// Ports are said as they are where they are set; a key that says none is taken as it is.
    fn remove_port<V>(&self, ports: &mut BTreeMap<Box<str>, V>) {
        let said = self.key.as_deref().and_then(|key| key.parse::<Ports>().ok());
        said.iter().flat_map(Ports::iter).for_each(|port| drop(ports.remove(&port)));
        self.remove(ports);
    }
}
