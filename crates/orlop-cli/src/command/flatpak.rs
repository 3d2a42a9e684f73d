//! `orlop flatpak export|import|lint|index|serve`

mod export;
mod import;
mod index;
mod lint;
mod serve;

use super::Outcome;
use crate::deferred::Deferred;
use crate::shell::Shell;
use clap::{Args, Subcommand};
use orlop::spec::Fault;

/// Give flatpak what it asks of images and of places that hold them.
#[derive(Args)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs", disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Export(Deferred<export::Arguments>),
    Import(Deferred<import::Arguments>),
    Lint(Deferred<lint::Arguments>),
    Index(Deferred<index::Arguments>),
    Serve(Deferred<serve::Arguments>),
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    match &arguments.verb {
        Verb::Export(arguments) => export::run(arguments, shell),
        Verb::Import(arguments) => import::run(arguments, shell),
        Verb::Lint(arguments) => lint::run(arguments, shell),
        Verb::Index(arguments) => index::run(arguments, shell),
        Verb::Serve(arguments) => serve::run(arguments, shell),
    }
}
