//! `orlop fsck`

use super::Outcome;
use crate::flags::{Format, Places, Show, Unlocked, Work};
use crate::output::{Align, Table, size};
use crate::report;
use crate::shell::Shell;
use clap::Args;
use orlop::fsck::{self, Checked, Finding, Mended, Wrong};
use orlop::spec::{Event, Fault};
use serde_json::{Value, json};

/// Prove everything that the local store holds, and repair it.
///
/// Every document, layer, content and name is read and compared with its digest, and what names need is looked for. What is
/// damaged or missing is told with the names of the images that need it; the exit code is 8 then. Nothing is removed.
#[derive(Args)]
pub struct Arguments {
    /// Put right what can be had again: from kept blobs, from other layers, from where the images came from
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    places: Places<Unlocked>,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let found = shell.read(&arguments.work, |cx| {
        let Some(store) = arguments.places.store.open_if_any(cx)? else { return Ok(Mended::default()) };
        if !arguments.repair {
            return Ok(Mended { checked: fsck::check(cx, &store)?, ..Mended::default() });
        }
        let mended = fsck::repair(cx, &store, &arguments.places.outside(cx))?;
        for fault in &mended.faults {
            cx.observer.event(Event::Warned(report::line(fault)));
        }
        Ok(mended)
    })?;
    shell.print(match arguments.show.format {
        Format::Human => lines(&found),
        Format::Json => format!("{}\n", value(&found)),
    })?;
    Ok(if found.checked.findings.is_empty() { Outcome::Done } else { Outcome::Found })
}

fn lines(found: &Mended) -> String {
    let Checked { findings, files, bytes, unproven } = &found.checked;
    let columns = ["WRONG", "WHAT", "DIGEST", "NEEDED BY"].map(|title| (title, Align::Left));
    let mut table = Table::new(&columns);
    for (findings, word) in [(&found.mended, Some("repaired")), (findings, None)] {
        for finding in findings {
            let wrong = word.unwrap_or(self::word(finding.wrong)).to_owned();
            let what = finding.item.kind().to_owned();
            table.row([wrong, what, finding.item.to_string(), needed_by(finding)]);
        }
    }
    let table = if findings.is_empty() && found.mended.is_empty() { String::new() } else { table.print() };
    let unproven = match unproven {
        0 => String::new(),
        count => format!(", {count} of an unknown algorithm"),
    };
    format!("{table}{files} files, {}{unproven}: {} damaged or missing\n", size(*bytes), findings.len())
}

fn word(wrong: Wrong) -> &'static str {
    match wrong {
        Wrong::Damaged => "damaged",
        Wrong::Unreadable => "unreadable",
        Wrong::Missing => "missing",
    }
}

fn needed_by(finding: &Finding) -> String {
    match &finding.names[..] {
        [] => "-".into(),
        names => names.join(", "),
    }
}

fn value(found: &Mended) -> Value {
    let Checked { findings, files, bytes, unproven } = &found.checked;
    let list = |findings: &[Finding]| findings.iter().map(object).collect::<Vec<_>>();
    json!({
        "version": 1,
        "files": files,
        "bytes": bytes,
        "unproven": unproven,
        "findings": list(findings),
        "repaired": list(&found.mended),
    })
}

fn object(finding: &Finding) -> Value {
    json!({
        "what": finding.item.kind(),
        "path": finding.item.path(),
        "digest": finding.item.digest(),
        "wrong": word(finding.wrong),
        "names": finding.names,
    })
}
