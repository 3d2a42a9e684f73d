//! Whether a folder is what the manifest of a tree says, and what differs where it is not.
//!
//! ```text
//! folder ──list──► names ─┬─ not in the manifest ──► added
//! manifest ──────► names ─┴─ not in the folder ────► removed
//!                          └ in both: stat ─ as it was seen? ─► done
//!                                              no: kind, mode, owner, attributes, target, device, sha256 ─► changed
//! ```
//!
//! Invariants: nothing is followed and nothing is changed; everything is reached through handles of folders. What is
//! found depends on the folder, the manifest and the owner policy, not on the number of workers. Times are not compared,
//! nor attributes of the host.

mod expected;
mod inode;
mod links;
mod place;
mod queue;
mod seen;
mod skeleton;

pub use seen::{Fact, Of, Seen, is_settled, tells_changes};
pub use skeleton::{Shape, skeleton};

use crate::error::Error;
use crate::owner::Owner;
use crate::stat::{FileKind, Stat};
use crate::{Dir, Result, call, xattr};
use inode::Comparer;
use orlop_layer::manifest::{NodeId, TreeManifest, What};
use orlop_layer::path::escape;
use orlop_layer::{Time, TreePath};
use orlop_spec::Cancel;
use place::Place;
use queue::Queue;
use rustix::fd::OwnedFd;
use rustix::fs;
use rustix::io::Errno;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// How a folder is compared.
#[derive(Clone, Copy)]
pub struct Verify<'a> {
    /// What was done about owners when the folder was made.
    pub owner: Owner,
    /// What is compared of files.
    pub shape: Shape,
    /// How many threads look.
    pub workers: NonZeroUsize,
    /// What an earlier look saw. What is as it was then is not looked at closely.
    pub seen: Option<&'a Seen>,
    /// A time before the look, by the clock of the file system: what changed at that time or just before may change again
    /// without a trace, and is not noted as seen. Without it nothing is.
    pub now: Option<Time>,
    /// Looked at once per buffer and per name.
    pub cancel: &'a Cancel,
    /// Told how many bytes were read since the last call.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Found {
    /// What differs, sorted by path. An added or removed folder stands for all that is in it.
    pub differences: Vec<Difference>,
    /// What was seen, for the next look.
    pub seen: Seen,
    /// Bytes of contents that were read.
    pub read: u64,
}

/// A path that is not what the manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub path: TreePath,
    /// What.
    pub change: Change,
}

/// What differs at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The folder has it, and the manifest does not.
    Added(FileKind),
    /// The manifest has it, and the folder does not.
    Removed,
    /// Both have it, and these fields differ.
    Changed(Vec<Field>),
}

/// A field that differs, both values as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Which one.
    pub aspect: Aspect,
    /// What the manifest says.
    pub expected: String,
    /// What the folder has.
    pub found: String,
}

/// What may differ about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// Whether it is a file, a folder, …
    Type,
    /// The sha256 of the content. Not compared where the size differs.
    Content,
    /// Bytes of the content.
    Size,
    /// The twelve bits.
    Mode,
    /// Owner.
    Uid,
    /// Group.
    Gid,
    /// Where a symbolic link points.
    Target,
    /// Which device it stands for.
    Device,
    /// An extended attribute.
    Xattr(Box<[u8]>),
    /// Of which other path it is a further name.
    HardLink,
    /// Another file system, or a file of somewhere else, stands there.
    Mount,
}

impl fmt::Display for Aspect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Type => "type",
            Self::Content => "content",
            Self::Size => "size",
            Self::Mode => "mode",
            Self::Uid => "uid",
            Self::Gid => "gid",
            Self::Target => "target",
            Self::Device => "device",
            Self::Xattr(name) => return write!(out, "xattr {}", escape(name)),
            Self::HardLink => "hard link of",
            Self::Mount => "mount",
        })
    }
}

impl Field {
    fn new(aspect: Aspect, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self { aspect, expected: expected.to_string(), found: found.to_string() }
    }
}

