//! `orlop revert DIR`

use super::{Outcome, diff};
use crate::flags::{LookFlags, Places, Show, Work, journal, tracked};
use crate::shell::Shell;
use clap::Args;
use orlop::fs::lock::Share;
use orlop::fs::track::{Hash, Renew, Strays};
use orlop::image::Image;
use orlop::spec::Fault;
use orlop::spec::port::Selector;
use orlop::track::{Reverted, changes, revert};
use std::ffi::OsString;
use std::path::PathBuf;

/// Make a tracked folder again what it was when it was unpacked, or repacked with --refresh.
///
/// What was changed is taken from the image that the folder came from, and nothing else is touched; of the layers, only those
/// are read that hold it. What an image cannot hold, such as a socket, was added and is taken away. What is masked, or has
/// something mounted over it, stays as it is. What was changed is told as `diff` tells it.
#[derive(Args)]
pub struct Arguments {
    /// The tracked folder: a root filesystem, or a bundle
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Where the image is that DIR came from [default: where DIR was unpacked from]
    #[arg(long, value_name = "REF")]
    base: Option<OsString>,
    /// Tell what was changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    look: LookFlags,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let tracked = tracked(&arguments.folder, Share::Exclusive, &arguments.work.limits())?;
    let look = arguments.look.look(Strays::Added);
    let Reverted { changes, left, .. } = shell.work(&arguments.work, |cx| {
        let journal = journal(&arguments.places, cx);
        if arguments.dry_run {
            let compared = tracked.compare(cx, &look, journal.as_ref(), (Hash::Changed, Renew::No))?;
            return Ok(Reverted { changes: changes(&compared), ..Reverted::default() });
        }
        let about = &tracked.about;
        let base = arguments.base.clone().unwrap_or_else(|| OsString::from(&about.reference));
        let missed = |fault| if arguments.base.is_some() { fault } else { about.not_found(fault) };
        let place = arguments.places.open(&base, cx).map_err(missed)?;
        let selector = Selector::Digest(about.manifest.digest.clone());
        let image = Image::fetch(cx, place.source(), &selector, &about.platform).map_err(missed)?;
        let spool = arguments.places.outside(cx).spool()?;
        revert(cx, &tracked, &image, &look, (journal.as_ref(), spool))
    })?;
    shell.print(diff::told(&changes, arguments.show.format, diff::Telling::Names))?;
    Ok(if left.is_empty() { Outcome::Done } else { Outcome::Partial })
}
