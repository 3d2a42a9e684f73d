//! `orlop flatpak lint REF`

use super::super::Outcome;
use crate::flags::{Format, OnePlatform, Place, Show, Work};
use crate::output::level;
use crate::shell::Shell;
use clap::Args;
use orlop::flatpak::Finding;
use orlop::flatpak::lint::lint;
use orlop::image::Image;
use orlop::layer::path::printable;
use orlop::spec::Fault;
use orlop::spec::validate::Severity;
use serde_json::{Value, json};

/// Say what keeps flatpak from installing an image, and what to do about it.
///
/// Labels, the file `metadata`, machine, layers and tree are looked at, and every layer is read and proven. Errors give
/// exit code 8; warnings do not.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let findings = shell.read(&arguments.work, |cx| {
        let place = arguments.place.open(cx)?;
        let image = Image::fetch(cx, place.source(), place.selector(), &arguments.platform.platform())?;
        lint(cx, &image)
    })?;
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    shell.print(match arguments.show.format {
        Format::Human => {
            let lines: String = findings.iter().map(line).collect();
            format!("{lines}{errors} errors, {} warnings\n", findings.len() - errors)
        }
        Format::Json => {
            let findings: Vec<Value> = findings.iter().map(object).collect();
            format!("{}\n", json!({ "version": 1, "broken": errors > 0, "findings": findings }))
        }
    })?;
    Ok(if errors > 0 { Outcome::Found } else { Outcome::Done })
}

fn line(finding: &Finding) -> String {
    let Finding { rule, severity, place, what, cure } = finding;
    let place = if place.is_empty() { String::new() } else { format!("{}: ", printable(place)) };
    format!("{}: {rule}: {place}{}; {}\n", level(*severity), printable(what), printable(cure))
}

fn object(finding: &Finding) -> Value {
    let Finding { rule, severity, place, what, cure } = finding;
    json!({ "rule": rule, "severity": level(*severity), "place": place, "what": what, "cure": cure })
}
