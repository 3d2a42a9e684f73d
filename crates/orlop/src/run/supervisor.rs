//! The process that stands between `run` and its container.
//!
//! ```text
//! orlop run ── tether ── orlop supervise (process 1 of its namespaces) ── the container
//! holds the lock            mounts the image, starts the runtime,
//! of the run                waits, passes on signals and keys
//! ```
//!
//! It is this program again, started in namespaces of processes and mounts, and for an ordinary user of users as well.
//! Invariant: what it mounts and starts is gone when it ends, by the kernel's hand; so a killed `run` leaves files at most.

use super::bwrap;
use super::error::RunError;
use super::oci;
use super::place::{self, PLAN, Place};
use super::runtime::{Kind, Runtime};
use orlop_fs::namespace::Ids;
use orlop_fs::process::{Ended, Process, Program};
use orlop_fs::room::{self, Room};
use orlop_fs::rooted::{self, read_small};
use orlop_fs::supervise::{Console, Outcome, Signals, Tether, Whose, hold, watch};
use orlop_fs::sys::Session;
use orlop_fs::{Dir, File, stat};
use orlop_spec::config::Config;
use orlop_spec::digest::DiffId;
use orlop_spec::port::Result;
use orlop_spec::runtime::{self, Options, Rootfs};
use orlop_spec::{Context, Event, Observer};
use orlop_store::Store;
use orlop_store::store;
use orlop_store::store::view::{Backend, Choice, Owners};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The verb that makes this program a supervisor.
pub const VERB: &str = "supervise";
/// What it is to do: run the container of its folder.
pub const RUN: &str = "run";
/// Or remove a folder of its folder, with files of other users of the namespace.
pub const REMOVE: &str = "remove";

/// What of a run's folder the container is made of.
const ROOTFS: &str = "rootfs";
pub(super) const UPPER: &str = "upper";
const WORK: &str = "work";

/// This program.
const ITSELF: &str = "/proc/self/exe";

/// The three files of a process.
#[derive(Clone, Copy, Debug)]
pub struct Stdio<'a> {
    /// What it reads.
    pub input: BorrowedFd<'a>,
    /// What it says.
    pub output: BorrowedFd<'a>,
    /// What it says of itself.
    pub errors: BorrowedFd<'a>,
}

/// Starts a supervisor for the run in `place`, and waits for its end. Called by the first thread: the supervisor dies with
/// the thread that starts it.
pub fn supervised(
    place: &Place,
    room: Room<'_>,
    stdio: &Stdio<'_>,
    keys: Option<BorrowedFd<'_>>,
) -> Result<Outcome> {
    let signals = Signals::catch()?;
    let (tether, other) = Tether::pair()?;
    let program = Program {
        path: Path::new(ITSELF),
        arguments: &[VERB.into(), RUN.into()],
        environment: None,
        files: &[stdio.input, stdio.output, stdio.errors, other.as_fd()],
        folder: Some(place.path()),
        session: Session::Callers,
    };
    let supervisor = program.start(room)?;
    drop(other);
    Ok(hold(&supervisor, &tether, &signals, keys)?)
}

/// Removes `name` of a folder as root of a namespace of the caller's users.
pub(super) fn remove_within(folder: &Dir, name: &[u8]) -> Result<()> {
    let mappings = super::mappings();
    let null = File::open("/dev/null")?;
    let path = stat::real_path(folder.path())?;
    let name = String::from_utf8_lossy(name).into_owned();
    let program = Program {
        path: Path::new(ITSELF),
        arguments: &[VERB.into(), REMOVE.into(), name.into()],
        environment: None,
        files: &[null.as_fd(), null.as_fd(), null.as_fd()],
        folder: Some(&path),
        session: Session::Callers,
    };
    // Whether it succeeded, the caller sees at the folder.
    program.start(Room::OfUsers(&mappings))?.wait()?;
    Ok(())
}

/// A container that runs.
#[derive(Debug)]
pub(super) struct Started {
    /// Whose end is the container's.
    pub(super) process: Process,
    /// The other side of the container's terminal.
    pub(super) terminal: Option<OwnedFd>,
    /// Who gets signals, where that is another process.
    pub(super) target: Option<Process>,
    /// What `bwrap` tells.
    pub(super) status: Option<bwrap::Status>,
}

/// What a supervisor is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The name of the run.
    pub id: String,
    /// Where the store is.
    pub store: PathBuf,
    /// The image's config, as it is.
    pub image: Box<str>,
    /// How the image is mounted.
    pub backend: Option<Backend>,
    /// What the caller says.
    pub options: Options,
    /// Who runs the container.
    pub runtime: Runtime,
}

impl Plan {
    /// Writes it into the folder of its run.
    pub fn write(&self, place: &Place) -> Result<()> {
        let text = serde_json::to_vec(self).map_err(RunError::BadPlan)?;
        place.write(PLAN, &text)
    }

