//! `orlop mount [REF [DIR]] [-- CMD…]`

use super::run::fetch::{self, Pull, Stay};
use super::{Outcome, unshare};
use crate::error::Error;
use crate::flags::{self, Format, OnePlatform, Places, Show, StorePlace, Work};
use crate::output::{Align, Table, listing};
use crate::shell::Shell;
use clap::{Args, ValueEnum};
use orlop::layer::path::printable;
use orlop::mount::{How, check_right, mount};
use orlop::run::let_go;
use orlop::spec::port::Selector;
use orlop::spec::time::Timestamp;
use orlop::spec::{Context, Descriptor, Fault};
use orlop::store::mounts::{Access, Mounted, State};
use orlop::store::view::{self, Choice};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Show an image of the local store as a folder, without unpacking it; or list what is shown.
///
/// The folder is printed. As root it stays until `umount`. An ordinary user gives a command after `--`: it runs in a
/// namespace where the image is mounted at $ORLOP_MOUNT, or at DIR, and the mount ends with it. `orlop unshare` gives a
/// shell in such a namespace.
#[derive(Args)]
pub struct Arguments {
    /// An image of the local store, or one of any other place, which the store has as long as it is mounted; without it, what is
    /// mounted is listed
    #[arg(value_name = "REF")]
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
    places: Places,
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
    if arguments.command.is_empty() {
        let mounted = arguments.mount(image, Access::Writable, shell)?;
        shell.print(match arguments.show.format {
            Format::Human => format!("{}\n", printable(&mounted.place.to_string_lossy())),
            Format::Json => format!("{}\n", json!({ "version": 1, "mount": told(&mounted) })),
        })?;
        return Ok(Outcome::Done);
    }
    let root = arguments.places.store.real_folder()?;
    // Before any thread starts.
    unshare::enter()?;
    let mounted = arguments.mount(image, Access::Scratch, shell)?;
    let variables: [(&str, &Path); 2] = [("ORLOP_MOUNT", &mounted.place), ("ORLOP_ROOT", &root)];
    Ok(unshare::become_program(&arguments.command, &variables))
}

impl Arguments {
    fn mount(&self, image: &OsStr, writable: Access, shell: &Shell) -> Result<Mounted, Fault> {
        let (platform, called) = (self.platform.platform(), image.to_string_lossy());
        let how = How {
            platform: &platform,
            choice: self.backend.choice(),
            access: if self.rw { writable } else { Access::ReadOnly },
            place: self.place.as_deref(),
            called: Some(&called),
        };
        let Some(reference) = StorePlace::reference(image)? else {
            check_right()?;
            return shell.fetch(&self.work, |cx| self.mount_passing(image, &how, cx));
        };
        let places = self.places.store.places();
        shell.read(&self.work, |cx| {
            let store = self.places.store.open(cx)?;
            let catalog = places.keep(&reference, cx)?;
            mount(cx, &store, (&*catalog, &reference.selector), &how)
        })
    }

    /// Brings the image of another place into the store, which has it as long as it is mounted; one of a registry stays.
    fn mount_passing(&self, image: &OsStr, how: &How<'_>, cx: &Context<'_>) -> Result<Mounted, Fault> {
        let (manifest, stay) = fetch::stored(image, Pull::Missing, &self.places, &self.platform, cx)?;
        let mounted = self.mount_stored(manifest, how, cx);
        if let Stay::Passing(record) = stay {
            let let_go = self.places.store.open(cx).and_then(|store| let_go(&store, &record));
            // Why nothing is mounted says more than why a record stays.
            return mounted.and_then(|mounted| let_go.map(|()| mounted));
        }
        mounted
    }

    fn mount_stored(&self, manifest: Descriptor, how: &How<'_>, cx: &Context<'_>) -> Result<Mounted, Fault> {
        let store = self.places.store.open(cx)?;
        let catalog = self.places.keep(&flags::store(), cx)?;
        mount(cx, &store, (&*catalog, &Selector::Digest(manifest.digest)), how)
    }
}

fn list(arguments: &Arguments, shell: &Shell) -> Result<String, Fault> {
    let mounted = shell.look(|cx| arguments.places.store.open(cx)?.mounted())?;
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
