//! `orlop man [VERB]`, `orlop man --all DIR`

use super::Outcome;
use crate::manual;
use crate::shell::Shell;
use clap::Args;
use orlop::fs::{Dir, Persist, Temp};
use orlop::spec::Fault;
use std::path::{Path, PathBuf};

/// Print a manual page, or write all of them into a folder.
#[derive(Args)]
pub struct Arguments {
    /// Verb whose page is printed; without one, the page of orlop itself
    #[arg(conflicts_with = "all")]
    verb: Vec<String>,
    /// Write every page into this folder
    #[arg(long, value_name = "DIR")]
    all: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    match &arguments.all {
        Some(folder) => write_all(folder)?,
        None => shell.print(manual::page(&arguments.verb)?)?,
    }
    Ok(Outcome::Done)
}

fn write_all(folder: &Path) -> Result<(), Fault> {
    let folder = Dir::create_all(folder)?;
    for (name, text) in manual::pages() {
        let page = Temp::beside(folder.try_clone()?, &name)?;
        page.file().write_at(text.as_bytes(), 0)?;
        page.persist(name, Persist::Replace)?;
    }
    Ok(())
}
