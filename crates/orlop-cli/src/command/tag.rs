//! `orlop tag REF TAG…`

use super::Outcome;
use crate::error::Error;
use crate::flags::{Place, Unlocked, published};
use crate::shell::Shell;
use clap::Args;
use clap::builder::{NonEmptyStringValueParser, TypedValueParser as _};
use orlop::spec::Fault;
use orlop::spec::reference::{Bare, LoneStream, Transport};
use orlop::transport;
use std::ffi::OsStr;

/// Give an image further names in its place.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place<Unlocked>,
    /// A name to give
    #[arg(required = true, value_name = "TAG", value_parser = NonEmptyStringValueParser::new().map(String::into_boxed_str))]
    tags: Vec<Box<str>>,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    if let Some(reference) = arguments.tags.iter().find(|tag| is_reference(tag)) {
        return Err(Error::TagIsReference(reference.clone()).into());
    }
    let lines: String = shell.look(|cx| {
        let place = arguments.place.keep(cx)?;
        let root = orlop::keep::tag(&*place.keeper, &place.reference.selector, &arguments.tags)?;
        Ok(arguments.tags.iter().map(|tag| published(&place.reference, Some(tag), &root.digest)).collect())
    })?;
    shell.print(lines)?;
    Ok(Outcome::Done)
}

/// Whether this names a place, which a tag of a layout could be by the letter, and nobody means.
fn is_reference(tag: &str) -> bool {
    let parsed = transport::parse(OsStr::new(tag), Bare::Registry, LoneStream::Refused);
    let is_place = parsed.is_ok_and(|reference| !matches!(reference.transport, Transport::Registry(_)));
    is_place || tag.contains("://")
}
