//! `orlop validate REF`

use super::Outcome;
use crate::flags::{Format, Place, Show, Work};
use crate::output::level;
use crate::shell::Shell;
use clap::Args;
use orlop::layer::path::printable;
use orlop::spec::Fault;
use orlop::spec::port::Selector;
use orlop::spec::validate::Severity;
use orlop::validate::{self, More, Problem, Verdict};
use serde_json::{Value, json};

/// Check an image, or everything in a place, against the laws of the specification.
///
/// Every blob is read and proven, layers are opened, and all findings are told, not only the first. Errors give exit
/// code 8; warnings do not.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let verdict = shell.read(&arguments.work, |cx| {
        let place = arguments.place.open(cx)?;
        match place.selector() {
            Selector::Only => validate::place(cx, place.catalog()),
            selector => validate::image(cx, place.source(), selector),
        }
    })?;
    shell.print(match arguments.show.format {
        Format::Human => lines(&verdict),
        Format::Json => format!("{}\n", document(&verdict)),
    })?;
    Ok(if verdict.is_broken() { Outcome::Found } else { Outcome::Done })
}

fn lines(verdict: &Verdict) -> String {
    let problems: String = verdict.problems.iter().map(line).collect();
    let more: String = verdict.more.iter().map(rest).collect();
    let (errors, warnings) = (count(verdict, Severity::Error), count(verdict, Severity::Warning));
    format!("{problems}{more}{} blobs, {errors} errors, {warnings} warnings\n", verdict.blobs)
}

fn count(verdict: &Verdict, severity: Severity) -> u64 {
    let told = verdict.problems.iter().filter(|problem| problem.severity == severity).count();
    let more = verdict.more.iter().filter(|more| more.severity == severity).map(|more| more.count);
    told as u64 + more.sum::<u64>()
}

fn rest(More { rule, severity, count }: &More) -> String {
    format!("{}: {rule}: and {count} more\n", level(*severity))
}

fn line(problem: &Problem) -> String {
    let Problem { blob, rule, severity, place, what } = problem;
    let blob = blob.as_ref().map_or_else(|| "names".to_owned(), ToString::to_string);
    let place = if place.is_empty() { String::new() } else { format!("{}: ", printable(place)) };
    format!("{}: {blob}: {rule}: {place}{}\n", level(*severity), printable(what))
}

fn document(verdict: &Verdict) -> Value {
    let problems: Vec<Value> = verdict.problems.iter().map(object).collect();
    let more = verdict
        .more
        .iter()
        .map(|more| json!({ "rule": more.rule, "severity": level(more.severity), "count": more.count }));
    let more: Vec<Value> = more.collect();
    json!({
        "version": 1, "blobs": verdict.blobs, "broken": verdict.is_broken(), "problems": problems, "more": more,
    })
}

fn object(problem: &Problem) -> Value {
    let Problem { blob, rule, severity, place, what } = problem;
    json!({ "blob": blob, "rule": rule, "severity": level(*severity), "place": place, "what": what })
}
