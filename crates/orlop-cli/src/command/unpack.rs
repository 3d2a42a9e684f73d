//! `orlop unpack REF DIR`

use super::Outcome;
use crate::flags::{Format, OnePlatform, Owners, Place, Show, Target, Work};
use crate::shell::Shell;
use clap::Args;
use orlop::fs::owner::Owner;
use orlop::fs::staging::Detail;
use orlop::image::Image;
use orlop::layer::TreePath;
use orlop::spec::Fault;
use orlop::unpack::{Unpack, Unpacked, unpack};
use serde_json::json;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

/// Unpack the root filesystem of an image into a folder.
///
/// Every layer is proven before anything appears at DIR, which then appears in one step. A missing DIR is made, an
/// empty one is filled, any other is refused.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    target: Target,
    /// Unpack only this folder of the image
    #[arg(long, value_name = "PATH", default_value = "/")]
    subdir: OsString,
    #[command(flatten)]
    owners: Owners,
    /// Make only what any place can hold: files with their contents and whether they can be run, folders and symbolic
    /// links; all of it the caller's to read and change. Devices and fifos, owners, other bits of modes and extended
    /// attributes are left out
    #[arg(long, conflicts_with = "owner")]
    reduced: bool,
    /// Keep a snapshot of the folder beside it, so that `repack`, `revert` and `diff` know what was changed
    #[arg(long, conflicts_with_all = ["reduced", "subdir"])]
    track: bool,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let subdir = TreePath::parse(arguments.subdir.as_bytes()).map_err(orlop::layer::Error::from)?;
    let (owner, detail) = if arguments.reduced {
        (Owner::Squash, Detail::Reduced)
    } else {
        (arguments.owners.owner()?, Detail::Full)
    };
    let how = Unpack {
        owner,
        detail,
        existing: arguments.target.existing(),
        sync: arguments.target.sync(),
        subdir,
        track: None,
    };
    let line = shell.work(&arguments.work, |cx| {
        let place = arguments.place.open(cx)?;
        let how = Unpack { track: arguments.track.then(|| place.lasting(cx)), ..how };
        let image = Image::fetch(cx, place.source(), place.selector(), &arguments.platform.platform())?;
        let unpacked = unpack(cx, &image, arguments.target.path(), &how)?;
        Ok(match arguments.show.format {
            Format::Human => arguments.target.line(&image),
            Format::Json => told(&image, &unpacked),
        })
    })?;
    shell.print(line)?;
    Ok(Outcome::Done)
}

fn told(image: &Image<'_>, unpacked: &Unpacked) -> String {
    let lost: serde_json::Map<_, _> = unpacked
        .report
        .losses
        .iter()
        .map(|(kind, loss)| {
            (kind.word().to_owned(), json!({ "count": loss.count, "examples": loss.examples }))
        })
        .collect();
    let digest = &image.manifest().descriptor().digest;
    let value = json!({ "version": 1, "digest": digest, "entries": unpacked.entries, "lost": lost });
    format!("{value}\n")
}
