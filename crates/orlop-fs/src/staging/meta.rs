//! Owners, modes, attributes and times, on open handles or beneath them.
//!
//! Law: the owner comes first, because a change of owner takes setuid bits and capabilities away; then
//! attributes, while the mode still lets the owner write; then the mode; the time last.

use super::{Apply, Detail, SetId};
use crate::call;
use crate::error::Error;
use crate::loss::{LossKind, Losses};
use crate::overlay;
use crate::owner::{self, Owner, SET_ID};
use crate::privilege;
use crate::stat::Stat;
use crate::xattr::{self, Belongs};
use crate::{Dir, Result};
use orlop_layer::tree::InodeKind;
use orlop_layer::{Meta, Time};
use rustix::fd::BorrowedFd;
use rustix::fs;
use rustix::io::Errno;

/// Why something is left out that could be kept.
const REDUCED: &str = "only files, folders and links were asked for";

/// Sets what entries say about files; counts what cannot be set.
pub(super) struct Setter<'a> {
    apply: Apply<'a>,
    pub(super) losses: Losses,
    /// Whom new files belong to.
    caller: (u32, u32),
    /// Bits that the process's umask takes from the mode of new files.
    umask: u16,
}

/// What a mode is reduced to: that of folders and of what can be run, and that of the rest.
const OPEN: (u16, u16) = (0o755, 0o644);
/// Whether the owner may run a file.
const OWNER_RUNS: u16 = 0o100;

impl<'a> Setter<'a> {
    pub(super) fn new(apply: &Apply<'a>) -> Self {
        let mut apply = apply.clone();
        if apply.detail == Detail::Reduced {
            apply.owner = Owner::Squash;
        }
        Self { apply, losses: Losses::default(), caller: privilege::ids(), umask: umask() }
    }

