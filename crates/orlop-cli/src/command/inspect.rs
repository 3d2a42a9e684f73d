//! `orlop inspect REF`

use super::Outcome;
use crate::error::Error;
use crate::flags::{OnePlatform, Place};
use crate::output::{Align, Fields, Table, short_type, size};
use crate::shell::Shell;
use clap::{Args, ValueEnum};
use orlop::inspect::{Inspection, inspect, raw};
use orlop::spec::config::Execution;
use orlop::spec::manifest::Manifest;
use orlop::spec::reference::Reference;
use orlop::spec::{Descriptor, Document, Fault, MediaType};
use serde_json::{Value, json};

/// Tell what a name means: digest, platforms, config, layers.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    platform: OnePlatform,
    /// Form of the result, and of an error [default: human]
    #[arg(long, value_name = "FORM")]
    format: Option<Form>,
    /// As `--format raw`: print the bytes of the manifest or index, or with `--config` those of the config
    #[arg(long, conflicts_with = "format")]
    raw: bool,
    /// Print the bytes of the config, as they are
    #[arg(long)]
    config: bool,
}

/// Form of a result that may be a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For eyes; names are escaped.
    Human,
    /// One JSON document with a `version`, for programs.
    Json,
    /// The bytes of the manifest or index as they are; with `--config` those of the config.
    Raw,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    if arguments.config && matches!(arguments.format, Some(Form::Human | Form::Json)) {
        return Err(CONFIG_IS_RAW.into());
    }
    let bytes = shell.look(|cx| {
        let place = arguments.place.look_into(cx)?;
        let host = arguments.platform.platform();
        let found = inspect(cx, place.source(), place.selector(), arguments.platform.wanted(&host))?;
        match document(arguments, &found)? {
            Some(document) => raw(cx, place.source(), document),
            None => Ok(summary(place.reference(), &found, arguments.format).into_bytes()),
        }
    })?;
    shell.print(&bytes)?;
    Ok(Outcome::Done)
}

/// The document whose bytes are asked for.
fn document<'f>(arguments: &Arguments, found: &'f Inspection) -> Result<Option<&'f Descriptor>, Fault> {
    if arguments.config {
        return found.image_config().map(Some);
    }
    let named =
        if arguments.platform.is_given() { found.manifest.as_ref().map(Document::descriptor) } else { None };
    let is_raw = arguments.raw || arguments.format == Some(Form::Raw);
    Ok(is_raw.then(|| named.unwrap_or(&found.root)))
}

const CONFIG_IS_RAW: Error =
    Error::FlagUnfit { flag: "--format", what: "the config is printed, whose bytes are as they are" };

fn summary(name: &Reference, found: &Inspection, format: Option<Form>) -> String {
    match format {
        Some(Form::Json) => format!("{}\n", for_programs(name, found)),
        _ => for_eyes(name, found),
    }
}

fn for_eyes(name: &Reference, found: &Inspection) -> String {
    let mut fields = Fields::default();
    fields.add("Name", Some(name.to_string()));
    fields.add("Digest", Some(found.root.digest.to_string()));
    fields.add("Type", Some(found.root.media_type.as_str()));
    let mut tables = Vec::new();
    if let Some(index) = &found.index {
        fields.all("Annotations", pairs(&index.annotations));
        tables.push(platforms(&index.manifests));
    }
    if let Some(manifest) = &found.manifest {
        image_fields(&mut fields, found, manifest);
        tables.push(layers(manifest));
    }
    tables.insert(0, fields.print());
    tables.join("\n")
}

fn image_fields(fields: &mut Fields, found: &Inspection, manifest: &Manifest) {
    if found.index.is_some() {
        fields.add(
            "Manifest",
            found.manifest.as_ref().map(|manifest| manifest.descriptor().digest.to_string()),
        );
    }
    fields.add("Artifact", manifest.artifact_type.as_ref().map(MediaType::as_str));
    fields.add("Config", Some(manifest.config.digest.to_string()));
    if let Some(config) = &found.config {
        fields.add("Platform", Some(orlop::image::platform_of(config).to_string()));
        fields.add("Created", config.created.as_deref());
        fields.add("Author", config.author.as_deref());
        fields.add("Size", Some(size_of(manifest)));
        execution_fields(fields, config.config.as_ref().unwrap_or(&Execution::default()));
    }
    fields.all("Annotations", pairs(&manifest.annotations));
}

fn execution_fields(fields: &mut Fields, execution: &Execution) {
    let words = |words: &Option<Vec<Box<str>>>| words.as_ref().map(|words| json!(words).to_string());
    fields.add("Entrypoint", words(&execution.entrypoint));
    fields.add("Cmd", words(&execution.cmd));
    fields.add("User", execution.user.as_deref());
    fields.add("WorkingDir", execution.working_dir.as_deref());
    fields.add("StopSignal", execution.stop_signal.as_deref());
    fields.all("Env", &execution.env);
    fields.all("Ports", execution.exposed_ports.keys());
    fields.all("Volumes", execution.volumes.keys());
    fields.all("Labels", pairs(&execution.labels));
}

fn pairs(map: &orlop::spec::descriptor::Annotations) -> impl Iterator<Item = String> {
    map.iter().map(|(key, value)| format!("{key}={value}"))
}

fn size_of(manifest: &Manifest) -> String {
    let bytes = manifest.layers.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.size));
    match manifest.layers.len() {
        1 => format!("{} in 1 layer", size(bytes)),
        count => format!("{} in {count} layers", size(bytes)),
    }
}

fn platforms(manifests: &[Descriptor]) -> String {
    let mut table = Table::new(&[
        ("PLATFORM", Align::Left),
        ("DIGEST", Align::Left),
        ("SIZE", Align::Right),
        ("TYPE", Align::Left),
    ]);
    for entry in manifests {
        let platform = entry.platform.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        table.row([platform, entry.digest.to_string(), size(entry.size), short_type(&entry.media_type)]);
    }
    table.print()
}

fn layers(manifest: &Manifest) -> String {
    let mut table = Table::new(&[
        ("LAYER", Align::Right),
        ("DIGEST", Align::Left),
        ("SIZE", Align::Right),
        ("TYPE", Align::Left),
    ]);
    for (position, layer) in manifest.layers.iter().enumerate() {
        table.row([
            position.to_string(),
            layer.digest.to_string(),
            size(layer.size),
            short_type(&layer.media_type),
        ]);
    }
    table.print()
}

fn for_programs(name: &Reference, found: &Inspection) -> Value {
    json!({
        "version": 1,
        "name": name.to_string(),
        "digest": found.root.digest,
        "media_type": found.root.media_type,
        "size": found.root.size,
        "index": found.index.as_deref(),
        "manifest": found.manifest.as_deref(),
        "manifest_digest": found.manifest.as_ref().map(|manifest| manifest.descriptor().digest.clone()),
        "platform": found.config.as_ref().map(|config| orlop::image::platform_of(config).to_string()),
        "config": found.config.as_deref(),
    })
}
