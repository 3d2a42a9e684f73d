//! `orlop ls PLACE`

use super::Outcome;
use crate::flags::{Format, Place, Show, TagFlags, Unlocked};
use crate::output::{Align, Table, listing, short_type, size};
use crate::report;
use crate::shell::Shell;
use clap::Args;
use orlop::spec::port::Name;
use orlop::spec::{Descriptor, Event, Fault};
use orlop::sync::{Tags, version};
use serde_json::{Value, json};
use std::cmp::Reverse;

/// List the names of a place.
///
/// With --semver the newest version comes first.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place<Unlocked>,
    #[command(flatten)]
    tags: TagFlags,
    #[command(flatten)]
    show: Show,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let names = shell.look(|cx| {
        let place = arguments.place.look_around(cx)?;
        for bad in place.catalog().unreadable()? {
            cx.observer.event(Event::Warned(report::line(&bad)));
        }
        let names = place.catalog().list()?;
        Ok(meant(names, &arguments.tags.tags()))
    })?;
    shell.print(match arguments.show.format {
        Format::Human => table(&names),
        Format::Json => {
            let images: Vec<Value> = names.iter().map(|(name, root)| image(name, root.as_ref())).collect();
            listing("images", &images)
        }
    })?;
    Ok(Outcome::Done)
}

/// The names that are meant, in the order of the place; of a range of versions the newest first.
fn meant(mut names: Vec<(Name, Option<Descriptor>)>, tags: &Tags) -> Vec<(Name, Option<Descriptor>)> {
    if *tags != Tags::default() {
        names.retain(|(name, _)| name.tag().is_some_and(|tag| tags.take(tag)));
    }
    if tags.versions.is_some() {
        names.sort_by_key(|(name, _)| Reverse(name.tag().and_then(version)));
    }
    names
}

/// A registry tells its tags alone.
fn table(names: &[(Name, Option<Descriptor>)]) -> String {
    let is_told = names.is_empty() || names.iter().any(|(_, root)| root.is_some());
    let columns = ["TAG", "DIGEST", "PLATFORM", "TYPE"].map(|title| (title, Align::Left));
    let mut table = if is_told {
        Table::new(&[columns.as_slice(), &[("SIZE", Align::Right)]].concat())
    } else {
        Table::new(&columns[..1])
    };
    for (name, root) in names {
        let tag = name.tag().unwrap_or("-").to_owned();
        match root {
            Some(root) => {
                let platform = root.platform.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
                let kind = short_type(&root.media_type);
                table.row([tag, root.digest.to_string(), platform, kind, size(root.size)]);
            }
            None if is_told => table.row([tag, "-".into(), "-".into(), "-".into(), "-".into()]),
            None => table.row([tag]),
        }
    }
    table.print()
}

fn image(name: &Name, root: Option<&Descriptor>) -> Value {
    json!({
        "tag": name.tag(),
        "digest": root.map(|root| &root.digest),
        "media_type": root.map(|root| &root.media_type),
        "size": root.map(|root| root.size),
        "platform": root.and_then(|root| root.platform.as_ref()).map(ToString::to_string),
    })
}
