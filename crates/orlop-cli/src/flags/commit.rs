//! What is said about a commit that an image becomes.

use super::Format;
use super::time_of_commit;
use crate::environment;
use clap::{Args, ValueEnum};
use orlop::ostree::target::{CommitWish, KeepLayers, VerifyId};
use orlop::spec::Fault;
use orlop::spec::time::Timestamp;

/// For verbs that make commits of images.
#[derive(Args, Debug)]
#[command(next_help_heading = "Commits")]
pub struct CommitFlags {
    /// Whether the commit that an image speaks of is given back with its id: auto, require, off [default: auto]
    #[arg(long, value_name = "HOW")]
    verify_id: Option<Choice>,
    /// When a new commit is made: RFC 3339, or seconds since 1970 with or without @ [default: $SOURCE_DATE_EPOCH, else when the image was
    /// made]
    #[arg(long, value_name = "TIME", value_parser = time_of_commit)]
    timestamp: Option<Timestamp>,
    /// Subject of a new commit
    #[arg(long, value_name = "TEXT", value_parser = text)]
    subject: Option<Box<str>>,
    /// Body of a new commit
    #[arg(long, value_name = "TEXT", value_parser = text)]
    body: Option<Box<str>>,
    /// Commit before a new one, as a ref or an id [default: none]
    #[arg(long, value_name = "COMMIT")]
    parent: Option<Box<str>>,
    /// Keep each layer by itself too, as `ostree:REPO@docker://…` does: other images share it, and the image can leave as it
    /// came, by `ostree:REPO@DIGEST`
    #[arg(long)]
    keep_layers: bool,
    /// Form of the result, and of an error [default: human]
    #[arg(long, value_name = "FORM")]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// Where it can be; else a new commit is made.
    Auto,
    /// It must be.
    Require,
    /// A new commit is made.
    Off,
}

impl CommitFlags {
    /// What was said.
    pub fn wish(&self) -> Result<CommitWish, Fault> {
        let verify = match self.verify_id {
            None | Some(Choice::Auto) => VerifyId::Auto,
            Some(Choice::Require) => VerifyId::Require,
            Some(Choice::Off) => VerifyId::Off,
        };
        Ok(CommitWish {
            verify,
            time: self.timestamp,
            epoch: environment::source_date_epoch()?,
            subject: self.subject.clone(),
            body: self.body.clone(),
            parent: self.parent.clone(),
            keep: if self.keep_layers { KeepLayers::Yes } else { KeepLayers::No },
        })
    }

    /// The form of the result.
    pub fn format(&self) -> Format {
        self.format.unwrap_or(Format::Human)
    }

    /// The flags that only a commit can honour, and whether they were given.
    pub fn given(&self) -> [(bool, &'static str); 6] {
        [
            (self.verify_id.is_some(), "--verify-id"),
            (self.timestamp.is_some(), "--timestamp"),
            (self.subject.is_some(), "--subject"),
            (self.body.is_some(), "--body"),
            (self.parent.is_some(), "--parent"),
            (self.keep_layers, "--keep-layers"),
        ]
    }
}

/// No text of a commit holds a NUL, which the command line cannot hold either.
fn text(text: &str) -> Result<Box<str>, &'static str> {
    if text.contains('\0') { Err("a text holds no NUL") } else { Ok(text.into()) }
}
