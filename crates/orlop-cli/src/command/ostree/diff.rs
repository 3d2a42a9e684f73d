//! `orlop ostree diff`

use super::{Outcome, Repository};
use crate::shell::Shell;
use clap::Args;
use orlop::layer::path::printable;
use orlop::spec::Fault;

/// Print which paths two commits have differently: M modified, D deleted, A added.
///
/// With one name, the commit before it is compared with it. The exit code does not tell whether something was found; commits
/// and folders are compared by `orlop diff ostree:REPO@REV rootfs:DIR`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// The commit, or the older of two
    #[arg(value_name = "REV")]
    from: String,
    /// The newer one
    #[arg(value_name = "REV")]
    to: Option<String>,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let changes = shell.look(|cx| {
        let repo = arguments.repository.open(cx)?;
        let (from, to) = match &arguments.to {
            Some(to) => (arguments.from.clone(), to),
            None => (format!("{}^", arguments.from), &arguments.from),
        };
        let (from, to) = (repo.commit(&repo.resolve(&from)?)?, repo.commit(&repo.resolve(to)?)?);
        Ok(repo.changes(cx, &from, &to)?)
    })?;
    let lists = [('M', &changes.modified), ('D', &changes.removed), ('A', &changes.added)];
    let line = |(letter, path): (char, &String)| format!("{letter}    {}\n", printable(path));
    let lines = lists.iter().flat_map(|(letter, paths)| paths.iter().map(move |path| (*letter, path)));
    shell.print(lines.map(line).collect::<String>())?;
    Ok(Outcome::Done)
}
