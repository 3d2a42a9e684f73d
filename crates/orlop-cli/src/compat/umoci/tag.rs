//! `umoci tag --image DIR[:TAG] NEW`

use super::image::{self, ImageFlag, tag_name};
use crate::flags::Places;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use orlop::spec::{Context, Fault};

/// gives an image one more tag
#[derive(Args)]
#[command(override_usage = "umoci tag --image DIR[:TAG] NEW")]
pub struct Arguments {
    #[command(flatten)]
    image: ImageFlag,
    /// the new tag
    #[arg(value_name = "NEW", value_parser = OsStringValueParser::new().try_map(tag_name))]
    new: Box<str>,
}

pub fn run(arguments: &Arguments, cx: &Context<'_>) -> Result<(), Fault> {
    let image = &arguments.image.image;
    let places: Places = Places::default();
    let keeper = image::open(&image.layout, &places, cx)?;
    orlop::keep::tag(&*keeper, &image.selector(), std::slice::from_ref(&arguments.new)).map(drop)
}
