//! The walk over a folder: sorted, by handles, each folder before what is in it.

use super::journal::Journal;
use super::{Mounts, ScanOptions, Unreadable};
use crate::call;
use crate::dir::list;
use crate::error::{Error, Shown};
use crate::privilege::Privileges;
use crate::stat::Stat;
use crate::xattr;
use crate::{Dir, Result};
use orlop_layer::{TreePath, Xattrs};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;
use std::vec::IntoIter;

/// Folders open at once. Those further up are opened again by `..` on the way back, and must be the same.
const OPEN: usize = 64;

/// One name of the walk.
pub(crate) struct Found {
    pub(crate) path: TreePath,
    pub(crate) stat: Stat,
}

impl Found {
    /// The last component; empty for the root.
    pub(crate) fn name(&self) -> &[u8] {
        self.path.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }
}

/// The folders from the root to where the walk stands.
pub(crate) struct Walk {
    frames: Vec<Frame>,
    root: Shown,
    mounts: Mounts,
    unreadable: Unreadable,
    journal: Option<Journal>,
    reads_all: bool,
    begun: bool,
}

struct Frame {
    /// `None` while deeper folders take the room.
    handle: Option<OwnedFd>,
    stat: Stat,
    path: TreePath,
    names: IntoIter<Box<[u8]>>,
    /// The mode that the folder gets back.
    lent: Option<u16>,
}

impl Walk {
    pub(crate) fn new(folder: &Dir, options: &ScanOptions<'_>) -> Result<Self> {
        let stat = folder.stat_self()?;
        let handle = call::reopen(folder).map_err(folder.failed("open", b""))?;
        let mut walk = Self {
            frames: Vec::new(),
            root: folder.shown(""),
            mounts: options.mounts,
            unreadable: options.unreadable,
            journal: options.journal.map(Journal::new).transpose()?,
            reads_all: Privileges::current().read_all,
            begun: false,
        };
        walk.push(handle, TreePath::root(), stat)?;
        // A folder that was removed shows no names to who has it open, as if it had never had any.
        if folder.stat_self()?.links == 0 {
            return Err(Error::Changed(folder.shown("")));
        }
        if let (Some(only), Some(root)) = (options.only, walk.frames.first_mut()) {
            root.names = vec![Box::from(only)].into_iter();
        }
        Ok(walk)
    }

    /// The root first, then name after name; the caller enters the folders.
    pub(crate) fn next(&mut self) -> Result<Option<Found>> {
        if !self.begun {
            self.begun = true;
            return Ok(self.frames.first().map(|root| Found { path: TreePath::root(), stat: root.stat }));
        }
        while let Some(frame) = self.frames.last_mut() {
            let Some(name) = frame.names.next() else {
                self.leave()?;
                continue;
            };
            let path = frame.path.join(&name);
            let stat = self.on(&path, "look at", |handle| call::stat_at(handle, &name))?;
            return Ok(Some(Found { path, stat: stat.into() }));
        }
        Ok(None)
    }

    /// Goes into the folder that `next` gave last.
    pub(crate) fn enter(&mut self, found: &Found) -> Result<()> {
        let root = self.frames.first().map(|frame| frame.stat.dev);
        if self.mounts == Mounts::Stay && root != Some(found.stat.dev) {
            return Ok(());
        }
        let lent = self.lend_folder(found)?;
        let opened = self.on(&found.path, "open the folder", |handle| call::open_dir(handle, found.name()));
        match opened.and_then(|handle| self.push(handle, found.path.clone(), found.stat)) {
            Ok(()) => {
                self.frames.last_mut().expect("just pushed").lent = lent;
                Ok(())
            }
            Err(error) => {
                if let Some(mode) = lent {
                    self.set_mode(found, mode)?;
                }
                Err(error)
            }
        }
    }

    /// Opens a file for reading, together with its attributes.
    pub(crate) fn open_file(&mut self, found: &Found) -> Result<(OwnedFd, Xattrs)> {
        self.lending(found, "read", |folder, name| {
            let file = fs::openat(folder, name, call::READ, Mode::empty())?;
            let xattrs = xattr::read(&file)?;
            Ok((file, xattrs))
        })
    }

    /// The attributes of anything.
    pub(crate) fn xattrs(&mut self, found: &Found) -> Result<Xattrs> {
        if found.path.is_root() {
            return self.on(&found.path, "read the attributes of", |folder| xattr::read(folder));
        }
        self.lending(found, "read the attributes of", |folder, name| xattr::read_at(folder.as_fd(), name))
    }

    pub(crate) fn read_link(&self, found: &Found) -> Result<Box<[u8]>> {
        let read = |folder: &OwnedFd| fs::readlinkat(folder, found.name(), Vec::new());
        self.on(&found.path, "read the link", read).map(|target| target.into_bytes().into())
    }

