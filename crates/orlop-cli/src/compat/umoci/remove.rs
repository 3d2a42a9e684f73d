//! `umoci rm --image DIR[:TAG]`

use super::image::{self, ImageFlag};
use crate::flags::Places;
use clap::Args;
use orlop::spec::{Context, Fault, Kind};

/// takes a tag away; `gc` then removes what only it reached
///
/// A tag that is not there is no error.
#[derive(Args)]
#[command(override_usage = "umoci remove --image DIR[:TAG]", visible_alias = "rm")]
pub struct Arguments {
    #[command(flatten)]
    image: ImageFlag,
}

pub fn run(arguments: &Arguments, cx: &Context<'_>) -> Result<(), Fault> {
    let image = &arguments.image.image;
    let places: Places = Places::default();
    let keeper = image::open(&image.layout, &places, cx)?;
    match orlop::keep::untag(&*keeper, &image.selector()) {
        Err(fault) if fault.kind() != Kind::NotFound => Err(fault),
        _ => Ok(()),
    }
}