    pub(super) fn apply(&self) -> &Apply<'a> {
        &self.apply
    }

    /// The mode that a new file is created with, and the one that it must get at the end, if another.
    pub(super) fn file_mode(&self, meta: &Meta) -> (u16, Option<u16>) {
        // Attributes of the `user.` kind need the mode to let the owner write.
        let is_recorded = self.apply.owner == Owner::Record && self.takes_set_id(meta);
        let has_xattrs = !meta.xattrs.is_empty() || self.record(meta).is_some() || is_recorded;
        let mode = self.last_mode(meta);
        let first = match self.apply.detail {
            Detail::Reduced => mode,
            Detail::Full if has_xattrs => 0o600,
            Detail::Full => meta.mode & 0o777,
        };
        let last = if first & !self.umask == mode { None } else { Some(mode) };
        (first, last)
    }

    /// The mode that a file has when it is whole.
    pub(super) fn last_mode(&self, meta: &Meta) -> u16 {
        match self.apply.detail {
            Detail::Reduced if meta.mode & OWNER_RUNS != 0 => OPEN.0,
            Detail::Reduced => OPEN.1,
            Detail::Full if self.takes_set_id(meta) => meta.mode & !SET_ID,
            Detail::Full => meta.mode,
        }
    }

    /// The mode that a folder has at the end.
    pub(super) fn folder_mode(&self, meta: &Meta) -> u16 {
        match self.apply.detail {
            Detail::Reduced => OPEN.0,
            Detail::Full => meta.mode,
        }
    }

    /// Whether an entry of this kind comes to be; where not, that is counted.
    pub(super) fn wants(&mut self, kind: &InodeKind, path: &[u8]) -> bool {
        let lost = match (self.apply.detail, kind) {
            (Detail::Reduced, InodeKind::CharDevice(_) | InodeKind::BlockDevice(_)) => LossKind::Device,
            (Detail::Reduced, InodeKind::Fifo) => LossKind::Fifo,
            _ => return true,
        };
        self.losses.add(lost, path, REDUCED, self.apply.observer);
        false
    }

    /// Whether a file must not run as its owner: that would be the caller, of whom the image knows nothing.
    fn takes_set_id(&self, meta: &Meta) -> bool {
        !self.apply.owner.is_set() && meta.mode & SET_ID != 0 && self.apply.set_id == SetId::Taken
    }

    /// Whom a file is given to, where owners are set.
    fn owner(&self, path: &[u8], meta: &Meta) -> Result<Option<(u32, u32)>> {
        let (uid, gid) = (meta.uid, meta.gid);
        if !self.apply.owner.is_set() {
            return Ok(None);
        }
        let Some(ids) = self.apply.ids else { return Ok(Some((uid, gid))) };
        let outside = ids.outside(uid, gid);
        outside.map(Some).ok_or_else(|| Error::NotMapped { path: path.into(), uid, gid })
    }

    /// Everything about a new file but its time, which the last write would change.
    pub(super) fn file(
        &mut self,
        file: BorrowedFd<'_>,
        path: &[u8],
        meta: &Meta,
        mode: Option<u16>,
    ) -> Result<()> {
        if let Some(owner) = self.owner(path, meta)?.filter(|owner| *owner != self.caller) {
            set_owner(path, owner, |uid, gid| call::chown(file, uid, gid))?;
        }
        let handle = Handle::Open(file);
        self.xattrs(path, meta, &handle)?;
        if self.takes_set_id(meta) {
            self.losses.add(LossKind::SetId, path, "the program would run as you", self.apply.observer);
            if self.apply.owner == Owner::Record {
                self.xattr(path, owner::MODE, &owner::record_mode(meta.mode), &handle)?;
            }
        }
        if let Some(mode) = mode {
            call::chmod(file, mode).map_err(failed("set the mode of", path))?;
        }
        self.time(path, meta.mtime, |time| call::set_mtime(file, time), || fs::fstat(file))
    }

    /// Everything about a folder; only what differs is set.
    pub(super) fn folder(&mut self, folder: BorrowedFd<'_>, path: &[u8], meta: &Meta) -> Result<()> {
        let is = Stat::from(fs::fstat(folder).map_err(failed("look at", path))?);
        if let Some(owner) = self.owner(path, meta)?.filter(|owner| *owner != (is.uid, is.gid)) {
            set_owner(path, owner, |uid, gid| call::chown(folder, uid, gid))?;
        }
        self.xattrs(path, meta, &Handle::Open(folder))?;
        let mode = self.folder_mode(meta);
        if is.mode != mode {
            call::chmod(folder, mode).map_err(failed("set the mode of", path))?;
        }
        self.time(path, meta.mtime, |time| call::set_mtime(folder, time), || fs::fstat(folder))
    }

    /// Everything about a symbolic link, which has no mode.
    pub(super) fn symlink(
        &mut self,
        at: BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
        meta: &Meta,
    ) -> Result<()> {
        self.named(at, name, path, meta)?;
        self.time(path, meta.mtime, |time| call::set_mtime_at(at, name, time), || call::stat_at(at, name))
    }

    /// Everything about a device or fifo, which must not be opened: its mode goes by a path handle.
    pub(super) fn node(&mut self, at: BorrowedFd<'_>, name: &[u8], path: &[u8], meta: &Meta) -> Result<()> {
        self.named(at, name, path, meta)?;
        if meta.mode & (0o7000 | self.umask) != 0 {
            use rustix::fd::AsFd as _;
            let set = || call::chmod_path(call::open_path(at, name)?.as_fd(), meta.mode);
            set().map_err(failed("set the mode of", path))?;
        }
        self.time(path, meta.mtime, |time| call::set_mtime_at(at, name, time), || call::stat_at(at, name))
    }

    /// Owner and attributes of what cannot be opened.
    fn named(&mut self, at: BorrowedFd<'_>, name: &[u8], path: &[u8], meta: &Meta) -> Result<()> {
        if let Some(owner) = self.owner(path, meta)?.filter(|owner| *owner != self.caller) {
            set_owner(path, owner, |uid, gid| call::chown_at(at, name, uid, gid))?;
        }
        if self.record(meta).is_some() {
            let why = "only files and folders can hold a record of it";
            self.losses.add(LossKind::Owner, path, why, self.apply.observer);
        }
        self.xattrs(path, meta, &Handle::Named(at, name))
    }

    fn xattrs(&mut self, path: &[u8], meta: &Meta, handle: &Handle<'_>) -> Result<()> {
        if let (Some(record), Handle::Open(_)) = (self.record(meta), handle) {
            self.xattr(path, owner::RECORD, &record, handle)?;
        }
        for (name, value) in &meta.xattrs {
            if self.apply.detail == Detail::Reduced {
                self.losses.add_xattr(LossKind::Xattr, name, path, REDUCED, self.apply.observer);
                continue;
            }
            if self.apply.owner == Owner::Record && [owner::RECORD, owner::MODE].contains(&&**name) {
                continue;
            }
            if let Some(name) = self.apply.layer_of.and_then(|flavour| overlay::escaped(name, flavour)) {
                self.xattr(path, &name, value, handle)?;
                continue;
            }
            if xattr::belongs(name) == Belongs::Overlay {
                let why = "an overlay mount would obey it";
                self.losses.add_xattr(LossKind::OverlayXattr, name, path, why, self.apply.observer);
                continue;
            }
            if **name == *b"security.capability" && !xattr::is_capability(value) {
                return Err(Error::BadCapability(path.into()));
            }
            self.xattr(path, name, value, handle)?;
        }
        Ok(())
    }

    fn xattr(&mut self, path: &[u8], name: &[u8], value: &[u8], handle: &Handle<'_>) -> Result<()> {
        let outcome = match handle {
            Handle::Open(file) => call::set_xattr(file, name, value),
            Handle::Named(at, entry) => call::set_xattr_at(at, entry, name, value),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) if is_refusal(error) => {
                let why = std::io::Error::from(error).to_string();
                self.losses.add_xattr(LossKind::Xattr, name, path, &why, self.apply.observer);
                Ok(())
            }
            Err(error) => Err(failed("set an attribute of", path)(error)),
        }
    }

    /// What keeps the owner, where it cannot be set.
    fn record(&self, meta: &Meta) -> Option<Vec<u8>> {
        if self.apply.owner == Owner::Record { owner::record(meta.uid, meta.gid) } else { None }
    }

    /// The kernel cuts times that the file system cannot hold without a word; only those far out are looked at.
    fn time(
        &mut self,
        path: &[u8],
        time: Time,
        set: impl Fn(Time) -> rustix::io::Result<()>,
        look: impl Fn() -> rustix::io::Result<fs::Stat>,
    ) -> Result<()> {
        set(time).map_err(failed("set the time of", path))?;
        if i32::try_from(time.seconds).is_err() && look().is_ok_and(|stat| Stat::from(stat).mtime != time) {
            let why = "the file system cannot hold it";
            self.losses.add(LossKind::Time, path, why, self.apply.observer);
        }
        Ok(())
    }
}

