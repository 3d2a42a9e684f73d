//! `orlop reference`: prints the files of `docs/reference/` that are made from the definition.

use super::Outcome;
use crate::reference;
use crate::shell::Shell;
use clap::{Args, ValueEnum};
use orlop::spec::Fault;

/// Print a page of the reference in Markdown.
#[derive(Args)]
pub struct Arguments {
    /// Which page
    page: Page,
}

/// A page of the reference.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    /// `cli.md`
    Cli,
    /// `exit-codes.md`
    ExitCodes,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    shell.print(match arguments.page {
        Page::Cli => reference::command_line(),
        Page::ExitCodes => reference::exit_codes(),
    })?;
    Ok(Outcome::Done)
}
