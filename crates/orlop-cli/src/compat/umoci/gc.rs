//! `umoci gc --layout DIR`

use super::image::{self, LayoutFlag};
use crate::flags::Places;
use clap::Args;
use orlop::spec::port::{Selector, Sweep};
use orlop::spec::{Context, Fault};
use std::time::Duration;

/// removes what no tag of a layout reaches
///
/// Whoever writes into the layout is waited for; else nothing is spared because it is young.
#[derive(Args)]
#[command(override_usage = "umoci gc --layout DIR")]
pub struct Arguments {
    #[command(flatten)]
    layout: LayoutFlag,
}

pub fn run(arguments: &Arguments, cx: &Context<'_>) -> Result<(), Fault> {
    let places: Places = Places::default();
    let keeper = image::open(&arguments.layout.layout, &places, cx)?;
    orlop::keep::gc(&*keeper, &Selector::Only, Duration::ZERO, Sweep::Remove).map(drop)
}
