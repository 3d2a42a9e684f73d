//! `orlop completions SHELL`

use super::Outcome;
use crate::cli;
use crate::shell::Shell;
use clap::Args;
use orlop::spec::Fault;

/// Print completions for a shell.
#[derive(Args)]
pub struct Arguments {
    /// Which shell
    shell: clap_complete::Shell,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut cli::definition(), "orlop", &mut script);
    shell.print(script)?;
    Ok(Outcome::Done)
}