    fn read(folder: &Dir) -> Result<Self> {
        Ok(serde_json::from_slice(&place::read(folder, PLAN)?).map_err(RunError::BadPlan)?)
    }
}

/// Runs the container of the folder that this process was started in.
pub fn run(cx: &Context<'_>, tether: &Tether, stdio: &Stdio<'_>) -> Result<Ended> {
    let path = stat::real_path(".")?;
    let folder = Dir::open(&path)?;
    let plan = Plan::read(&folder)?;
    room::settle()?;
    let image: Config = serde_json::from_str(&plan.image).map_err(RunError::BadPlan)?;
    // Open until the end: so long is what is mounted kept from sweeps.
    let store = Store::open(
        &plan.store,
        &store::Options { limits: cx.limits.clone(), workers: cx.workers, ..store::Options::default() },
    )?;
    mount(cx, &store, &image.rootfs.diff_ids, plan.backend, &folder)?;
    let rootfs = folder.open_dir(ROOTFS)?;
    let config = config(cx, &image, &plan.options, &rootfs)?;
    place::write(&folder, "config.json", &config.to_bytes())?;
    let config = config.config;
    tether.starts();
    let started = match plan.runtime.kind {
        Kind::Bwrap => bwrap::check(&config).map_err(Into::into).and_then(|()| {
            cx.observer.event(Event::Warned(bwrap::WEAKER.into()));
            bwrap::start(&plan.runtime.path, &folder, &config, stdio)
        }),
        _ => oci::start(&plan.runtime, &folder, &plan.id, &config, stdio),
    };
    let ended = started.and_then(|started| wait(started, tether, stdio, &rootfs, &config));
    oci::delete(&plan.runtime, &folder, &plan.id);
    ended
}

fn wait(started: Started, tether: &Tether, stdio: &Stdio<'_>, rootfs: &Dir, config: &Value) -> Result<Ended> {
    let Started { process, terminal, target, status } = started;
    let console = terminal.map(|terminal| Console::new(terminal, stdio.input, stdio.output)).transpose()?;
    let (ended, whose) = watch(&process, target.as_ref().unwrap_or(&process), tether, console)?;
    let is_of_bwrap = ended != Ended::Code(0) && whose == Whose::Process;
    if is_of_bwrap && status.is_some_and(|status| !status.has_run()) {
        return Err(bwrap::blame(rootfs, config).into());
    }
    Ok(ended)
}

/// Puts the image at its place, with folders for what the container changes: also where it may change nothing, since what
/// is mounted in it needs places.
fn mount(
    cx: &Context<'_>,
    store: &Store,
    layers: &[DiffId],
    backend: Option<Backend>,
    folder: &Dir,
) -> Result<()> {
    for name in [ROOTFS, UPPER, WORK] {
        folder.make_dir(name, 0o755)?;
    }
    let at = |name: &str| folder.path().join(name);
    let (rootfs, upper, work) = (at(ROOTFS), at(UPPER), at(WORK));
    let choice = backend.map_or(Choice::Auto, Choice::Only);
    let owners = Owners::of(&Ids::current()?);
    let mut is_new = true;
    for backend in Backend::ALL {
        is_new &= !store.has_view(layers, backend, &owners)?;
    }
    let told = Told { observer: cx.observer, is_new };
    let (_, mount) =
        store.show(&Context { observer: &told, ..*cx }, layers, choice, &rootfs, Some((&upper, &work)))?;
    Ok(mount.attach(&rootfs)?)
}

/// What of the mounting of an image is told: what cannot be shown of it, when that is found out, and where no runtime puts
/// something of its own.
struct Told<'a> {
    observer: &'a dyn Observer,
    is_new: bool,
}

impl Observer for Told<'_> {
    fn event(&self, event: Event) {
        let is_of_runtime = |path: &str| {
            let first = path.trim_start_matches('/').split('/').next();
            matches!(first, Some("dev" | "proc" | "sys"))
        };
        match &event {
            Event::Lost { path, .. } if !self.is_new || is_of_runtime(path) => {}
            _ => self.observer.event(event),
        }
    }
}

/// The configuration, with accounts and links of the image as it stands there.
fn config(cx: &Context<'_>, image: &Config, options: &Options, root: &Dir) -> Result<runtime::Runtime> {
    let passwd = read_small(root, "/etc/passwd", super::ACCOUNTS)?;
    let group = read_small(root, "/etc/group", super::ACCOUNTS)?;
    let link = |path: &[u8]| rooted::link(root, path);
    let rootfs = Rootfs { passwd: passwd.as_deref(), group: group.as_deref(), link: &link };
    let runtime = runtime::convert(image, &rootfs, options)?;
    super::warn_of_lost_groups(cx, &runtime);
    Ok(runtime)
}
