//! `orlop ls PLACE`

use super::Outcome;
use crate::flags::{Format, Place, Show};
use crate::output::{Align, Table, short_type, size};
use crate::shell::Shell;
use clap::Args;
use orlop::spec::port::Name;
use orlop::spec::{Descriptor, Fault};
use serde_json::{Value, json};

/// List the names of a place.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    show: Show,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let names = shell.look(|cx| arguments.place.open(cx)?.catalog().names())?;
    shell.print(match arguments.show.format {
        Format::Human => table(&names),
        Format::Json => {
            let images: Vec<Value> = names.iter().map(|(name, root)| image(name, root)).collect();
            format!("{}\n", json!({ "version": 1, "images": images }))
        }
    })?;
    Ok(Outcome::Done)
}

fn table(names: &[(Name, Descriptor)]) -> String {
    let columns = ["TAG", "DIGEST", "PLATFORM", "TYPE"].map(|title| (title, Align::Left));
    let mut table = Table::new(&[columns.as_slice(), &[("SIZE", Align::Right)]].concat());
    for (name, root) in names {
        let tag = name.tag().unwrap_or("-").to_owned();
        let platform = root.platform.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        table.row([tag, root.digest.to_string(), platform, short_type(&root.media_type), size(root.size)]);
    }
    table.print()
}

fn image(name: &Name, root: &Descriptor) -> Value {
    json!({
        "tag": name.tag(),
        "digest": root.digest,
        "media_type": root.media_type,
        "size": root.size,
        "platform": root.platform.as_ref().map(ToString::to_string),
    })
}
