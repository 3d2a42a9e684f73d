//! `orlop push SRC [REF]`

use super::Outcome;
use super::copy::Copying;
use crate::shell::Shell;
use clap::Args;
use orlop::spec::Fault;
use std::ffi::OsString;

/// Send an image to a registry; the same as `copy`.
#[derive(Args)]
pub struct Arguments {
    /// The image; without REF an image of the local store, whose name says where it goes
    #[arg(value_name = "SRC")]
    image: OsString,
    /// The name that it gets at the registry, such as HOST/REPOSITORY:TAG
    #[arg(value_name = "REF")]
    target: Option<OsString>,
    #[command(flatten)]
    copying: Copying,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let Some(target) = &arguments.target else {
        let mut source = OsString::from("store:");
        source.push(&arguments.image);
        return arguments.copying.run(&[source], &arguments.image, shell);
    };
    arguments.copying.run(std::slice::from_ref(&arguments.image), target, shell)
}
