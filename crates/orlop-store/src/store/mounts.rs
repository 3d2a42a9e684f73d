//! What is mounted out of the store.
//!
//! ```text
//! mounts/ID/roots     what it uses
//!           mount     JSON: what is shown where, and in which namespace
//!           root/     where it is shown, unless somebody named another place
//!           aside/    empty; an image is mounted there for a moment
//!           upper/    changes, and work/ for the kernel
//! ```
//!
//! Invariant: `mount` is there before anything is shown at its place, and the folder is locked alone until it is shown
//! there, or given up. So a folder that is free and says of a mount that is not there is of a run that was killed, or of
//! a mount that somebody else took away, and whoever comes next removes it: but for changes that nobody has seen yet.

use super::roots::Roots;
use super::view::{Choice, View};
use super::{Store, format};
use crate::error::Error;
use orlop_fs::lock::{Share, Wait};
use orlop_fs::mount::{Attached, InUse, Mount, Namespace, Whose, Witness, attached, unmount};
use orlop_fs::{Dir, FileKind, Lock, Persist, random, stat, temp};
use orlop_layer::Time;
use orlop_spec::digest::DiffId;
use orlop_spec::port::Result;
use orlop_spec::{Context, Descriptor, Fault, json};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

const FILE: &str = "mount";
const ROOT: &str = "root";
const ASIDE: &str = "aside";
const UPPER: &str = "upper";
const WORK: &str = "work";
const VERSION: u32 = 1;
/// Bytes of a record that are read.
const LIMIT: u64 = 1 << 20;

/// Whether what is shown can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// It cannot.
    ReadOnly,
    /// It can, and the changes stay until it is unmounted.
    Writable,
    /// It can, and the changes go with the processes that see them.
    Scratch,
}

/// What is to be mounted.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// What the user calls it.
    pub name: &'a str,
    /// Its manifest, where the store has that: with all that it reaches it stays as long as the mount does.
    pub image: Option<&'a Descriptor>,
    /// Its layers, base first.
    pub layers: &'a [DiffId],
    /// How it is shown.
    pub choice: Choice,
    /// Whether it can be changed.
    pub access: Access,
    /// Where, if not in the store.
    pub place: Option<&'a Path>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    name: String,
    backend: String,
    access: Access,
    /// The bytes of the path.
    place: Vec<u8>,
    /// The name of its folder of trees.
    tree: String,
    boot: String,
    mounts: u64,
    processes: u64,
    /// Major and minor number of the file system.
    device: (u32, u32),
}

/// Something mounted out of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// Its folder in the store.
    pub id: Box<str>,
    /// What the user called it.
    pub name: String,
    /// Where it is shown.
    pub place: PathBuf,
    /// How.
    pub backend: String,
    /// Whether it can be changed.
    pub access: Access,
    /// Since when.
    pub since: Time,
    /// Whether it is there.
    pub state: State,
}

/// Whether a mount is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is, for this process.
    Here,
    /// It is, for the process with this number and others.
    Elsewhere(u32),
    /// It is not: the machine was started again, or somebody else took it away. There are changes of it.
    Gone,
    /// It cannot be told from here.
    Unknown,
}

impl Store {
    /// Mounts layers at a place, where they stay until they are unmounted.
    ///
    /// # Errors
    /// As [`Store::show`]; and where the place is no folder, not empty, or a mount.
    pub fn mount(&self, cx: &Context<'_>, wanted: &Wanted<'_>) -> Result<Mounted> {
        self.hold()?;
        let folders = self.mounts_folder()?;
        let beginning = Beginning::new(&folders)?;
        if let Some(place) = wanted.place {
            check_place(place)?;
        }
        let (view, mount, place) = beginning.show(self, cx, wanted)?;
        let record = Record::new(wanted, &view, &mount, &place)?;
        beginning.write(&record, wanted)?;
        mount.attach(&place)?;
        beginning.end(&record)
    }

    /// Everything that is mounted out of the store. What killed runs left is removed first.
    pub fn mounted(&self) -> Result<Vec<Mounted>> {
        let folders = self.mounts_folder()?;
        let mut all = Vec::new();
        for id in folders.list()?.iter().filter(|id| !temp::is_temp_name(id)) {
            all.extend(look(&folders, id)?);
        }
        Ok(all)
    }

