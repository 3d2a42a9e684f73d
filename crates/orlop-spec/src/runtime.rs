//! From an image's config to the `config.json` that a runtime reads (image-spec, `conversion.md`; runtime-spec,
//! `config.md` and `config-linux.md`).
//!
//! Pure: what must be known of the image's files is handed in as [`Rootfs`]. Nothing of an image ever names a
//! path, a program or a device of the host (P8, J7): labels are data, volumes are empty memory, and a working
//! folder that links lead out of the image is refused.

mod account;
mod annotation;
mod error;
mod filter;
mod limits;
mod machine;
mod process;
mod volume;
mod working_dir;

pub use account::Account;
use account::Mapped;
pub use error::RuntimeError;
pub use filter::Filter;
pub use limits::{Cpus, Resources};
pub use process::{DEFAULT_PATH, Home, Process, Terminal};
pub use volume::{Access, Volume};

use crate::config::{Config, Execution};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The version of the runtime-spec that the configuration is of.
pub const VERSION: &str = "1.0.2";

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
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Options {
    /// Who starts the container.
    pub privilege: Privilege,
    /// What becomes of a user or group that the mappings do not hold.
    pub unmapped: Unmapped,
    /// What runs instead of what the image says. Where neither names a command, the image is refused.
    pub command: Command,
    /// Highest number of open files that the caller may allow; no limit is written where it is not known.
    pub open_files: Option<u64>,
    /// Name of the machine in the container.
    pub hostname: Option<Box<str>>,
    /// Whether the root file system can be written.
    pub root: Access,
    /// What the caller says of the process instead of the image.
    pub process: Process,
    /// Which network it has; without it, root gets one of its own and an ordinary user the caller's.
    pub network: Option<Network>,
    /// Files and folders of the host that the caller, never an image, puts into the container.
    pub volumes: Vec<Volume>,
    /// What it may use up.
    pub resources: Resources,
    /// What becomes of the image's labels.
    pub labels: Labels,
    /// Which system calls it may make; without one, all.
    pub filter: Option<Filter>,
}

/// What becomes of a user or group that the mappings do not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unmapped {
    /// The image is refused: no runtime starts the container.
    #[default]
    Refused,
    /// It is written, for whoever maps it before the container is started.
    Written,
}

/// What becomes of an image's labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Labels {
    /// Annotations, as `conversion.md` wants it, for whoever reads the configuration.
    #[default]
    Annotations,
    /// Nothing: a runtime that obeys some annotations is started right away, and an image must not choose what it does (J7).
    LeftOut,
}

/// What runs instead of what an image says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The first part; takes the image's Cmd away.
    pub entrypoint: Option<Vec<Box<str>>>,
    /// The second part.
    pub cmd: Option<Vec<Box<str>>>,
}

/// Who starts the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Root of a user namespace that the runtime is started in: no further one, no cgroup.
    Within {
        /// Users of the namespace and of the host.
        users: Vec<IdMapping>,
        /// Groups of the namespace and of the host.
        groups: Vec<IdMapping>,
    },
}

impl Privilege {
    /// The mappings of whoever is not root on the host.
    fn mappings(&self) -> Option<(&[IdMapping], &[IdMapping])> {
        match self {
            Self::Root => None,
            Self::Rootless { users, groups } | Self::Within { users, groups } => Some((users, groups)),
        }
    }

    fn network(&self) -> Network {
        match self {
            Self::Root => Network::Own,
            Self::Rootless { .. } | Self::Within { .. } => Network::Host,
        }
    }
}

/// Which network a container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// One of its own, with nothing in it but itself.
    Own,
    /// That of the caller.
    Host,
}

/// A run of numbers in the container that stands for one on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMapping {
    /// First number in the container.
    pub container: u32,
    /// First number on the host.
    pub host: u32,
    /// How many.
    pub size: u32,
}

/// A runtime's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Runtime {
    /// The document, keys sorted.
    pub config: Value,
    /// Further groups of the user that the mappings do not hold, so that they were left out.
    pub lost_groups: Vec<u32>,
    /// User and group that were written though the mappings do not hold both.
    pub unmapped: Option<(u32, u32)>,
    /// Labels that became annotations, and that programs which start containers obey.
    pub obeyed: Vec<Box<str>>,
}

impl Runtime {
    /// Sorts the keys again, after something was written into the document.
    pub fn sort(&mut self) {
        self.config = sorted(self.config.take());
    }

    /// The bytes of `config.json`: sorted keys, indented, because people edit it.
    pub fn to_bytes(&self) -> Vec<u8> {
        format!("{:#}\n", self.config).into_bytes()
    }
}

/// Whether there is a command to run: what can be told before the files of an image are there.
pub fn check(image: &Config, options: &Options) -> Result<(), RuntimeError> {
    process::command(image.config.as_ref().unwrap_or(&Execution::default()), options).map(drop)
}

/// Converts an image's config.
pub fn convert(image: &Config, rootfs: &Rootfs<'_>, options: &Options) -> Result<Runtime, RuntimeError> {
    let nothing = Execution::default();
    let execution = image.config.as_ref().unwrap_or(&nothing);
    let user = options.process.user.as_deref().or(execution.user.as_deref());
    let account = Account::find(user.unwrap_or_default(), rootfs)?;
    let Mapped { account, lost_groups, unmapped } = account.mapped(&options.privilege, options.unmapped)?;
    let mut root = json!({ "path": "rootfs" });
    if options.root == Access::ReadOnly {
        root["readonly"] = true.into();
    }
    let mut config = json!({
        "ociVersion": VERSION,
        "process": process::of(execution, &account, rootfs, options)?,
        "root": root,
        "mounts": machine::mounts(execution, options)?,
        "linux": machine::linux(options),
    });
    if let Some(hostname) = &options.hostname {
        config["hostname"] = (&**hostname).into();
    }
    let annotations = annotation::of(image, options.labels);
    if !annotations.is_empty() {
        config["annotations"] = json!(annotations);
    }
    let obeyed = annotation::obeyed(image, options.labels);
    Ok(Runtime { config: sorted(config), lost_groups, unmapped, obeyed })
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
