//! `orlop ostree prune`

use super::{Outcome, Repository};
use crate::flags::{Work, time_of_commit};
use crate::output::size;
use crate::shell::Shell;
use clap::Args;
use orlop::host::ostree::repo::prune::{PruneOptions, Roots, Run};
use orlop::spec::Fault;
use orlop::spec::time::Timestamp;

/// Remove the objects that no commit needs, or no ref.
///
/// Nobody may write meanwhile: it waits for those who do. Killed at any moment it leaves only commits that are whole.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// Tell what would be removed, and remove nothing
    #[arg(long)]
    no_prune: bool,
    /// Remove the commits too that no ref leads to
    #[arg(long)]
    refs_only: bool,
    /// Commits that are kept before the one of a ref; -1: all
    #[arg(long, value_name = "N", default_value_t = -1, allow_negative_numbers = true)]
    depth: i64,
    /// Keep of the commits before those of refs only what is not older: RFC 3339, or seconds since 1970 with or without @
    #[arg(long, value_name = "TIME", value_parser = time_of_commit)]
    keep_younger_than: Option<Timestamp>,
    /// A commit to remove, which no ref leads to
    #[arg(long, value_name = "REV")]
    delete_commit: Vec<String>,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let pruned = shell.read(&arguments.work, |cx| {
        let repo = arguments.repository.open(cx)?;
        let delete = arguments.delete_commit.iter().map(|rev| repo.resolve(rev));
        let options = PruneOptions {
            roots: if arguments.refs_only { Roots::Refs } else { Roots::Commits },
            depth: u64::try_from(arguments.depth).ok(),
            since: arguments.keep_younger_than.map(|time| u64::try_from(time.seconds()).unwrap_or(0)),
            delete: delete.collect::<Result<_, _>>()?,
            run: if arguments.no_prune { Run::Dry } else { Run::Remove },
        };
        Ok(repo.prune(cx, &options)?)
    })?;
    let what = match (pruned.removed, arguments.no_prune) {
        (0, _) => "No unreachable objects\n".to_owned(),
        (count, true) => format!("Would delete: {count} objects, freeing {}\n", size(pruned.bytes)),
        (count, false) => format!("Deleted {count} objects, {} freed\n", size(pruned.bytes)),
    };
    shell.print(format!("Total objects: {}\n{what}", pruned.objects))?;
    Ok(Outcome::Done)
}
