//! `umoci init --layout DIR`

use super::image::{self, LayoutFlag};
use crate::error::Error;
use crate::flags::Places;
use clap::Args;
use orlop::fs::Dir;
use orlop::layer::path::escape;
use orlop::spec::{Context, Fault};
use std::os::unix::ffi::OsStrExt as _;

/// makes a layout without images
#[derive(Args)]
#[command(override_usage = "umoci init --layout DIR")]
pub struct Arguments {
    #[command(flatten)]
    layout: LayoutFlag,
}

pub fn run(arguments: &Arguments, cx: &Context<'_>) -> Result<(), Fault> {
    let folder = &arguments.layout.layout;
    if image::is_there(folder) {
        return Err(Error::FolderExists(escape(folder.as_os_str().as_bytes())).into());
    }
    let places: Places = Places::default();
    places.create(&image::layout(folder), cx)?.finish(&[])?;
    // Scripts look for it before there are any blobs.
    Dir::create_all(folder.join("blobs/sha256"))?;
    Ok(())
}
