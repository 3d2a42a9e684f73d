//! `orlop images`

use super::Outcome;
use crate::flags::{Format, Show, StorePlace};
use crate::output::{Align, Table, listing, short, short_type, size};
use crate::report;
use crate::shell::Shell;
use clap::Args;
use orlop::images::{Held, Layer, Listed, images};
use orlop::layer::Time;
use orlop::spec::time::Timestamp;
use orlop::spec::{Event, Fault};
use orlop::store::form::How;
use serde_json::{Value, json};

/// List the images of the local store.
///
/// SIZE is what the blobs of the image weigh where it came from; UNIQUE is the part of it that no other image has.
#[derive(Args)]
pub struct Arguments {
    /// List the layers of each image, and how the bytes of their blobs come back
    #[arg(long)]
    layers: bool,
    #[command(flatten)]
    store: StorePlace,
    #[command(flatten)]
    show: Show,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let listed = shell.look(|cx| {
        let Some(store) = arguments.store.open_if_any(cx)? else { return Ok(Vec::new()) };
        for bad in store.records().all()?.1 {
            cx.observer.event(Event::Warned(report::line(&bad)));
        }
        let listed = images(cx, &store)?;
        for broken in listed.iter().flat_map(|one| &one.image.broken) {
            cx.observer.event(Event::Warned(broken.clone()));
        }
        Ok(listed)
    })?;
    shell.print(match (arguments.show.format, arguments.layers) {
        (Format::Json, _) => {
            let images: Vec<Value> = listed.iter().map(value).collect();
            listing("images", &images)
        }
        (Format::Human, false) => table(&listed),
        (Format::Human, true) => table_of_layers(&listed),
    })?;
    Ok(Outcome::Done)
}

fn table(listed: &[Listed]) -> String {
    let left = |title| (title, Align::Left);
    let columns = [
        left("NAME"),
        left("PLATFORM"),
        left("TYPE"),
        left("DIGEST"),
        ("SIZE", Align::Right),
        ("UNIQUE", Align::Right),
        left("CREATED"),
        left("USED"),
    ];
    let mut table = Table::new(&columns);
    for one in listed {
        let created = one.image.created().and_then(|text| text.get(..10)).unwrap_or("-").to_owned();
        table.row([
            name(one),
            platforms(one),
            kind(one),
            short(&one.record.root.digest.encoded()),
            size(one.image.size()),
            size(one.unique),
            created,
            moment(one.record.used),
        ]);
    }
    table.print()
}

fn name(one: &Listed) -> String {
    one.record.name.tag().unwrap_or("-").to_owned()
}

/// The first of them, and how many more there are.
fn platforms(one: &Listed) -> String {
    const SHOWN: usize = 2;
    let platforms = one.image.platforms();
    let first: Vec<String> = platforms.iter().take(SHOWN).map(ToString::to_string).collect();
    match platforms.len().checked_sub(SHOWN) {
        _ if platforms.is_empty() => "-".into(),
        None | Some(0) => first.join(", "),
        Some(more) => format!("{} and {more} more", first.join(", ")),
    }
}

/// What the root is: an index, an image of one platform, or the type of an artifact.
fn kind(one: &Listed) -> String {
    match &one.image.manifests[..] {
        [only] if only.manifest.digest == one.record.root.digest => match &only.artifact_type {
            Some(artifact) => short_type(artifact),
            None => "image".into(),
        },
        _ if one.record.root.media_type.is_document() => "index".into(),
        _ => short_type(&one.record.root.media_type),
    }
}

/// To the minute, in UTC.
fn moment(time: Time) -> String {
    timestamp(time).and_then(|text| Some(text.get(..16)?.replace('T', " "))).unwrap_or_else(|| "-".into())
}

fn timestamp(time: Time) -> Option<String> {
    Some(Timestamp::new(time.seconds, time.nanoseconds).ok()?.to_string())
}

fn table_of_layers(listed: &[Listed]) -> String {
    let left = |title| (title, Align::Left);
    let columns = [
        left("NAME"),
        left("PLATFORM"),
        ("LAYER", Align::Right),
        left("DIGEST"),
        left("TYPE"),
        ("SIZE", Align::Right),
        left("BYTES"),
    ];
    let mut table = Table::new(&columns);
    for one in listed {
        for held in &one.image.manifests {
            for (position, layer) in held.layers.iter().enumerate() {
                let platform = held.platform.as_ref().map_or_else(|| "-".into(), ToString::to_string);
                let (digest, kind) = (layer.blob.digest.to_string(), short_type(&layer.blob.media_type));
                let bytes = size(layer.blob.size);
                table.row([name(one), platform, position.to_string(), digest, kind, bytes, state(layer)]);
            }
        }
    }
    table.print()
}

/// How the bytes of a blob come back, in a word.
fn state(layer: &Layer) -> String {
    match layer.how {
        None => "missing".into(),
        Some(How::Kept) => "kept".into(),
        Some(How::Gone) => "gone".into(),
        Some(How::Made(recipe)) => format!("made by {}", recipe.codec),
    }
}

fn value(one: &Listed) -> Value {
    let record = &one.record;
    json!({
        "name": record.name.tag(),
        "digest": record.root.digest,
        "media_type": record.root.media_type,
        "size": one.image.size(),
        "unique_size": one.unique,
        "created": one.image.created(),
        "used": timestamp(record.used),
        "origin": record.origin,
        "manifests": one.image.manifests.iter().map(manifest).collect::<Vec<_>>(),
        "absent": one.image.absent,
        "broken": one.image.broken,
    })
}

fn manifest(held: &Held) -> Value {
    json!({
        "digest": held.manifest.digest,
        "config": held.config.digest,
        "platform": held.platform.as_ref().map(ToString::to_string),
        "artifact_type": held.artifact_type,
        "created": held.created,
        "layers": held.layers.iter().map(layer).collect::<Vec<_>>(),
    })
}

fn layer(layer: &Layer) -> Value {
    json!({
        "digest": layer.blob.digest,
        "media_type": layer.blob.media_type,
        "size": layer.blob.size,
        "diff_id": layer.diff_id,
        "bytes": state(layer),
    })
}