/// Compares a folder with a manifest.
pub fn verify(folder: &Dir, manifest: &TreeManifest, how: &Verify<'_>) -> Result<Found> {
    let root = folder.stat_self()?;
    let is_telling = tells_changes(folder);
    let how = &Verify { seen: how.seen.filter(|_| is_telling), now: how.now.filter(|_| is_telling), ..*how };
    let comparer = Comparer::new(folder, manifest, how, &root);
    let queue = Queue::new(Task { place: Arc::new(Place::root(folder)?), id: manifest.root() });
    let mut parts = queue.run(how.workers, |queue, task| Worker::new(&comparer, queue).folder(&task))?;
    let mut found = Found { seen: Seen::none(manifest, Of::Folder(how.owner)), ..Found::default() };
    let mut inodes = Vec::new();
    for part in &mut parts {
        found.differences.append(&mut part.differences);
        found.read += part.read;
        inodes.append(&mut part.inodes);
        for (id, fact) in part.facts.drain(..) {
            found.seen.note(id, fact);
        }
    }
    found.differences.extend(links::compare(manifest, inodes));
    found.differences.sort_by(|one, other| one.path.components().cmp(other.path.components()));
    found.differences.dedup_by(|next, one| join(one, next));
    found.seen.forget(manifest, &found.differences);
    Ok(found)
}

/// Several findings about one path are one.
fn join(one: &mut Difference, next: &mut Difference) -> bool {
    let is_same = one.path == next.path;
    if let (true, Change::Changed(fields), Change::Changed(more)) =
        (is_same, &mut one.change, &mut next.change)
    {
        fields.append(more);
    }
    is_same
}

/// A folder that is to be looked at: its place is that of the folder above, but for the root.
struct Task {
    place: Arc<Place>,
    id: NodeId,
}

/// What one folder came to.
#[derive(Default)]
struct Part {
    differences: Vec<Difference>,
    facts: Vec<(NodeId, Fact)>,
    /// Which files may be several names of one.
    inodes: Vec<links::Inode>,
    read: u64,
}

/// Looks at one folder.
struct Worker<'a> {
    comparer: &'a Comparer<'a>,
    queue: &'a Queue<Task>,
    part: Part,
}

impl<'a> Worker<'a> {
    fn new(comparer: &'a Comparer<'a>, queue: &'a Queue<Task>) -> Self {
        Self { comparer, queue, part: Part::default() }
    }

