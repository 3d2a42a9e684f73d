//! How trees are read: owners, and what is left out.

use super::Owners;
use clap::{Args, ValueEnum};
use orlop::fs::glob::Glob;
use orlop::fs::scan::Unrepresentable;
use orlop::spec::Fault;
use orlop::trees::Reading;

/// How a tree is read.
#[derive(Args, Debug)]
#[command(next_help_heading = "Files")]
pub struct TreeFlags {
    #[command(flatten)]
    owners: Owners,
    /// What to do with names that an image cannot hold, because they begin with `.wh.`
    #[arg(long, value_name = "WHAT", default_value = "refuse")]
    unrepresentable: UnrepresentableChoice,
    /// Leave out what this pattern matches: a name, or a path from the root where it holds a slash
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    exclude: Vec<Glob>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum UnrepresentableChoice {
    /// Fail and list them
    Refuse,
    /// Leave them out and report them
    Skip,
}

impl TreeFlags {
    /// What the library is handed.
    pub fn reading(&self) -> Result<Reading, Fault> {
        let unrepresentable = match self.unrepresentable {
            UnrepresentableChoice::Refuse => Unrepresentable::Refuse,
            UnrepresentableChoice::Skip => Unrepresentable::Skip,
        };
        Ok(Reading { owner: self.owners.owner()?, unrepresentable, exclude: self.exclude.clone() })
    }
}

fn glob(text: &str) -> Result<Glob, String> {
    Glob::parse(text.as_bytes()).map_err(|error| error.to_string())
}
