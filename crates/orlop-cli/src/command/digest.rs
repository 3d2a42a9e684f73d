//! `orlop digest REF`

use super::Outcome;
use crate::flags::{Format, OnePlatform, Place, Show};
use crate::shell::Shell;
use clap::Args;
use orlop::inspect::{manifest, root};
use orlop::spec::Fault;
use serde_json::json;

/// Print the digest that a name points at.
///
/// Of an index it is the index's own; with `--platform` that of the platform's manifest; with `--file` that of the file
/// that the image is in, as `--sha256` takes it.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    platform: OnePlatform,
    /// Print the sha256 of the archive, tar or file of the web itself
    #[arg(long, conflicts_with = "platform")]
    file: bool,
    #[command(flatten)]
    show: Show,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    if arguments.file {
        return of_file(arguments, shell);
    }
    let found = shell.look(|cx| {
        let place = arguments.place.look(cx)?;
        let wanted = arguments.platform.platform();
        if arguments.platform.is_given() {
            let manifest = manifest(cx, place.source(), place.selector(), &wanted)?;
            return Ok(manifest.descriptor().clone());
        }
        root(place.source(), place.selector(), &wanted)
    })?;
    shell.print(match arguments.show.format {
        Format::Human => format!("{}\n", found.digest),
        Format::Json => {
            let value = json!({
                "version": 1, "digest": found.digest, "media_type": found.media_type, "size": found.size,
            });
            format!("{value}\n")
        }
    })?;
    Ok(Outcome::Done)
}

fn of_file(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let digest = shell.look(|cx| arguments.place.file_digest(cx))?;
    shell.print(match arguments.show.format {
        Format::Human => format!("{digest}\n"),
        Format::Json => format!("{}\n", json!({ "version": 1, "digest": digest })),
    })?;
    Ok(Outcome::Done)
}
