//! `--owner`: what is done about the owners of files.

use crate::environment;
use clap::{Args, ValueEnum};
use orlop::fs::namespace;
use orlop::fs::owner::Owner;
use orlop::fs::privilege::Privileges;
use orlop::fs::scan::check_fakeroot;
use orlop::spec::Fault;

/// For verbs that write or read files with owners.
#[derive(Args, Debug)]
pub struct Owners {
    /// What is done about the owners of files [default: exact for whoever may set them, and under fakeroot; else
    /// record]
    #[arg(long, value_name = "HOW")]
    owner: Option<Choice>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// As stored.
    Exact,
    /// As stored, through a user namespace with the caller's subordinate ids.
    Map,
    /// Everything is the caller's; when building, 0:0.
    Squash,
    /// As `squash`, and the owner is kept in the attribute `user.rootlesscontainers`.
    Record,
}

impl Owners {
    /// Whether anything was asked for.
    pub fn is_given(&self) -> bool {
        self.owner.is_some()
    }

    /// What fits the caller.
    pub fn fitting() -> Result<Owner, Fault> {
        Self { owner: None }.owner()
    }

    /// As stored; refuses where fakeroot pretends owners that this program cannot see.
    pub fn exact() -> Result<Owner, Fault> {
        Self { owner: Some(Choice::Exact) }.owner()
    }

    /// As stored, through a user namespace, which is entered.
    pub fn map() -> Result<Owner, Fault> {
        Self { owner: Some(Choice::Map) }.owner()
    }

    /// What was asked for, or what fits the caller. Refuses where fakeroot pretends owners that this program
    /// cannot see.
    pub fn owner(&self) -> Result<Owner, Fault> {
        let fakeroot = environment::fakeroot();
        check_fakeroot(fakeroot)?;
        Ok(match self.owner {
            Some(Choice::Exact) => Owner::Exact,
            Some(Choice::Map) => {
                // Before any thread is started: a process with several cannot enter.
                namespace::enter()?;
                Owner::Map
            }
            Some(Choice::Squash) => Owner::Squash,
            Some(Choice::Record) => Owner::Record,
            None => Owner::fitting(Privileges::current(), fakeroot),
        })
    }
}
