//! `orlop ostree log`

use super::{Outcome, Repository, date};
use crate::shell::Shell;
use clap::Args;
use orlop::host::ostree::{Commit, Kind, ObjectId, ObjectName};
use orlop::layer::path::printable;
use orlop::spec::Fault;
use std::fmt::Write as _;

/// Print a commit and the commits before it.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// The newest of them
    #[arg(value_name = "REV")]
    rev: String,
    /// Print commits as the values that they are
    #[arg(long)]
    raw: bool,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let lines = shell.look(|cx| {
        let repo = arguments.repository.open(cx)?;
        let history = repo.history(cx, &repo.resolve(&arguments.rev)?)?;
        let mut lines = String::new();
        for (id, commit) in &history.commits {
            if arguments.raw {
                let raw = repo.print(&ObjectName::new(*id, Kind::Commit))?;
                writeln!(lines, "commit {id}\n{raw}").expect("a string takes everything");
            } else {
                lines += &told(id, commit);
            }
        }
        if history.beyond.is_some() {
            lines += "<< History beyond this commit not fetched >>\n";
        }
        Ok(lines)
    })?;
    shell.print(lines)?;
    Ok(Outcome::Done)
}

/// A commit for eyes.
pub fn told(id: &ObjectId, commit: &Commit) -> String {
    let mut text = format!("commit {id}\n");
    let mut line = |name: &str, value: &str| {
        writeln!(text, "{name}{}", printable(value)).expect("a string takes everything");
    };
    if let Some(parent) = commit.parent {
        line("Parent:  ", &parent.to_string());
    }
    line("ContentChecksum:  ", &commit.content_id().to_string());
    line("Date:  ", &date(commit.time));
    if let Some(version) = commit.metadata.get("version").and_then(|version| version.as_str()) {
        line("Version: ", version);
    }
    match commit.subject.as_str() {
        "" => text += "(no subject)\n",
        subject => text += &indented(subject),
    }
    if !commit.body.is_empty() {
        text += &indented(&commit.body);
    }
    text + "\n"
}

fn indented(text: &str) -> String {
    let lines = text.split('\n').map(|line| format!("    {}\n", printable(line)));
    format!("\n{}", lines.collect::<String>())
}
