//! From an image's config to the `config.json` that a runtime reads (image-spec, `conversion.md`; runtime-spec,
//! `config.md` and `config-linux.md`).
//!
//! Pure: what must be known of the image's files is handed in as [`Rootfs`]. Nothing of an image ever names a
//! path, a program or a device of the host (P8, J7): labels are data, volumes are empty memory, and a working
//! folder that links lead out of the image is refused.

mod account;
mod annotation;
mod error;
mod machine;
mod working_dir;

pub use error::RuntimeError;

use crate::config::{Config, Execution};
use account::Account;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// What the conversion must know of the image's files.
#[derive(Clone, Copy)]
pub struct Rootfs<'a> {
    /// Content of `/etc/passwd`, read without leaving the image; `None` where there is none.
    pub passwd: Option<&'a [u8]>,
    /// Content of `/etc/group`, likewise.
    pub group: Option<&'a [u8]>,
    /// Target of the symbolic link at an absolute path whose folders are no links; `None` where there is no link.
    pub link: &'a dyn Fn(&[u8]) -> Option<Vec<u8>>,
}

/// For whom the configuration is made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Who starts the container.
    pub privilege: Privilege,
    /// What runs instead of what the image says. Where neither names a command, the image is refused.
    pub command: Command,
    /// Highest number of open files that the caller may allow; no limit is written where it is not known.
    pub open_files: Option<u64>,
    /// Name of the machine in the container.
    pub hostname: Option<Box<str>>,
    /// Whether the root file system can be written.
    pub root: RootAccess,
}

/// What runs instead of what an image says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// The first part; takes the image's Cmd away.
    pub entrypoint: Option<Vec<Box<str>>>,
    /// The second part.
    pub cmd: Option<Vec<Box<str>>>,
}

/// Who starts the container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Privilege {
    /// Root: real devices of cgroups, an own network.
    #[default]
    Root,
    /// An ordinary user: a user namespace, no cgroup, the caller's network.
    Rootless {
        /// Users of the container and of the host.
        users: Vec<IdMapping>,
        /// Groups of the container and of the host.
        groups: Vec<IdMapping>,
    },
}

/// A run of numbers in the container that stands for one on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdMapping {
    /// First number in the container.
    pub container: u32,
    /// First number on the host.
    pub host: u32,
    /// How many.
    pub size: u32,
}

/// Whether the root file system can be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RootAccess {
    /// It can.
    #[default]
    ReadWrite,
    /// It cannot.
    ReadOnly,
}

/// A runtime's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Runtime {
    /// The document, keys sorted.
    pub config: Value,
    /// Further groups of the user that the mappings do not hold, so that they were left out.
    pub lost_groups: Vec<u32>,
}

impl Runtime {
    /// The bytes of `config.json`: sorted keys, indented, because people edit it.
    pub fn to_bytes(&self) -> Vec<u8> {
        format!("{:#}\n", self.config).into_bytes()
    }
}

/// Converts an image's config.
pub fn convert(image: &Config, rootfs: &Rootfs<'_>, options: &Options) -> Result<Runtime, RuntimeError> {
    let nothing = Execution::default();
    let execution = image.config.as_ref().unwrap_or(&nothing);
    let account = Account::find(execution.user.as_deref().unwrap_or_default(), rootfs)?;
    let (account, lost_groups) = account.mapped(&options.privilege)?;
    let mut root = json!({ "path": "rootfs" });
    if options.root == RootAccess::ReadOnly {
        root["readonly"] = true.into();
    }
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": process(execution, &account, rootfs, options)?,
        "root": root,
        "mounts": machine::mounts(execution, &options.privilege)?,
        "linux": machine::linux(&options.privilege),
    });
    if let Some(hostname) = &options.hostname {
        config["hostname"] = (&**hostname).into();
    }
    let annotations = annotation::of(image);
    if !annotations.is_empty() {
        config["annotations"] = json!(annotations);
    }
    Ok(Runtime { config: sorted(config), lost_groups })
}

fn process(
    execution: &Execution,
    account: &Account,
    rootfs: &Rootfs<'_>,
    options: &Options,
) -> Result<Value, RuntimeError> {
    let mut process = json!({
        "terminal": false,
        "user": account.to_value(),
        "args": command(execution, options)?,
        "env": environment(execution)?,
        "cwd": working_dir::find(execution.working_dir.as_deref().unwrap_or_default(), rootfs)?,
        "capabilities": machine::capabilities(account.user),
        "noNewPrivileges": true,
    });
    if let Some(most) = options.open_files {
        process["rlimits"] = machine::rlimits(most);
    }
    Ok(process)
}

/// Entrypoint and Cmd, one after the other.
fn command<'a>(execution: &'a Execution, options: &'a Options) -> Result<Vec<&'a str>, RuntimeError> {
    let Command { entrypoint, cmd } = &options.command;
    let parts = match (entrypoint, cmd) {
        (Some(_), cmd) => [entrypoint, cmd],
        (None, Some(_)) => [&execution.entrypoint, cmd],
        (None, None) => [&execution.entrypoint, &execution.cmd],
    };
    let command: Vec<_> = parts.into_iter().flatten().flatten().map(|word| &**word).collect();
    if command.is_empty() { Err(RuntimeError::NoCommand) } else { Ok(command) }
}

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The image's variables in their order, each name once with its last value, and a search path if there is none.
/// A name without a value has an empty one: runtimes refuse it bare.
fn environment(execution: &Execution) -> Result<Vec<String>, RuntimeError> {
    let mut environment: Vec<(&str, &str)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for entry in &execution.env {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        if name.is_empty() || entry.contains('\0') {
            return Err(RuntimeError::BadVariable(entry.clone()));
        }
        match places.entry(name) {
            Entry::Occupied(place) => environment[*place.get()].1 = value,
            Entry::Vacant(place) => {
                place.insert(environment.len());
                environment.push((name, value));
            }
        }
    }
    if !places.contains_key("PATH") {
        environment.push(("PATH", DEFAULT_PATH));
    }
    Ok(environment.iter().map(|(name, value)| format!("{name}={value}")).collect())
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            members.sort_by(|(left, _), (right, _)| left.cmp(right));
            Value::Object(members.into_iter().collect::<Map<_, _>>())
        }
        value => value,
    }
}

#[cfg(test)]
mod tests;
