//! `umoci new --image DIR[:TAG]`

use super::image::{self, ImageFlag};
use crate::environment;
use crate::flags::Places;
use clap::Args;
use orlop::draft::Draft;
use orlop::spec::config::Execution;
use orlop::spec::port::Name;
use orlop::spec::{Algorithm, Context, Descriptor, Fault};

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
    let mut blank = Draft::scratch(environment::host());
    blank.config().created = Some(super::moment()?.to_string().into());
    // The specification lets it be absent; readers of what umoci makes know it as an empty object.
    blank.config().config = Some(Execution::default());
    let sink = places.create(&image::layout(&image.layout), cx)?;
    let root = blank.write(cx, &*sink, Algorithm::default())?;
    // As the original: whoever changes the machine in the config need not change it here, too.
    let root = Descriptor { platform: None, ..root };
    sink.finish(&[(Name::Tag(image.tag.clone()), root)])
}
