//! `orlop gc [PLACE]`

use super::Outcome;
use crate::flags::{Format, Places, Show, Unlocked};
use crate::output::{Align, Table, size};
use crate::shell::Shell;
use clap::Args;
use orlop::run;
use orlop::spec::Fault;
use orlop::spec::port::{Sweep, Swept};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::time::Duration;

/// Remove what no name of a place reaches, by default of the local store.
///
/// In the store, mounts, containers and programs that are at work keep what they use, and nobody has to wait.
#[derive(Args)]
pub struct Arguments {
    /// The place [default: the local store]
    #[arg(value_name = "PLACE")]
    place: Option<OsString>,
    #[command(flatten)]
    places: Places<Unlocked>,
    /// Spare blobs younger than this: other programs may be about to name them
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    grace: Duration,
    /// Only tell what would be removed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    show: Show,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let mode = if arguments.dry_run { Sweep::DryRun } else { Sweep::Remove };
    let swept = shell.look(|cx| {
        if arguments.place.is_none() && mode == Sweep::Remove {
            run::clear_store(&arguments.places.store.folder())?;
        }
        let place = arguments.places.keep_or_store(arguments.place.as_deref(), cx)?;
        orlop::keep::gc(&*place.keeper, &place.reference.selector, arguments.grace, mode)
    })?;
    shell.print(match arguments.show.format {
        Format::Human => table(&swept, mode),
        Format::Json => format!("{}\n", value(&swept, mode)),
    })?;
    Ok(Outcome::Done)
}

fn table(swept: &Swept, mode: Sweep) -> String {
    let heading = match mode {
        Sweep::Remove => "REMOVED",
        Sweep::DryRun => "TO BE REMOVED",
    };
    let mut table = Table::new(&[(heading, Align::Left), ("SIZE", Align::Right)]);
    for (digest, bytes) in &swept.removed {
        table.row([digest.to_string(), size(*bytes)]);
    }
    for heap in &swept.heaps {
        table.row([format!("{} {}", heap.count, heap.what), size(heap.bytes)]);
    }
    let blobs = swept.removed.iter().fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes));
    table.row([format!("{} blobs", swept.removed.len()), size(blobs)]);
    if !swept.heaps.is_empty() {
        table.row(["all".into(), size(bytes(swept))]);
    }
    if swept.young > 0 {
        table.row([format!("{} younger than --grace stay", swept.young), String::new()]);
    }
    table.print()
}

fn value(swept: &Swept, mode: Sweep) -> Value {
    let removed = swept.removed.iter().map(|(digest, size)| json!({ "digest": digest, "size": size }));
    let heaps = swept
        .heaps
        .iter()
        .map(|heap| (heap.what.to_owned(), json!({ "count": heap.count, "bytes": heap.bytes })));
    json!({
        "version": 1,
        "removed": removed.collect::<Vec<_>>(),
        "bytes": bytes(swept),
        "heaps": heaps.collect::<serde_json::Map<_, _>>(),
        "young": swept.young,
        "litter": swept.litter,
        "dry_run": mode == Sweep::DryRun,
    })
}

fn bytes(swept: &Swept) -> u64 {
    let blobs = swept.removed.iter().map(|(_, bytes)| *bytes);
    blobs.chain(swept.heaps.iter().map(|heap| heap.bytes)).fold(0, u64::saturating_add)
}

/// Parses `90`, `90s`, `5m`, `1h`, `7d`.
fn duration(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches(|last: char| "smhd".contains(last));
    let unit = match &text[number.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("a time is a number and one of s, m, h, d".into()),
    };
    let count: u64 = number.parse().map_err(|_| "a time is a number and one of s, m, h, d")?;
    count.checked_mul(unit).map(Duration::from_secs).ok_or_else(|| "the time is too long".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_unit() {
        let seconds = |text| duration(text).map(|time| time.as_secs());
        assert_eq!((seconds("90"), seconds("5m"), seconds("7d")), (Ok(90), Ok(300), Ok(604_800)));
        for bad in ["", "h", "1hh", "1y", "-1"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
