//! `umoci ls --layout DIR`

use super::image::{self, LayoutFlag};
use crate::flags::Places;
use crate::shell::Shell;
use clap::Args;
use orlop::layer::path::printable;
use orlop::spec::{Context, Fault};
use std::collections::HashSet;

/// lists the tags of a layout, one on a line
#[derive(Args)]
#[command(override_usage = "umoci list --layout DIR", visible_alias = "ls")]
pub struct Arguments {
    #[command(flatten)]
    layout: LayoutFlag,
}

pub fn run(arguments: &Arguments, shell: &Shell, cx: &Context<'_>) -> Result<(), Fault> {
    let places: Places = Places::default();
    let names = image::open(&arguments.layout.layout, &places, cx)?.list()?;
    let mut seen = HashSet::new();
    let tags = names.iter().filter_map(|(name, _)| name.tag()).filter(|tag| seen.insert(*tag));
    shell.print(tags.fold(String::new(), |lines, tag| lines + &printable(tag) + "\n"))
}
