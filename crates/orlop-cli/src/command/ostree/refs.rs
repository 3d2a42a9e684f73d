//! `orlop ostree refs`

use super::{Outcome, Repository};
use crate::shell::Shell;
use clap::Args;
use orlop::host::ostree::repo::RepoError;
use orlop::host::ostree::{RefSpec, Repo, kept};
use orlop::spec::{Context, Fault};
use std::fmt::Write as _;

/// List refs, give a commit one more, or take some away.
///
/// With a PREFIX only the refs beneath it are listed, without it. The commits of refs that are taken away stay until
/// `orlop ostree prune`. With --delete, the name of a kept image, as `orlop ostree images` prints it, stands for its ref.
#[expect(clippy::struct_excessive_bools, reason = "flags, as `ostree refs` has them")]
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// Folders of refs; with --create, the commit that gets the ref
    #[arg(value_name = "PREFIX")]
    prefixes: Vec<String>,
    /// List the refs that belong to collections, with them; PREFIX is the id of one
    #[arg(short, long, conflicts_with_all = ["delete", "create"])]
    collections: bool,
    /// Print refs with the prefix
    #[arg(long)]
    list: bool,
    /// Take the refs away that are, or are beneath, PREFIX
    #[arg(long, requires = "prefixes", conflicts_with_all = ["list", "create"])]
    delete: bool,
    /// A new ref for the commit
    #[arg(long, value_name = "REF", requires = "prefixes", conflicts_with = "list")]
    create: Option<RefSpec>,
    /// Let --create change a ref that is there
    #[arg(long, requires = "create")]
    force: bool,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let lines = shell.look(|cx| {
        let repo = arguments.repository.open(cx)?;
        match &arguments.create {
            Some(name) => create(cx, &repo, name, arguments).map(|()| String::new()),
            None if arguments.delete => delete(cx, &repo, arguments).map(|()| String::new()),
            None => list(&repo, arguments),
        }
    })?;
    shell.print(lines)?;
    Ok(Outcome::Done)
}

fn list(repo: &Repo, arguments: &Arguments) -> Result<String, Fault> {
    let mut lines = String::new();
    if arguments.collections {
        let is_meant =
            |of: &str| arguments.prefixes.is_empty() || arguments.prefixes.iter().any(|id| id == of);
        for (of, name, _) in repo.collection_refs()?.iter().filter(|(of, ..)| is_meant(of)) {
            writeln!(lines, "({of}, {name})").expect("a string takes everything");
        }
        return Ok(lines);
    }
    for (spec, _) in repo.refs()? {
        let Some(rest) = rest_of(&spec, &arguments.prefixes) else { continue };
        match &spec.remote {
            _ if arguments.list => writeln!(lines, "{spec}"),
            Some(remote) => writeln!(lines, "{remote}:{rest}"),
            None => writeln!(lines, "{rest}"),
        }
        .expect("a string takes everything");
    }
    Ok(lines)
}

/// A name without the prefix that it is beneath; `None` where it is beneath none.
fn rest_of<'a>(spec: &'a RefSpec, prefixes: &[String]) -> Option<&'a str> {
    let name = spec.name.as_str();
    let beneath = |prefix: &String| {
        let folder = match (prefix.split_once(':'), spec.remote.as_deref()) {
            (Some((remote, folder)), of) if of == Some(remote) => folder,
            (None, None) => prefix,
            _ => return None,
        };
        let folder = folder.trim_end_matches('/');
        if folder.is_empty() || folder == name { Some(name) } else { spec.name.beneath(folder) }
    };
    if prefixes.is_empty() { Some(name) } else { prefixes.iter().find_map(beneath) }
}

fn delete(cx: &Context<'_>, repo: &Repo, arguments: &Arguments) -> Result<(), Fault> {
    if arguments.prefixes.iter().any(|prefix| prefix.trim_end_matches('/').is_empty()) {
        return Err(ALL_REFS.into());
    }
    let prefixes: Vec<String> =
        arguments.prefixes.iter().map(|prefix| of_image(repo, prefix)).collect::<Result<_, Fault>>()?;
    let transaction = repo.begin(cx)?;
    for (spec, _) in repo.refs()? {
        if rest_of(&spec, &prefixes).is_some() {
            transaction.set_ref(&spec, None);
        }
    }
    transaction.finish()?;
    Ok(())
}

/// The ref of a kept image, where that is what was named: no ref holds two slashes.
fn of_image(repo: &Repo, name: &str) -> Result<String, Fault> {
    if name.contains("://") { Ok(kept::spec_of(repo, name)?.to_string()) } else { Ok(name.to_owned()) }
}

fn create(cx: &Context<'_>, repo: &Repo, name: &RefSpec, arguments: &Arguments) -> Result<(), Fault> {
    let [rev] = &arguments.prefixes[..] else { return Err(ONE_COMMIT.into()) };
    let id = repo.resolve(rev)?;
    if !arguments.force && (repo.find_ref(name)?.is_some() || name.name.is_like_commit()) {
        return Err(RepoError::RefExists { name: name.to_string().into() }.into());
    }
    let transaction = repo.begin(cx)?;
    transaction.set_ref(name, Some(&id));
    transaction.finish()?;
    Ok(())
}

const ALL_REFS: orlop::Error = orlop::Error::Unfit {
    what: "an empty prefix means every ref, and none is taken away by that",
    hint: "name refs, or folders of them: orlop ostree refs --list prints all",
};

const ONE_COMMIT: orlop::Error = orlop::Error::Unfit {
    what: "a ref leads to one commit, and several were named",
    hint: "make refs one by one, with --create=REF REV",
};
