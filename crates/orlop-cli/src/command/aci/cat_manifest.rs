//! `orlop aci cat-manifest FILE`

use super::super::Outcome;
use crate::flags::Work;
use crate::shell::Shell;
use clap::Args;
use orlop::aci::check::manifest_of;
use orlop::host::aci::manifest::ImageManifest;
use orlop::spec::Fault;
use std::path::PathBuf;

/// Print the manifest of an App Container Image, to the byte.
#[derive(Args)]
pub struct Arguments {
    /// The image
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print it with one field on a line
    #[arg(long)]
    pretty: bool,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let manifest = shell.read(&arguments.work, |cx| manifest_of(cx, &arguments.file))?;
    let pretty = arguments.pretty.then(|| ImageManifest::parse(&manifest).ok()).flatten();
    shell.print(pretty.map_or(manifest, |manifest| manifest.to_bytes()))?;
    Ok(Outcome::Done)
}
