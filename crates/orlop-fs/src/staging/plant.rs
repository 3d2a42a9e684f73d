//! A tree that is known already is put on the disk from contents that lie elsewhere.
//!
//! Folders are made first, by one thread; each is filled by one of several; further names and what folders are come last.
//! Every file is made where it belongs, so nothing is renamed. A content is written, shared or copied; or the file
//! stays empty, and its attributes tell an overlay where the content is (see [`crate::overlay`]): such a tree is a
//! skeleton.

use super::cursor::Cursor;
use super::descent::{Descent, Step};
use super::layer::split;
use super::meta::{Setter, failed};
use super::nodes::{finish, join, link, reopen, special, taken};
use super::{Apply, Output, Report, Staging, finish_root};
use crate::copy::{self, Way};
use crate::error::Error;
use crate::file::File;
use crate::loss::Losses;
use crate::overlay::{self, Flavour};
use crate::{Dir, Result, call};
use orlop_layer::Meta;
use orlop_layer::tree::{Content, InodeId, InodeKind, Tree};
use orlop_spec::{Cancel, Digest};
use rustix::fd::AsFd as _;
use rustix::io::Errno;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Threads that make files at once: more of them wait for each other in the kernel.
const MOST_GARDENERS: usize = 16;
/// Handles of folders that all of them keep together: a process may have but 256 of all kinds.
const HANDLES: usize = 64;
/// Bytes copied at once.
const PIECE: usize = 256 << 10;

/// Where the bytes of one file are.
#[derive(Debug)]
pub enum Source<'a> {
    /// Here.
    Bytes(&'a [u8]),
    /// In a file, all of it.
    File(File),
    /// In a file, from here on; what lies past its end reads as zeros.
    Part(&'a File, u64),
    /// In a file that must hash to this: it is proven on its way.
    Proven(File, Digest),
    /// At this path of a data layer: the file is made as an overlay wants it.
    Elsewhere(Flavour, Vec<u8>),
}

/// Knows where contents are, for several threads at once.
pub trait Supply: Sync {
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
    /// Puts a stacked tree on the disk, by several threads. May be done once, and instead of [`Staging::assemble`].
    ///
    /// # Errors
    /// Where a content has another size than the tree says, too.
    pub fn plant(&mut self, tree: &Tree, supply: &dyn Supply, workers: NonZeroUsize) -> Result<Planted> {
        let top = self.top(tree)?;
        self.folder.make_dir("root", 0o700)?;
        let root = self.folder.open_dir("root")?;
        let plan = Plan::lay_out(tree, top, &root, supply)?;
        let (planted, mut losses) = plan.fill(&root, &self.apply, workers)?;
        let mut setter = Setter::new(&self.apply);
        plan.link(&root, &mut setter)?;
        finish(tree, top, &root, &mut setter)?;
        let place = (self.folder.try_clone()?, b"root".to_vec());
        self.ready = Some(finish_root(place, root, &tree.inode(top).meta, &mut setter)?);
        losses.merge(&setter.losses);
        losses.sum_up(self.apply.observer);
        Ok(Planted { report: Report { losses }, ..planted })
    }
}

/// What is to be made, when all folders are there.
struct Plan<'a> {
    tree: &'a Tree,
    supply: &'a dyn Supply,
    /// Folders in which something else than folders is.
    folders: Vec<(InodeId, Vec<u8>)>,
    /// Where inodes with several names have their first.
    first: HashMap<InodeId, Vec<u8>>,
    /// Their other names.
    further: Vec<(InodeId, Vec<u8>)>,
}

impl<'a> Plan<'a> {
    /// Makes all folders, which is little work, and lists what is to be made in them.
    fn lay_out(tree: &'a Tree, top: InodeId, root: &Dir, supply: &'a dyn Supply) -> Result<Self> {
        let (folders, first, further) = (Vec::new(), HashMap::new(), Vec::new());
        let mut plan = Self { tree, supply, folders, first, further };
        let mut at = Cursor::new(reopen(root)?, ());
        let mut open = vec![(top, false)];
        for step in Descent::new(tree, top) {
            match step {
                Step::Enter(name, id) => {
                    let path = join(at.path(), name);
                    call::make_dir(at.here(), name, 0o700).map_err(taken("create the folder", &path))?;
                    let handle = call::open_dir(at.here(), name).map_err(failed("open the folder", &path))?;
                    at.enter(name, handle, ());
                    open.push((id, false));
                }
                Step::Leaf(name, id) => {
                    plan.note(join(at.path(), name), id);
                    open.last_mut().expect("the top is left last").1 = true;
                }
                Step::Leave(id) => {
                    if let Some((folder, true)) = open.pop() {
                        plan.folders.push((folder, at.path().to_vec()));
                    }
                    if id != top {
                        at.leave().map_err(failed("leave", at.path()))?;
                    }
                }
            }
        }
        Ok(plan)
    }

    fn note(&mut self, path: Vec<u8>, id: InodeId) {
        if self.tree.names(id) < 2 {
            return;
        }
        match self.first.entry(id) {
            Entry::Vacant(first) => drop(first.insert(path)),
            Entry::Occupied(_) => self.further.push((id, path)),
        }
    }

