//! `orlop aci validate PATH…`

use super::super::Outcome;
use crate::flags::{Format, Places, Show, Work};
use crate::output::level;
use crate::shell::Shell;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use orlop::aci::Finding;
use orlop::aci::check::check;
use orlop::layer::path::printable;
use orlop::spec::Fault;
use orlop::spec::validate::Severity;
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// Say what is wrong with App Container Images.
///
/// Looked at are the manifest, the members of the tar, and whether the files are there that the manifest names. What actool
/// refuses is an error here too. Errors give exit code 8; warnings do not.
#[derive(Args)]
pub struct Arguments {
    /// Images, manifests in files of their own, or folders with `manifest` and `rootfs`
    #[arg(required = true, value_name = "PATH", value_parser = OsStringValueParser::new().map(path))]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let found = shell.read(&arguments.work, |cx| {
        let outside = arguments.places.outside(cx);
        let check = |path: &PathBuf| Ok((path.display().to_string(), check(cx, path, &outside)?));
        arguments.paths.iter().map(check).collect::<Result<Vec<_>, Fault>>()
    })?;
    let errors =
        found.iter().flat_map(|(_, findings)| findings).filter(|it| it.severity == Severity::Error).count();
    shell.print(match arguments.show.format {
        Format::Human => lines(&found, errors),
        Format::Json => format!("{}\n", document(&found, errors)),
    })?;
    Ok(if errors > 0 { Outcome::Found } else { Outcome::Done })
}

/// A file may be named as a place, too.
fn path(word: OsString) -> PathBuf {
    match word.as_bytes().strip_prefix(b"aci:") {
        Some(path) => OsStr::from_bytes(path).into(),
        None => word.into(),
    }
}

fn lines(found: &[(String, Vec<Finding>)], errors: usize) -> String {
    let lines: String = found
        .iter()
        .flat_map(|(path, findings)| findings.iter().map(move |finding| line(path, finding)))
        .collect();
    let count: usize = found.iter().map(|(_, findings)| findings.len()).sum();
    format!("{lines}{errors} errors, {} warnings\n", count - errors)
}

fn line(path: &str, Finding { rule, severity, place, what }: &Finding) -> String {
    let told = format!("{path}: {rule}: {place}: {what}");
    format!("{}: {}\n", level(*severity), printable(&told))
}

fn document(found: &[(String, Vec<Finding>)], errors: usize) -> Value {
    let object = |Finding { rule, severity, place, what }: &Finding| json!({ "rule": rule, "severity": level(*severity), "place": place, "what": what });
    let image = |(path, findings): &(String, Vec<Finding>)| json!({ "path": path, "findings": findings.iter().map(object).collect::<Vec<_>>() });
    json!({ "version": 1, "broken": errors > 0, "images": found.iter().map(image).collect::<Vec<_>>() })
}
