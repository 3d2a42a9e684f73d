//! `orlop mount [NAME [DIR]] [-- CMD…]`

use super::{Outcome, unshare};
use crate::error::Error;
use crate::flags::{Format, OnePlatform, Show, StorePlace, Work};
use crate::output::{Align, Table, listing};
use crate::shell::Shell;
use clap::{Args, ValueEnum};
use orlop::layer::path::printable;
use orlop::mount::How;
use orlop::spec::Fault;
use orlop::spec::reference::Reference;
use orlop::spec::time::Timestamp;
use orlop::store::mounts::{Access, Mounted, State};
use orlop::store::view::{self, Choice};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Show an image of the local store as a folder, without unpacking it; or list what is shown.
///
/// The folder is printed. As root it stays until `umount`. An ordinary user gives a command after `--`: it runs in a
/// namespace where the image is mounted at $ORLOP_MOUNT, or at DIR, and the mount ends with it. `orlop unshare` gives a
/// shell in such a namespace.
#[derive(Args)]
pub struct Arguments {
    /// An image of the local store; without it, what is mounted is listed
    #[arg(value_name = "NAME")]
    image: Option<OsString>,
    /// An empty folder [default: one of the store]
    #[arg(value_name = "DIR")]
    place: Option<PathBuf>,
    /// Mount for this command alone
    #[arg(last = true, value_name = "CMD", requires = "image", conflicts_with = "format")]
    command: Vec<OsString>,
    /// Let files be changed; the changes are gone after `umount`, or with the command
    #[arg(long, requires = "image")]
    rw: bool,
    /// How it is shown
    #[arg(long, value_name = "HOW", default_value = "auto", requires = "image")]
    backend: Backend,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    store: StorePlace,
    #[command(flatten)]
    work: Work,
}

/// How an image is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// The cheapest that works here.
    Auto,
    /// An EROFS image below an overlay; needs root and Linux 6.12.
    Erofs,
    /// Empty files below an overlay; about Linux 6.16.
    Skeleton,
    /// A folder with copies of all files; made once.
    Checkout,
}

impl Backend {
    /// What the library calls it.
    pub fn choice(self) -> Choice {
        match self {
            Self::Auto => Choice::Auto,
            Self::Erofs => Choice::Only(view::Backend::Erofs),
            Self::Skeleton => Choice::Only(view::Backend::Skeleton),
            Self::Checkout => Choice::Only(view::Backend::Checkout),
        }
    }
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let Some(image) = &arguments.image else {
        if arguments.platform.is_given() {
            return Err(Error::FlagUnfit { flag: "--platform", what: "mounts are listed" }.into());
        }
        shell.print(list(arguments, shell)?)?;
        return Ok(Outcome::Done);
    };
    let reference = StorePlace::reference(image)?;
    if arguments.command.is_empty() {
        let mounted = arguments.mount(&reference, Access::Writable, shell)?;
        shell.print(match arguments.show.format {
            Format::Human => format!("{}\n", printable(&mounted.place.to_string_lossy())),
            Format::Json => format!("{}\n", json!({ "version": 1, "mount": told(&mounted) })),
        })?;
        return Ok(Outcome::Done);
    }
    let root = arguments.store.real_folder()?;
    // Before any thread starts.
    unshare::enter()?;
    let mounted = arguments.mount(&reference, Access::Scratch, shell)?;
    let variables: [(&str, &Path); 2] = [("ORLOP_MOUNT", &mounted.place), ("ORLOP_ROOT", &root)];
    Ok(unshare::become_program(&arguments.command, &variables))
}

impl Arguments {
    fn mount(&self, reference: &Reference, writable: Access, shell: &Shell) -> Result<Mounted, Fault> {
        let platform = self.platform.platform();
        let how = How {
            platform: &platform,
            choice: self.backend.choice(),
            access: if self.rw { writable } else { Access::ReadOnly },
            place: self.place.as_deref(),
        };
        let places = self.store.places();
        shell.read(&self.work, |cx| {
            let store = self.store.open(cx)?;
            let catalog = places.keep(reference, cx)?;
            orlop::mount::mount(cx, &store, (&*catalog, &reference.selector), &how)
        })
    }
}

fn list(arguments: &Arguments, shell: &Shell) -> Result<String, Fault> {
    let mounted = shell.look(|cx| arguments.store.open(cx)?.mounted())?;
    if arguments.show.format == Format::Json {
        let mounts: Vec<Value> = mounted.iter().map(told).collect();
        return Ok(listing("mounts", &mounts));
    }
    let columns = ["ID", "IMAGE", "PLACE", "HOW", "STATE"].map(|title| (title, Align::Left));
    let mut table = Table::new(&columns);
    for it in &mounted {
        let state = [state(it.state), access(it.access)].join(", ");
        table.row([it.id.to_string(), it.name.clone(), shown(&it.place), it.backend.clone(), state]);
    }
    Ok(table.print())
}

fn shown(place: &Path) -> String {
    printable(&place.to_string_lossy()).into_owned()
}

fn state(state: State) -> &'static str {
    match state {
        State::Here => "mounted",
        State::Elsewhere(_) => "in another namespace",
        State::Gone => "gone, with changes",
        State::Unknown => "unknown",
    }
}

fn access(access: Access) -> &'static str {
    match access {
        Access::ReadOnly => "read-only",
        Access::Writable | Access::Scratch => "writable",
    }
}

/// A mount as JSON.
fn told(it: &Mounted) -> Value {
    let process = match it.state {
        State::Elsewhere(pid) => Some(pid),
        _ => None,
    };
    json!({
        "id": it.id,
        "image": it.name,
        "place": it.place.to_string_lossy(),
        "backend": it.backend,
        "writable": it.access != Access::ReadOnly,
        "since": Timestamp::new(it.since.seconds, it.since.nanoseconds).ok().map(|it| it.to_string()),
        "state": match it.state {
            State::Here => "mounted",
            State::Elsewhere(_) => "elsewhere",
            State::Gone => "gone",
            State::Unknown => "unknown",
        },
        "process": process,
    })
}
