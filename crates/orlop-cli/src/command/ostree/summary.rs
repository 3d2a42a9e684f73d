//! `orlop ostree summary`

use super::{Outcome, Repository, date};
use crate::environment;
use crate::shell::Shell;
use clap::Args;
use orlop::host::ostree::Variant;
use orlop::host::ostree::repo::RepoError;
use orlop::host::ostree::summary::{COLLECTION, COLLECTIONS, COMMIT_TIME, Summary, refs_of_collections};
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
        let mut repo = arguments.repository.open(cx)?;
        if arguments.update {
            let time = environment::source_date_epoch()?;
            repo.update_summary(cx, time.map(|time| u64::try_from(time.seconds()).unwrap_or(0)))?;
            return Ok(String::new());
        }
        let summary = repo.summary()?.ok_or(RepoError::NoSummary)?;
        if !arguments.raw {
            return told(&summary);
        }
        let bytes = summary.to_bytes();
        let view = View::parse("(a(s(taya{sv}))a{sv})", &bytes).expect("printed from a summary");
        Ok(view.print(Bytes::BigEndian, Types::Told) + "\n")
    })?;
    shell.print(text)?;
    Ok(Outcome::Done)
}

fn told(summary: &Summary) -> Result<String, Fault> {
    let mut text = String::new();
    let mut line = |shown: std::fmt::Arguments<'_>| {
        let shown = shown.to_string();
        writeln!(text, "{}", printable(&shown)).expect("a string takes everything");
    };
    let own = summary.metadata.get(COLLECTION).and_then(Variant::as_str);
    let others = summary.metadata.get(COLLECTIONS).map(refs_of_collections).transpose();
    let others = others.map_err(|why| RepoError::BadSummary { why })?.unwrap_or_default();
    let of_others = others.iter().flat_map(|(of, refs)| refs.iter().map(move |entry| (Some(&**of), entry)));
    for (of, entry) in summary.refs.iter().map(|entry| (own, entry)).chain(of_others) {
        match of {
            Some(of) => line(format_args!("* ({of}, {})", entry.name)),
            None => line(format_args!("* {}", entry.name)),
        }
        line(format_args!("    Latest Commit ({} bytes):", entry.size));
        line(format_args!("      {}", entry.commit));
        if let Some(time) = entry.metadata.get(COMMIT_TIME).and_then(Variant::as_u64_swapped) {
            line(format_args!("    Timestamp ({COMMIT_TIME}): {}", date(time)));
        }
        line(format_args!(""));
    }
    // The map was told above.
    for (key, value) in summary.metadata.iter().filter(|(key, _)| *key != COLLECTIONS) {
        line(format_args!("{key}: {}", value.view().print(Bytes::BigEndian, Types::Known)));
    }
    Ok(text)
}
