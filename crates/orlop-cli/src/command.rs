//! The verbs, one file each: arguments, a call of the library, the printed result.

mod aci;
mod append;
mod build;
mod bundle;
mod cat;
mod completions;
mod config;
mod convert;
mod copy;
mod delta;
mod diff;
mod digest;
mod du;
mod files;
mod flatpak;
mod flatten;
mod fsck;
mod gc;
mod images;
mod index;
mod insert;
mod inspect;
mod lock;
mod login;
mod logout;
mod ls;
mod man;
mod mount;
mod ostree;
mod pull;
mod push;
mod rebase;
mod reference;
mod repack;
mod revert;
mod rm;
mod run;
mod strip;
mod supervise;
mod sync;
mod tag;
mod tree;
mod umount;
mod unpack;
mod unshare;
mod untag;
mod validate;
mod verify;
mod version;

use crate::deferred::Deferred;
use crate::shell::Shell;
use clap::Subcommand;
use orlop::spec::Fault;

/// Everything that can be asked for, in the order of the manual.
#[derive(Subcommand)]
pub enum Verb {
    Inspect(Deferred<inspect::Arguments>),
    Ls(Deferred<ls::Arguments>),
    Digest(Deferred<digest::Arguments>),
    Files(Deferred<files::Arguments>),
    Cat(Deferred<cat::Arguments>),
    Du(Deferred<du::Arguments>),
    Diff(Deferred<diff::Arguments>),
    Tree(Deferred<tree::Arguments>),
    Validate(Deferred<validate::Arguments>),
    Verify(Deferred<verify::Arguments>),
    Copy(Deferred<Box<copy::Arguments>>),
    Sync(Deferred<Box<sync::Arguments>>),
    Pull(Deferred<pull::Arguments>),
    Push(Deferred<push::Arguments>),
    Lock(Deferred<lock::Arguments>),
    Login(Deferred<login::Arguments>),
    Logout(Deferred<logout::Arguments>),
    Build(Deferred<Box<build::Arguments>>),
    Config(Deferred<Box<config::Arguments>>),
    Append(Deferred<Box<append::Arguments>>),
    Insert(Deferred<Box<insert::Arguments>>),
    Rebase(Deferred<rebase::Arguments>),
    Flatten(Deferred<Box<flatten::Arguments>>),
    Convert(Deferred<Box<convert::Arguments>>),
    Strip(Deferred<Box<strip::Arguments>>),
    Unpack(Deferred<unpack::Arguments>),
    Bundle(Deferred<bundle::Arguments>),
    Repack(Deferred<Box<repack::Arguments>>),
    Revert(Deferred<Box<revert::Arguments>>),
    Run(Deferred<Box<run::Arguments>>),
    #[command(hide = true)]
    Supervise(Deferred<supervise::Arguments>),
    Images(Deferred<images::Arguments>),
    Mount(Deferred<mount::Arguments>),
    Umount(Deferred<umount::Arguments>),
    Unshare(Deferred<unshare::Arguments>),
    Tag(Deferred<tag::Arguments>),
    Untag(Deferred<untag::Arguments>),
    Rm(Deferred<rm::Arguments>),
    Gc(Deferred<gc::Arguments>),
    Fsck(Deferred<Box<fsck::Arguments>>),
    Index(Deferred<Box<index::Arguments>>),
    Delta(Deferred<delta::Arguments>),
    Ostree(Deferred<Box<ostree::Arguments>>),
    Aci(Deferred<aci::Arguments>),
    Flatpak(Deferred<flatpak::Arguments>),
    Completions(Deferred<completions::Arguments>),
    Man(Deferred<man::Arguments>),
    Version(Deferred<version::Arguments>),
    #[command(hide = true)]
    Reference(Deferred<reference::Arguments>),
}

/// How a verb ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Done,
    /// It compares, and found something; stdout says what. The exit code is 8.
    Found,
    /// The container ended with this code.
    Ended(u8),
    /// Some parts went well and some did not; stderr says which. The exit code is 7.
    Partial,
}

impl Verb {
    /// Does it.
    pub fn run(self, shell: &Shell) -> Result<Outcome, Fault> {
        match self {
            Self::Copy(arguments) => copy::run(&arguments, shell),
            Self::Sync(arguments) => sync::run(&arguments, shell),
            Self::Pull(arguments) => pull::run(&arguments, shell),
            Self::Push(arguments) => push::run(&arguments, shell),
            Self::Lock(arguments) => lock::run(&arguments, shell),
            Self::Login(arguments) => login::run(&arguments, shell),
            Self::Logout(arguments) => logout::run(&arguments, shell),
            Self::Build(arguments) => build::run(&arguments, shell),
            Self::Config(arguments) => config::run(&arguments, shell),
            Self::Append(arguments) => append::run(&arguments, shell),
            Self::Insert(arguments) => insert::run(&arguments, shell),
            Self::Rebase(arguments) => rebase::run(&arguments, shell),
            Self::Flatten(arguments) => flatten::run(&arguments, shell),
            Self::Convert(arguments) => convert::run(&arguments, shell),
            Self::Strip(arguments) => strip::run(&arguments, shell),
            Self::Inspect(arguments) => inspect::run(&arguments, shell),
            Self::Ls(arguments) => ls::run(&arguments, shell),
            Self::Diff(arguments) => diff::run(&arguments, shell),
            Self::Digest(arguments) => digest::run(&arguments, shell),
            Self::Files(arguments) => files::run(&arguments, shell),
            Self::Cat(arguments) => cat::run(&arguments, shell),
            Self::Du(arguments) => du::run(&arguments, shell),
            Self::Validate(arguments) => validate::run(&arguments, shell),
            Self::Verify(arguments) => verify::run(&arguments, shell),
            Self::Tree(arguments) => tree::run(&arguments, shell),
            Self::Unpack(arguments) => unpack::run(&arguments, shell),
            Self::Bundle(arguments) => bundle::run(&arguments, shell),
            Self::Repack(arguments) => repack::run(&arguments, shell),
            Self::Revert(arguments) => revert::run(&arguments, shell),
            Self::Images(arguments) => images::run(&arguments, shell),
            Self::Mount(arguments) => mount::run(&arguments, shell),
            Self::Umount(arguments) => umount::run(&arguments, shell),
            Self::Unshare(arguments) => unshare::run(&arguments, shell),
            Self::Tag(arguments) => tag::run(&arguments, shell),
            Self::Untag(arguments) => untag::run(&arguments, shell),
            Self::Rm(arguments) => rm::run(&arguments, shell),
            Self::Gc(arguments) => gc::run(&arguments, shell),
            Self::Run(arguments) => run::run(&arguments, shell),
            Self::Supervise(arguments) => supervise::run(&arguments, shell),
            Self::Fsck(arguments) => fsck::run(&arguments, shell),
            Self::Index(arguments) => index::run(&arguments, shell),
            Self::Delta(arguments) => delta::run(&arguments, shell),
            Self::Ostree(arguments) => ostree::run(&arguments, shell),
            Self::Aci(arguments) => aci::run(&arguments, shell),
            Self::Flatpak(arguments) => flatpak::run(&arguments, shell),
            Self::Completions(arguments) => completions::run(&arguments, shell),
            Self::Man(arguments) => man::run(&arguments, shell),
            Self::Version(arguments) => version::run(&arguments, shell),
            Self::Reference(arguments) => reference::run(&arguments, shell),
        }
    }
}
