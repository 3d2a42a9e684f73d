//! `umoci raw runtime-config --image DIR[:TAG] [--rootfs DIR] FILE`

use crate::compat::umoci::image::ImageFlag;
use crate::compat::umoci::mapping::MappingFlags;
use crate::compat::umoci::unpack::with_image;
use clap::Args;
use orlop::fs::{Dir, privilege};
use orlop::spec::{Context, Fault};
use orlop::umoci::runtime;
use std::ffi::OsStr;
use std::path::PathBuf;

/// writes the config.json that a bundle of an image would have
#[derive(Args)]
#[command(
    override_usage = "umoci raw runtime-config --image DIR[:TAG] [options] FILE",
    visible_alias = "config"
)]
pub struct Arguments {
    #[command(flatten)]
    image: ImageFlag,
    #[command(flatten)]
    mapping: MappingFlags,
    /// a root filesystem of the image, which knows users by name; without it, or before it is there, they are root
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// the file, which is replaced where it is there
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub fn run(arguments: &Arguments, cx: &Context<'_>) -> Result<(), Fault> {
    let root = arguments.rootfs.as_ref().and_then(|folder| match Dir::open(folder) {
        Err(error) if error.is_not_found() => None,
        opened => Some(opened),
    });
    let root = root.transpose()?;
    // The last name of the folder, wherever that is.
    let name = arguments.rootfs.as_ref().and_then(|folder| folder.file_name()).unwrap_or(OsStr::new("."));
    let name = name.to_string_lossy();
    let map = arguments.mapping.options();
    with_image(&arguments.image.image, cx, &|image, _| {
        let config = runtime::config(cx, image, root.as_ref(), &name, &map, privilege::open_files_limit())?;
        runtime::write(&arguments.file, &config)
    })
}
