//! `orlop ostree rev-parse`

use super::{Outcome, Repository};
use crate::shell::Shell;
use clap::Args;
use orlop::host::ostree::Kind;
use orlop::spec::Fault;

/// Print the ids of the commits that names stand for.
///
/// A name is REF, REMOTE:REF, an id or the beginning of one; each ^ behind it goes to the commit before.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// What to look up
    #[arg(value_name = "REV", required_unless_present = "single", conflicts_with = "single")]
    revs: Vec<String>,
    /// Print the only commit of the repository; there must be just one
    #[arg(short = 'S', long)]
    single: bool,
}

/// More than one commit, where one was meant.
const NOT_SINGLE: orlop::Error = orlop::Error::Unfit {
    what: "the repository has not just one commit",
    hint: "name the one that is meant; list names: orlop ostree refs --repo=REPO",
};

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let lines = shell.look(|cx| {
        let repo = arguments.repository.open(cx)?;
        if arguments.single {
            return match &repo.list(&[Kind::Commit])?[..] {
                [commit] => Ok(format!("{}\n", commit.id)),
                _ => Err(NOT_SINGLE.into()),
            };
        }
        let ids = arguments.revs.iter().map(|rev| Ok(format!("{}\n", repo.resolve(rev)?)));
        ids.collect::<Result<String, Fault>>()
    })?;
    shell.print(lines)?;
    Ok(Outcome::Done)
}
