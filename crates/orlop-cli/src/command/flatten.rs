//! `orlop flatten REF …`

use super::Outcome;
use crate::flags::{Compressing, Editing, HistoryFlags};
use crate::shell::Shell;
use clap::Args;
use orlop::base::{BASE_DIGEST, BASE_NAME};
use orlop::edit::{Base, Extent, Flatten, Step};
use orlop::image::Image;
use orlop::spec::digest::DiffId;
use orlop::spec::{Context, Event, Fault};
use std::ffi::OsString;

/// Make one layer of several.
///
/// The image unpacks to the same files. Of all layers, what is left is what is there, and no whiteout; of the last ones,
/// what they remove from those below stays removed. Layers that are not made one keep their bytes and are not fetched,
/// but where a layer leaves out folders, or links to a file of another, and its meaning depends on those below. One step
/// of the history stands for the steps of these layers; the config stays.
#[derive(Args)]
#[command(after_help = "Examples:
  orlop flatten oci:DIR:TAG
  orlop flatten docker://registry.example.com/app:1 --keep-base --to docker://registry.example.com/app:1-flat
  orlop flatten oci:DIR:TAG --last 3 --compress zstd")]
pub struct Arguments {
    /// Leave the layers of the base as they are: of the image that the annotations name, or that of `--base`
    #[arg(long, conflicts_with = "last")]
    keep_base: bool,
    /// The image that this one was built on; its layers stay as they are
    #[arg(long, value_name = "REF", conflicts_with = "last")]
    base: Option<OsString>,
    /// Make one of the last N layers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..))]
    last: Option<u16>,
    #[command(flatten)]
    compressing: Compressing,
    #[command(flatten)]
    history: HistoryFlags,
    #[command(flatten)]
    editing: Editing,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let history = arguments.history.step("orlop flatten", None)?;
    arguments.editing.run(shell, |_| {
        let flatten = Flatten {
            extent: arguments.extent(),
            codec: arguments.compressing.compress,
            history,
            tmpdir: arguments.editing.places.spools(),
        };
        Ok(vec![Box::new(flatten) as Box<dyn Step>])
    })?;
    Ok(Outcome::Done)
}

impl Arguments {
    fn extent(&self) -> Extent<'_> {
        match self.last {
            Some(last) => Extent::Last(last.into()),
            None if self.keep_base || self.base.is_some() => Extent::Above(self.base()),
            None => Extent::All,
        }
    }

    fn base(&self) -> Box<Base<'_>> {
        Box::new(|cx, image| self.layers_of_base(cx, image))
    }

    /// The layers of the base, for the machine that the image is for.
    fn layers_of_base(&self, cx: &Context<'_>, image: &Image<'_>) -> Result<Vec<DiffId>, Fault> {
        let name = match &self.base {
            Some(name) => name.clone(),
            None => annotated(image)?,
        };
        let place = self.editing.places.open(&name, cx)?;
        let base = Image::fetch(cx, place.source(), place.selector(), &image.platform())?;
        if self.base.is_none() {
            let text = format!("the base is {}", name.to_string_lossy());
            cx.observer.event(Event::Told(text));
        }
        Ok(base.config().rootfs.diff_ids.clone())
    }
}

/// The base that annotations name, as a reference.
fn annotated(image: &Image<'_>) -> Result<OsString, Fault> {
    let annotations = &image.manifest().annotations;
    let name = annotations.get(BASE_NAME).ok_or(NO_BASE)?;
    let digest = annotations.get(BASE_DIGEST);
    let digest = digest.map_or_else(String::new, |digest| format!("@{digest}"));
    Ok(format!("docker://{name}{digest}").into())
}

const NO_BASE: orlop::Error = orlop::Error::Unfit {
    what: "no annotation of the image names its base",
    hint: "name it with --base REF, or say how many layers become one with --last N",
};
