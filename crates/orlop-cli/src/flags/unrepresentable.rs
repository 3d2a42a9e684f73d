//! What is done with names that an image cannot hold.

use clap::{Args, ValueEnum};
use orlop::fs::scan::Unrepresentable;

/// For verbs that make layers of folders.
#[derive(Args, Debug)]
#[command(next_help_heading = "Files")]
pub struct UnrepresentableFlag {
    /// What to do with names that an image cannot hold, because they begin with `.wh.`
    #[arg(long, value_name = "WHAT", default_value = "refuse")]
    unrepresentable: Choice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// Fail and list them
    Refuse,
    /// Leave them out and report them
    Skip,
}

impl UnrepresentableFlag {
    /// What the library is handed.
    pub fn choice(&self) -> Unrepresentable {
        match self.unrepresentable {
            Choice::Refuse => Unrepresentable::Refuse,
            Choice::Skip => Unrepresentable::Skip,
        }
    }
}
