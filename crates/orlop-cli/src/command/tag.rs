//! `orlop tag REF TAG…`

use super::Outcome;
use crate::flags::{Place, published};
use crate::shell::Shell;
use clap::Args;
use orlop::spec::Fault;

/// Give an image further names in its place.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    /// A name to give
    #[arg(required = true, value_name = "TAG")]
    tags: Vec<Box<str>>,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let lines: String = shell.look(|cx| {
        let place = arguments.place.keep(cx)?;
        let root = orlop::keep::tag(&*place.keeper, &place.reference.selector, &arguments.tags)?;
        Ok(arguments.tags.iter().map(|tag| published(&place.reference, Some(tag), &root.digest)).collect())
    })?;
    shell.print(lines)?;
    Ok(Outcome::Done)
}
