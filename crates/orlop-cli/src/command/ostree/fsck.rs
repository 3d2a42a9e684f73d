//! `orlop ostree fsck`

use super::{Outcome, Repository};
use crate::flags::{Format, Show, Work};
use crate::output::{Align, Table, size};
use crate::shell::Shell;
use clap::Args;
use orlop::host::ostree::repo::fsck::{Checked, Finding, Item, Wrong};
use orlop::spec::Fault;
use serde_json::{Value, json};

/// Prove everything that a repository holds.
///
/// Every object is read and hashed, and what commits and refs need is looked for. What is damaged or missing is told with the refs
/// that need it; the exit code is 8 then. Nothing is removed.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// Print nothing where nothing is wrong
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let checked = shell.read(&arguments.work, |cx| Ok(arguments.repository.open(cx)?.check(cx)?))?;
    let is_clean = checked.findings.is_empty();
    if !(arguments.quiet && is_clean) {
        shell.print(match arguments.show.format {
            Format::Human => lines(&checked),
            Format::Json => format!("{}\n", value(&checked)),
        })?;
    }
    Ok(if is_clean { Outcome::Done } else { Outcome::Found })
}

fn lines(checked: &Checked) -> String {
    let Checked { findings, commits, partial, objects, bytes } = checked;
    let mut table = Table::new(&["WRONG", "WHAT", "NEEDED BY"].map(|title| (title, Align::Left)));
    for finding in findings {
        let needed_by = if finding.needed_by.is_empty() { "-".into() } else { finding.needed_by.join(", ") };
        table.row([word(finding.wrong).into(), finding.item.to_string(), needed_by]);
    }
    let table = if findings.is_empty() { String::new() } else { table.print() };
    let partial = if *partial == 0 { String::new() } else { format!(" ({partial} of them in part)") };
    let size = size(*bytes);
    format!(
        "{table}{commits} commits{partial}, {objects} objects, {size}: {} damaged or missing\n",
        findings.len()
    )
}

fn word(wrong: Wrong) -> &'static str {
    match wrong {
        Wrong::Damaged => "damaged",
        Wrong::Missing => "missing",
        Wrong::Dangling => "dangling",
    }
}

fn value(checked: &Checked) -> Value {
    let Checked { findings, commits, partial, objects, bytes } = checked;
    json!({
        "version": 1,
        "commits": commits,
        "partial": partial,
        "objects": objects,
        "bytes": bytes,
        "findings": findings.iter().map(object).collect::<Vec<_>>(),
    })
}

fn object(finding: &Finding) -> Value {
    let what = match finding.item {
        Item::Ref(_) => "ref",
        Item::Object(_) => "object",
    };
    json!({
        "what": what,
        "name": finding.item.to_string(),
        "wrong": word(finding.wrong),
        "needed_by": finding.needed_by,
    })
}
