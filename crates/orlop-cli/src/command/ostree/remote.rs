//! `orlop ostree remote`

use super::{Outcome, Repository};
use crate::shell::Shell;
use clap::{Args, Subcommand};
use orlop::host::ostree::remote::{ExistingRemote, RemoteOptions, Signatures, registry_url};
use orlop::host::ostree::repo::RepoError;
use orlop::layer::path::printable;
use orlop::spec::Fault;
use std::fmt::Write as _;

/// Add, list and delete remotes, which are the places that a repository fetches from.
///
/// They stand in the repository's config, where `ostree` and `flatpak` find them.
#[derive(Args)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs", disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Add a remote
    ///
    /// With --oci it is a registry, whose images `orlop ostree pull` makes commits of.
    Add(Add),
    /// List the remotes
    List(List),
    /// Print the address of a remote
    ShowUrl(ShowUrl),
    /// Delete a remote; its refs stay
    Delete(Delete),
}

#[expect(clippy::struct_excessive_bools, reason = "flags, as `ostree remote add` has them")]
#[derive(Args)]
struct Add {
    #[command(flatten)]
    repository: Repository,
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// Where it is; with --oci, HOST[:PORT][/PATH] with or without https:// or, for a registry without TLS, http:// before it; beyond this machine `pull` needs --insecure HOST then
    #[arg(value_name = "URI")]
    url: String,
    /// Branches that are fetched where none is named
    #[arg(value_name = "BRANCH", conflicts_with = "oci")]
    branches: Vec<String>,
    /// It is a registry of images
    #[arg(long)]
    oci: bool,
    /// Set a further key
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::commit::pair)]
    set: Vec<(String, String)>,
    /// Commits need no signature by gpg; of images none has one
    #[arg(long)]
    no_gpg_verify: bool,
    /// Leave a remote of the name as it is
    #[arg(long, conflicts_with = "force")]
    if_not_exists: bool,
    /// Replace a remote of the name
    #[arg(long)]
    force: bool,
}

#[derive(Args)]
struct List {
    #[command(flatten)]
    repository: Repository,
    /// Print the addresses too
    #[arg(short = 'u', long)]
    show_urls: bool,
}

#[derive(Args)]
struct ShowUrl {
    #[command(flatten)]
    repository: Repository,
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Args)]
struct Delete {
    #[command(flatten)]
    repository: Repository,
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// Do nothing where there is none
    #[arg(long)]
    if_exists: bool,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let lines = match &arguments.verb {
        Verb::Add(add) => add.run(shell).map(|()| String::new()),
        Verb::List(list) => list.run(shell),
        Verb::ShowUrl(ShowUrl { repository, name }) => shell.look(|cx| {
            let url = repository.open(cx)?.remote(name)?.url;
            Ok(format!("{}\n", printable(&url.unwrap_or_default())))
        }),
        Verb::Delete(delete) => delete.run(shell).map(|()| String::new()),
    }?;
    shell.print(lines)?;
    Ok(Outcome::Done)
}

impl Add {
    fn run(&self, shell: &Shell) -> Result<(), Fault> {
        let is_unsigned = self.no_gpg_verify || self.oci;
        let options = RemoteOptions {
            branches: self.branches.clone(),
            set: self.set.clone(),
            signatures: if is_unsigned { Signatures::Unneeded } else { Signatures::Unsaid },
            existing: match self {
                Self { if_not_exists: true, .. } => ExistingRemote::Keep,
                Self { force: true, .. } => ExistingRemote::Replace,
                _ => ExistingRemote::Refuse,
            },
        };
        let url = if self.oci { registry_url(&self.url) } else { self.url.as_str().into() };
        shell.look(|cx| Ok(self.repository.open(cx)?.add_remote(&self.name, &url, &options)?))
    }
}

impl List {
    fn run(&self, shell: &Shell) -> Result<String, Fault> {
        let remotes = shell.look(|cx| Ok(self.repository.open(cx)?.remotes()?))?;
        let width = remotes.iter().map(|remote| remote.name.chars().count()).max().unwrap_or(0);
        let mut lines = String::new();
        for remote in remotes {
            let name = printable(&remote.name);
            match remote.url.filter(|_| self.show_urls) {
                Some(url) => writeln!(lines, "{name:width$}  {}", printable(&url)),
                None => writeln!(lines, "{name}"),
            }
            .expect("a string takes everything");
        }
        Ok(lines)
    }
}

impl Delete {
    fn run(&self, shell: &Shell) -> Result<(), Fault> {
        shell.look(|cx| match self.repository.open(cx)?.remove_remote(&self.name) {
            Err(orlop::host::Error::Repo(RepoError::NoSuchRemote { .. })) if self.if_exists => Ok(()),
            done => Ok(done?),
        })
    }
}
