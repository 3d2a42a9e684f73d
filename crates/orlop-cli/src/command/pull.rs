//! `orlop pull REF [DST]`

use super::Outcome;
use super::copy::{Copying, To};
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
    /// The place to copy it to, such as oci:DIR:TAG or docker-archive:FILE [default: the store]
    #[arg(value_name = "DST")]
    target: Option<OsString>,
    #[command(flatten)]
    copying: Copying,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let to = arguments.target.as_deref().map_or(To::Store, To::Place);
    arguments.copying.run(std::slice::from_ref(&arguments.image), to, shell)
}
