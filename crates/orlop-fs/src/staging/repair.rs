//! What differs from a tree is made right again, and nothing else.
//!
//! ```text
//! added    ──► removed
//! removed  ──► made beside its place, given everything that it should have, renamed to it
//! changed  ──► attributes alone: set where they are; else as removed
//! folders in which a name changed: attributes and times set last, the deepest first
//! ```
//!
//! Invariant: a file is the old one or the right one, whenever the run ends. What a killed run leaves is a name that the
//! tree does not have, so the next comparison finds it and the next repair removes it.

use super::meta::{Setter, failed};
use super::nodes::{Made, special, taken};
use super::plant::{Source, Supply, fill};
use super::{Apply, Report};
use crate::error::Error;
use crate::file::File;
use crate::verify::{Aspect, Change, Difference, Field};
use crate::{Dir, Result, call, random, remove, temp};
use orlop_layer::tree::{Content, InodeId, InodeKind, Tree};
use orlop_layer::{Meta, TreePath};
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::collections::{BTreeSet, HashMap};
use std::io;

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Names that were made anew.
    pub made: u64,
    /// Names that were removed.
    pub removed: u64,
    /// Files and folders of which attributes were set.
    pub set: u64,
    /// What could not be kept.
    pub report: Report,
}

/// Makes right what differs between `folder` and a stacked tree. `differences` are those of a comparison, sorted; `supply`
/// gives contents that were proven.
///
/// # Errors
/// Where something is mounted over what differs, too: that is never touched.
pub fn repair(
    folder: &Dir,
    tree: &Tree,
    differences: &[Difference],
    supply: &dyn Supply,
    apply: &Apply<'_>,
) -> Result<Repaired> {
    let mut repair = Repair {
        root: folder,
        tree,
        supply,
        setter: Setter::new(apply),
        names: names(tree),
        anchors: HashMap::new(),
        touched: BTreeSet::new(),
        done: Repaired::default(),
    };
    for difference in differences {
        apply.cancel.check().map_err(Error::Cancelled)?;
        repair.one(difference)?;
    }
    repair.finish()
}

/// All names of the inodes that have several.
fn names(tree: &Tree) -> HashMap<InodeId, Vec<TreePath>> {
    let mut names: HashMap<InodeId, Vec<TreePath>> = HashMap::new();
    for (path, id) in tree.walk().filter(|(_, id)| tree.names(*id) > 1) {
        names.entry(id).or_default().push(path);
    }
    names
}

fn is_owner(field: &Field) -> bool {
    matches!(field.aspect, Aspect::Uid | Aspect::Gid)
}

