//! `orlop version`

use super::Outcome;
use crate::flags::{Format, Show};
use crate::shell::Shell;
use clap::Args;
use orlop::spec::Fault;
use serde_json::json;

/// Print the version.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    show: Show,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let version = env!("CARGO_PKG_VERSION");
    shell.print(match arguments.show.format {
        Format::Human => format!("orlop {version}\n"),
        Format::Json => format!("{}\n", json!({ "version": 1, "orlop": version })),
    })?;
    Ok(Outcome::Done)
}
