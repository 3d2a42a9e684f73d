//! `orlop ostree summary`

use super::{Outcome, Repository, date};
use crate::environment;
use crate::shell::Shell;
use clap::Args;
use orlop::host::ostree::Variant;
use orlop::host::ostree::repo::RepoError;
use orlop::host::ostree::summary::{COMMIT_TIME, Summary};
use orlop::host::ostree::variant::{Bytes, Types, View};
use orlop::layer::path::printable;
use orlop::spec::Fault;
use std::fmt::Write as _;

/// Make the summary of a repository, or print it.
///
/// The summary tells clients what refs there are. It says that it was made at $SOURCE_DATE_EPOCH, else when the newest of the commits
/// was. Signatures of an older summary are removed.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// Make it
    #[arg(short, long, required_unless_present_any = ["view", "raw"], conflicts_with_all = ["view", "raw"])]
    update: bool,
    /// Print it
    #[arg(short, long)]
    view: bool,
    /// Print the value that it is
    #[arg(long)]
    raw: bool,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let text = shell.look(|cx| {
        let repo = arguments.repository.open(cx)?;
        if arguments.update {
            let time = environment::source_date_epoch()?;
            repo.update_summary(time.map(|time| u64::try_from(time.seconds()).unwrap_or(0)))?;
            return Ok(String::new());
        }
        let summary = repo.summary()?.ok_or(RepoError::NoSummary)?;
        if !arguments.raw {
            return Ok(told(&summary));
        }
        let bytes = summary.to_bytes();
        let view = View::parse("(a(s(taya{sv}))a{sv})", &bytes).expect("printed from a summary");
        Ok(view.print(Bytes::BigEndian, Types::Told) + "\n")
    })?;
    shell.print(text)?;
    Ok(Outcome::Done)
}

fn told(summary: &Summary) -> String {
    let mut text = String::new();
    let mut line = |shown: std::fmt::Arguments<'_>| {
        let shown = shown.to_string();
        writeln!(text, "{}", printable(&shown)).expect("a string takes everything");
    };
    for entry in &summary.refs {
        line(format_args!("* {}", entry.name));
        line(format_args!("    Latest Commit ({} bytes):", entry.size));
        line(format_args!("      {}", entry.commit));
        if let Some(time) = entry.metadata.get(COMMIT_TIME).and_then(Variant::as_u64_swapped) {
            line(format_args!("    Timestamp ({COMMIT_TIME}): {}", date(time)));
        }
        line(format_args!(""));
    }
    for (key, value) in summary.metadata.iter() {
        line(format_args!("{key}: {}", value.view().print(Bytes::BigEndian, Types::Known)));
    }
    text
}
