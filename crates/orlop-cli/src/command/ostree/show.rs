//! `orlop ostree show`

use super::{Outcome, Repository, log};
use crate::shell::Shell;
use clap::Args;
use orlop::host::ostree::repo::RepoError;
use orlop::host::ostree::variant::{Bytes, Types};
use orlop::host::ostree::{Dict, Kind, ObjectId, ObjectName, Repo};
use orlop::spec::Fault;

/// Print a commit, a dirtree or a dirmeta.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// A name of a commit, or the id of an object
    #[arg(value_name = "OBJECT")]
    object: String,
    /// Print the value that the object is
    #[arg(long)]
    raw: bool,
    /// Print the value of a key of the commit's metadata
    #[arg(long, value_name = "KEY")]
    print_metadata_key: Option<String>,
    /// Print the value of a key of what was said of the commit after it was made
    #[arg(long, value_name = "KEY", conflicts_with = "print_metadata_key")]
    print_detached_metadata_key: Option<String>,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let text = shell.look(|cx| {
        let repo = arguments.repository.open(cx)?;
        if let Some(key) = &arguments.print_metadata_key {
            return value(&repo.commit(&repo.resolve(&arguments.object)?)?.metadata, key);
        }
        if let Some(key) = &arguments.print_detached_metadata_key {
            return value(&repo.detached(&repo.resolve(&arguments.object)?)?.unwrap_or_default(), key);
        }
        let object = find(&repo, &arguments.object)?;
        if object.kind == Kind::Commit && !arguments.raw {
            return Ok(log::told(&object.id, &repo.commit(&object.id)?));
        }
        let value = if arguments.raw { repo.print(&object)? + "\n" } else { String::new() };
        Ok(format!("{} {}\n{value}", object.kind, object.id))
    })?;
    shell.print(text)?;
    Ok(Outcome::Done)
}

/// An object of one of the kinds that are shown.
fn find(repo: &Repo, name: &str) -> Result<ObjectName, Fault> {
    let commit = |id: ObjectId| ObjectName::new(id, Kind::Commit);
    let Ok(id) = name.parse::<ObjectId>() else { return Ok(commit(repo.resolve(name)?)) };
    for kind in [Kind::Commit, Kind::DirTree, Kind::DirMeta] {
        let object = ObjectName::new(id, kind);
        if repo.has(&object)? {
            return Ok(object);
        }
    }
    Err(RepoError::NoSuchCommit { name: name.into() }.into())
}

fn value(dict: &Dict, key: &str) -> Result<String, Fault> {
    match dict.get(key) {
        Some(value) => Ok(value.view().print(Bytes::BigEndian, Types::Told) + "\n"),
        None => Err(RepoError::NoKey { key: key.into() }.into()),
    }
}
