//! `orlop du`: what the local store occupies.

use super::Arguments;
use crate::command::Outcome;
use crate::flags::Format;
use crate::output::{Align, Table, size};
use crate::shell::Shell;
use orlop::spec::Fault;
use orlop::store::usage::{OfImage, Part, Usage};
use serde_json::{Value, json};

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let usage = shell.read(&arguments.work, |cx| match arguments.places.store.open_if_any(cx)? {
        Some(store) => store.usage(cx),
        None => Ok(Usage::default()),
    })?;
    shell.print(match arguments.show.format {
        Format::Human => tables(&usage),
        Format::Json => format!("{}\n", value(&usage)),
    })?;
    Ok(Outcome::Done)
}

fn tables(usage: &Usage) -> String {
    let right = |title| (title, Align::Right);
    let mut parts = Table::new(&[("WHAT", Align::Left), right("FILES"), right("BYTES"), right("ON DISK")]);
    for part in usage.parts.iter().chain([&sum(&usage.parts)]) {
        parts.row([part.what.into(), part.count.to_string(), size(part.bytes), size(part.occupied)]);
    }
    let mut images = Table::new(&[("IMAGE", Align::Left), right("BYTES"), right("UNIQUE")]);
    for image in &usage.images {
        images.row([names(image).join(", "), size(image.bytes), size(image.unique)]);
    }
    format!("{}\n{}", parts.print(), images.print())
}

fn sum(parts: &[Part]) -> Part {
    let add = |sum: Part, part: &Part| Part {
        what: sum.what,
        count: sum.count + part.count,
        bytes: sum.bytes.saturating_add(part.bytes),
        occupied: sum.occupied.saturating_add(part.occupied),
    };
    parts.iter().fold(Part { what: "all", count: 0, bytes: 0, occupied: 0 }, add)
}

/// The names of an image; the digest where it has none.
fn names(image: &OfImage) -> Vec<String> {
    let names: Vec<String> = image.names.iter().filter_map(|name| name.tag().map(str::to_owned)).collect();
    if names.is_empty() { vec![image.root.digest.to_string()] } else { names }
}

fn value(usage: &Usage) -> Value {
    let part = |part: &Part| json!({ "what": part.what, "count": part.count, "bytes": part.bytes, "occupied": part.occupied });
    let image = |image: &OfImage| {
        let names: Vec<&str> = image.names.iter().filter_map(|name| name.tag()).collect();
        json!({ "names": names, "digest": image.root.digest, "bytes": image.bytes, "unique": image.unique })
    };
    json!({
        "version": 1,
        "parts": usage.parts.iter().map(part).collect::<Vec<_>>(),
        "images": usage.images.iter().map(image).collect::<Vec<_>>(),
    })
}
