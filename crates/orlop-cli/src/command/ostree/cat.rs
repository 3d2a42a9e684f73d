//! `orlop ostree cat`

use super::{Outcome, Repository};
use crate::output::failed;
use crate::shell::Shell;
use clap::Args;
use orlop::host::ostree::look::What;
use orlop::host::ostree::repo::RepoError;
use orlop::spec::Fault;
use std::io;

/// Print the contents of files of a commit.
///
/// Links are not followed. Where content is damaged, that is told after it.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// The commit
    #[arg(value_name = "REV")]
    rev: String,
    /// The files
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<String>,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let mut output = shell.output();
    shell.look(|cx| {
        let repo = arguments.repository.open(cx)?;
        let commit = repo.commit(&repo.resolve(&arguments.rev)?)?;
        for path in &arguments.paths {
            let not_a_file = || RepoError::NotAFile { path: path.as_str().into() };
            let What::File(id) = repo.find(&commit, path)?.what else { return Err(not_a_file().into()) };
            let file = repo.file(&id)?;
            if file.header().is_link() {
                return Err(not_a_file().into());
            }
            io::copy(&mut file.reader(), &mut output).map_err(failed)?;
        }
        Ok(())
    })?;
    output.end()?;
    Ok(Outcome::Done)
}
