//! `orlop index create SRC… REF`

use super::{Sources, annotation, entries, several};
use crate::command::Outcome;
use crate::flags::{self, Places, Show, Work, name, wrote};
use crate::foreseen;
use crate::shell::Shell;
use clap::Args;
use orlop::index::{Change, Clash, Edited, Place, change, foresee, publish};
use orlop::spec::index::Index;
use orlop::spec::{Fault, MediaType};
use std::ffi::OsString;

/// Make an index of images, which may come from anywhere.
///
/// The platform of each is the one that its config says. Of an index, all entries are taken.
#[derive(Args)]
#[command(override_usage = "orlop index create [OPTIONS] SRC... REF")]
pub struct Arguments {
    /// Images, and at last the name of the index
    #[arg(required = true, value_name = "SRC|REF")]
    words: Vec<OsString>,
    #[command(flatten)]
    sources: Sources,
    /// Say this of the index; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = annotation)]
    annotation: Vec<(Box<str>, Box<str>)>,
    /// Say what kind of artifact the index is
    #[arg(long, value_name = "TYPE", value_parser = media_type)]
    artifact_type: Option<MediaType>,
    /// Tell what would be made and moved, and write nothing
    #[arg(long, help_heading = "Running")]
    dry_run: bool,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

const NO_IMAGE: orlop::Error = orlop::Error::Unfit {
    what: "an index is made of images, and none is named",
    hint: "name them before it: orlop index create oci:DIR:A oci:DIR:B oci:DIR:TAG",
};

fn media_type(text: &str) -> Result<MediaType, &'static str> {
    let found = MediaType::new(text);
    if found.is_well_formed() { Ok(found) } else { Err("a media type is written TYPE/SUBTYPE") }
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let (target, words) = arguments.words.split_last().ok_or(NO_IMAGE)?;
    let target = flags::target(target)?;
    let name = name(&target)?;
    let lines = shell.work(&arguments.work, |cx| {
        let images = arguments.sources.open(words, &arguments.places, cx)?;
        let Some(((first, _), others)) = images.split_first() else { return Err(NO_IMAGE.into()) };
        let empty = Index {
            annotations: arguments.annotation.iter().cloned().collect(),
            artifact_type: arguments.artifact_type.clone(),
            ..Index::new(Vec::new())
        };
        let after = change(empty, &Change::Add(entries(cx, &images)?, Clash::Refuse))?;
        let from = several(first, others);
        let edited =
            Edited { from: &from, at: first.catalog(), before: None, after, place: Place::Other, seen: None };
        let sink = arguments.places.create_or_foresee(&target, arguments.dry_run, cx)?;
        if arguments.dry_run {
            let foreseen = foresee(cx, &edited, &name, &*sink)?;
            return Ok(foreseen::editing(&foreseen, arguments.show.format));
        }
        let copied = publish(cx, &edited, &name, sink)?;
        Ok(wrote(arguments.show.format, "built", (&target, &name), &copied.roots[0]))
    })?;
    shell.published(&target, &lines)?;
    Ok(Outcome::Done)
}
