//! The last step: the tree appears at its place.

use super::meta::failed;
use super::target::{Onto, Way};
use super::{Durable, MARKER, Ready, Staging};
use crate::error::Error;
use crate::lock::{Share, Wait};
use crate::{Dir, Result, call};
use orlop_spec::Event;
use rustix::fd::AsFd as _;
use rustix::io::Errno;

impl Staging<'_> {
    /// Puts the tree at its target, in one step where that is possible, and returns the target.
    ///
    /// # Panics
    /// Without a tree that was put together before.
    pub fn publish(mut self, durable: Durable) -> Result<Dir> {
        let ready = self.ready.take().expect("a tree is put together before it is published");
        self.apply.cancel.check()?;
        if durable == Durable::Yes {
            self.folder.sync_fs()?;
        }
        let target = match &self.way {
            Way::Beside { parent, name, onto } => beside(&ready, parent, name, *onto)?,
            Way::Inside { target } => self.inside(&ready, target)?,
        };
        if durable == Durable::Yes {
            target.sync()?;
            self.way.home().sync()?;
        }
        if let Err(error) = self.way.home().remove_all(&self.name) {
            // The target is whole. What was there before may hold a mount, which stays.
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            let text = format!("{} was left behind: {source}", self.way.home().shown(&self.name));
            self.apply.observer.event(Event::Warned(text));
        }
        Ok(target)
    }

    /// Moves everything into the target. After a failure the target is empty again.
    fn inside(&self, ready: &Ready, target: &Dir) -> Result<Dir> {
        let marker = target.create_file(MARKER, 0o600)?;
        let _lock = target.lock_file(MARKER, Share::Exclusive, Wait::No)?;
        drop(marker);
        let from = ready.outer.as_ref().unwrap_or(&ready.root);
        let outcome = fill(from, target, ready);
        if outcome.is_err() {
            for name in
                target.list()?.iter().filter(|name| ***name != *self.name && ***name != *MARKER.as_bytes())
            {
                target.remove_all(name)?;
            }
        }
        self.way.home().remove_all(&self.name)?;
        target.remove_file(MARKER)?;
        outcome?;
        if ready.outer.is_none() {
            call::set_mtime(target, ready.mtime).map_err(target.failed("set the time of", b""))?;
        }
        target.try_clone()
    }
}

fn beside(ready: &Ready, parent: &Dir, name: &[u8], onto: Onto) -> Result<Dir> {
    let (from, staged) = &ready.place;
    match onto {
        Onto::Nothing => {
            from.rename_new(staged, parent, name).map_err(|error| filled(error, parent, name))?;
        }
        // Only an empty folder can be renamed over: whoever has filled it meanwhile keeps it.
        Onto::EmptyFolder => {
            from.rename(staged, parent, name).map_err(|error| filled(error, parent, name))?;
        }
        Onto::Exchange => exchange(from, staged, parent, name)?,
    }
    let target = Dir::from_handle(
        call::reopen(ready.outer.as_ref().unwrap_or(&ready.root)).map_err(parent.failed("open", name))?,
        parent.shown(name).as_bytes(),
    );
    if ready.outer.is_none() && ready.mode & 0o700 != 0o700 {
        call::chmod(&target, ready.mode).map_err(parent.failed("set the mode of", name))?;
    }
    Ok(target)
}

/// The two change places; what was there is removed with the staging folder. Where the file system cannot do
/// that in one step, two renames do it, and the first is undone if the second fails.
fn exchange(from: &Dir, staged: &[u8], parent: &Dir, name: &[u8]) -> Result<()> {
    match call::exchange(from, staged, parent, name) {
        Err(Errno::INVAL | Errno::NOSYS) => {}
        outcome => return outcome.map_err(parent.failed("replace", name)),
    }
    let old = b"replaced";
    call::rename_new(parent, name, from, old).map_err(parent.failed("replace", name))?;
    call::rename_new(from, staged, parent, name).map_err(|error| {
        call::rename(from, old, parent, name).ok();
        parent.failed("replace", name)(error)
    })
}

fn fill(from: &Dir, target: &Dir, ready: &Ready) -> Result<()> {
    for name in from.list()? {
        move_in(from, target, &name)?;
    }
    if ready.outer.is_some() {
        return Ok(());
    }
    // The target itself stays, so it is given what the root has.
    let (is, wanted) = (target.stat_self()?, ready.root.stat_self()?);
    if (is.uid, is.gid) != (wanted.uid, wanted.gid) {
        call::chown(target, wanted.uid, wanted.gid).map_err(target.failed("set the owner of", b""))?;
    }
    for (name, value) in
        &crate::xattr::read(&ready.root).map_err(target.failed("read the attributes of", b""))?
    {
        call::set_xattr(target, name, value).map_err(target.failed("set an attribute of", b""))?;
    }
    call::chmod(target, ready.mode).map_err(target.failed("set the mode of", b""))
}

/// Moving a folder changes its `..`, which its owner must be allowed to write.
fn move_in(from: &Dir, target: &Dir, name: &[u8]) -> Result<()> {
    match call::rename_new(from, name, target, name) {
        Err(Errno::ACCESS) => {}
        outcome => return outcome.map_err(target.failed("create", name)),
    }
    let handle = call::open_path(from, name).map_err(failed("open", name))?;
    let mode = from.stat(name)?.mode;
    call::chmod_path(handle.as_fd(), mode | 0o700).map_err(failed("set the mode of", name))?;
    call::rename_new(from, name, target, name).map_err(target.failed("create", name))?;
    call::chmod_path(handle.as_fd(), mode).map_err(failed("set the mode of", name))
}

/// Somebody put something at the target since it was looked at.
fn filled(error: Error, parent: &Dir, name: &[u8]) -> Error {
    use std::io::ErrorKind::{AlreadyExists, DirectoryNotEmpty};
    match error.io_kind() {
        Some(AlreadyExists | DirectoryNotEmpty) => Error::NotEmpty(parent.shown(name)),
        _ => error,
    }
}
