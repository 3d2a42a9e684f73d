//! `orlop aci cat-manifest|from-bundle|validate`

mod cat_manifest;
mod from_bundle;
mod validate;

use super::Outcome;
use crate::deferred::Deferred;
use crate::shell::Shell;
use clap::{Args, Subcommand};
use orlop::spec::Fault;

/// Judge App Container Images, the images of rkt, and make them of bundles. Other verbs take them as aci:FILE.
#[derive(Args)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs", disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    CatManifest(Deferred<cat_manifest::Arguments>),
    FromBundle(Box<Deferred<from_bundle::Arguments>>),
    Validate(Box<Deferred<validate::Arguments>>),
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    match &arguments.verb {
        Verb::CatManifest(arguments) => cat_manifest::run(arguments, shell),
        Verb::FromBundle(arguments) => from_bundle::run(arguments, shell),
        Verb::Validate(arguments) => validate::run(arguments, shell),
    }
}
