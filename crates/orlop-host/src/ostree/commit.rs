//! A folder of the disk, written as objects: several threads read, hash, compress and write.
//!
//! ```text
//!              ┌─ Folder ─► list, look ──┬─► Folder …
//! jobs (LIFO) ─┤                         └─► Files (a few names)
//!              └─ Files ──► read, hash, put
//! nodes: one for each folder, after its parent; at the end, from the last to the first, dirtrees are put
//! ```
//!
//! Invariant: what comes out depends on the folder and the options alone, not on the order of the work. What OSTree cannot
//! hold is told; a file that changes while it is read is an error.

use super::claim::Root;
use super::flavour::{Attributes, Flavour, Permissions};
use super::id::{Kind, ObjectId};
use super::object::DirTree;
use super::repo::{RepoError, Transaction};
use super::tree::DEEPEST;
use crate::Error;
use orlop_fs::loss::{LossKind, Losses};
use orlop_fs::{Dir, File, FileKind, Stat};
use orlop_layer::{Meta, Xattrs};
use orlop_spec::Context;
use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Names of one job.
const BATCH: usize = 32;
/// Bytes that are read at once of a file that is not held as a whole.
const PIECE: usize = 4 << 20;

/// Whether a name becomes part of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It does.
    Yes,
    /// It does not, nor does what is beneath.
    No,
}

/// Sees each path beneath the folder and what is known of it, and may change that.
pub type Adjust<'a> = dyn Fn(&[u8], FileKind, &mut Meta) -> Take + Sync + 'a;

/// How a folder is written.
#[derive(Clone, Copy, Default)]
pub struct FolderOptions<'a> {
    /// Owners, modes and attributes.
    pub flavour: Flavour,
    /// Decides on single paths, before the flavour does.
    pub adjust: Option<&'a Adjust<'a>>,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct WrittenFolder {
    /// The folder.
    pub root: Root,
    /// What OSTree cannot hold.
    pub losses: Losses,
    /// The time of the newest file or folder.
    pub newest: i64,
}

/// Writes everything beneath a folder.
pub fn write_folder(
    cx: &Context<'_>,
    transaction: &Transaction<'_>,
    folder: &Dir,
    options: FolderOptions<'_>,
) -> Result<WrittenFolder, Error> {
    let flavour = options.flavour.fitting(transaction.repo().mode());
    let options = FolderOptions { flavour, ..options };
    let writing = Writing {
        cx,
        transaction,
        options,
        queue: Mutex::default(),
        wake: Condvar::new(),
        nodes: Mutex::default(),
        links: Mutex::default(),
        losses: Mutex::default(),
        newest: Mutex::new(i64::MIN),
    };
    let root = Job::Folder { dir: Some(folder.try_clone()?), above: None, name: Box::default() };
    writing.lock().jobs.push(root);
    std::thread::scope(|scope| {
        for _ in 1..cx.workers.get() {
            scope.spawn(|| writing.work());
        }
        writing.work();
    });
    writing.finish()
}

struct Writing<'a> {
    cx: &'a Context<'a>,
    transaction: &'a Transaction<'a>,
    options: FolderOptions<'a>,
    queue: Mutex<Queue>,
    wake: Condvar,
    nodes: Mutex<Vec<Node>>,
    /// The objects of files that have several names.
    links: Mutex<HashMap<(u64, u64), ObjectId>>,
    losses: Mutex<Losses>,
    newest: Mutex<i64>,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    busy: usize,
    failed: Option<Error>,
}

enum Job {
    /// A folder, opened when its turn comes, so that few are open at once.
    Folder { dir: Option<Dir>, above: Option<Arc<Place>>, name: Box<[u8]> },
    /// Names of a folder that are none themselves.
    Files { place: Arc<Place>, names: Vec<(Box<[u8]>, Stat)> },
}

/// An open folder.
struct Place {
    dir: Dir,
    node: usize,
    path: Vec<u8>,
    depth: usize,
}

/// A folder on its way to a dirtree.
struct Node {
    above: usize,
    name: Box<str>,
    meta: ObjectId,
    names: DirTree,
}

