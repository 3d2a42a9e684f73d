//! What a user says about an image's config, and how a config takes it.
//!
//! Every value is parsed when it is said: an [`Edit`] holds nothing that a config could not. Instructions come
//! first, single settings after them, so that a setting wins.

mod unset;
mod value;

pub use unset::{Unset, fields};
pub use value::{Folder, Pair, Ports, SettingError, Signal};

use crate::change::{self, ChangeError};
use crate::config::{Config, Execution, Healthcheck};
use crate::platform::Platform;
use crate::time::Timestamp;
use crate::user::User;
use serde_json::{Map, Value};

/// What is to change in a config. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edit {
    /// Instructions in the grammar of `docker import --change`, one each.
    pub changes: Vec<Box<str>>,
    /// First part of the command, one element each. It removes an inherited second part, as in a Dockerfile.
    pub entrypoint: Option<Vec<Box<str>>>,
    /// Second part of the command, one element each.
    pub cmd: Option<Vec<Box<str>>>,
    /// Environment; a name that is there keeps its place.
    pub env: Vec<Pair>,
    /// Labels; a key with a leading dot stands for `org.opencontainers.image`.
    pub labels: Vec<Pair>,
    /// User and group.
    pub user: Option<User>,
    /// Where the command starts.
    pub workdir: Option<Folder>,
    /// Ports.
    pub expose: Vec<Ports>,
    /// Folders that are to be mounts.
    pub volumes: Vec<Folder>,
    /// Signal that ends the container.
    pub stop_signal: Option<Signal>,
    /// Docker's health check.
    pub healthcheck: Option<Healthcheck>,
    /// Who made the image.
    pub author: Option<Box<str>>,
    /// When the image was made.
    pub created: Option<Timestamp>,
    /// GOOS.
    pub os: Option<Box<str>>,
    /// GOARCH, or what a kernel calls the machine.
    pub architecture: Option<Box<str>>,
    /// Variant of the processor.
    pub variant: Option<Box<str>>,
    /// Version of the operating system.
    pub os_version: Option<Box<str>>,
}

impl Edit {
    /// Changes `config`. What is not spoken of stays as it is, unknown fields too.
    pub fn apply(&self, config: Config) -> Result<Config, ChangeError> {
        let mut config = self.identify(config);
        let execution = config.config.take();
        let untouched = execution.is_none();
        let execution =
            change::apply(execution.unwrap_or_default(), self.changes.iter().map(|line| &**line))?;
        let execution = self.execute(execution);
        config.config = if untouched && execution == Execution::default() { None } else { Some(execution) };
        Ok(config)
    }

    fn identify(&self, mut config: Config) -> Config {
        let or = |said: &Option<Box<str>>, had: &str| said.clone().unwrap_or_else(|| had.into());
        let said =
            Platform::new(&or(&self.os, &config.os), &or(&self.architecture, &config.architecture), None);
        let named = said.in_go_names();
        if self.architecture.is_some() || self.variant.is_some() {
            config.variant = self.variant.clone().or(named.variant);
        }
        if self.architecture.is_some() {
            config.architecture = named.architecture;
        }
        if self.os.is_some() {
            config.os = named.os;
        }
        replace(&mut config.os_version, self.os_version.as_ref());
        replace(&mut config.author, self.author.as_ref());
        replace(&mut config.created, self.created.map(|time| time.to_string().into()).as_ref());
        config
    }

    fn execute(&self, mut execution: Execution) -> Execution {
        if self.entrypoint.is_some() {
            execution.cmd = None;
        }
        replace(&mut execution.entrypoint, self.entrypoint.as_ref());
        replace(&mut execution.cmd, self.cmd.as_ref());
        self.env.iter().for_each(|pair| execution.set_env(pair));
        for label in self.labels.iter().map(Pair::with_dot_expanded) {
            execution.labels.insert(label.key, label.value);
        }
        self.expose.iter().for_each(|ports| execution.expose(ports));
        self.volumes.iter().for_each(|folder| execution.add_volume(folder));
        replace(&mut execution.user, self.user.as_ref().map(|user| user.to_string().into()).as_ref());
        replace(
            &mut execution.working_dir,
            self.workdir.as_ref().map(|folder| folder.as_str().into()).as_ref(),
        );
        replace(
            &mut execution.stop_signal,
            self.stop_signal.as_ref().map(|signal| signal.as_str().into()).as_ref(),
        );
        replace(&mut execution.healthcheck, self.healthcheck.as_ref());
        execution
    }
}

fn replace<T: Clone>(field: &mut Option<T>, said: Option<&T>) {
    if said.is_some() {
        *field = said.cloned();
    }
}

impl Execution {
    /// Sets a variable. A name that is there keeps its place and stands once.
    pub fn set_env(&mut self, pair: &Pair) {
        let entry: Box<str> = format!("{}={}", pair.key, pair.value).into();
        let names = |entry: &str| entry.split('=').next() == Some(&pair.key);
        match self.env.iter().position(|entry| names(entry)) {
            None => self.env.push(entry),
            Some(first) => {
                let mut at = 0;
                self.env.retain(|entry| {
                    at += 1;
                    at - 1 == first || !names(entry)
                });
                self.env[first] = entry;
            }
        }
    }

    /// The value of a variable.
    pub fn env_value(&self, name: &str) -> Option<&str> {
        let pairs = self.env.iter().filter_map(|entry| entry.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
    }

    /// Adds ports.
    pub fn expose(&mut self, ports: &Ports) {
        for port in ports.iter() {
            self.exposed_ports.entry(port).or_insert_with(empty);
        }
    }

    /// Adds a folder that is to be a mount.
    pub fn add_volume(&mut self, folder: &Folder) {
        self.volumes.entry(folder.as_str().into()).or_insert_with(empty);
    }
}

/// The value that ports and volumes have.
fn empty() -> Value {
    Value::Object(Map::new())
}

#[cfg(test)]
mod tests;
