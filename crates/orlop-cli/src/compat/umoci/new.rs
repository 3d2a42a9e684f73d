//! `umoci new --image DIR[:TAG]`

use super::image::{self, ImageFlag};
use crate::environment;
use crate::flags::Places;
use clap::Args;
use orlop::build::{self, Build, Form};
use orlop::spec::config::Execution;
use orlop::spec::descriptor::Annotations;
use orlop::spec::edit::Edit;
use orlop::spec::port::Name;
use orlop::spec::{Context, Fault};

/// makes an image without layers
#[derive(Args)]
#[command(override_usage = "umoci new --image DIR[:TAG]")]
pub struct Arguments {
    #[command(flatten)]
    image: ImageFlag,
}

pub fn run(arguments: &Arguments, cx: &Context<'_>) -> Result<(), Fault> {
    let image = &arguments.image.image;
    let places: Places = Places::default();
    // Only `init` makes layouts.
    drop(image::open(&image.layout, &places, cx)?);
    let blank = Build {
        base: None,
        platform: environment::host(),
        inputs: Vec::new(),
        edit: Edit { created: Some(super::moment()?), ..Edit::default() },
        annotations: Annotations::new(),
        // The specification lets it be absent; readers of what umoci makes know it as an empty object.
        dialect: Some(Box::new(|draft| draft.config().config = Some(Execution::default()))),
    };
    let sink = places.create(&image::layout(&image.layout), cx)?;
    build::build(cx, vec![blank], &Form::default(), sink, &[Name::Tag(image.tag.clone())]).map(drop)
}
