//! `umoci repack --image DIR[:TAG] BUNDLE`

use super::compress::CompressFlag;
use super::history::HistoryFlags;
use super::image::{self, Image, ImageFlag};
use super::path::tree_path;
use crate::environment;
use crate::flags::Places;
use clap::Args;
use orlop::layer::TreePath;
use orlop::spec::port::Name;
use orlop::spec::{Context, Fault};
use orlop::umoci::repack::{Bundle, Repack, Signed, Told, Volumes};
use std::ffi::OsString;
use std::path::PathBuf;

/// puts what was changed in a bundle as one layer on the image that it was unpacked from
///
/// DIR is the layout that the image is in, and TAG what the result is called there. A bundle in which nothing was changed adds
/// no layer.
#[derive(Args)]
#[command(override_usage = "umoci repack --image DIR[:TAG] [options] BUNDLE")]
pub struct Arguments {
    #[command(flatten)]
    image: ImageFlag,
    /// a path at and beneath which nothing counts as changed; repeatable
    #[arg(long, value_name = "PATH")]
    mask_path: Vec<OsString>,
    /// lets changes in volumes of the image count, too
    #[arg(long)]
    no_mask_volumes: bool,
    /// lets the bundle be one of the new image
    #[arg(long)]
    refresh_bundle: bool,
    #[command(flatten)]
    compress: CompressFlag,
    #[command(flatten)]
    history: HistoryFlags,
    /// the folder of the bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
}

/// The step that the history tells, where it tells one.
pub fn told(history: &HistoryFlags, verb: &str) -> Result<Option<Told>, Fault> {
    let signed = if history.names_author() { Signed::AsSaid } else { Signed::ByAuthor };
    Ok(history.step(verb)?.map(|step| Told { step, signed }))
}

pub fn run(arguments: &Arguments, cx: &Context<'_>) -> Result<(), Fault> {
    let image = &arguments.image.image;
    let masks = arguments.mask_path.iter().map(|path| tree_path(path));
    let how = Repack {
        codec: arguments.compress.codec(),
        masks: masks.collect::<Result<Vec<TreePath>, _>>()?,
        volumes: if arguments.no_mask_volumes { Volumes::Watched } else { Volumes::Masked },
        history: told(&arguments.history, "umoci repack")?,
        latest: environment::source_date_epoch()?,
    };
    let bundle = Bundle::open(cx, &arguments.bundle)?;
    let places: Places = Places::default();
    let keeper = image::open(&image.layout, &places, cx)?;
    let to = places.create(&image::layout(&image.layout), cx)?;
    bundle.repack(cx, &*keeper, &Name::Tag(image.tag.clone()), to, &how)?;
    if arguments.refresh_bundle { refresh(&bundle, image, cx) } else { Ok(()) }
}

fn refresh(bundle: &Bundle, image: &Image, cx: &Context<'_>) -> Result<(), Fault> {
    super::unpack::with_image(image, cx, &|image, root| bundle.refresh(cx, image, root))
}
