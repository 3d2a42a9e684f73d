//! `orlop diff A B`

use super::Outcome;
use crate::flags::{self, Format, Held, OnePlatform, Owners, Places, Show, Work, journal, tracked};
use crate::output::named;
use crate::shell::Shell;
use clap::Args;
use orlop::diff::{Change, Configs, Difference, Field, configs, trees};
use orlop::fs::lock::Share;
use orlop::fs::track::{Hash, Renew, Strays, Trust};
use orlop::hashed::Hashed;
use orlop::image::Image;
use orlop::layer::path::printable;
use orlop::spec::{Context, Fault, json};
use orlop::track::{Look, changes};
use orlop::trees::Reading;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::Path;

/// Tell what differs between two images, in files and config; or what was changed in a tracked folder.
///
/// A folder or a tar may stand for either of two. A folder alone is one that was unpacked with --track: what was changed in it
/// since is told. How files are divided among layers is told with --why, and is no difference. The exit code is 8 when
/// anything differs.
#[derive(Args)]
pub struct Arguments {
    /// What is compared
    #[arg(value_name = "A")]
    before: OsString,
    /// What it is compared with
    #[arg(value_name = "B")]
    after: Option<OsString>,
    /// Hash every file of a tracked folder, which may then be a copy of the one that was unpacked, with its snapshot beside it
    #[arg(long, conflicts_with = "after")]
    paranoid: bool,
    /// Tell the values on both sides, which layers they come from, and how the layers differ
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
    let Some(after) = &arguments.after else { return of_tracked(arguments, shell) };
    let (files, members) = shell.read(&arguments.work, |cx| {
        let (before, after) = read(arguments, after, cx)?;
        let members = match (&before.config, &after.config) {
            (Some(before), Some(after)) => configs(before, after),
            _ => Configs::default(),
        };
        Ok((trees(&before.tree, &after.tree), members))
    })?;
    shell.print(match arguments.show.format {
        Format::Human => lines(&files, &members, telling(arguments)),
        Format::Json => format!("{}\n", value(&files, &members)),
    })?;
    Ok(if files.is_empty() && members.said.is_empty() { Outcome::Done } else { Outcome::Found })
}

/// What was changed in a folder since it was unpacked.
fn of_tracked(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let tracked = tracked(Path::new(&arguments.before), Share::Shared, &arguments.work.limits())?;
    let trust = if arguments.paranoid { Trust::Nothing } else { Trust::Facts };
    let look = Look { trust, strays: Strays::Added, ..Look::default() };
    let files = shell.read(&arguments.work, |cx| {
        let journal = journal(&arguments.places, cx);
        let compared = tracked.compare(cx, &look, journal.as_ref(), (Hash::Changed, Renew::No))?;
        Ok(changes(&compared))
    })?;
    shell.print(told(&files, arguments.show.format, telling(arguments)))?;
    Ok(if files.is_empty() { Outcome::Done } else { Outcome::Found })
}

fn telling(arguments: &Arguments) -> Telling {
    if arguments.why { Telling::Values } else { Telling::Names }
}

/// What is told of fields that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Which ones.
    Names,
    /// Both values, too.
    Values,
}

/// Changes of files alone.
pub fn told(files: &[Difference], format: Format, telling: Telling) -> String {
    match format {
        Format::Human => lines(files, &Configs::default(), telling),
        Format::Json => format!("{}\n", value(files, &Configs::default())),
    }
}

fn read(arguments: &Arguments, after: &OsStr, cx: &Context<'_>) -> Result<(Side, Side), Fault> {
    let before = arguments.places.open_any(&arguments.before, cx)?;
    let after = arguments.places.open_any(after, cx)?;
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

fn lines(files: &[Difference], members: &Configs, telling: Telling) -> String {
    let mut text = String::new();
    for file in files {
        let fields = if telling == Telling::Values { String::new() } else { names(&file.change) };
        line(&mut text, &format!("{:<8} {}{fields}", word(&file.change), file.path));
        if telling == Telling::Values {
            reasons(&mut text, file);
        }
    }
    let layers = if telling == Telling::Values { &*members.layers } else { &[] };
    for (of, fields) in [("config", &*members.said), ("layers", layers)] {
        for Field { name, before, after } in fields {
            line(&mut text, &format!("{of:<8} {name}: {before} → {after}"));
        }
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

fn value(files: &[Difference], members: &Configs) -> Value {
    let field = |Field { name, before, after }: &Field| serde_json::json!({ "name": name, "before": before, "after": after });
    let all = |fields: &[Field]| fields.iter().map(field).collect::<Vec<Value>>();
    let file = |file: &Difference| {
        let mut object = named("path", file.path.as_bytes());
        let fields = match &file.change {
            Change::Changed(fields) => all(fields),
            Change::Added | Change::Removed => Vec::new(),
        };
        object.insert("change".into(), word(&file.change).into());
        object.insert("fields".into(), fields.into());
        object.insert("layers".into(), serde_json::json!([file.layers.0, file.layers.1]));
        Value::from(object)
    };
    let files: Vec<Value> = files.iter().map(file).collect();
    let (config, layers) = (all(&members.said), all(&members.layers));
    serde_json::json!({ "version": 1, "files": files, "config": config, "layers": layers })
}
