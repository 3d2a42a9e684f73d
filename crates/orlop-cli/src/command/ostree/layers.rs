//! `orlop ostree layers`

use super::{Outcome, Repository};
use crate::flags::{Format, Show};
use crate::output::{Align, Table, listing, size};
use crate::shell::Shell;
use clap::{Args, Subcommand};
use orlop::host::ostree::layers::usage::{KeptLayer, Removed, Which};
use orlop::spec::{AnyDigest, Fault};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// List the layers that the repository keeps, and remove those that no image needs.
#[derive(Args)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs", disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the layers, and which images use them
    Ls(List),
    /// Remove layers that no image uses, by the digests of their blobs
    Rm(Remove),
    /// Remove every layer that no image uses, and all objects that no commit needs
    ///
    /// An image uses its layers as long as a ref leads to its commit: its own, or any other.
    Prune(Prune),
}

#[derive(Args)]
struct List {
    #[command(flatten)]
    repository: Repository,
    #[command(flatten)]
    show: Show,
}

#[derive(Args)]
struct Remove {
    #[command(flatten)]
    repository: Repository,
    /// Digests of blobs, as `layers ls` prints them
    #[arg(required = true, value_name = "DIGEST")]
    digests: Vec<AnyDigest>,
    /// Tell what would go, in bytes, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    show: Show,
}

#[derive(Args)]
struct Prune {
    #[command(flatten)]
    repository: Repository,
    /// Tell what would go, in bytes, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    show: Show,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    match &arguments.verb {
        Verb::Ls(list) => ls(list, shell),
        Verb::Rm(Remove { repository, digests, dry_run, show }) => {
            remove(repository, Which::These(digests), (*dry_run).into(), show, shell)
        }
        Verb::Prune(Prune { repository, dry_run, show }) => {
            remove(repository, Which::Unused, (*dry_run).into(), show, shell)
        }
    }
}

fn ls(arguments: &List, shell: &Shell) -> Result<Outcome, Fault> {
    let layers = shell.look(|cx| arguments.repository.open(cx)?.kept_layers())?;
    shell.print(match arguments.show.format {
        Format::Json => {
            let layers: Vec<Value> = layers.iter().map(value).collect();
            listing("layers", &layers)
        }
        Format::Human => table(&layers),
    })?;
    Ok(Outcome::Done)
}

fn table(layers: &[KeptLayer]) -> String {
    let left = |title| (title, Align::Left);
    let columns = [left("BLOB"), ("SIZE", Align::Right), left("BYTES"), left("USED BY")];
    let mut table = Table::new(&columns);
    for layer in layers {
        let known = layer.note.as_ref();
        table.row([
            layer.blob.to_string(),
            known.map_or_else(|| "-".into(), |note| size(note.size)),
            known.map_or_else(|| "kept".into(), |note| note.back.to_string()),
            if layer.used_by.is_empty() { "-".into() } else { layer.used_by.join(", ") },
        ]);
    }
    table.print()
}

fn value(layer: &KeptLayer) -> Value {
    let note = layer.note.as_ref();
    json!({
        "digest": layer.blob,
        "size": note.map(|note| note.size),
        "diff_id": note.map(|note| note.diff_id.to_string()),
        "back": note.map(|note| note.back.to_string()),
        "commit": layer.commit.to_string(),
        "used_by": layer.used_by,
    })
}

/// Whether anything is changed.
#[derive(Clone, Copy)]
enum Run {
    Real,
    Dry,
}

impl From<bool> for Run {
    fn from(dry: bool) -> Self {
        if dry { Self::Dry } else { Self::Real }
    }
}

fn remove(
    repository: &Repository,
    which: Which<'_>,
    run: Run,
    show: &Show,
    shell: &Shell,
) -> Result<Outcome, Fault> {
    let removed = shell.look(|cx| {
        let repo = repository.open(cx)?;
        match run {
            Run::Real => repo.remove_layers(cx, which),
            Run::Dry => repo.foresee_removal(cx, which),
        }
    })?;
    shell.print(match show.format {
        Format::Json => {
            let Removed { layers, objects, .. } = &removed;
            let layers: Vec<Value> = layers.iter().map(value).collect();
            let told = json!({
                "version": 1, "layers": layers, "objects": objects.removed, "bytes": objects.bytes,
            });
            format!("{told}\n")
        }
        Format::Human => account(&removed),
    })?;
    Ok(Outcome::Done)
}

fn account(Removed { layers, objects, .. }: &Removed) -> String {
    let (removed, bytes, mut lines) = (objects.removed, size(objects.bytes), String::new());
    for layer in layers {
        writeln!(lines, "{}", layer.blob).expect("a string takes everything");
    }
    writeln!(lines, "layers: {}, objects: {removed}, bytes: {bytes}", layers.len())
        .expect("a string takes everything");
    lines
}