    /// Takes a mount away, and the changes to it.
    ///
    /// # Errors
    /// Where it is in use, or is not seen from here.
    pub fn unmount(&self, mounted: &Mounted, in_use: InUse) -> Result<()> {
        let folders = self.mounts_folder()?;
        match mounted.state {
            State::Here => unmount(&mounted.place, in_use)?,
            State::Gone => {}
            State::Elsewhere(_) | State::Unknown => {
                return Err(Error::MountedElsewhere { place: mounted.place.clone() }.into());
            }
        }
        remove(&folders, mounted.id.as_bytes())
    }

    fn mounts_folder(&self) -> Result<Dir> {
        Ok(self.root().open_dir(format::MOUNTS)?)
    }
}

/// A mount that is being made. Dropping it takes everything back.
struct Beginning<'a> {
    folders: &'a Dir,
    folder: Dir,
    id: String,
    path: PathBuf,
    _lock: Option<Lock>,
    stays: std::cell::Cell<bool>,
}

impl<'a> Beginning<'a> {
    fn new(folders: &'a Dir) -> Result<Self> {
        let name = random::name("");
        folders.make_dir(&name, 0o700)?;
        let folder = folders.open_dir(&name)?;
        // Somebody may have looked at the folder before it was locked, and have removed it as nobody's.
        let lock = folder.lock(Share::Exclusive, Wait::Yes)?;
        if folder.stat_self()?.links == 0 {
            return Self::new(folders);
        }
        let path = stat::real_path(folders.path())?.join(Path::new(&OsString::from_vec(name.clone())));
        let id = String::from_utf8_lossy(&name).into_owned();
        Ok(Self { folders, folder, id, path, _lock: lock, stays: false.into() })
    }

    fn show(&self, store: &Store, cx: &Context<'_>, wanted: &Wanted<'_>) -> Result<(View, Mount, PathBuf)> {
        for name in [ROOT, ASIDE] {
            self.folder.make_dir(name, 0o700)?;
        }
        let upper = match wanted.access {
            Access::ReadOnly => None,
            Access::Writable | Access::Scratch => {
                self.folder.make_dir(UPPER, 0o755)?;
                self.folder.make_dir(WORK, 0o700)?;
                Some((self.path.join(UPPER), self.path.join(WORK)))
            }
        };
        let upper = upper.as_ref().map(|(upper, work)| (upper.as_path(), work.as_path()));
        let (view, mount) = store.show(cx, wanted.layers, wanted.choice, &self.path.join(ASIDE), upper)?;
        let place = match wanted.place {
            Some(place) => stat::real_path(place)?,
            None => self.path.join(ROOT),
        };
        Ok((view, mount, place))
    }

    fn write(&self, record: &Record, wanted: &Wanted<'_>) -> Result<()> {
        let trees = vec![record.tree.as_str().into()];
        let images = wanted.image.into_iter().cloned().collect();
        Roots { images, layers: wanted.layers.to_vec(), trees }.write(&self.folder)?;
        // Not synced: after a loss of power nothing is mounted.
        let mut temp = self.folder.create_temp()?;
        let written = temp.write_all(&json::print(record));
        written.map_err(|error| orlop_fs::Error::io("write", self.folder.shown(FILE), error))?;
        temp.persist(FILE, Persist::New)?;
        Ok(())
    }

    fn end(self, record: &Record) -> Result<Mounted> {
        self.stays.set(true);
        record.mounted(&self.folder, self.id.as_bytes(), State::Here)
    }
}

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        if !self.stays.get() {
            // What cannot be removed now, whoever comes next removes.
            self.folders.remove_all(&self.id).ok();
        }
    }
}

/// A place that was named must be an empty folder, and no mount: what is there would be hidden.
fn check_place(place: &Path) -> Result<()> {
    let folder = Dir::open(place)
        .map_err(|source| Fault::new(Error::NoFolderToShowAt { place: place.into(), source }))?;
    let real = stat::real_path(place)?;
    if attached(Whose::Own)?.iter().any(|it| it.place == real) {
        return Err(Error::IsAMount { place: place.into() }.into());
    }
    if !folder.is_empty()? {
        return Err(Error::WouldHide { place: place.into() }.into());
    }
    Ok(())
}

impl Record {
    fn new(wanted: &Wanted<'_>, view: &View, mount: &Mount, place: &Path) -> Result<Self> {
        let Namespace { boot, mounts, processes } = Namespace::current()?;
        Ok(Self {
            version: VERSION,
            name: wanted.name.into(),
            backend: view.backend().word().into(),
            access: wanted.access,
            place: place.as_os_str().as_bytes().into(),
            tree: view.key().into(),
            boot,
            mounts,
            processes,
            device: mount.device()?,
        })
    }

