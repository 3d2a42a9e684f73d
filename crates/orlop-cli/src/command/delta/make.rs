//! `orlop delta make OLD NEW [DST]`

use super::{index_of, spool};
use crate::command::Outcome;
use crate::flags::{self, Format, OnePlatform, Places, Show, Work, name, published};
use crate::report;
use crate::shell::Shell;
use clap::{Args, value_parser};
use orlop::delta::{self, Made};
use orlop::image::Image;
use orlop::spec::port::{Catalog, Selector};
use orlop::spec::reference::Reference;
use orlop::spec::{Context, Diagnose as _, Fault};
use orlop::transport::{self, Opened};
use serde_json::json;
use std::ffi::OsString;

/// Make a delta from an older image to a newer one.
///
/// The files of the older image that the newer one has too, moved or changed, are not in the delta. What is there from
/// other images stays, so that one index serves several older images. A layer of which a delta would be no smaller stands
/// there as it is.
#[derive(Args)]
pub struct Arguments {
    /// The image that there is already
    #[arg(value_name = "OLD")]
    older: OsString,
    /// The image that is wanted
    #[arg(value_name = "NEW")]
    newer: OsString,
    /// Where the delta is put [default: beside the newer image, under the tag `_deltaindex`]
    #[arg(value_name = "DST")]
    target: Option<OsString>,
    /// How much work goes into compressing what is new, from 1 to 22
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = value_parser!(u8).range(1..=22))]
    level: u8,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let platform = arguments.platform.platform();
    let (target, made, newer) = shell.work(&arguments.work, |cx| {
        let older = arguments.places.open(&arguments.older, cx)?;
        let newer = arguments.places.open(&arguments.newer, cx)?;
        let target = match &arguments.target {
            Some(text) => flags::target_place(text)?,
            None => index_of(newer.reference()),
        };
        let target = if target.selector == Selector::Only { index_of(&target) } else { target };
        let older = Image::fetch(cx, older.source(), older.selector(), &platform)?;
        let newer = Image::fetch(cx, newer.source(), newer.selector(), &platform)?;
        let beside = standing(&target, &arguments.places, cx)?;
        let sink = arguments.places.create(&target, cx)?;
        let how = delta::Make { level: arguments.level, spool: &|| spool(&arguments.places, cx) };
        let made = delta::make(cx, (&older, &newer), beside.as_deref(), (&name(&target)?, sink), &how)?;
        Ok((target, made, newer.manifest().descriptor().digest.to_string()))
    })?;
    match arguments.show.format {
        Format::Human => {
            told(&made);
            shell.published(&target, &published(&target, target.tag.as_deref(), &made.index.digest))?;
        }
        Format::Json => shell.print(json_of(&made, &newer))?,
    }
    Ok(Outcome::Done)
}

/// The place that is written to, where it is there already.
fn standing<'a>(
    target: &Reference,
    places: &'a Places,
    cx: &Context<'a>,
) -> Result<Option<Box<dyn Catalog + 'a>>, Fault> {
    if target.is_stream() {
        return Ok(None);
    }
    match transport::open(target, &places.outside(cx)) {
        Ok(Opened::Blobs(place)) => Ok(Some(place)),
        Ok(Opened::Tree(_)) => Ok(None),
        Err(fault) if fault.is_absence() => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn told(made: &Made) {
    if made.layers.is_empty() {
        report::note("the older image has every layer: there is nothing to make a delta of");
    }
    for layer in &made.layers {
        let (diff_id, blob) = (layer.diff_id.0, layer.blob);
        report::note(&match layer.delta {
            Some(size) => format!("{diff_id}: {size} bytes, in the place of {blob}"),
            None => format!(
                "{diff_id}: a delta would be no smaller than its {blob} bytes, which stand in its place"
            ),
        });
    }
}

fn json_of(made: &Made, newer: &str) -> String {
    let layers = made.layers.iter();
    let layers =
        layers.map(|layer| json!({ "diffId": layer.diff_id.0, "blob": layer.blob, "delta": layer.delta }));
    let value = json!({
        "version": 1,
        "target": newer,
        "index": made.index.digest,
        "manifest": made.manifest.digest,
        "layers": layers.collect::<Vec<_>>(),
    });
    format!("{value}\n")
}
