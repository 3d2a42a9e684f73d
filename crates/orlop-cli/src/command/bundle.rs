//! `orlop bundle REF DIR`

use super::Outcome;
use crate::flags::{BundleFlags, OnePlatform, Owners, Place, Target, Work};
use crate::shell::Shell;
use clap::Args;
use orlop::fs::staging::Detail;
use orlop::image::Image;
use orlop::layer::TreePath;
use orlop::spec::Fault;
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
    #[command(flatten)]
    runtime: BundleFlags,
    #[command(flatten)]
    owners: Owners,
    /// Keep a snapshot of the root filesystem in the bundle, so that `repack`, `revert` and `diff` know what was changed
    #[arg(long)]
    track: bool,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    // Before `--owner map` enters the namespace that the container is to have.
    let options = arguments.runtime.options();
    let how = Unpack {
        owner: arguments.owners.owner()?,
        detail: Detail::Full,
        existing: arguments.target.existing(),
        sync: arguments.target.sync(),
        subdir: TreePath::root(),
        track: None,
    };
    let line = shell.work(&arguments.work, |cx| {
        let place = arguments.place.open(cx)?;
        let how = Unpack { track: arguments.track.then(|| place.lasting(cx)), ..how };
        let image = Image::fetch(cx, place.source(), place.selector(), &arguments.platform.platform())?;
        bundle(cx, &image, arguments.target.path(), &how, &options)?;
        Ok(arguments.target.line(&image))
    })?;
    shell.print(line)?;
    Ok(Outcome::Done)
}