    fn read(folder: &Dir) -> Result<Option<Self>> {
        let bytes = match folder.open_file(FILE) {
            Err(error) if error.is_not_found() => return Ok(None),
            opened => opened?.read_to_limit(LIMIT)?,
        };
        if bytes.is_empty() {
            return Ok(Some(Self::lost()));
        }
        let file = || folder.path().join(FILE);
        let record: Self =
            json::parse(&bytes).map_err(|error| Error::Damaged { file: file(), source: error.into() })?;
        if record.version != VERSION {
            let found = format!("version {}", record.version);
            let understood = "version 1 of what is mounted";
            return Err(Error::UnknownVersion { file: file(), found, understood }.into());
        }
        Ok(Some(record))
    }

    /// What a loss of power may leave of a record.
    fn lost() -> Self {
        Self {
            version: VERSION,
            name: "(lost with the power)".into(),
            backend: String::new(),
            access: Access::Writable,
            place: Vec::new(),
            tree: String::new(),
            boot: String::new(),
            mounts: 0,
            processes: 0,
            device: (0, 0),
        }
    }

    fn place(&self) -> PathBuf {
        OsString::from_vec(self.place.clone()).into()
    }

    /// Whether it is mounted, and who can be asked.
    fn state(&self) -> Result<State> {
        let Self { boot, mounts, processes, .. } = self.clone();
        let whose = match (Namespace { boot, mounts, processes }).witness()? {
            Witness::Seen(whose) => whose,
            Witness::Gone => return Ok(State::Gone),
            Witness::Unknown => return Ok(State::Unknown),
        };
        let is_there = match attached(whose) {
            Ok(attached) => attached.iter().any(|it| self.is(it)),
            // The process ended meanwhile.
            Err(_) => return Ok(State::Unknown),
        };
        Ok(match (is_there, whose) {
            (false, _) => State::Gone,
            (true, Whose::Own) => State::Here,
            (true, Whose::Process(pid)) => State::Elsewhere(pid),
        })
    }

    /// A checkout is a part of a file system that is mounted elsewhere too, so its path tells it.
    fn is(&self, attached: &Attached) -> bool {
        let checkout = format!("/{}/{}/root", format::TREES, self.tree);
        attached.place == self.place()
            && ((attached.device.major, attached.device.minor) == self.device
                || attached.root.ends_with(checkout.as_bytes()))
    }

    fn mounted(&self, folder: &Dir, id: &[u8], state: State) -> Result<Mounted> {
        Ok(Mounted {
            id: String::from_utf8_lossy(id).into(),
            name: self.name.clone(),
            place: self.place(),
            backend: self.backend.clone(),
            access: self.access,
            since: folder.stat(FILE)?.mtime,
            state,
        })
    }
}

/// What a folder says; nothing where it was left by a run that was killed, or by a mount that is gone without changes.
fn look(folders: &Dir, id: &[u8]) -> Result<Option<Mounted>> {
    if folders.try_stat(id)?.is_none_or(|stat| stat.kind != FileKind::Directory) {
        return Ok(None);
    }
    let folder = match folders.open_dir(id) {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened?,
    };
    // Whoever holds it makes the mount, takes it away, or looks at it as we do: what is mounted is told, and nothing removed.
    let lock = folder.lock(Share::Exclusive, Wait::No)?;
    let (Some(record), is_ours) = (Record::read(&folder)?, lock.is_some()) else {
        if lock.is_some() {
            remove(folders, id)?;
        }
        return Ok(None);
    };
    let state = record.state()?;
    if state == State::Gone && !is_ours {
        return Ok(None);
    }
    if state == State::Gone && (record.access != Access::Writable || has_no_changes(&folder)?) {
        remove(folders, id)?;
        return Ok(None);
    }
    record.mounted(&folder, id, state).map(Some)
}

fn has_no_changes(folder: &Dir) -> Result<bool> {
    match folder.open_dir(UPPER) {
        Err(error) if error.is_not_found() => Ok(true),
        opened => Ok(opened?.is_empty()?),
    }
}

/// Removes the folder of a mount; what a killed run may have mounted in it is unmounted first. Changes that belong to
/// subordinate ids are left to whoever comes in a namespace that has them.
fn remove(folders: &Dir, id: &[u8]) -> Result<()> {
    let path = stat::real_path(folders.path())?.join(Path::new(&OsString::from_vec(id.to_vec())));
    for left in attached(Whose::Own)?.iter().rev().filter(|it| it.place.starts_with(&path)) {
        unmount(&left.place, InUse::Detach)?;
    }
    match folders.remove_all(id) {
        Err(error) if error.is_denied() => Ok(()),
        outcome => Ok(outcome?),
    }
}
