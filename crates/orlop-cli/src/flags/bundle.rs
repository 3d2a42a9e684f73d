//! What a bundle's configuration says beside the image.

use clap::Args;
use orlop::fs::namespace::{Mapping, Mappings};
use orlop::fs::privilege::{self, Privileges};
use orlop::spec::runtime::{Access, Command, IdMapping, Options, Privilege};

/// For verbs that make, or judge, the `config.json` of a bundle.
#[derive(Args, Debug)]
pub struct BundleFlags {
    /// First part of the command, instead of the image's; repeat it for each element
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    entrypoint: Vec<Box<str>>,
    /// Second part of the command, instead of the image's; repeat it for each element
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    cmd: Vec<Box<str>>,
    /// Let the container only read its root filesystem
    #[arg(long)]
    read_only: bool,
    /// Name of the machine in the container
    #[arg(long, value_name = "NAME")]
    hostname: Option<Box<str>>,
}

impl BundleFlags {
    /// What the library is handed. Asked for before `--owner map` enters a namespace: the configuration is for the caller.
    pub fn options(&self) -> Options {
        Options {
            privilege: privilege(),
            command: self.command(),
            open_files: privilege::open_files_limit(),
            hostname: self.hostname.clone(),
            root: if self.read_only { Access::ReadOnly } else { Access::ReadWrite },
            ..Options::default()
        }
    }

    /// The image's command, with what the flags say instead: a new entrypoint takes the image's Cmd away, as in `build`.
    fn command(&self) -> Command {
        let words = |words: &[Box<str>]| (!words.is_empty()).then(|| words.to_vec());
        Command { entrypoint: words(&self.entrypoint), cmd: words(&self.cmd) }
    }
}

/// Whoever may give files away is root to a runtime; everybody else is root of a namespace, with the subordinate ids
/// that there are as its other users.
fn privilege() -> Privilege {
    if Privileges::current().chown {
        return Privilege::Root;
    }
    let Mappings { users, groups } = Mappings::of_caller().unwrap_or_else(|_| Mappings::of_caller_alone());
    let of_runtime = |mappings: Vec<Mapping>| {
        let one = |it: Mapping| IdMapping { container: it.inside, host: it.outside, size: it.count };
        mappings.into_iter().map(one).collect()
    };
    Privilege::Rootless { users: of_runtime(users), groups: of_runtime(groups) }
}
