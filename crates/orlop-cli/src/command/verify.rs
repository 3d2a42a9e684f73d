//! `orlop verify REF DIR`

use super::Outcome;
use crate::flags::{BundleFlags, Format, OnePlatform, Owners, Place, Show, Work};
use crate::output::named;
use crate::shell::Shell;
use clap::Args;
use orlop::diff::Field as Member;
use orlop::fs::FileKind;
use orlop::fs::verify::{Change, Difference, Field, Shape};
use orlop::image::Image;
use orlop::layer::path::printable;
use orlop::spec::Fault;
use orlop::verify::{How, Meant, Verified, folder};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Tell what differs between a folder and the image that it was made of.
///
/// DIR is a folder that the image was unpacked into, a place where it is mounted, or a bundle. Types, contents, modes, owners,
/// attributes, links and devices are compared; times are not. The exit code is 8 when anything differs.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten, next_help_heading = "What the bundle was made with")]
    runtime: BundleFlags,
    #[command(flatten)]
    owners: Owners,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    // Before `--owner map` enters the namespace that a container is to have.
    let runtime = arguments.runtime.options();
    let owner = arguments.owners.owner()?;
    let verified = shell.read(&arguments.work, |cx| {
        let place = arguments.place.open(cx)?;
        let image = Image::fetch(cx, place.source(), place.selector(), &arguments.platform.platform())?;
        let meant = Meant::of_image(cx, &image)?;
        folder(
            cx,
            &image,
            &meant,
            &arguments.folder,
            (&How { owner, shape: Shape::Whole, seen: None, now: None }, &runtime),
        )
    })?;
    shell.print(match arguments.show.format {
        Format::Human => lines(&verified),
        Format::Json => format!("{}\n", value(&verified)),
    })?;
    Ok(if verified.is_as_meant() { Outcome::Done } else { Outcome::Found })
}

fn lines(verified: &Verified) -> String {
    let mut text = String::new();
    for Difference { path, change } in &verified.files {
        match change {
            Change::Added(kind) => line(&mut text, &format!("added    {path} ({})", type_name(*kind))),
            Change::Removed => line(&mut text, &format!("removed  {path}")),
            Change::Changed(fields) => {
                for Field { aspect, expected, found } in fields {
                    line(&mut text, &format!("changed  {path}: {aspect}: {expected} → {found}"));
                }
            }
        }
    }
    for Member { name, before, after } in &verified.config {
        line(&mut text, &format!("config   {name}: {before} → {after}"));
    }
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{}", printable(line)).expect("a string takes everything");
}

fn value(verified: &Verified) -> Value {
    let files: Vec<Value> = verified.files.iter().map(file).collect();
    let member = |Member { name, before, after }: &Member| serde_json::json!({ "name": name, "expected": before, "found": after });
    let config: Vec<Value> = verified.config.iter().map(member).collect();
    serde_json::json!({ "version": 1, "files": files, "config": config })
}

fn file(Difference { path, change }: &Difference) -> Value {
    let mut object = named("path", path.as_bytes());
    let field = |Field { aspect, expected, found }: &Field| serde_json::json!({ "name": aspect.to_string(), "expected": expected, "found": found });
    let (kind, fields) = match change {
        Change::Added(kind) => (Some(type_name(*kind)), Vec::new()),
        Change::Removed => (None, Vec::new()),
        Change::Changed(fields) => (None, fields.iter().map(field).collect()),
    };
    object.insert("change".into(), change.word().into());
    object.insert("type".into(), kind.into());
    object.insert("fields".into(), fields.into());
    Value::from(object)
}

/// As `files --format json` says it.
fn type_name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::CharDevice => "char",
        FileKind::BlockDevice => "block",
        FileKind::Fifo => "fifo",
        FileKind::Socket => "socket",
    }
}
