//! `umoci raw unpack --image DIR[:TAG] ROOTFS`

use crate::compat::umoci::image::ImageFlag;
use crate::compat::umoci::unpack::{UnpackFlags, with_image};
use clap::Args;
use orlop::spec::{Context, Fault};
use orlop::umoci::unpack::unpack_root;
use std::path::PathBuf;

/// unpacks the root filesystem of an image, and nothing beside it
#[derive(Args)]
#[command(override_usage = "umoci raw unpack --image DIR[:TAG] [options] ROOTFS")]
pub struct Arguments {
    #[command(flatten)]
    image: ImageFlag,
    #[command(flatten)]
    how: UnpackFlags,
    /// the folder that becomes the root; it must not be there, or be empty
    #[arg(value_name = "ROOTFS")]
    rootfs: PathBuf,
}

pub fn run(arguments: &Arguments, cx: &Context<'_>) -> Result<(), Fault> {
    with_image(&arguments.image.image, cx, &|image, _| {
        unpack_root(cx, image, &arguments.rootfs, &arguments.how.unbundle())
    })
}