impl Writing<'_> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One thread's work, until there is none left.
    fn work(&self) {
        let mut buffer = Vec::new();
        while let Some(job) = self.next() {
            let outcome = self.cx.cancel.check().map_err(|error| RepoError::from(error).into());
            let outcome = outcome.and_then(|()| self.run(job, &mut buffer));
            let mut queue = self.lock();
            queue.busy -= 1;
            if let Err(error) = outcome {
                queue.jobs.clear();
                queue.failed.get_or_insert(error);
            }
            self.wake.notify_all();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop() {
                queue.busy += 1;
                return Some(job);
            }
            if queue.busy == 0 {
                return None;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, job: Job, buffer: &mut Vec<u8>) -> Result<(), Error> {
        match job {
            Job::Folder { dir, above, name } => {
                let dir = match (dir, &above) {
                    (Some(dir), _) => dir,
                    (None, above) => {
                        above.as_ref().expect("only the root is open already").dir.open_dir(&name)?
                    }
                };
                self.folder(dir, above.as_deref(), &name)
            }
            Job::Files { place, names } => {
                let mut found = Vec::with_capacity(names.len());
                for (name, stat) in &names {
                    if let Some(id) = self.file(&place, name, stat, buffer)? {
                        found.push((String::from_utf8_lossy(name).into(), id));
                    }
                }
                self.nodes.lock().expect("no holder panics")[place.node].names.files.extend(found);
                Ok(())
            }
        }
    }

    fn folder(&self, dir: Dir, above: Option<&Place>, name: &[u8]) -> Result<(), Error> {
        let depth = above.map_or(0, |above| above.depth + 1);
        if depth >= DEEPEST {
            return Err(RepoError::TooDeep { most: DEEPEST }.into());
        }
        let path = above.map_or_else(Vec::new, |above| join(&above.path, name));
        let stat = dir.stat_self()?;
        let xattrs = if self.takes_xattrs() { dir.xattrs()? } else { Xattrs::new() };
        let Some(meta) = self.meta(&path, &stat, xattrs) else { return Ok(()) };
        let meta = self.transaction.put(Kind::DirMeta, &self.options.flavour.folder(&meta).to_bytes())?;
        let node = {
            let mut nodes = self.nodes.lock().expect("no holder panics");
            let name = String::from_utf8_lossy(name).into();
            nodes.push(Node {
                above: above.map_or(0, |above| above.node),
                name,
                meta,
                names: DirTree::default(),
            });
            nodes.len() - 1
        };
        self.spread(&Arc::new(Place { dir, node, path, depth }))
    }

    /// Makes jobs of what is in a folder.
    fn spread(&self, place: &Arc<Place>) -> Result<(), Error> {
        let (mut folders, mut files) = (Vec::new(), Vec::new());
        for name in place.dir.list()? {
            if std::str::from_utf8(&name).is_err() {
                self.lose(LossKind::Name, &join(&place.path, &name), "OSTree holds names in UTF-8 alone");
                continue;
            }
            let stat = place.dir.stat(&name)?;
            match stat.kind {
                FileKind::Directory => {
                    folders.push(Job::Folder { dir: None, above: Some(Arc::clone(place)), name });
                }
                _ => files.push((name, stat)),
            }
        }
        let mut files = files.into_iter().peekable();
        while files.peek().is_some() {
            let names = files.by_ref().take(BATCH).collect();
            folders.push(Job::Files { place: Arc::clone(place), names });
        }
        self.lock().jobs.append(&mut folders);
        self.wake.notify_all();
        Ok(())
    }

    /// The object of a name; nothing where it is left out.
    fn file(
        &self,
        place: &Place,
        name: &[u8],
        stat: &Stat,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<ObjectId>, Error> {
        match stat.kind {
            FileKind::File => self.regular(place, name, stat, buffer),
            FileKind::Symlink => self.link(place, name, stat),
            _ => {
                let kind = if stat.kind == FileKind::Socket { LossKind::Socket } else { LossKind::Device };
                self.lose(kind, &join(&place.path, name), "OSTree holds files, folders and links alone");
                Ok(None)
            }
        }
    }

    fn link(&self, place: &Place, name: &[u8], stat: &Stat) -> Result<Option<ObjectId>, Error> {
        let path = join(&place.path, name);
        let target = place.dir.read_link(name)?;
        let Ok(target) = std::str::from_utf8(&target) else {
            self.lose(LossKind::Name, &path, "OSTree holds targets of links in UTF-8 alone");
            return Ok(None);
        };
        let xattrs = if self.takes_xattrs() { place.dir.xattrs_of(name)? } else { Xattrs::new() };
        let Some(meta) = self.meta(&path, stat, xattrs) else { return Ok(None) };
        self.transaction.link(&self.options.flavour.link(&meta, target)).map(Some)
    }

    fn regular(
        &self,
        place: &Place,
        name: &[u8],
        stat: &Stat,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<ObjectId>, Error> {
        let mut file = place.dir.open_file(name)?;
        let xattrs = if self.takes_xattrs() { file.xattrs()? } else { Xattrs::new() };
        let Some(meta) = self.meta(&join(&place.path, name), stat, xattrs) else { return Ok(None) };
        let inode = (stat.dev, stat.ino);
        // Whoever adjusts may do so by the path, of which such a file has several.
        let is_shared = stat.links > 1 && self.options.adjust.is_none();
        if is_shared && let Some(id) = self.links.lock().expect("no holder panics").get(&inode) {
            return Ok(Some(*id));
        }
        let id = self.content(&mut file, &meta, stat.size, buffer)?;
        let now = file.stat()?;
        if !now.is_same_file(stat) || (now.size, now.mtime) != (stat.size, stat.mtime) {
            return Err(orlop_fs::Error::Changed(file.shown().clone()).into());
        }
        if is_shared {
            self.links.lock().expect("no holder panics").insert(inode, id);
        }
        Ok(Some(id))
    }

    fn content(
        &self,
        file: &mut File,
        meta: &Meta,
        size: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<ObjectId, Error> {
        let header = self.options.flavour.file(meta);
        let most = usize::try_from(size).unwrap_or(usize::MAX).min(PIECE);
        if buffer.len() < most {
            buffer.resize(most, 0);
        }
        let buffer = &mut buffer[..most];
        if size <= PIECE as u64 {
            let count = fill(file, buffer)?;
            return self.transaction.put_file(&header, &buffer[..count]);
        }
        let mut writer = self.transaction.file(&header, size)?;
        loop {
            self.cx.cancel.check().map_err(RepoError::from)?;
            match fill(file, buffer)? {
                0 => return writer.finish(),
                count => writer.take(&buffer[..count])?,
            }
        }
    }

    /// What is known of a path; nothing where it is left out.
    fn meta(&self, path: &[u8], stat: &Stat, xattrs: Xattrs) -> Option<Meta> {
        let mut meta = Meta { mode: stat.mode, uid: stat.uid, gid: stat.gid, mtime: stat.mtime, xattrs };
        let take = self.options.adjust.map_or(Take::Yes, |adjust| adjust(path, stat.kind, &mut meta));
        if take == Take::No && !path.is_empty() {
            return None;
        }
        for (xattr, _) in meta.xattrs.iter().filter(|(_, value)| value.is_empty()) {
            let mut losses = self.losses.lock().expect("no holder panics");
            losses.add_xattr(
                LossKind::Xattr,
                xattr,
                path,
                "OSTree takes none without a value",
                self.cx.observer,
            );
        }
        let mut newest = self.newest.lock().expect("no holder panics");
        *newest = (*newest).max(stat.mtime.seconds);
        Some(meta)
    }

    fn takes_xattrs(&self) -> bool {
        let Flavour { permissions, attributes, .. } = self.options.flavour;
        (permissions, attributes) == (Permissions::Exact, Attributes::Keep)
    }

    fn lose(&self, kind: LossKind, path: &[u8], why: &str) {
        self.losses.lock().expect("no holder panics").add(kind, path, why, self.cx.observer);
    }

    /// Puts the dirtrees, each after those beneath it.
    fn finish(self) -> Result<WrittenFolder, Error> {
        let queue = self.queue.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = queue.failed {
            return Err(error);
        }
        let losses = self.losses.into_inner().expect("no holder panics");
        losses.sum_up(self.cx.observer);
        let newest = self.newest.into_inner().expect("no holder panics");
        let mut nodes = self.nodes.into_inner().expect("no holder panics");
        while let Some(Node { above, name, meta, mut names }) = nodes.pop() {
            names.files.sort();
            names.folders.sort();
            let tree = self.transaction.put(Kind::DirTree, &names.to_bytes())?;
            match nodes.get_mut(above) {
                Some(above) => above.names.folders.push((name, tree, meta)),
                None => return Ok(WrittenFolder { root: Root { tree, meta }, losses, newest }),
            }
        }
        unreachable!("the root is there, and comes last")
    }
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}

/// Reads until the buffer is full or the file is at its end.
fn fill(file: &mut File, buffer: &mut [u8]) -> Result<usize, Error> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(orlop_fs::Error::io("read", file.shown().clone(), error).into()),
        }
    }
    Ok(filled)
}
