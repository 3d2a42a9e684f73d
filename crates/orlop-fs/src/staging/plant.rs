//! A tree that is known already is put on the disk from contents that lie elsewhere.
//!
//! Every file is made where it belongs, so nothing is renamed. A content is written, shared or copied; or the file
//! stays empty, and its attributes tell an overlay where the content is (see [`crate::overlay`]): such a tree is a
//! skeleton.

use super::cursor::Cursor;
use super::descent::{Descent, Step};
use super::layer::split;
use super::meta::{Setter, failed};
use super::nodes::{Made, finish, join, link, reopen, special, taken};
use super::{Report, Staging, finish_root};
use crate::copy::{self, Way};
use crate::error::Error;
use crate::file::File;
use crate::overlay::{self, Flavour};
use crate::{Dir, Result, call};
use orlop_layer::Meta;
use orlop_layer::tree::{Content, InodeId, InodeKind, Tree};
use orlop_spec::{Cancel, Digest};
use rustix::fd::{AsFd as _, BorrowedFd};
use std::collections::HashMap;

/// Where the bytes of one file are.
#[derive(Debug)]
pub enum Source<'a> {
    /// Here.
    Bytes(&'a [u8]),
    /// In a file, all of it.
    File(File),
    /// In a file that must hash to this: it is proven on its way.
    Proven(File, Digest),
    /// At this path of a data layer: the file is made as an overlay wants it.
    Elsewhere(Flavour, Vec<u8>),
}

/// Knows where contents are.
pub trait Supply {
    /// Where the bytes of a file are; not asked for empty ones.
    fn source(&self, content: &Content) -> Result<Source<'_>>;
}

/// What was put on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    /// What could not be kept.
    pub report: Report,
    /// Files that share the blocks of their source.
    pub shared: u64,
    /// Files that were copied.
    pub copied: u64,
}

impl Staging<'_> {
    /// Puts a stacked tree on the disk. May be done once, and instead of [`Staging::assemble`].
    ///
    /// # Errors
    /// Where a content has another size than the tree says, too.
    pub fn plant(&mut self, tree: &Tree, supply: &dyn Supply) -> Result<Planted> {
        let top = self.top(tree)?;
        self.folder.make_dir("root", 0o700)?;
        let root = self.folder.open_dir("root")?;
        let setter = Setter::new(&self.apply);
        let mut planting =
            Planting { tree, top, supply, setter, first: HashMap::new(), planted: Planted::default() };
        planting.grow(&root)?;
        let Planting { mut setter, mut planted, .. } = planting;
        finish(tree, top, &root, &mut setter)?;
        let place = (self.folder.try_clone()?, b"root".to_vec());
        self.ready = Some(finish_root(place, root, &tree.inode(top).meta, &mut setter)?);
        setter.losses.sum_up(self.apply.observer);
        planted.report = Report { losses: setter.losses };
        Ok(planted)
    }
}

struct Planting<'a, 'b> {
    tree: &'a Tree,
    top: InodeId,
    supply: &'a dyn Supply,
    setter: Setter<'b>,
    /// Where inodes with several names have their first.
    first: HashMap<InodeId, Vec<u8>>,
    planted: Planted,
}

impl Planting<'_, '_> {
    fn grow(&mut self, root: &Dir) -> Result<()> {
        let mut at = Cursor::new(reopen(root)?, ());
        let mut links = Cursor::new(reopen(root)?, ());
        for step in Descent::new(self.tree, self.top) {
            match step {
                Step::Enter(name, _) => {
                    let path = join(at.path(), name);
                    call::make_dir(at.here(), name, 0o700).map_err(taken("create the folder", &path))?;
                    let handle = call::open_dir(at.here(), name).map_err(failed("open the folder", &path))?;
                    at.enter(name, handle, ());
                }
                Step::Leaf(name, id) => self.leaf(&at, &mut links, name, id)?,
                Step::Leave(id) if id != self.top => drop(at.leave().map_err(failed("leave", at.path()))?),
                Step::Leave(_) => {}
            }
        }
        Ok(())
    }

    fn leaf(&mut self, at: &Cursor<()>, links: &mut Cursor<()>, name: &[u8], id: InodeId) -> Result<()> {
        self.setter.apply().cancel.check()?;
        let (inode, path) = (self.tree.inode(id), join(at.path(), name));
        if let Some(first) = self.first.get(&id) {
            let (folder, target) = split(first);
            return link(links, folder, target, at.here(), name, &path);
        }
        let made = match &inode.kind {
            InodeKind::File(content) => self.file((at.here(), name), content, &inode.meta, &path)?,
            kind => special(&mut self.setter, (at.here(), name), kind, &inode.meta, &path)?,
        };
        if made == Made::Yes && self.tree.names(id) > 1 {
            self.first.insert(id, path);
        }
        Ok(())
    }

    fn file(
        &mut self,
        (at, name): (BorrowedFd<'_>, &[u8]),
        content: &Content,
        meta: &Meta,
        path: &[u8],
    ) -> Result<Made> {
        let source = if content.size == 0 { Source::Bytes(b"") } else { self.supply.source(content)? };
        let (mut first, mut mode) = self.setter.file_mode(meta);
        if let Source::Elsewhere(..) = source {
            // Attributes need the mode to let the owner write.
            mode = mode.or(Some(first));
            first = 0o600;
        }
        let handle = call::create(at, name, first).map_err(taken("create", path))?;
        let file = File::new(handle, path.into());
        if let Some(way) = fill(&file, source, content.size, self.setter.apply().cancel)? {
            self.count(way);
        }
        self.setter.file(file.as_fd(), path, meta, mode)?;
        Ok(Made::Yes)
    }

    fn count(&mut self, way: Way) {
        match way {
            Way::Shared => self.planted.shared += 1,
            Way::Copied => self.planted.copied += 1,
        }
    }
}

/// Puts a content into a new file; how, where it came out of another.
pub(super) fn fill(file: &File, source: Source<'_>, size: u64, cancel: &Cancel) -> Result<Option<Way>> {
    match source {
        Source::Bytes(bytes) if bytes.len() as u64 == size => file.write_at(bytes, 0).map(|()| None),
        Source::File(from) if from.size()? == size => copy::whole(&from, file, size).map(Some),
        Source::Proven(from, digest) => {
            let is_whole = from.size()? == size;
            let way = if is_whole { copy::proven(&from, file, size, &digest, cancel)? } else { None };
            let path = from.shown().clone();
            way.map(Some).ok_or_else(|| Error::Unproven { path, digest: Box::new(digest) })
        }
        Source::Elsewhere(flavour, data) => {
            for (name, value) in overlay::pointer(flavour, &data) {
                call::set_xattr(file, &name, value)
                    .map_err(|error| file.failed("set an attribute of", error))?;
            }
            file.set_len(size).map(|()| None)
        }
        Source::Bytes(_) | Source::File(_) => Err(Error::Changed(file.shown().clone())),
    }
}
