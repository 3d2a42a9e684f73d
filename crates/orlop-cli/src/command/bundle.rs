//! `orlop bundle REF DIR`

use super::Outcome;
use crate::flags::{OnePlatform, Owners, Place, Target, Work};
use crate::shell::Shell;
use clap::Args;
use orlop::fs::privilege::{self, Privileges};
use orlop::image::Image;
use orlop::layer::TreePath;
use orlop::spec::Fault;
use orlop::spec::runtime::{IdMapping, Options, Privilege, RootAccess};
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
    let how = Unpack {
        owner: arguments.owners.owner()?,
        existing: arguments.target.existing(),
        sync: arguments.target.sync(),
        subdir: TreePath::root(),
    };
    let options = options(arguments);
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
        open_files: privilege::open_files_limit(),
        hostname: arguments.hostname.clone(),
        root: if arguments.read_only { RootAccess::ReadOnly } else { RootAccess::ReadWrite },
        ..Options::default()
    }
}

/// Whoever may give files away is root to a runtime; everybody else is root of a namespace of one user.
fn privilege() -> Privilege {
    if Privileges::current().chown {
        return Privilege::Root;
    }
    let (uid, gid) = privilege::ids();
    let only = |host| vec![IdMapping { container: 0, host, size: 1 }];
    Privilege::Rootless { users: only(uid), groups: only(gid) }
}
