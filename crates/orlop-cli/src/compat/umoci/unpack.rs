//! `umoci unpack --image DIR[:TAG] BUNDLE`

use super::image::{self, Image, ImageFlag};
use super::mapping::MappingFlags;
use crate::environment;
use crate::flags::Places;
use clap::Args;
use orlop::fs::privilege;
use orlop::layers::DirLinks;
use orlop::spec::{Context, Descriptor, Fault, platform};
use orlop::umoci::unpack::{Unbundle, unpack};
use std::path::PathBuf;

/// unpacks an image as a bundle that a runtime starts, and that can be repacked
///
/// BUNDLE gets config.json, rootfs, umoci.json and a manifest of the tree, in one step where there was nothing.
#[derive(Args)]
#[command(override_usage = "umoci unpack --image DIR[:TAG] [options] BUNDLE")]
pub struct Arguments {
    #[command(flatten)]
    image: ImageFlag,
    #[command(flatten)]
    how: UnpackFlags,
    /// the folder of the bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
}

/// How layers become files.
#[derive(Args)]
pub struct UnpackFlags {
    #[command(flatten)]
    mapping: MappingFlags,
    /// a folder of a layer does not replace a link to a folder, but goes where it leads
    #[arg(long)]
    keep_dirlinks: bool,
}

impl UnpackFlags {
    pub fn unbundle(&self) -> Unbundle {
        Unbundle {
            map: self.mapping.options(),
            links: if self.keep_dirlinks { DirLinks::Kept } else { DirLinks::Replaced },
            open_files: privilege::open_files_limit(),
        }
    }
}

pub fn run(arguments: &Arguments, cx: &Context<'_>) -> Result<(), Fault> {
    with_image(&arguments.image.image, cx, &|image, root| {
        unpack(cx, image, root, &arguments.bundle, &arguments.how.unbundle())
    })
}

/// Does something with an image and with what its tag stands for.
pub fn with_image(
    named: &Image,
    cx: &Context<'_>,
    work: &dyn Fn(&orlop::image::Image<'_>, &Descriptor) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let places: Places = Places::default();
    let keeper = image::open(&named.layout, &places, cx)?;
    let roots = keeper.resolve(&named.selector())?;
    let root = match roots.as_slice() {
        [root] => root,
        several => platform::select(several, &environment::host())?,
    };
    let image = orlop::image::Image::open(cx, &*keeper, root, &environment::host())?;
    work(&image, root)
}
