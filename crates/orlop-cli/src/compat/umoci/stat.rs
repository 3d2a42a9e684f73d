//! `umoci stat --image DIR[:TAG] [--json]`

mod text;

use super::image::{self, ImageFlag};
use crate::environment;
use crate::flags::Places;
use crate::shell::Shell;
use clap::Args;
use orlop::inspect::{self, Inspection, Wanted};
use orlop::spec::config::{Config, History};
use orlop::spec::digest::DiffId;
use orlop::spec::document::DocumentError;
use orlop::spec::json;
use orlop::spec::manifest::Manifest;
use orlop::spec::{Context, Descriptor, Document, Fault};
use serde_json::{Map, Value, json};

/// tells what an image is and how it came to be
#[derive(Args)]
#[command(override_usage = "umoci stat --image DIR[:TAG] [--json]")]
pub struct Arguments {
    #[command(flatten)]
    image: ImageFlag,
    /// one JSON document, for programs
    #[arg(long)]
    json: bool,
}

/// The documents of an image and the steps of its making.
struct Found {
    /// What the tag leads to, as the layout or an index there says it.
    root: Descriptor,
    manifest: Document<Manifest>,
    config: Document<Config>,
}

/// A step, with the layer that it made.
struct Step<'a> {
    layer: Option<(&'a Descriptor, DiffId)>,
    history: &'a History,
}

pub fn run(arguments: &Arguments, shell: &Shell, cx: &Context<'_>) -> Result<(), Fault> {
    let image = &arguments.image.image;
    let places: Places = Places::default();
    let keeper = image::open(&image.layout, &places, cx)?;
    let host = environment::host();
    let inspection = inspect::inspect(cx, &*keeper, &image.selector(), Wanted::Asked(&host))?;
    let found = Found::of(inspection)?;
    shell.print(if arguments.json { found.for_programs()? } else { text::of(&found) })
}

impl Found {
    fn of(found: Inspection) -> Result<Self, Fault> {
        let is_image = found.image_config().map(drop);
        match (found.manifest, found.config) {
            (Some(manifest), Some(config)) => {
                let is_root = found.root.digest == manifest.descriptor().digest;
                let root = if is_root { found.root } else { manifest.descriptor().clone() };
                Ok(Self { root, manifest, config })
            }
            _ => is_image.map(|()| unreachable!("an image has a manifest and a config")),
        }
    }
}

impl Found {
    /// The steps, base first. A step beyond the layers, which the specification forbids, has none.
    fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        let diff_ids = self.config.rootfs.diff_ids.iter().copied();
        let mut layers = self.manifest.layers.iter().zip(diff_ids);
        self.config.history.iter().map(move |history| {
            let layer = if history.empty_layer == Some(true) { None } else { layers.next() };
            Step { layer, history }
        })
    }

    fn for_programs(&self) -> Result<String, Fault> {
        let config = self.config.descriptor();
        let history: Vec<Value> = self.steps().map(|step| step.for_programs()).collect();
        let value = json!({
            "manifest": { "descriptor": self.root, "blob": blob(self.manifest.raw())? },
            "config": { "descriptor": config, "blob": blob(self.config.raw())? },
            "history": history,
        });
        Ok(format!("{value}\n"))
    }
}

/// A document as it was written, members without a name of ours too.
fn blob(raw: &[u8]) -> Result<Value, Fault> {
    json::value(raw).map_err(|error| DocumentError::from(error).into())
}

impl Step<'_> {
    fn for_programs(&self) -> Value {
        let (layer, diff_id) = self.layer.unzip();
        let mut members = Map::new();
        members.insert("layer".into(), json!(layer));
        members.insert("diff_id".into(), diff_id.map_or(json!(""), |diff_id| json!(diff_id)));
        if let Value::Object(history) = json!(self.history) {
            members.extend(history);
        }
        members.into()
    }
}

#[cfg(test)]
mod tests;