    /// Everything but folders and further names. Each folder is filled by one thread.
    fn fill(&self, root: &Dir, apply: &Apply<'_>, workers: NonZeroUsize) -> Result<(Planted, Losses)> {
        let workers = workers.get().min(self.folders.len()).clamp(1, MOST_GARDENERS);
        let gardener = || {
            Ok(Gardener {
                plan: self,
                at: Cursor::new(reopen(root)?, ()).keeping(HANDLES / workers),
                setter: Setter::new(apply),
                planted: Planted::default(),
            })
        };
        let gardeners = (0..workers).map(|_| gardener()).collect::<Result<Vec<_>>>()?;
        let next = AtomicUsize::new(0);
        let outcomes: Vec<Result<(Planted, Losses)>> = thread::scope(|threads| {
            let mut gardeners = gardeners.into_iter();
            let own = gardeners.next();
            let others: Vec<_> = gardeners.map(|one| threads.spawn(|| one.work(&next))).collect();
            let own = own.into_iter().map(|one| one.work(&next));
            let join = |other: thread::ScopedJoinHandle<'_, _>| {
                other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            own.collect::<Vec<_>>().into_iter().chain(others.into_iter().map(join)).collect()
        });
        let (mut planted, mut losses) = (Planted::default(), Losses::default());
        for outcome in outcomes {
            let (more, lost) = outcome?;
            planted.shared += more.shared;
            planted.copied += more.copied;
            losses.merge(&lost);
        }
        losses.tell(apply.observer);
        Ok((planted, losses))
    }

    /// Further names, when what they name is there. Of what could not be made, no name is.
    fn link(&self, root: &Dir, setter: &mut Setter<'_>) -> Result<()> {
        let open = |at: &Cursor<()>, name: &[u8]| Ok((call::open_dir(at.here(), name)?, ()));
        let (mut at, mut links) = (Cursor::new(reopen(root)?, ()), Cursor::new(reopen(root)?, ()));
        for (id, path) in &self.further {
            setter.apply().cancel.check()?;
            let ((folder, name), inode) = (split(path), self.tree.inode(*id));
            at.go(folder, open).map_err(failed("open the folder", folder))?;
            let (of, target) = split(&self.first[id]);
            links.go(of, open).map_err(failed("open the folder", of))?;
            // Files are always made.
            let is_file = matches!(inode.kind, InodeKind::File(_));
            if !is_file && call::stat_at(links.here(), target).is_err_and(|error| error == Errno::NOENT) {
                special(setter, (at.here(), name), &inode.kind, &inode.meta, path)?;
            } else {
                link(&mut links, of, target, at.here(), name, path)?;
            }
        }
        Ok(())
    }
}

/// One thread that fills folders.
struct Gardener<'a, 'b> {
    plan: &'a Plan<'a>,
    at: Cursor<()>,
    setter: Setter<'b>,
    planted: Planted,
}

impl Gardener<'_, '_> {
    fn work(mut self, next: &AtomicUsize) -> Result<(Planted, Losses)> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((folder, path)) = self.plan.folders.get(number) else { break };
            self.setter.losses.begin_part(number);
            let filled = self.fill(*folder, path);
            // The others need not go on.
            filled.inspect_err(|_| next.store(self.plan.folders.len(), Ordering::Relaxed))?;
        }
        Ok((self.planted, self.setter.losses))
    }

    fn fill(&mut self, folder: InodeId, path: &[u8]) -> Result<()> {
        let plan = self.plan;
        let open = |at: &Cursor<()>, name: &[u8]| Ok((call::open_dir(at.here(), name)?, ()));
        self.at.go(path, open).map_err(failed("open the folder", path))?;
        for (name, id) in plan.tree.children(folder) {
            if !plan.tree.inode(id).is_directory() {
                self.leaf(&join(path, name), name, id)?;
            }
        }
        Ok(())
    }

    fn leaf(&mut self, path: &[u8], name: &[u8], id: InodeId) -> Result<()> {
        self.setter.apply().cancel.check()?;
        if self.plan.first.get(&id).is_some_and(|first| first != path) {
            return Ok(());
        }
        let inode = self.plan.tree.inode(id);
        match &inode.kind {
            InodeKind::File(content) => self.file(name, content, &inode.meta, path),
            kind => special(&mut self.setter, (self.at.here(), name), kind, &inode.meta, path).map(drop),
        }
    }

    fn file(&mut self, name: &[u8], content: &Content, meta: &Meta, path: &[u8]) -> Result<()> {
        let source = if content.size == 0 { Source::Bytes(b"") } else { self.plan.supply.source(content)? };
        let (mut first, mut mode) = self.setter.file_mode(meta);
        if let Source::Elsewhere(..) = source {
            // Attributes need the mode to let the owner write.
            mode = mode.or(Some(first));
            first = 0o600;
        }
        let handle = call::create(self.at.here(), name, first).map_err(taken("create", path))?;
        let file = File::new(handle, path.into());
        if let Some(way) = fill(&file, source, content.size, self.setter.apply().cancel)? {
            self.count(way);
        }
        self.setter.file(file.as_fd(), path, meta, mode)
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
        Source::Part(from, at) => part((from, at), file, size, cancel).map(|()| None),
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

/// Copies `size` bytes from somewhere in a file; whole blocks of zeros become holes.
fn part((from, mut at): (&File, u64), file: &File, size: u64, cancel: &Cancel) -> Result<()> {
    let mut out = Output::new(file);
    let (mut left, mut buffer) = (size, vec![0; PIECE]);
    while left > 0 {
        cancel.check().map_err(Error::Cancelled)?;
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let count = from.read_at(&mut buffer[..most], at)?;
        buffer[count..most].fill(0);
        out.write(&buffer[..most]).map_err(|error| file.failed("write", error))?;
        (at, left) = (at + most as u64, left - most as u64);
    }
    out.finish().map(drop).map_err(|error| file.failed("write", error))
}
