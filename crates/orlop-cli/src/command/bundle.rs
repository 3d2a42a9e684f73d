//! `orlop bundle REF DIR`

use super::Outcome;
use crate::flags::{OnePlatform, Owners, Place, Target, Work};
use crate::shell::Shell;
use clap::Args;
use orlop::fs::namespace::{Mapping, Mappings};
use orlop::fs::privilege::{self, Privileges};
use orlop::image::Image;
use orlop::layer::TreePath;
use orlop::spec::Fault;
use orlop::spec::runtime::{Access, Command, IdMapping, Options, Privilege};
use orlop::unpack::{Unpack, bundle};

/// Unpack an image as a bundle that a runtime such as runc starts.
///
/// DIR becomes a folder with `rootfs` and a `config.json` made from the image's config. It is made for whoever
/// calls: root gets a container of root, an ordinary user one in a user namespace.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    target: Target,
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
    #[command(flatten)]
    owners: Owners,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    // Before `--owner map` enters the namespace that the container is to have.
    let options = options(arguments);
    let how = Unpack {
        owner: arguments.owners.owner()?,
        existing: arguments.target.existing(),
        sync: arguments.target.sync(),
        subdir: TreePath::root(),
    };
    let line = shell.work(&arguments.work, |cx| {
        let place = arguments.place.open(cx)?;
        let image = Image::fetch(cx, place.source(), place.selector(), &arguments.platform.platform())?;
        bundle(cx, &image, arguments.target.path(), &how, &options)?;
        Ok(arguments.target.line(&image))
    })?;
    shell.print(line)?;
    Ok(Outcome::Done)
}

fn options(arguments: &Arguments) -> Options {
    Options {
        privilege: privilege(),
        command: command(arguments),
        open_files: privilege::open_files_limit(),
        hostname: arguments.hostname.clone(),
        root: if arguments.read_only { Access::ReadOnly } else { Access::ReadWrite },
        ..Options::default()
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

/// The image's command, with what the flags say instead: a new entrypoint takes the image's Cmd away, as in `build`.
fn command(arguments: &Arguments) -> Command {
    let words = |words: &[Box<str>]| (!words.is_empty()).then(|| words.to_vec());
    Command { entrypoint: words(&arguments.entrypoint), cmd: words(&arguments.cmd) }
}
