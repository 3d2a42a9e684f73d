//! `orlop push SRC REF`

use super::Outcome;
use super::copy::Copying;
use crate::shell::Shell;
use clap::Args;
use orlop::spec::Fault;
use std::ffi::OsString;

/// Send an image to a registry; the same as `copy`.
#[derive(Args)]
pub struct Arguments {
    /// The image
    #[arg(value_name = "SRC")]
    image: OsString,
    /// The name that it gets at the registry, such as HOST/REPOSITORY:TAG
    #[arg(value_name = "REF")]
    target: OsString,
    #[command(flatten)]
    copying: Copying,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    arguments.copying.run(std::slice::from_ref(&arguments.image), &arguments.target, shell)
}
