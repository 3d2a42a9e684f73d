//! What a folder was when it was unpacked: every path, the facts that are known of it, and where its content came from
//! (`docs/formats/snapshot.md`).
//!
//! ```text
//! head, about, attribute sets │ record of the root │ record │ … depth first, siblings sorted bytewise │ sha256
//! ```
//!
//! Invariant: a record lies in the folder that came last one level above it, its name is greater than that of the sibling
//! before it, and a further name leads to an earlier record that is neither a folder nor a further name. Any fact may be
//! unknown: a snapshot can be made of what another tool wrote down.

mod bytes;

use crate::Result;
use crate::error::Error;
use crate::owner::Owner;
use crate::stat::Stat;
use orlop_layer::path::is_component;
use orlop_layer::{Device, Time, TreePath, Xattrs};
use orlop_spec::Limits;
use std::collections::HashMap;
use std::ops::Range;

/// A record of one snapshot, by its place from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(u32);

impl RecordId {
    /// The record of the root.
    pub const ROOT: Self = Self(0);

    /// Its place.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The record at a place, which may be of no snapshot.
    pub fn at(index: u32) -> Self {
        Self(index)
    }
}

/// What may be known of a name without opening it. Modes and owners are those on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The twelve bits of the mode.
    pub mode: Option<u16>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// When the content changed.
    pub mtime: Option<Stamp>,
    /// Bytes of a file.
    pub size: Option<u64>,
    /// How many names it has. Kept where the groups of names are not known.
    pub links: Option<u64>,
    /// When anything about it changed.
    pub ctime: Option<Time>,
    /// Its number on its file system.
    pub ino: Option<u64>,
}

/// A time that may be known to the second only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// All of it.
    Exact(Time),
    /// The seconds.
    Seconds(i64),
}

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A regular file.
    File(Content),
    /// A folder.
    Directory,
    /// A symbolic link, and its target.
    Symlink(Box<[u8]>),
    /// A character device.
    CharDevice(Option<Device>),
    /// A block device.
    BlockDevice(Option<Device>),
    /// A named pipe.
    Fifo,
    /// A further name of what an earlier record has.
    Link(RecordId),
}

/// What may be known of a content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Its digest, holes read as zeros.
    pub sha256: Option<[u8; 32]>,
    /// Where it is in the image.
    pub origin: Option<Origin>,
}

/// Where a content is in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Which layer, from 0.
    pub layer: u16,
    /// Which entry of the layer, from 0.
    pub ordinal: u32,
}

/// Whether it is known which names lead to one inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// Each name but the first is a [`What::Link`].
    Known,
    /// Each name stands for itself.
    Unknown,
}

/// One name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    name: Range<usize>,
    depth: u32,
    /// Where what lies beneath ends; while the snapshot grows it may say "at the end".
    end: u32,
    xattrs: Option<u32>,
    /// What is known without opening it.
    pub facts: Facts,
    /// What it is.
    pub what: What,
}

/// What a folder was.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What was done about owners when it was made.
    pub owner: Owner,
    /// Whether hard links are known.
    pub groups: Groups,
    /// A time before the look, by the clock of the file system; without it no ctime is believed.
    pub now: Option<Time>,
    /// What the writer keeps of the image.
    pub about: Vec<u8>,
    sets: Vec<Xattrs>,
    set_of: HashMap<Xattrs, u32>,
    /// The names, one behind the other.
    names: Vec<u8>,
    records: Vec<Record>,
    /// From the root to the record that came last.
    branch: Vec<RecordId>,
}

impl Snapshot {
    /// A snapshot without a record; the root's is to come first.
    pub fn new(owner: Owner, groups: Groups) -> Self {
        Self {
            owner,
            groups,
            now: None,
            about: Vec::new(),
            sets: Vec::new(),
            set_of: HashMap::new(),
            names: Vec::new(),
            records: Vec::new(),
            branch: Vec::new(),
        }
    }

