//! `orlop ostree images`

use super::{Outcome, Repository};
use crate::flags::{Format, Show};
use crate::output::{Align, Table, listing, short, size};
use crate::shell::Shell;
use clap::Args;
use orlop::host::ostree::Repo;
use orlop::host::ostree::kept::{self, KeptImage};
use orlop::host::ostree::layers::Note;
use orlop::spec::{Descriptor, Fault};
use serde_json::{Value, json};

/// List the images that the repository keeps: their names elsewhere, ids, digests, commits and layers.
///
/// IMAGE is the digest of the config, DIGEST that of the manifest or index, COMMIT the merged tree. Branches that
/// `copy --keep-layers` made are called by their refs.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// List the layers of each image, by blob and by what is uncompressed
    #[arg(long)]
    layers: bool,
    #[command(flatten)]
    show: Show,
}

/// One image, and its layers.
struct Listed {
    image: KeptImage,
    layers: Vec<(Descriptor, Option<Note>)>,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let listed = shell.look(|cx| list(&arguments.repository.open(cx)?))?;
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

fn list(repo: &Repo) -> Result<Vec<Listed>, Fault> {
    let mut listed = Vec::new();
    for image in kept::images(repo)? {
        let mut layers = Vec::new();
        for layer in image.note.layers() {
            let known = repo.layer_note(&layer.digest)?;
            layers.push((layer, known));
        }
        listed.push(Listed { image, layers });
    }
    Ok(listed)
}

fn table(listed: &[Listed]) -> String {
    let left = |title| (title, Align::Left);
    let columns = [left("NAME"), left("IMAGE"), left("DIGEST"), left("COMMIT"), ("LAYERS", Align::Right)];
    let mut table = Table::new(&columns);
    for Listed { image, layers } in listed {
        table.row([
            image.called().into(),
            image.note.image_id().map_or_else(|| "-".into(), |id| short(&id.hex())),
            short(&image.note.root.digest.encoded()),
            short(&image.commit.to_string()),
            layers.len().to_string(),
        ]);
    }
    table.print()
}

fn table_of_layers(listed: &[Listed]) -> String {
    let left = |title| (title, Align::Left);
    let columns = [left("NAME"), left("BLOB"), left("LAYER"), ("SIZE", Align::Right), left("BYTES")];
    let mut table = Table::new(&columns);
    for one in listed {
        for (blob, note) in &one.layers {
            table.row([
                one.image.called().into(),
                blob.digest.to_string(),
                note.as_ref().map_or_else(|| "-".into(), |note| note.diff_id.to_string()),
                size(blob.size),
                note.as_ref().map_or_else(|| "-".into(), |note| note.back.to_string()),
            ]);
        }
    }
    table.print()
}

fn value(one: &Listed) -> Value {
    let layers: Vec<Value> = one
        .layers
        .iter()
        .map(|(blob, note)| {
            json!({
                "digest": blob.digest,
                "size": blob.size,
                "diff_id": note.as_ref().map(|note| note.diff_id.to_string()),
                "back": note.as_ref().map(|note| note.back.to_string()),
            })
        })
        .collect();
    let KeptImage { spec, name, commit, note } = &one.image;
    json!({
        "name": name,
        "ref": spec.to_string(),
        "image_id": note.image_id().map(|id| id.to_string()),
        "digest": note.root.digest,
        "media_type": note.root.media_type,
        "commit": commit.to_string(),
        "layers": layers,
    })
}
