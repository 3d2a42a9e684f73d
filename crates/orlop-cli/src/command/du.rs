//! `orlop du [REF]`

mod store;

use super::Outcome;
use crate::flags::{Format, OnePlatform, Places, Show, Work};
use crate::output::{Align, Table, size};
use crate::shell::Shell;
use clap::Args;
use orlop::du::{Usage, usage};
use orlop::image::Image;
use orlop::spec::Fault;
use serde_json::{Value, json};
use std::ffi::OsString;

/// Tell what the layers of an image hold and hide; or what the local store occupies.
///
/// Of a layer it is told how many bytes it holds, and how many of them later layers hide. Of the store it is told what is where, and for each image how much it needs and how much of that no other image needs.
#[derive(Args)]
pub struct Arguments {
    /// The image [default: all of the local store]
    #[arg(value_name = "REF")]
    reference: Option<OsString>,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let Some(reference) = &arguments.reference else { return store::run(arguments, shell) };
    let layers = shell.read(&arguments.work, |cx| {
        let place = arguments.places.open(reference, cx)?;
        let wanted = arguments.platform.platform();
        usage(cx, &Image::fetch(cx, place.source(), place.selector(), &wanted)?)
    })?;
    shell.print(match arguments.show.format {
        Format::Human => table(&layers),
        Format::Json => format!("{}\n", value(&layers)),
    })?;
    Ok(Outcome::Done)
}

fn sum(layers: &[Usage], of: fn(&Usage) -> u64) -> u64 {
    layers.iter().fold(0, |sum, layer| sum.saturating_add(of(layer)))
}

/// A column of numbers: its title in the table, its name in JSON, and where it comes from.
type Column = (&'static str, &'static str, fn(&Usage) -> u64);

const COLUMNS: [Column; 4] = [
    ("BLOB", "compressed", |layer| layer.blob.size),
    ("TAR", "uncompressed", |layer| layer.uncompressed),
    ("FILES", "bytes", |layer| layer.bytes),
    ("WASTE", "waste", |layer| layer.waste),
];

fn table(layers: &[Usage]) -> String {
    let [blob, tar, files, waste] = COLUMNS.map(|(title, ..)| (title, Align::Right));
    let columns = [
        ("LAYER", Align::Right),
        ("DIGEST", Align::Left),
        ("ENTRIES", Align::Right),
        blob,
        tar,
        files,
        waste,
    ];
    let mut table = Table::new(&columns);
    for (position, layer) in layers.iter().enumerate() {
        let [blob, tar, files, waste] = COLUMNS.map(|(_, _, of)| size(of(layer)));
        let (digest, entries) = (layer.blob.digest.to_string(), layer.entries.to_string());
        table.row([position.to_string(), digest, entries, blob, tar, files, waste]);
    }
    let [blob, tar, files, waste] = COLUMNS.map(|(_, _, of)| size(sum(layers, of)));
    let entries = sum(layers, |layer| layer.entries).to_string();
    table.row(["all".into(), String::new(), entries, blob, tar, files, waste]);
    table.print()
}

fn value(layers: &[Usage]) -> Value {
    let mut whole = json!({ "version": 1, "layers": [] });
    for (_, name, of) in COLUMNS {
        whole[name] = sum(layers, of).into();
    }
    let each = layers.iter().map(|layer| {
        let mut value = json!({ "digest": layer.blob.digest, "entries": layer.entries });
        for (_, name, of) in COLUMNS {
            value[name] = of(layer).into();
        }
        value
    });
    whole["layers"] = each.collect();
    whole
}
