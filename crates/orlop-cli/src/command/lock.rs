//! `orlop lock REF…`

use super::Outcome;
use crate::flags::{Format, Places, Show, Unlocked};
use crate::output::listing;
use crate::shell::Shell;
use clap::Args;
use orlop::layer::path::printable;
use orlop::lock::{self, Entry};
use orlop::short_name::qualified;
use orlop::spec::reference::{Bare, LoneStream, Reference};
use orlop::spec::{Fault, Lock};
use orlop::transport::{self, Outside};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Note which digests names stand for, so that later commands use just those.
///
/// Without --output or --update the lock is printed. Where a file is written, what is new in it is told: each name, and the
/// digest that it stands for now.
#[derive(Args)]
pub struct Arguments {
    /// Images to lock
    #[arg(value_name = "REF", required_unless_present = "update")]
    references: Vec<OsString>,
    /// Write the lock to this file
    #[arg(long, value_name = "FILE", conflicts_with = "update")]
    output: Option<PathBuf>,
    /// Look up again what this file lists, add REF, and write it anew
    #[arg(long, value_name = "FILE")]
    update: Option<PathBuf>,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    places: Places<Unlocked>,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let mut lock = match &arguments.update {
        Some(file) => lock::read(file)?.lock,
        None => Lock::default(),
    };
    let entries = shell.look(|cx| {
        let outside = arguments.places.outside(cx);
        let references = references(&lock, &arguments.references, &outside)?;
        let entries = lock::lock(cx, &mut lock, &references, &outside)?;
        if let Some(file) = arguments.update.as_ref().or(arguments.output.as_ref()) {
            lock::write(file, &lock)?;
        }
        Ok(entries)
    })?;
    let is_written = arguments.update.is_some() || arguments.output.is_some();
    shell.print(match arguments.show.format {
        Format::Json => {
            let entries: Vec<Value> = entries.iter().map(value).collect();
            listing("locked", &entries)
        }
        Format::Human if is_written => entries.iter().filter(|entry| entry.is_news()).map(line).collect(),
        Format::Human => lock.to_string(),
    })?;
    Ok(Outcome::Done)
}

/// What is locked already, and what is added; each once, in order.
fn references(lock: &Lock, further: &[OsString], outside: &Outside<'_>) -> Result<Vec<Reference>, Fault> {
    let known = lock.names().map(OsStr::new);
    let words = known.chain(further.iter().map(OsString::as_os_str));
    let whole = |word| {
        let reference = transport::parse(word, Bare::Registry, LoneStream::Refused)?;
        qualified(word, reference, outside)
    };
    let mut references = words.map(whole).collect::<Result<Vec<_>, _>>()?;
    references.sort_by_cached_key(Reference::to_os_string);
    references.dedup();
    Ok(references)
}

/// `added REF DIGEST` or `moved REF DIGEST DIGEST`
fn line(entry: &Entry) -> String {
    let Entry { reference, root, before } = entry;
    let name = reference.to_string();
    let name = printable(&name);
    match before {
        Some(before) => format!("moved {name} {} {}\n", before.digest, root.digest),
        None => format!("added {name} {}\n", root.digest),
    }
}

fn value(entry: &Entry) -> Value {
    let Entry { reference, root, before } = entry;
    json!({
        "name": reference.to_string(),
        "digest": root.digest,
        "media_type": root.media_type,
        "size": root.size,
        "before": before.as_ref().map(|before| &before.digest),
    })
}
