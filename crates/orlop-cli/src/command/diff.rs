//! `orlop diff A B`

use super::Outcome;
use crate::flags::{self, Format, Held, OnePlatform, Owners, Places, Show, Work};
use crate::output::named;
use crate::shell::Shell;
use clap::Args;
use orlop::diff::{Change, Difference, Field, configs, trees};
use orlop::hashed::Hashed;
use orlop::image::Image;
use orlop::layer::path::printable;
use orlop::spec::{Context, Fault, json};
use orlop::trees::Reading;
use serde_json::Value;
use std::ffi::OsString;
use std::fmt::Write as _;

/// Tell what differs between two images, in files and config.
///
/// A folder or a tar may stand for either of them. The exit code is 8 when anything differs.
#[derive(Args)]
pub struct Arguments {
    /// What is compared
    #[arg(value_name = "A")]
    before: OsString,
    /// What it is compared with
    #[arg(value_name = "B")]
    after: OsString,
    /// Tell the values on both sides, and which layers they come from
    #[arg(long)]
    why: bool,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    owners: Owners,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

/// One side of the comparison.
struct Side {
    tree: Hashed,
    config: Option<Value>,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let (files, members) = shell.read(&arguments.work, |cx| {
        let (before, after) = read(arguments, cx)?;
        let members = match (&before.config, &after.config) {
            (Some(before), Some(after)) => configs(before, after),
            _ => Vec::new(),
        };
        Ok((trees(&before.tree, &after.tree), members))
    })?;
    shell.print(match arguments.show.format {
        Format::Human => lines(&files, &members, arguments.why),
        Format::Json => format!("{}\n", value(&files, &members)),
    })?;
    Ok(if files.is_empty() && members.is_empty() { Outcome::Done } else { Outcome::Found })
}

fn read(arguments: &Arguments, cx: &Context<'_>) -> Result<(Side, Side), Fault> {
    let before = arguments.places.open_any(&arguments.before, cx)?;
    let after = arguments.places.open_any(&arguments.after, cx)?;
    if let (Held::Image(one), Held::Image(other)) = (&before, &after) {
        let (one, other) = (fetch(arguments, cx, one)?, fetch(arguments, cx, other)?);
        let (before, after) = Hashed::of_images(cx, &one, &other)?;
        return Ok((Side::of_image(before, &one), Side::of_image(after, &other)));
    }
    Ok((side(arguments, cx, &before)?, side(arguments, cx, &after)?))
}

fn side(arguments: &Arguments, cx: &Context<'_>, held: &Held<'_>) -> Result<Side, Fault> {
    match held {
        Held::Image(place) => {
            let image = fetch(arguments, cx, place)?;
            Ok(Side::of_image(Hashed::of_image(cx, &image)?, &image))
        }
        Held::Tree(tree) => {
            let reading = Reading { owner: arguments.owners.owner()?, ..Reading::default() };
            let tree = Hashed::of_entries(cx, &mut *tree.entries(cx, &reading)?)?;
            Ok(Side { tree, config: None })
        }
    }
}

fn fetch<'p>(
    arguments: &Arguments,
    cx: &Context<'_>,
    place: &'p flags::Image<'_>,
) -> Result<Image<'p>, Fault> {
    Image::fetch(cx, place.source(), place.selector(), &arguments.platform.platform())
}

impl Side {
    fn of_image(tree: Hashed, image: &Image<'_>) -> Self {
        Self { tree, config: json::value(image.config().raw()).ok() }
    }
}

fn lines(files: &[Difference], members: &[Field], why: bool) -> String {
    let mut text = String::new();
    for file in files {
        let fields = if why { String::new() } else { names(&file.change) };
        line(&mut text, &format!("{:<8} {}{fields}", word(&file.change), file.path));
        if why {
            reasons(&mut text, file);
        }
    }
    for Field { name, before, after } in members {
        line(&mut text, &format!("{:<8} {name}: {before} → {after}", "config"));
    }
    text
}

fn reasons(text: &mut String, file: &Difference) {
    if let Change::Changed(fields) = &file.change {
        for Field { name, before, after } in fields {
            line(text, &format!("         {name}: {before} → {after}"));
        }
    }
    match file.layers {
        (Some(before), Some(after)) => line(text, &format!("         layer: {before} → {after}")),
        (Some(layer), None) | (None, Some(layer)) => line(text, &format!("         layer: {layer}")),
        (None, None) => {}
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{}", printable(line)).expect("a string takes everything");
}

fn word(change: &Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed(_) => "changed",
    }
}

/// `: content, mtime`
fn names(change: &Change) -> String {
    let Change::Changed(fields) = change else { return String::new() };
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    format!(": {}", names.join(", "))
}

fn value(files: &[Difference], members: &[Field]) -> Value {
    let field = |Field { name, before, after }: &Field| serde_json::json!({ "name": name, "before": before, "after": after });
    let file = |file: &Difference| {
        let mut object = named("path", file.path.as_bytes());
        let fields = match &file.change {
            Change::Changed(fields) => fields.iter().map(field).collect(),
            Change::Added | Change::Removed => Vec::new(),
        };
        object.insert("change".into(), word(&file.change).into());
        object.insert("fields".into(), fields.into());
        object.insert("layers".into(), serde_json::json!([file.layers.0, file.layers.1]));
        Value::from(object)
    };
    let files: Vec<Value> = files.iter().map(file).collect();
    let config: Vec<Value> = members.iter().map(field).collect();
    serde_json::json!({ "version": 1, "files": files, "config": config })
}
