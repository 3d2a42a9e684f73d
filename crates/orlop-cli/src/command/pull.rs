//! `orlop pull REF [DST]`

use super::Outcome;
use super::copy::Copying;
use crate::flags::Keeping;
use crate::shell::Shell;
use clap::Args;
use orlop::spec::Fault;
use std::ffi::OsString;

/// Fetch an image from a registry, into the local store or another place; the same as `copy`.
///
/// In the store it goes by its whole name: host, repository and tag.
#[derive(Args)]
pub struct Arguments {
    /// The image
    #[arg(value_name = "REF")]
    image: OsString,
    /// The place to copy it to, such as oci:DIR:TAG or docker-archive:FILE
    #[arg(value_name = "DST", default_value = "store:")]
    target: OsString,
    #[command(flatten)]
    copying: Copying,
    #[command(flatten)]
    keeping: Keeping,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let Arguments { image, target, copying, keeping } = arguments;
    copying.keeping(keeping).run(std::slice::from_ref(image), target, shell)
}