    fn folder(mut self, task: &Task) -> Result<Part> {
        let name = self.comparer.manifest.name(task.id);
        let opened = if name.is_empty() { task.place.reopen() } else { task.place.open(name) };
        let folder = match opened {
            Ok(folder) => folder,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                self.differ(task.id, Change::Removed);
                return Ok(self.part);
            }
            Err(error) => return Err(self.failed("open the folder", task.id, error)),
        };
        let stat = Stat::from(fs::fstat(&folder).map_err(|error| self.failed("look at", task.id, error))?);
        if task.id != self.comparer.manifest.root() && self.is_mounted(&folder, &stat) {
            self.differ(task.id, Change::Changed(vec![mounted("another file system")]));
            return Ok(self.part);
        }
        let is_known = self.is_known(task.id, &stat);
        if !is_known {
            let xattrs = xattr::read(&folder)
                .map_err(|error| self.failed("read the attributes of", task.id, error))?;
            let fields = self.comparer.common(task.id, &stat, &xattrs);
            self.changed(task.id, fields);
            self.added(task.id, &folder)?;
        }
        let place = Arc::new(task.place.below(name, folder));
        for id in self.comparer.manifest.children(task.id) {
            self.comparer.how.cancel.check().map_err(Error::Cancelled)?;
            self.name(&place, id)?;
        }
        self.note(task.id, &stat);
        Ok(self.part)
    }

    /// A mount within the tree hides what the tree has there.
    fn is_mounted(&self, folder: &OwnedFd, stat: &Stat) -> bool {
        stat.dev != self.comparer.root.dev || call::is_mount_point(folder)
    }

    /// Names that the manifest does not have. Those that it has are looked at one by one.
    fn added(&mut self, id: NodeId, folder: &OwnedFd) -> Result<()> {
        let manifest = self.comparer.manifest;
        let names = crate::dir::list(folder).map_err(|error| self.failed("list", id, error))?;
        for name in names.iter().filter(|name| manifest.child(id, name).is_none()) {
            match call::stat_at(folder, name) {
                Ok(stat) => {
                    let change = Change::Added(Stat::from(stat).kind);
                    self.part.differences.push(Difference { path: manifest.path(id).join(name), change });
                }
                Err(Errno::NOENT) => {}
                Err(error) => return Err(self.failed("look at", id, error)),
            }
        }
        Ok(())
    }

    /// One name that the manifest has.
    fn name(&mut self, place: &Arc<Place>, id: NodeId) -> Result<()> {
        let manifest = self.comparer.manifest;
        let handle = place.handle().map_err(|error| self.failed("open the folder", id, error))?;
        let stat = match call::stat_at(&*handle, manifest.name(id)) {
            Ok(stat) => Stat::from(stat),
            Err(Errno::NOENT) => {
                if self.comparer.is_expected(id) {
                    self.differ(id, Change::Removed);
                }
                return Ok(());
            }
            Err(error) => return Err(self.failed("look at", id, error)),
        };
        if stat.kind == FileKind::Directory && matches!(manifest.node(id).what, What::Directory(_)) {
            self.queue.push(Task { place: Arc::clone(place), id });
            return Ok(());
        }
        let (is_known, is_first) = (self.is_known(id, &stat), manifest.first(id) == id);
        let mut fields = Vec::new();
        if is_first && !is_known {
            let read;
            (fields, read) = self.comparer.leaf(&handle, id, &stat)?;
            self.part.read += read;
        }
        // What differs may be no file of the tree; of a further name only its inode is compared.
        let is_right = is_known || is_first && fields.is_empty();
        if !is_right && self.is_mounted_over(&handle, id, &stat) {
            self.changed(id, vec![mounted("something else")]);
            return Ok(());
        }
        self.part.inodes.extend(links::Inode::of(id, &stat, self.comparer.has_names(id)));
        self.changed(id, fields);
        self.note(id, &stat);
        Ok(())
    }

    fn is_mounted_over(&self, folder: &OwnedFd, id: NodeId, stat: &Stat) -> bool {
        let is_elsewhere = stat.dev != self.comparer.root.dev;
        call::is_mounted_over(folder, self.comparer.manifest.name(id)).unwrap_or(is_elsewhere)
    }

    fn is_known(&self, id: NodeId, stat: &Stat) -> bool {
        self.comparer.how.seen.is_some_and(|seen| seen.get(id) == Some(Fact::of(stat)))
    }

    /// What changed so late that it may change again without another time is not noted.
    fn note(&mut self, id: NodeId, stat: &Stat) {
        if self.comparer.how.now.is_some_and(|now| is_settled(stat.ctime, now)) {
            self.part.facts.push((id, Fact::of(stat)));
        }
    }

    fn changed(&mut self, id: NodeId, fields: Vec<Field>) {
        if !fields.is_empty() {
            self.differ(id, Change::Changed(fields));
        }
    }

    fn differ(&mut self, id: NodeId, change: Change) {
        self.part.differences.push(Difference { path: self.comparer.manifest.path(id), change });
    }

    fn failed(&self, action: &'static str, id: NodeId, error: Errno) -> Error {
        self.comparer.failed(action, id, error)
    }
}

/// What hides a path of the tree.
fn mounted(what: &'static str) -> Field {
    Field::new(Aspect::Mount, "none", what)
}

impl Change {
    /// `added`, `removed` or `changed`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Added(_) => "added",
            Self::Removed => "removed",
            Self::Changed(_) => "changed",
        }
    }
}
