//! `orlop unpack REF DIR`

use super::Outcome;
use crate::flags::{OnePlatform, Owners, Place, Target, Work};
use crate::shell::Shell;
use clap::Args;
use orlop::image::Image;
use orlop::layer::TreePath;
use orlop::spec::Fault;
use orlop::unpack::{Unpack, unpack};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

/// Unpack the root filesystem of an image into a folder.
///
/// Every layer is proven before anything appears at DIR, which then appears in one step. A missing DIR is made, an
/// empty one is filled, any other is refused.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    target: Target,
    /// Unpack only this folder of the image
    #[arg(long, value_name = "PATH", default_value = "/")]
    subdir: OsString,
    #[command(flatten)]
    owners: Owners,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let subdir = TreePath::parse(arguments.subdir.as_bytes()).map_err(orlop::layer::Error::from)?;
    let how = Unpack {
        owner: arguments.owners.owner()?,
        existing: arguments.target.existing(),
        sync: arguments.target.sync(),
        subdir,
    };
    let line = shell.work(&arguments.work, |cx| {
        let place = arguments.place.open(cx)?;
        let image = Image::fetch(cx, place.source(), place.selector(), &arguments.platform.platform())?;
        unpack(cx, &image, arguments.target.path(), &how)?;
        Ok(arguments.target.line(&image))
    })?;
    shell.print(line)?;
    Ok(Outcome::Done)
}
