//! `orlop cat REF PATH`

use super::Outcome;
use crate::flags::{OnePlatform, Place, Work};
use crate::shell::Shell;
use clap::Args;
use orlop::cat::{Proof, cat};
use orlop::image::Image;
use orlop::spec::Fault;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

/// Print the content of a file of an image.
///
/// Nothing is printed before the layer that holds the file is proven.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The file; links are followed inside the image
    #[arg(value_name = "PATH")]
    path: OsString,
    /// Print bytes as they come; damage is told after them
    #[arg(long)]
    unproven: bool,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let mut output = shell.output();
    shell.read(&arguments.work, |cx| {
        let place = arguments.place.open(cx)?;
        let image = Image::fetch(cx, place.source(), place.selector(), &arguments.platform.platform())?;
        let proof = if arguments.unproven { Proof::Later } else { Proof::First(arguments.place.spool(cx)?) };
        cat(cx, &image, arguments.path.as_bytes(), proof, &mut output)
    })?;
    output.end()?;
    Ok(Outcome::Done)
}
