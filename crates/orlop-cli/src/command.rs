//! The verbs, one file each: arguments, a call of the library, the printed result.

mod completions;
mod man;
mod reference;
mod version;

use crate::shell::Shell;
use clap::Subcommand;
use orlop::spec::Fault;

/// Everything that can be asked for, in the order of the manual.
#[derive(Subcommand)]
pub enum Verb {
    Completions(completions::Arguments),
    Man(man::Arguments),
    Version(version::Arguments),
    #[command(hide = true)]
    Reference(reference::Arguments),
}

/// How a verb ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Done,
    /// It compares, and found something; stdout says what. The exit code is 8.
    Found,
}

impl Verb {
    /// Does it.
    pub fn run(self, shell: &Shell) -> Result<Outcome, Fault> {
        match self {
            Self::Completions(arguments) => completions::run(&arguments, shell),
            Self::Man(arguments) => man::run(&arguments, shell),
            Self::Version(arguments) => version::run(&arguments, shell),
            Self::Reference(arguments) => reference::run(&arguments, shell),
        }
    }
}
