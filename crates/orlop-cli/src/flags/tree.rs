//! How trees are read: owners, and what is left out.

use super::{Owners, UnrepresentableFlag};
use clap::Args;
use orlop::fs::glob::Glob;
use orlop::spec::Fault;
use orlop::trees::Reading;

/// How a tree is read.
#[derive(Args, Debug)]
#[command(next_help_heading = "Files")]
pub struct TreeFlags {
    #[command(flatten)]
    owners: Owners,
    #[command(flatten)]
    unrepresentable: UnrepresentableFlag,
    /// Leave out what this pattern matches: a name, or a path from the root where it holds a slash
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    exclude: Vec<Glob>,
}

impl TreeFlags {
    /// What the library is handed.
    pub fn reading(&self) -> Result<Reading, Fault> {
        let unrepresentable = self.unrepresentable.choice();
        Ok(Reading { owner: self.owners.owner()?, unrepresentable, exclude: self.exclude.clone() })
    }
}

fn glob(text: &str) -> Result<Glob, String> {
    Glob::parse(text.as_bytes()).map_err(|error| error.to_string())
}
