//! The folders of runs.
//!
//! ```text
//! ROOT/runs/ID/          locked alone (flock on the folder) as long as whoever started the run lives
//!   roots                the image, for sweeps
//!   plan                 what the supervisor is to do, as JSON
//!   config.json          what a runtime reads
//!   rootfs/              where the image stands, in the mounts of the supervisor alone
//!   upper/ work/         what the container changed
//!   state/ log pid       the runtime's own
//! ```
//!
//! Invariant: a folder without a lock belongs to a dead run, whose processes and mounts the kernel took away; the next
//! run or sweep removes it. A new one is made and locked under a shared lock on `runs`, and only whoever holds that alone
//! takes a folder without a lock for dead.

use super::runtime::Runtime;
use super::supervisor;
use orlop_fs::lock::{Lock, Share, Wait};
use orlop_fs::privilege;
use orlop_fs::{Dir, File, Persist, random, stat};
use orlop_spec::Descriptor;
use orlop_spec::port::Result;
use orlop_store::store::names::Record as Named;
use orlop_store::store::roots::Roots;
use orlop_store::{Error as StoreError, Store};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The folder of runs in a store.
pub const RUNS: &str = "runs";
/// What a supervisor is to do.
pub(super) const PLAN: &str = "plan";

/// What happens to a run's folder when the run is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Afterwards {
    /// It is removed.
    #[default]
    Remove,
    /// What the container changed is kept, as `kept-ID` beside the folders of runs.
    Keep,
}

/// The folder of one run, ours as long as this lives, and the image that it needs, which no sweep takes away.
#[derive(Debug)]
pub struct Place {
    store: Store,
    runs: Dir,
    id: String,
    folder: Dir,
    path: PathBuf,
    _lock: Lock,
}

/// Takes away the record by which an image without a name was kept for a run, when the run relies on the image by itself, or
/// none will.
pub fn let_go(store: &Store, record: &Named) -> Result<()> {
    match store.records().remove_own(record) {
        // Another run of the image was quicker, or somebody keeps it now.
        Err(fault) if matches!(fault.downcast_ref(), Some(StoreError::Moved { .. })) => Ok(()),
        outcome => outcome,
    }
}

impl Place {
    /// Makes a folder in a store for the image with this manifest, after what dead runs left was removed.
    pub fn create(store: Store, manifest: &Descriptor) -> Result<Self> {
        store.rely_on(manifest)?;
        let runs = store.root().make_or_open_dir(RUNS, 0o700)?;
        clear(&runs)?;
        let guard = runs.lock(Share::Shared, Wait::Yes)?;
        let id = String::from_utf8_lossy(&random::name("")).into_owned();
        runs.make_dir(&id, 0o700)?;
        let folder = runs.open_dir(&id)?;
        let lock = folder.lock(Share::Exclusive, Wait::Yes)?.expect("it was waited for");
        Roots { images: vec![manifest.clone()], layers: Vec::new(), trees: Vec::new() }.write(&folder)?;
        drop(guard);
        let path = stat::real_path(folder.path())?;
        Ok(Self { store, runs, id, folder, path, _lock: lock })
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The name of the run.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder.
    pub fn folder(&self) -> &Dir {
        &self.folder
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file of it.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        write(&self.folder, name, content)
    }

    /// Ends the run. Where changes were kept, the folder that holds them.
    pub fn end(self, afterwards: Afterwards) -> Result<Option<PathBuf>> {
        let mut kept = None;
        if afterwards == Afterwards::Keep && self.folder.try_stat(supervisor::UPPER)?.is_some() {
            let name = format!("{KEPT}{}", self.id);
            self.folder.rename_new(supervisor::UPPER, &self.runs, &name)?;
            kept = Some(self.path.with_file_name(name));
        }
        let Self { runs, id, _lock, .. } = self;
        remove(&runs, &[id.into_bytes().into()])?;
        Ok(kept)
    }
}

/// How a folder of kept changes begins; it is no run's, and nobody's to remove but the user's.
const KEPT: &str = "kept-";

/// Writes a file that nobody reads before it is whole.
pub(super) fn write(folder: &Dir, name: &str, content: &[u8]) -> Result<()> {
    let mut file = folder.create_temp()?;
    file.write_all(content).map_err(|error| orlop_spec::Fault::io("write a file of a run", error))?;
    file.persist(name, Persist::Replace)?;
    Ok(())
}

/// Removes what dead runs left in the store at `root`, if there is one.
pub fn clear_store(root: &Path) -> Result<()> {
    match Dir::open(root.join(RUNS)) {
        Err(error) if error.is_not_found() => Ok(()),
        runs => clear(&runs?),
    }
}

/// Removes what dead runs left. What cannot be removed now stays for the next one.
fn clear(runs: &Dir) -> Result<()> {
    if runs.is_empty()? {
        return Ok(());
    }
    let Some(_alone) = runs.lock(Share::Exclusive, Wait::No)? else { return Ok(()) };
    let mut dead = Vec::new();
    for name in runs.list()? {
        let is_run = random::is_name(b"", &name);
        if is_run && runs.open_dir(&name)?.lock(Share::Exclusive, Wait::No)?.is_some() {
            dead.push(name);
        }
    }
    if dead.is_empty() { Ok(()) } else { remove(runs, &dead) }
}

/// Removes folders of runs, with what their runtimes left in the kernel. Files of other users of a namespace are removed
/// within one.
fn remove(runs: &Dir, names: &[Box<[u8]>]) -> Result<()> {
    for name in names {
        forget(runs, name);
        if let Err(error) = runs.remove_all(name) {
            if privilege::may_mount() || !error.is_denied() {
                return Err(error.into());
            }
            supervisor::remove_within(runs, name)?;
            runs.remove_all(name)?;
        }
    }
    Ok(())
}

/// What the plan of a dead run tells about its runtime.
#[derive(Serialize, Deserialize)]
struct Record {
    runtime: Runtime,
}

/// Lets a runtime take away the cgroup that it made. Where it did not get so far there is none.
fn forget(runs: &Dir, name: &[u8]) {
    let told = || -> Option<(Dir, Runtime)> {
        let folder = runs.open_dir(name).ok()?;
        folder.try_stat("state").ok()??;
        let plan = read(&folder, PLAN).ok()?;
        let Record { runtime } = serde_json::from_slice(&plan).ok()?;
        Some((folder, runtime))
    };
    if let Some((folder, runtime)) = told() {
        super::oci::delete(&runtime, &folder, &String::from_utf8_lossy(name));
    }
}

/// A small file of a run.
pub(super) fn read(folder: &Dir, name: &str) -> Result<Vec<u8>> {
    const LARGEST: u64 = 64 << 20;
    let mut file: File = folder.open_file(name)?;
    Ok(file.read_to_limit(LARGEST)?)
}
