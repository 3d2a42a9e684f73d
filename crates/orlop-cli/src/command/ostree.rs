//! `orlop ostree …`

mod cat;
mod checkout;
mod commit;
mod diff;
mod export;
mod fsck;
mod images;
mod init;
mod layers;
mod log;
mod ls;
mod prune;
mod pull;
mod refs;
mod remote;
mod rev_parse;
mod show;
mod summary;

use super::Outcome;
use crate::deferred::Deferred;
use crate::environment;
use crate::shell::Shell;
use clap::{Args, Subcommand};
use orlop::host::ostree::Repo;
use orlop::spec::reference::{Bare, LoneStream, Transport};
use orlop::spec::time::Timestamp;
use orlop::spec::{Context, Fault};
use orlop::transport;
use std::ffi::OsString;
use std::path::PathBuf;

/// Work on repositories of OSTree, with the words and results of `ostree`.
///
/// Repositories of the modes bare, bare-user, bare-user-only and archive are read and written, bare-split-xattrs is read. What is
/// written is what `ostree` would write: the same ids, in the same places.
#[derive(Args)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs", disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Init(Deferred<init::Arguments>),
    Commit(Deferred<Box<commit::Arguments>>),
    Checkout(Deferred<Box<checkout::Arguments>>),
    Log(Deferred<log::Arguments>),
    Ls(Deferred<ls::Arguments>),
    Refs(Deferred<refs::Arguments>),
    RevParse(Deferred<rev_parse::Arguments>),
    Show(Deferred<show::Arguments>),
    Diff(Deferred<diff::Arguments>),
    Cat(Deferred<cat::Arguments>),
    Fsck(Deferred<Box<fsck::Arguments>>),
    Prune(Deferred<Box<prune::Arguments>>),
    Summary(Deferred<summary::Arguments>),
    Export(Deferred<Box<export::Arguments>>),
    Remote(Deferred<remote::Arguments>),
    Pull(Deferred<Box<pull::Arguments>>),
    Images(Deferred<images::Arguments>),
    Layers(Deferred<layers::Arguments>),
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    match &arguments.verb {
        Verb::Init(arguments) => init::run(arguments, shell),
        Verb::Commit(arguments) => commit::run(arguments, shell),
        Verb::Checkout(arguments) => checkout::run(arguments, shell),
        Verb::Log(arguments) => log::run(arguments, shell),
        Verb::Ls(arguments) => ls::run(arguments, shell),
        Verb::Refs(arguments) => refs::run(arguments, shell),
        Verb::RevParse(arguments) => rev_parse::run(arguments, shell),
        Verb::Show(arguments) => show::run(arguments, shell),
        Verb::Diff(arguments) => diff::run(arguments, shell),
        Verb::Cat(arguments) => cat::run(arguments, shell),
        Verb::Fsck(arguments) => fsck::run(arguments, shell),
        Verb::Prune(arguments) => prune::run(arguments, shell),
        Verb::Summary(arguments) => summary::run(arguments, shell),
        Verb::Export(arguments) => export::run(arguments, shell),
        Verb::Remote(arguments) => remote::run(arguments, shell),
        Verb::Pull(arguments) => pull::run(arguments, shell),
        Verb::Images(arguments) => images::run(arguments, shell),
        Verb::Layers(arguments) => layers::run(arguments, shell),
    }
}

/// Which repository.
#[derive(Args, Debug)]
pub struct Repository {
    /// The repository [default: the current folder where it is one, else $OSTREE_REPO, else /ostree/repo]
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
}

impl Repository {
    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        self.repo.clone().unwrap_or_else(environment::ostree_repository)
    }

    /// Opens it.
    pub fn open(&self, cx: &Context<'_>) -> Result<Repo, Fault> {
        Ok(Repo::open(&self.folder(), cx.limits)?)
    }
}

/// The image that a word means where layouts are meant: without a transport it is a folder, perhaps with a tag.
fn oci_image(word: &str) -> OsString {
    let parsed = |bare| transport::parse(word.as_ref(), bare, LoneStream::Refused).ok();
    let is_said = match (parsed(Bare::Store), parsed(Bare::Registry)) {
        (Some(of_store), Some(of_registry)) => {
            of_store == of_registry && !matches!(of_store.transport, Transport::Local(_))
        }
        _ => false,
    };
    if is_said { word.into() } else { format!("oci:{word}").into() }
}

/// A time of a commit, as `ostree` shows it.
fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::new(seconds, 0).ok());
    match time {
        Some(time) => time.to_string().replace('T', " ").replace('Z', " +0000"),
        None => format!("@{seconds}"),
    }
}