/// What an attribute is set on.
enum Handle<'a> {
    Open(BorrowedFd<'a>),
    Named(BorrowedFd<'a>, &'a [u8]),
}

/// What the file system or the kernel refuses is a loss that is told, not a failure.
fn is_refusal(error: Errno) -> bool {
    matches!(
        error,
        Errno::PERM
            | Errno::ACCESS
            | Errno::OPNOTSUPP
            | Errno::INVAL
            | Errno::TOOBIG
            | Errno::RANGE
            | Errno::NOSPC
            | Errno::NAMETOOLONG
    )
}

fn set_owner(
    path: &[u8],
    (uid, gid): (u32, u32),
    set: impl Fn(u32, u32) -> rustix::io::Result<()>,
) -> Result<()> {
    set(uid, gid).map_err(|source| Error::Owner { path: path.into(), uid, gid, source: source.into() })
}

pub(super) fn failed(action: &'static str, path: &[u8]) -> impl Fn(Errno) -> Error {
    move |source| Error::io(action, path, source)
}

/// The umask of the process, read and not changed: it belongs to all threads. All bits where it is not known.
fn umask() -> u16 {
    const ALL: u16 = 0o777;
    let Ok(mut file) = Dir::open("/proc/self").and_then(|folder| folder.open_file("status")) else {
        return ALL;
    };
    let text = file.read_to_limit(1 << 16).unwrap_or_default();
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Umask:"));
    let digits = line.and_then(|line| std::str::from_utf8(line).ok()).map(str::trim);
    digits.and_then(|digits| u16::from_str_radix(digits, 8).ok()).map_or(ALL, |mask| mask & ALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_set_again_only_where_creation_cannot_give_it() {
        let mut setter = Setter::new(&Apply::default());
        setter.umask = 0o022;
        let mode = |mode| Meta { mode, ..Meta::default() };
        assert_eq!(setter.file_mode(&mode(0o644)), (0o644, None));
        assert_eq!(setter.file_mode(&mode(0o755)), (0o755, None));
        assert_eq!(setter.file_mode(&mode(0o664)), (0o664, Some(0o664)));
        assert_eq!(setter.file_mode(&mode(0o4755)), (0o755, Some(0o4755)));
        for (owner, made) in [(Owner::Squash, (0o755, None)), (Owner::Record, (0o600, Some(0o755)))] {
            let mut setter = Setter::new(&Apply { owner, ..Apply::default() });
            setter.umask = 0o022;
            assert_eq!(setter.file_mode(&mode(0o4755)), made);
        }
        let mut attributed = mode(0o444);
        attributed.xattrs.insert((*b"user.a").into(), (*b"b").into());
        assert_eq!(setter.file_mode(&attributed), (0o600, Some(0o444)));
    }

    #[test]
    fn the_umask_is_read_without_being_changed() {
        let before = rustix::process::umask(fs::Mode::from_raw_mode(0o027));
        let read = umask();
        let after = rustix::process::umask(before);
        assert_eq!((read, after.as_raw_mode()), (0o027, 0o027));
    }
}
