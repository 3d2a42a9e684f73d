//! `orlop umount DIR|NAME…`

use super::Outcome;
use crate::flags::StorePlace;
use crate::shell::Shell;
use clap::Args;
use orlop::fs::mount::InUse;
use orlop::layer::path::printable;
use orlop::mount::{Which, unmount};
use orlop::spec::{Context, Fault};
use std::ffi::OsStr;
use std::path::PathBuf;

/// Take away what `mount` shows, and the changes to it.
///
/// Tells each place that is free again.
#[derive(Args)]
pub struct Arguments {
    /// Where it is mounted, the name of the image for all its mounts, or an id that `orlop mount` lists
    #[arg(value_name = "DIR|NAME", required_unless_present = "all", conflicts_with = "all")]
    which: Vec<PathBuf>,
    /// All mounts of the store
    #[arg(long)]
    all: bool,
    /// Take it away even while programs use it: they keep what they have open
    #[arg(long)]
    lazy: bool,
    #[command(flatten)]
    store: StorePlace,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let in_use = if arguments.lazy { InUse::Detach } else { InUse::Refuse };
    let named = arguments.which.iter().map(|word| Which::Called(word));
    let which = if arguments.all { vec![Which::All] } else { named.collect() };
    let lines = shell.look(|cx| {
        let store = arguments.store.open(cx)?;
        let whole = |name: &OsStr| arguments.whole(name, cx);
        let mut lines = String::new();
        for which in which {
            for mounted in unmount(cx, &store, (which, &whole), in_use)? {
                lines += &printable(&mounted.place.to_string_lossy());
                lines.push('\n');
            }
        }
        Ok(lines)
    })?;
    shell.print(lines)?;
    Ok(Outcome::Done)
}

impl Arguments {
    /// The whole name of an image that is called by a shorter one.
    fn whole(&self, name: &OsStr, cx: &Context<'_>) -> Option<String> {
        let reference = StorePlace::reference(name).ok()??;
        let places = self.store.places();
        let name = places.keep(&reference, cx).ok()?.name_of(&reference.selector).ok()?;
        name.tag().map(str::to_owned)
    }
}