/// Whether a folder on the way is not there, or no folder.
fn is_missing(error: &Error) -> bool {
    matches!(error.io_kind(), Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}

struct Repair<'a, 'b> {
    root: &'a Dir,
    tree: &'a Tree,
    supply: &'a dyn Supply,
    setter: Setter<'b>,
    names: HashMap<InodeId, Vec<TreePath>>,
    /// Inodes with several names that were made anew, and a name that each has already.
    anchors: HashMap<InodeId, TreePath>,
    /// Folders that get their attributes and times at the end.
    touched: BTreeSet<TreePath>,
    done: Repaired,
}

impl Repair<'_, '_> {
    fn one(&mut self, Difference { path, change }: &Difference) -> Result<()> {
        let id = path.components().try_fold(self.tree.root(), |at, name| self.tree.child(at, name));
        match (change, id) {
            (Change::Added(_), _) | (_, None) => self.remove(path),
            (Change::Removed, Some(id)) => self.make(path, id),
            (Change::Changed(fields), Some(id)) => self.change(path, id, fields),
        }
    }

    fn change(&mut self, path: &TreePath, id: InodeId, fields: &[Field]) -> Result<()> {
        let has = |aspect: &Aspect| fields.iter().any(|field| field.aspect == *aspect);
        if has(&Aspect::Mount) {
            return Err(Error::MountedOver(self.root.shown(path.as_bytes())));
        }
        let is_set = |field: &Field| {
            matches!(field.aspect, Aspect::Mode | Aspect::Uid | Aspect::Gid | Aspect::Xattr(_))
        };
        let inode = self.tree.inode(id);
        match &inode.kind {
            InodeKind::Directory { .. } if has(&Aspect::Type) => self.make(path, id),
            InodeKind::Directory { .. } => {
                self.done.set += 1;
                let folder = self.open(path)?;
                strip(&folder, &inode.meta, fields, path)?;
                self.touched.insert(path.clone());
                Ok(())
            }
            // In a skeleton the attributes say where the content is.
            InodeKind::File(_) if fields.iter().all(is_set) && self.setter.apply().layer_of.is_none() => {
                self.set(path, &inode.meta, fields)
            }
            _ => self.make(path, id),
        }
    }

    /// Sets what belongs to a file where it is.
    fn set(&mut self, path: &TreePath, meta: &Meta, fields: &[Field]) -> Result<()> {
        let (folder, name) = self.above(path)?;
        if call::is_mounted_over(&folder, &name).unwrap_or(false) {
            return Err(Error::MountedOver(folder.shown(&name)));
        }
        let file = match folder.open_file(&name) {
            Err(error) if error.is_denied() => {
                // The owner may have to be lent the permission; the mode is set in the end.
                let handle = call::open_path(&folder, &name).map_err(folder.failed("open", &name))?;
                call::chmod_path(handle.as_fd(), 0o600).map_err(folder.failed("set the mode of", &name))?;
                folder.open_file(&name)?
            }
            opened => opened?,
        };
        strip(&file, meta, fields, path)?;
        if self.setter.apply().owner.is_set() && fields.iter().any(is_owner) {
            call::chown(&file, meta.uid, meta.gid).map_err(folder.failed("give away", &name))?;
        }
        let mode = self.setter.last_mode(meta);
        self.setter.file(file.as_fd(), path.as_bytes(), meta, Some(mode))?;
        self.done.set += 1;
        Ok(())
    }

    fn remove(&mut self, path: &TreePath) -> Result<()> {
        let (folder, name) = self.above(path)?;
        remove::remove_all(folder.as_fd(), &name).map_err(|error| match error {
            Errno::BUSY => Error::MountedOver(folder.shown(&name)),
            error => folder.failed("remove", &name)(error),
        })?;
        self.done.removed += 1;
        Ok(())
    }

    /// Makes what the tree has at a path, and all that is in it, in the place of whatever is there.
    fn make(&mut self, path: &TreePath, id: InodeId) -> Result<()> {
        let mut open = vec![(path.clone(), id)];
        while let Some((path, id)) = open.pop() {
            self.setter.apply().cancel.check().map_err(Error::Cancelled)?;
            self.name(&path, id)?;
            open.extend(self.tree.children(id).map(|(name, id)| (path.join(name), id)));
        }
        Ok(())
    }

    fn name(&mut self, path: &TreePath, id: InodeId) -> Result<()> {
        let names = self.names.get(&id).cloned().unwrap_or_default();
        if names.first().is_none_or(|first| first == path) {
            self.put(path, id)?;
            // Whatever the other names lead to now, it was not compared.
            return names.iter().skip(1).try_for_each(|other| self.relink(other, path));
        }
        match self.anchors.get(&id).or(names.first()).cloned() {
            Some(first) => self.relink(path, &first),
            None => Ok(()),
        }
    }

    /// Makes a path a further name of `first`. Where a folder on the way is missing, it will be made with all in it.
    fn relink(&mut self, path: &TreePath, first: &TreePath) -> Result<()> {
        let (from, target) = self.above(first)?;
        let (folder, name) = match self.above(path) {
            Err(error) if is_missing(&error) => return Ok(()),
            opened => opened?,
        };
        let aside = random::name(temp::prefix_beside(&name));
        match call::link(&from, &target, &folder, &aside) {
            Err(Errno::NOENT) => return Ok(()),
            linked => linked.map_err(taken("link", path.as_bytes()))?,
        }
        self.settle(&folder, &aside, &name)
    }

    fn put(&mut self, path: &TreePath, id: InodeId) -> Result<()> {
        let inode = self.tree.inode(id);
        let (folder, name) = self.above(path)?;
        if inode.is_directory() {
            remove::remove_all(folder.as_fd(), &name).map_err(folder.failed("remove", &name))?;
            folder.make_dir(&name, 0o700)?;
            self.done.made += 1;
            self.touched.insert(path.clone());
            return Ok(());
        }
        let aside = random::name(temp::prefix_beside(&name));
        let made = match &inode.kind {
            InodeKind::File(content) => self.file(&folder, &aside, content, (path, &inode.meta)),
            kind => {
                let at = (folder.as_fd(), &aside[..]);
                special(&mut self.setter, at, kind, &inode.meta, path.as_bytes())
            }
        };
        match made {
            Ok(Made::Yes) => {
                self.anchors.insert(id, path.clone());
                self.settle(&folder, &aside, &name)
            }
            Ok(Made::No) => Ok(()),
            Err(error) => {
                // It is not what this failure is about, and the next repair removes it.
                call::remove_file(&folder, &aside).ok();
                Err(error)
            }
        }
    }

    fn file(
        &mut self,
        folder: &Dir,
        name: &[u8],
        content: &Content,
        (path, meta): (&TreePath, &Meta),
    ) -> Result<Made> {
        let source = if content.size == 0 { Source::Bytes(b"") } else { self.supply.source(content)? };
        let (mut first, mut mode) = self.setter.file_mode(meta);
        if let Source::Elsewhere(..) = source {
            // Attributes need the mode to let the owner write.
            (first, mode) = (0o600, mode.or(Some(first)));
        }
        let handle = call::create(folder, name, first).map_err(taken("create", path.as_bytes()))?;
        let file = File::new(handle, path.as_bytes().into());
        fill(&file, source, content.size, self.setter.apply().cancel)?;
        self.setter.file(file.as_fd(), path.as_bytes(), meta, mode)?;
        Ok(Made::Yes)
    }

    /// Gives what was made aside its name; a folder that has it goes first.
    fn settle(&mut self, folder: &Dir, aside: &[u8], name: &[u8]) -> Result<()> {
        if folder.try_stat(name)?.is_some_and(|stat| stat.kind == crate::FileKind::Directory) {
            remove::remove_all(folder.as_fd(), name).map_err(folder.failed("remove", name))?;
        }
        self.done.made += 1;
        if let Err(error) = folder.rename(aside, folder, name) {
            // It is not what this failure is about, and the next repair removes it.
            call::remove_file(folder, aside).ok();
            let is_mount = error.io_kind() == Some(io::ErrorKind::ResourceBusy);
            return Err(if is_mount { Error::MountedOver(folder.shown(name)) } else { error });
        }
        // Between two names of one file a rename does nothing.
        match call::remove_file(folder, aside) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(folder.failed("remove", aside)(error)),
        }
    }

    /// The folder that holds a path, and the name in it; it gets its times back in the end.
    fn above(&mut self, path: &TreePath) -> Result<(Dir, Vec<u8>)> {
        let (parent, name) = path.split().expect("the root itself is never made");
        let folder = self.open(&parent)?;
        lend(&folder)?;
        let name = name.to_vec();
        self.touched.insert(parent);
        Ok((folder, name))
    }

    fn open(&self, path: &TreePath) -> Result<Dir> {
        path.components().try_fold(self.root.try_clone()?, |folder, name| folder.open_dir(name))
    }

    fn finish(mut self) -> Result<Repaired> {
        // A folder comes before what is in it.
        let mut touched: Vec<TreePath> = std::mem::take(&mut self.touched).into_iter().collect();
        touched.sort_by(|one, other| other.components().cmp(one.components()));
        for path in touched {
            let id = path.components().try_fold(self.tree.root(), |at, name| self.tree.child(at, name));
            let (Some(id), Ok(folder)) = (id, self.open(&path)) else { continue };
            self.setter.folder(folder.as_fd(), path.as_bytes(), &self.tree.inode(id).meta)?;
        }
        self.setter.losses.sum_up(self.setter.apply().observer);
        self.done.report = Report { losses: self.setter.losses };
        Ok(self.done)
    }
}

/// Takes away the attributes that the tree does not have.
fn strip(file: &impl AsFd, meta: &Meta, fields: &[Field], path: &TreePath) -> Result<()> {
    for field in fields {
        let Aspect::Xattr(name) = &field.aspect else { continue };
        if meta.xattrs.contains_key(name) {
            continue;
        }
        match call::remove_xattr(file, name) {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(error) => return Err(failed("remove an attribute of", path.as_bytes())(error)),
        }
    }
    Ok(())
}

/// A folder of the caller's may forbid its owner to change names; the mode is set in the end.
fn lend(folder: &Dir) -> Result<()> {
    let mode = folder.stat_self()?.mode;
    if mode & 0o300 == 0o300 || folder.is_writable() {
        return Ok(());
    }
    call::chmod(folder, mode | 0o700).map_err(folder.failed("set the mode of", b""))
}