    /// Adds the next name, which lies below `depth` folders; the root, whose name is empty, lies below none.
    ///
    /// # Errors
    /// Where it would not stand in the order that a snapshot has, or passes a limit.
    pub fn push(
        &mut self,
        (depth, name): (usize, &[u8]),
        facts: Facts,
        xattrs: Option<&Xattrs>,
        what: What,
        limits: &Limits,
    ) -> Result<RecordId> {
        let set = xattrs.map(|xattrs| self.set(xattrs)).transpose()?;
        self.add((depth, name), facts, set, what, limits)
    }

    fn add(
        &mut self,
        (depth, name): (usize, &[u8]),
        facts: Facts,
        xattrs: Option<u32>,
        what: What,
        limits: &Limits,
    ) -> Result<RecordId> {
        within(self.records.len() as u64 + 1, limits.entries, "the number of entries")?;
        within(depth as u64, limits.depth as u64, "the depth of a path")?;
        self.check(depth, name)?;
        self.check_what(&what, &facts)?;
        let id = RecordId(count(self.records.len())?);
        for above in self.branch.drain(depth..) {
            self.records[above.index()].end = id.0;
        }
        let start = self.names.len();
        self.names.extend_from_slice(name);
        let (name, depth) = (start..self.names.len(), count(depth)?);
        self.records.push(Record { name, depth, end: u32::MAX, xattrs, facts, what });
        self.branch.push(id);
        Ok(id)
    }

    /// The place of an attribute set, which is kept once.
    fn set(&mut self, xattrs: &Xattrs) -> Result<u32> {
        if let Some(place) = self.set_of.get(xattrs) {
            return Ok(*place);
        }
        let place = count(self.sets.len())?;
        self.sets.push(xattrs.clone());
        self.set_of.insert(xattrs.clone(), place);
        Ok(place)
    }

    fn check(&self, depth: usize, name: &[u8]) -> Result<()> {
        let Some(above) = depth.checked_sub(1) else {
            let is_first = self.records.is_empty() && name.is_empty();
            return if is_first { Ok(()) } else { Err(damaged("the root is not its first record alone")) };
        };
        let parent = self.branch.get(above).ok_or(damaged("a name lies in no folder"))?;
        if self.record(*parent).what != What::Directory {
            return Err(damaged("a name lies in what is no folder"));
        }
        if !is_component(name) {
            return Err(damaged("a name is no single component"));
        }
        match self.branch.get(depth) {
            Some(before) if self.name(*before) >= name => Err(damaged("names are out of order")),
            _ => Ok(()),
        }
    }

    fn check_what(&self, what: &What, facts: &Facts) -> Result<()> {
        if self.records.is_empty() && *what != What::Directory {
            return Err(damaged("its root is no folder"));
        }
        if facts.size.is_some() && !matches!(what, What::File(_)) {
            return Err(damaged("what is no file has a size"));
        }
        if matches!(what, What::Symlink(target) if target.is_empty() || target.contains(&0)) {
            return Err(damaged("a link leads nowhere"));
        }
        let What::Link(first) = what else { return Ok(()) };
        match self.records.get(first.index()).map(|record| &record.what) {
            None | Some(What::Directory | What::Link(_)) => Err(damaged("a further name leads to no inode")),
            Some(_) if self.groups == Groups::Unknown => Err(damaged("a further name where none is known")),
            Some(_) => Ok(()),
        }
    }

    /// How many names it has, the root's included.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it has no record at all.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// A record.
    ///
    /// # Panics
    /// Where it is of another snapshot.
    pub fn record(&self, id: RecordId) -> &Record {
        &self.records[id.index()]
    }

    /// Sets what is known of a name.
    pub fn set_facts(&mut self, id: RecordId, facts: Facts) {
        if let Some(record) = self.records.get_mut(id.index()) {
            record.facts = facts;
        }
    }

