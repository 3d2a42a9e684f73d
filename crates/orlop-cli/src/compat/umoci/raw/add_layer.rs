//! `umoci raw add-layer --image DIR[:TAG] FILE`

use crate::compat::umoci::compress::CompressFlag;
use crate::compat::umoci::edit::NewTag;
use crate::compat::umoci::history::HistoryFlags;
use crate::compat::umoci::image::ImageFlag;
use crate::compat::umoci::repack::told;
use clap::Args;
use orlop::spec::{Context, Fault};
use orlop::umoci::add_layer::AddLayer;
use std::path::PathBuf;

/// puts a tar as it is on an image, as one layer
#[derive(Args)]
#[command(override_usage = "umoci raw add-layer --image DIR[:TAG] [--tag TAG] [options] FILE")]
pub struct Arguments {
    #[command(flatten)]
    image: ImageFlag,
    #[command(flatten)]
    tag: NewTag,
    #[command(flatten)]
    compress: CompressFlag,
    #[command(flatten)]
    history: HistoryFlags,
    /// the tar, not compressed
    #[arg(value_name = "FILE")]
    tar: PathBuf,
}

pub fn run(arguments: &Arguments, cx: &Context<'_>) -> Result<(), Fault> {
    let layer = AddLayer {
        tar: arguments.tar.clone(),
        codec: arguments.compress.codec(),
        history: told(&arguments.history, "umoci raw add-layer")?,
    };
    arguments.tag.edit(&arguments.image.image, &[Box::new(layer)], cx)
}