    /// A path as the user knows it.
    pub(crate) fn shown(&self, path: &TreePath) -> Shown {
        Shown::join(self.root.as_bytes(), path.as_bytes())
    }

    fn push(&mut self, handle: OwnedFd, path: TreePath, stat: Stat) -> Result<()> {
        let opened = fs::fstat(&handle).map(Stat::from);
        let names = list(&handle).map_err(|error| Error::io("list", self.shown(&path), error))?;
        if !opened.is_ok_and(|opened| opened.is_same_file(&stat)) {
            return Err(Error::Changed(self.shown(&path)));
        }
        self.frames.push(Frame { handle: Some(handle), stat, path, names: names.into_iter(), lent: None });
        if let Some(far) = self.frames.len().checked_sub(OPEN + 1) {
            // The handle of a folder with a lent mode is needed to give it back.
            if self.frames[far].lent.is_none() {
                self.frames[far].handle = None;
            }
        }
        Ok(())
    }

    /// Goes back up; the folder above must still be the one that the walk came from.
    fn leave(&mut self) -> Result<()> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        frame.give_back();
        let Some(above) = self.frames.last_mut().filter(|above| above.handle.is_none()) else {
            return Ok(());
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let below = frame.handle.as_ref().expect("the deepest folder is open");
        let reopened = fs::openat(below, c"..", flags, Mode::empty());
        let same =
            |handle: &OwnedFd| fs::fstat(handle).is_ok_and(|stat| Stat::from(stat).is_same_file(&above.stat));
        match reopened {
            Ok(handle) if same(&handle) => {
                above.handle = Some(handle);
                Ok(())
            }
            _ => Err(Error::Changed(self.shown(&frame.path))),
        }
    }

    /// Does something in the folder where the walk stands. A name that is gone is a change.
    fn on<T>(
        &self,
        path: &TreePath,
        action: &'static str,
        work: impl Fn(&OwnedFd) -> rustix::io::Result<T>,
    ) -> Result<T> {
        match work(self.here()) {
            Ok(value) => Ok(value),
            Err(Errno::NOENT) => Err(Error::Changed(self.shown(path))),
            Err(error) => Err(Error::io(action, self.shown(path), error)),
        }
    }

    /// As `on`, and once more with the permission to read lent, where the owner's own mode forbids it.
    fn lending<T>(
        &mut self,
        found: &Found,
        action: &'static str,
        work: impl Fn(&OwnedFd, &[u8]) -> rustix::io::Result<T>,
    ) -> Result<T> {
        let attempt = |handle: &OwnedFd| work(handle, found.name());
        match self.on(&found.path, action, attempt) {
            Err(error) if self.may_lend(found, 0o400) && error.is_denied() => {
                self.lend(found, 0o400)?;
                let outcome = self.on(&found.path, action, attempt);
                self.set_mode(found, found.stat.mode)?;
                outcome
            }
            outcome => outcome,
        }
    }

    /// Makes a folder of the caller's readable; returns the mode that it gets back.
    fn lend_folder(&mut self, found: &Found) -> Result<Option<u16>> {
        if self.reads_all || !self.may_lend(found, 0o500) {
            return Ok(None);
        }
        self.lend(found, 0o500)?;
        Ok(Some(found.stat.mode))
    }

    fn lend(&mut self, found: &Found, permission: u16) -> Result<()> {
        if let Some(journal) = &mut self.journal {
            let folder = self.frames.last().expect("the walk stands in a folder").handle.as_ref();
            let place = call::proc_path(folder.expect("the deepest folder is open").as_fd());
            let folder =
                fs::readlink(place, Vec::new()).map_err(|error| Error::io("look at", &self.root, error))?;
            journal.record(Shown::join(folder.as_bytes(), found.name()).as_bytes(), &found.stat)?;
        }
        self.set_mode(found, found.stat.mode | permission)
    }

    fn may_lend(&self, found: &Found, needed: u16) -> bool {
        self.unreadable == Unreadable::Lend && found.stat.mode & needed != needed
    }

    fn set_mode(&self, found: &Found, mode: u16) -> Result<()> {
        self.on(&found.path, "set the mode of", |folder| {
            let handle = call::open_path(folder, found.name())?;
            if !Stat::from(fs::fstat(&handle)?).is_same_file(&found.stat) {
                return Err(Errno::NOENT);
            }
            call::chmod_path(handle.as_fd(), mode)
        })
    }

    /// The folder where the walk stands.
    pub(crate) fn here(&self) -> &OwnedFd {
        let frame = self.frames.last().expect("the walk stands in a folder");
        frame.handle.as_ref().expect("the deepest folder is open")
    }
}

impl Frame {
    fn give_back(&self) {
        if let (Some(handle), Some(mode)) = (&self.handle, self.lent) {
            // It was ours to change a moment ago; there is nobody to tell in a drop.
            call::chmod(handle, mode).ok();
        }
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        for frame in self.frames.iter().rev() {
            frame.give_back();
        }
    }
}
