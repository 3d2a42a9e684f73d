//! `orlop supervise`: what `run` starts this program as.

use super::Outcome;
use crate::flags::{ProgressStyle, Work};
use crate::shell::Shell;
use clap::Args;
use orlop::run::{self, RunError, Stdio, Tether};
use orlop::spec::Fault;
use std::io;
use std::os::fd::AsFd as _;

/// Stand between `run` and a container; started by `run` alone.
#[derive(Args)]
pub struct Arguments {
    /// What to do in the folder
    #[arg(value_name = "WHAT", value_parser = [run::RUN, run::REMOVE])]
    what: String,
    /// What to remove
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let ended = match (&*arguments.what, &arguments.name) {
        (run::REMOVE, Some(name)) => run::remove(name)?,
        (run::RUN, None) => contain(shell)?,
        _ => return Err(RunError::NotASupervisor.into()),
    };
    Ok(Outcome::Ended(ended.exit_code()))
}

fn contain(shell: &Shell) -> Result<run::Ended, Fault> {
    let tether = Tether::of_supervisor().ok_or(RunError::NotASupervisor)?;
    let (input, output, errors) = (io::stdin(), io::stdout(), io::stderr());
    let stdio = Stdio { input: input.as_fd(), output: output.as_fd(), errors: errors.as_fd() };
    shell.work(&Work::showing(ProgressStyle::None), |cx| run::run(cx, &tether, &stdio))
}
