//! `orlop index create|add|rm|filter|annotate`

mod create;
mod edit;

use super::Outcome;
use crate::deferred::Deferred;
use crate::flags::{Image, Places, platform};
use crate::shell::Shell;
use clap::{Args, Subcommand};
use orlop::index;
use orlop::several::Several;
use orlop::spec::{Context, Descriptor, Fault, Platform};
use std::ffi::OsString;

/// Make an index of images for several platforms, or change one.
///
/// An index names the images of one name, one for each platform. What is changed is the index: the images in it stay as
/// they are. Without `--to` the changed index takes the place of the one that was there.
#[derive(Args)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs", disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Create(Deferred<create::Arguments>),
    #[command(alias = "append")]
    Add(Deferred<edit::Add>),
    #[command(aliases = ["remove", "delete"])]
    Rm(Deferred<edit::Remove>),
    Filter(Deferred<edit::Filter>),
    Annotate(Deferred<edit::Annotate>),
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let lines = match &arguments.verb {
        Verb::Create(arguments) => return create::run(arguments, shell),
        Verb::Add(arguments) => arguments.run(shell),
        Verb::Rm(arguments) => arguments.run(shell),
        Verb::Filter(arguments) => arguments.run(shell),
        Verb::Annotate(arguments) => arguments.run(shell),
    };
    lines.map(|()| Outcome::Done)
}

/// Images that become entries.
#[derive(Args)]
struct Sources {
    /// An image, and for which platform it is, where its config is not to be asked
    #[arg(long, value_name = "PLATFORM=SRC", value_parser = for_platform)]
    platform: Vec<(Platform, OsString)>,
}

impl Sources {
    /// The places of the images, with the platforms that were said.
    fn open<'a>(
        &'a self,
        words: &'a [OsString],
        places: &'a Places,
        cx: &Context<'a>,
    ) -> Result<Vec<(Image<'a>, Option<&'a Platform>)>, Fault> {
        let said = self.platform.iter().map(|(platform, word)| (word, Some(platform)));
        let words = words.iter().map(|word| (word, None)).chain(said);
        words.map(|(word, platform)| Ok((places.open(word, cx)?, platform))).collect()
    }
}

/// The entries that stand for images.
fn entries(cx: &Context<'_>, images: &[(Image<'_>, Option<&Platform>)]) -> Result<Vec<Descriptor>, Fault> {
    let mut entries = Vec::new();
    for (image, platform) in images {
        entries.extend(index::entries(cx, image.source(), image.selector(), *platform)?);
    }
    Ok(entries)
}

/// The places of images as one.
fn several<'a>(first: &'a Image<'_>, others: &'a [(Image<'_>, Option<&Platform>)]) -> Several<'a> {
    Several { first: first.catalog(), others: others.iter().map(|(image, _)| image.catalog()).collect() }
}

fn for_platform(text: &str) -> Result<(Platform, OsString), String> {
    match text.split_once('=') {
        Some((name, source)) if !source.is_empty() => Ok((platform(name)?, source.into())),
        _ => Err("write PLATFORM=SRC, for example linux/arm64=oci:DIR:TAG".into()),
    }
}

/// Parses `KEY=VALUE`.
fn annotation(text: &str) -> Result<(Box<str>, Box<str>), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("write KEY=VALUE".into()),
    }
}
