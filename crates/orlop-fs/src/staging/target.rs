//! Which way leads to a target, and the locked folder where the tree is made.

use super::{Existing, MARKER};
use crate::error::Error;
use crate::lock::{Lock, Share, Wait};
use crate::stat::FileKind;
use crate::temp::prefix_beside;
use crate::{Dir, Result, call, privilege, random};
use rustix::fd::AsFd as _;
use rustix::fs::readlink;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// How the tree gets to its place.
pub(super) enum Way {
    /// Made beside the target and renamed to it.
    Beside { parent: Dir, name: Vec<u8>, onto: Onto },
    /// Made inside the target, which is empty.
    Inside { target: Dir },
}

/// What is at the target now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Onto {
    Nothing,
    EmptyFolder,
    Exchange,
}

/// The folder and the name of a target that the user named. One that is there is found by where it really is, so
/// that `.`, `x/..` and links to folders have a name too.
pub fn place(target: &Path) -> Result<(Dir, Vec<u8>)> {
    let real = match Dir::open(target) {
        Ok(folder) => {
            let path = call::proc_path(folder.as_fd());
            readlink(path, Vec::new()).map_err(folder.failed("look at", b""))?.into_bytes()
        }
        Err(_) => target.as_os_str().as_bytes().to_vec(),
    };
    let real = Path::new(OsStr::from_bytes(&real));
    let Some(name) = real.file_name() else {
        return Err(Error::NotAName(target.as_os_str().as_bytes().into()));
    };
    Ok((Dir::open(real.parent().unwrap_or(Path::new("")))?, name.as_bytes().to_vec()))
}

/// How the user named the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// By a name, which may come to stand for another folder.
    Itself,
    /// As `.` or `..`: the caller may stand in it, so it must stay the folder that it is.
    FromWithin,
}

impl Named {
    pub(super) fn by(target: &Path) -> Self {
        if target.file_name().is_some() { Self::Itself } else { Self::FromWithin }
    }
}

impl Way {
    pub(super) fn find(parent: &Dir, name: &[u8], existing: Existing, named: Named) -> Result<Self> {
        let beside = |onto| Ok(Self::Beside { parent: parent.try_clone()?, name: name.to_vec(), onto });
        let Some(stat) = parent.try_stat(name)? else { return beside(Onto::Nothing) };
        if stat.kind != FileKind::Directory {
            return Err(Error::NotAFolder(parent.shown(name)));
        }
        let target = parent.open_dir(name)?;
        let is_empty = is_empty(&target)?;
        let is_movable = named == Named::Itself && parent.is_writable() && !call::is_mount_point(&target);
        match (is_empty, existing) {
            (true, _) if is_movable => beside(Onto::EmptyFolder),
            (true, _) => Ok(Self::Inside { target }),
            (false, Existing::Replace) if is_movable => beside(Onto::Exchange),
            (false, Existing::Replace) => Err(Error::CannotExchange(parent.shown(name))),
            (false, Existing::Refuse) => {
                // It may be the tree of a run that was killed before it had removed its staging.
                remove_stale(parent, &prefix_beside(name));
                Err(Error::NotEmpty(parent.shown(name)))
            }
        }
    }

    /// The folder that holds the staging folder.
    pub(super) fn home(&self) -> &Dir {
        match self {
            Self::Beside { parent, .. } => parent,
            Self::Inside { target } => target,
        }
    }

    /// How the staging folders of this target begin.
    pub(super) fn prefix(&self) -> Vec<u8> {
        match self {
            Self::Beside { name, .. } => prefix_beside(name),
            Self::Inside { .. } => b".orlop-".to_vec(),
        }
    }
}

/// Makes a folder of a name that nobody has, and locks it. What killed runs left is removed first.
pub(super) fn stage(home: &Dir, prefix: &[u8]) -> Result<(Dir, Vec<u8>, Lock)> {
    remove_stale(home, prefix);
    loop {
        let name = random::name(prefix);
        home.make_dir(&name, 0o700)?;
        let folder = home.open_dir(&name)?;
        let lock = folder.lock(Share::Exclusive, Wait::No)?;
        // Between making and locking, another run may have taken the folder for a stale one.
        let is_ours = home
            .try_stat(&name)?
            .is_some_and(|stat| folder.stat_self().is_ok_and(|own| own.is_same_file(&stat)));
        if let (Some(lock), true) = (lock, is_ours) {
            bare(&folder).inspect_err(|_| drop(home.remove_dir(&name)))?;
            return Ok((folder, name, lock));
        }
    }
}

/// A folder may inherit a group, a setgid bit and a default ACL from its parent, and hand them on. Layers say
/// what their files are, so the inheritance ends here.
fn bare(folder: &Dir) -> Result<()> {
    match call::remove_xattr(folder, b"system.posix_acl_default") {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
        Err(error) => return Err(folder.failed("remove the default ACL of", b"")(error)),
    }
    let group = rustix::process::getegid().as_raw();
    let is = folder.stat_self()?;
    if is.gid != group {
        call::chown(folder, is.uid, group).map_err(folder.failed("set the group of", b""))?;
    }
    if is.mode != 0o700 {
        call::chmod(folder, 0o700).map_err(folder.failed("set the mode of", b""))?;
    }
    Ok(())
}

/// Only what belongs to the caller, and without a word where it fails: it is not what this run is about.
fn remove_stale(home: &Dir, prefix: &[u8]) {
    for name in home.list().unwrap_or_default().iter().filter(|name| random::is_name(prefix, name)) {
        let Ok(folder) = home.open_dir(name) else { continue };
        let is_ours = folder.stat_self().is_ok_and(|stat| stat.uid == privilege::ids().0);
        if let (true, Ok(Some(_lock))) = (is_ours, folder.lock(Share::Exclusive, Wait::No)) {
            home.remove_all(name).ok();
        }
    }
}

/// Whether a target holds nothing but what a killed run left in it, which is removed.
fn is_empty(target: &Dir) -> Result<bool> {
    remove_stale(target, b".orlop-");
    // A marker of somebody else must not make this run remove anything.
    let marker = target.try_stat(MARKER)?.filter(|stat| stat.uid == privilege::ids().0);
    if marker.is_none() {
        return target.is_empty();
    }
    let Some(_lock) = target.lock_file(MARKER, Share::Exclusive, Wait::No)? else { return Ok(false) };
    for name in target.list()?.iter().filter(|name| ***name != *MARKER.as_bytes()) {
        target.remove_all(name)?;
    }
    target.remove_file(MARKER)?;
    Ok(true)
}
