//! What the verbs share that change an image: they change it where it is, and give the result its tag or `--tag`.

use super::image::{self, Image, tag_name};
use crate::environment;
use crate::flags::Places;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use orlop::copy::Platforms;
use orlop::edit::{self, Step, Subject, Taken};
use orlop::index::Place;
use orlop::inspect;
use orlop::spec::port::{Name, Seen};
use orlop::spec::{Context, Fault};

/// Where the result goes.
#[derive(Args)]
pub struct NewTag {
    /// the tag of the result; without it the result has that of the image
    #[arg(long, value_name = "TAG", value_parser = OsStringValueParser::new().try_map(tag_name))]
    tag: Option<Box<str>>,
}

impl NewTag {
    /// Changes an image by steps. Of an index, all images are changed.
    pub fn edit(&self, image: &Image, steps: &[Box<dyn Step + '_>], cx: &Context<'_>) -> Result<(), Fault> {
        let places: Places = Places::default();
        let from = image::open(&image.layout, &places, cx)?;
        let tag = self.tag.as_ref().unwrap_or(&image.tag);
        let name = Name::Tag(tag.clone());
        // Before the image is read, so that a change in between is noticed too.
        let led = from.resolve(&image.selector())?;
        let seen = (*tag == image.tag).then(|| Seen::of(&name, &led));
        let root = inspect::root(&*from, &image.selector(), &environment::host())?;
        let subject = Subject {
            from: &*from,
            root,
            platforms: Platforms::All,
            taken: Taken::All,
            place: Place::Same,
            seen,
        };
        let to = places.create(&image::layout(&image.layout), cx)?;
        edit::edit(cx, &subject, steps, &name, to).map(drop)
    }
}
