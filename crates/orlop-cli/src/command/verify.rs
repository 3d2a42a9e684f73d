//! `orlop verify REF [DIR]`

use super::Outcome;
use crate::flags::{BundleFlags, Format, OnePlatform, Owners, Places, Show, Work};
use crate::output::named;
use crate::shell::Shell;
use clap::Args;
use orlop::diff::Field as Member;
use orlop::fs::FileKind;
use orlop::fs::owner::Owner;
use orlop::fs::verify::{Change, Difference, Field};
use orlop::image::Image;
use orlop::layer::path::printable;
use orlop::spec::runtime::Options;
use orlop::spec::{Context, Fault};
use orlop::store::Store;
use orlop::verify::{self, Harm, Harmed, Meant, Stored, Trust, Verified, WrongView};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Tell what differs between an image and what was made of it.
///
/// DIR is a folder that the image was unpacked into, a place where it is mounted, or a bundle. Types, contents, modes, owners,
/// attributes, links and devices are compared; times are not. Without DIR it is what the store keeps of the image that is
/// compared: the contents of its files, and what is mounted of it. What did not change since it was compared last is not read
/// again. The exit code is 8 when anything differs.
#[derive(Args)]
pub struct Arguments {
    /// The image; a name alone is one of the store
    #[arg(value_name = "REF")]
    reference: OsString,
    /// The folder
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Read everything, whatever an earlier comparison saw
    #[arg(long)]
    paranoid: bool,
    /// Make right what differs, from the contents in the store; the exit code is 0 when nothing differs afterwards
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    owners: Owners,
    #[command(flatten, next_help_heading = "What a bundle was made with")]
    runtime: BundleFlags,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

/// What was found, and whether anything is left of it.
struct Findings {
    folder: Verified,
    stored: Stored,
    is_left: bool,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    // Before `--owner map` enters the namespace that a container is to have.
    let runtime = arguments.runtime.options();
    let owner = arguments.owners.owner()?;
    let findings = shell.read(&arguments.work, |cx| {
        let place = arguments.places.open_stored(&arguments.reference, cx)?;
        let image = Image::fetch(cx, place.source(), place.selector(), &arguments.platform.platform())?;
        let store = arguments.places.store.open_if_any(cx)?;
        match &arguments.folder {
            Some(folder) => of_folder(arguments, cx, (&image, store.as_ref()), folder, (owner, &runtime)),
            None => of_store(arguments, cx, &image, store.as_ref()),
        }
    })?;
    shell.print(match arguments.show.format {
        Format::Human => lines(&findings),
        Format::Json => format!("{}\n", value(&findings)),
    })?;
    Ok(if findings.is_left { Outcome::Found } else { Outcome::Done })
}

impl Arguments {
    fn trust(&self) -> Trust {
        if self.paranoid { Trust::Nothing } else { Trust::Kept }
    }
}

fn of_folder(
    arguments: &Arguments,
    cx: &Context<'_>,
    (image, store): (&Image<'_>, Option<&Store>),
    folder: &Path,
    how: (Owner, &Options),
) -> Result<Findings, Fault> {
    let meant = Meant::of(cx, image, store, arguments.trust())?;
    let found = verify::folder(cx, image, &meant, folder, how)?;
    let repaired = || Ok::<_, Fault>(verify::repair(cx, image, &meant, folder, how, &found)?.is_as_meant());
    let is_right = found.is_as_meant() || arguments.repair && repaired()?;
    Ok(Findings { folder: found, stored: Stored::default(), is_left: !is_right })
}

fn of_store(
    arguments: &Arguments,
    cx: &Context<'_>,
    image: &Image<'_>,
    store: Option<&Store>,
) -> Result<Findings, Fault> {
    let layers = &image.config().rootfs.diff_ids;
    let store = match store {
        Some(store) if store.knows(layers)? => store,
        _ => return Err(NOT_STORED.into()),
    };
    let stored = verify::stored(cx, store, layers, arguments.trust())?;
    let trust = arguments.trust();
    let repaired =
        || Ok::<_, Fault>(verify::repair_stored(cx, store, layers, (trust, &stored))?.is_as_meant());
    let is_right = stored.is_as_meant() || arguments.repair && repaired()?;
    Ok(Findings { folder: Verified::default(), stored, is_left: !is_right })
}

const NOT_STORED: orlop::Error = orlop::Error::Unfit {
    what: "the store does not have the layers of this image, and no folder is named",
    hint: "name the folder that was made of it: orlop verify REF DIR",
};

fn lines(Findings { folder, stored, .. }: &Findings) -> String {
    let mut text = String::new();
    for difference in &folder.files {
        differing(&mut text, "", difference);
    }
    for Member { name, before, after } in &folder.config {
        line(&mut text, &format!("config   {name}: {before} → {after}"));
    }
    for Harmed { digest, harm, paths } in &stored.objects {
        let needed = paths.first().map_or_else(String::new, |first| match paths.len() {
            1 => format!(" (needed by {first})"),
            count => format!(" (needed by {first} and {} others)", count - 1),
        });
        line(&mut text, &format!("object   {digest}: {}{needed}", word(*harm)));
    }
    for WrongView { key, backend, files } in &stored.views {
        if files.is_empty() {
            line(&mut text, &format!("tree     {key}: {backend}: other bytes"));
        }
        for difference in files {
            differing(&mut text, &format!("{key}: "), difference);
        }
    }
    text
}

fn differing(text: &mut String, of: &str, Difference { path, change }: &Difference) {
    match change {
        Change::Added(kind) => line(text, &format!("added    {of}{path} ({})", type_name(*kind))),
        Change::Removed => line(text, &format!("removed  {of}{path}")),
        Change::Changed(fields) => {
            for Field { aspect, expected, found } in fields {
                line(text, &format!("changed  {of}{path}: {aspect}: {expected} → {found}"));
            }
        }
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{}", printable(line)).expect("a string takes everything");
}

fn word(harm: Harm) -> &'static str {
    match harm {
        Harm::Missing => "missing",
        Harm::Damaged => "damaged",
    }
}

fn value(Findings { folder, stored, is_left }: &Findings) -> Value {
    let files = |files: &[Difference]| files.iter().map(file).collect::<Vec<_>>();
    let member =
        |Member { name, before, after }: &Member| json!({ "name": name, "expected": before, "found": after });
    let object = |Harmed { digest, harm, paths }: &Harmed| {
        let paths: Vec<Value> = paths.iter().map(|path| named("path", path.as_bytes()).into()).collect();
        json!({ "digest": digest.to_string(), "harm": word(*harm), "needed_by": paths })
    };
    let tree = |WrongView { key, backend, files: wrong }: &WrongView| json!({ "tree": key, "backend": backend.word(), "files": files(wrong) });
    json!({
        "version": 1,
        "files": files(&folder.files),
        "config": folder.config.iter().map(member).collect::<Vec<_>>(),
        "objects": stored.objects.iter().map(object).collect::<Vec<_>>(),
        "trees": stored.views.iter().map(tree).collect::<Vec<_>>(),
        "left": is_left,
    })
}

fn file(Difference { path, change }: &Difference) -> Value {
    let mut object = named("path", path.as_bytes());
    let field = |Field { aspect, expected, found }: &Field| json!({ "name": aspect.to_string(), "expected": expected, "found": found });
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
