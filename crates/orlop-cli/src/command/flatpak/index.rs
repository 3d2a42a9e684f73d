//! `orlop flatpak index PLACE… -o DIR`

use super::super::Outcome;
use crate::flags::{Format, Places, Show, Work};
use crate::output::size;
use crate::report;
use crate::shell::Shell;
use clap::Args;
use orlop::flatpak::index::{Place, Written, index};
use orlop::spec::{Event, Fault};
use orlop::transport;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::PathBuf;

/// Write the files that make any web host a remote of flatpak.
///
/// Images of a registry stay there, and only the index is written: this makes a remote of registries that have none. Images of other
/// places are written as files beside the index. The folder goes to a web host as it is; what the index names is
/// there before the index is.
#[derive(Args)]
pub struct Arguments {
    /// Layouts, archives, or repositories of one registry; with a tag, that image alone
    #[arg(value_name = "PLACE", required = true)]
    places: Vec<OsString>,
    /// Where the files go
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// The address of the registry that has the images, where it is not plain from their names
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    access: Places,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let written = shell.work(&arguments.work, |cx| {
        let opened = arguments.places.iter().map(|word| arguments.access.open_place(word, cx));
        let opened = opened.collect::<Result<Vec<_>, Fault>>()?;
        let places: Vec<Place<'_>> = opened
            .iter()
            .map(|image| Place {
                catalog: image.catalog(),
                selector: image.selector(),
                repository: transport::repository(image.reference()),
            })
            .collect();
        let written = index(cx, &places, arguments.registry.as_deref(), &arguments.output)?;
        for rival in &written.rivals {
            let text = format!("{} is {}; {} is left out", rival.name, rival.listed, rival.left_out);
            cx.observer.event(Event::Warned(text));
        }
        Ok(written)
    })?;
    report::say(&account(&written));
    shell.print(match arguments.show.format {
        Format::Human => lines(&written),
        Format::Json => format!("{}\n", document(&written)),
    })?;
    Ok(Outcome::Done)
}

fn lines(written: &Written) -> String {
    written
        .images
        .iter()
        .fold(String::new(), |lines, (_, name, digest)| lines + &format!("{name}@{digest}\n"))
}

fn account(written: &Written) -> String {
    let (files, bytes) = written.files;
    let files = if files == 0 { String::new() } else { format!(", {files} files written ({})", size(bytes)) };
    let index = if written.is_changed { "index written" } else { "index as before" };
    let passed = match written.passed_over {
        0 => String::new(),
        count => format!(", {count} images passed over that are none of flatpak"),
    };
    format!("{} images{files}, {index}{passed}\n", written.images.len())
}

fn document(written: &Written) -> Value {
    let image = |(repository, name, digest): &(Box<str>, Box<str>, orlop::spec::AnyDigest)| json!({ "repository": repository, "ref": name, "digest": digest });
    json!({
        "version": 1,
        "changed": written.is_changed,
        "images": written.images.iter().map(image).collect::<Vec<_>>(),
        "passed_over": written.passed_over,
        "files": written.files.0,
        "bytes": written.files.1,
    })
}