    /// Says what is known of a file's content; of what is no file, nothing.
    pub fn set_content(&mut self, id: RecordId, content: Content) {
        if let Some(Record { what: What::File(known), .. }) = self.records.get_mut(id.index()) {
            *known = content;
        }
    }

    /// Every record, in order.
    pub fn ids(&self) -> impl Iterator<Item = RecordId> + use<> {
        (0..u32::try_from(self.records.len()).unwrap_or(u32::MAX)).map(RecordId)
    }

    /// The last component of the path; empty for the root.
    pub fn name(&self, id: RecordId) -> &[u8] {
        &self.names[self.record(id).name.clone()]
    }

    /// The record behind all that lies beneath one.
    pub fn end(&self, id: RecordId) -> RecordId {
        RecordId(self.record(id).end.min(u32::try_from(self.records.len()).unwrap_or(u32::MAX)))
    }

    /// The attributes on the disk, where they are known.
    pub fn xattrs(&self, id: RecordId) -> Option<&Xattrs> {
        self.record(id).xattrs.map(|set| &self.sets[set as usize])
    }

    /// What is known of the content of a file, or of the file that a further name leads to.
    pub fn content(&self, id: RecordId) -> Content {
        match self.record(self.first(id)).what {
            What::File(content) => content,
            _ => Content::default(),
        }
    }

    /// The record itself, or that of which it is a further name.
    pub fn first(&self, id: RecordId) -> RecordId {
        match self.record(id).what {
            What::Link(first) => first,
            _ => id,
        }
    }

    /// The path of a record.
    pub fn path(&self, id: RecordId) -> TreePath {
        let mut names = vec![self.name(id)];
        let mut depth = self.record(id).depth;
        for above in (0..id.index()).rev().map(|index| &self.records[index]) {
            if above.depth < depth {
                depth = above.depth;
                names.push(&self.names[above.name.clone()]);
            }
        }
        let names = names.iter().rev().filter(|name| !name.is_empty());
        names.fold(TreePath::root(), |path, name| path.join(name))
    }
}

impl Record {
    /// How many folders lie above it.
    pub fn depth(&self) -> usize {
        self.depth as usize
    }
}

impl Facts {
    /// All that a look says of a name; the size of a file only.
    pub fn of(stat: &Stat) -> Self {
        Self {
            mode: Some(stat.mode),
            uid: Some(stat.uid),
            gid: Some(stat.gid),
            mtime: Some(Stamp::Exact(stat.mtime)),
            size: (stat.kind == crate::FileKind::File).then_some(stat.size),
            links: None,
            ctime: Some(stat.ctime),
            ino: Some(stat.ino),
        }
    }

    /// What a look would have said then; what is not known is as it is now.
    pub fn over(&self, now: &Stat) -> Stat {
        let mtime = self.mtime.map_or(now.mtime, |stamp| stamp.over(now.mtime));
        Stat {
            mode: self.mode.unwrap_or(now.mode),
            uid: self.uid.unwrap_or(now.uid),
            gid: self.gid.unwrap_or(now.gid),
            size: self.size.unwrap_or(now.size),
            mtime,
            ..*now
        }
    }
}

impl Stamp {
    /// The time; where only its seconds are known and `now` has the same, it is `now`.
    fn over(self, now: Time) -> Time {
        match self {
            Self::Exact(time) => time,
            Self::Seconds(seconds) if seconds == now.seconds => now,
            Self::Seconds(seconds) => Time::from_seconds(seconds),
        }
    }
}

pub(crate) fn damaged(what: &'static str) -> Error {
    Error::BadSnapshot { what }
}

fn within(value: u64, limit: u64, what: &'static str) -> Result<()> {
    if value > limit { Err(Error::SnapshotLimit { what, limit }) } else { Ok(()) }
}

/// Records and sets are counted in 32 bits.
fn count(number: usize) -> Result<u32> {
    u32::try_from(number).map_err(|_| damaged("it has too many names"))
}

#[cfg(test)]
mod tests;
