//! A folder and its snapshot, walked side by side.

mod apart;

use super::sides::Sides;
use super::take::{Names, has_names, what};
use super::{Compare, Compared, Hash, Renew, Sha256, Stray, Trust, hash_zeros, scan_options, sha256_of};
use crate::error::Error;
use crate::loss::Losses;
use crate::scan::content::Content as Reading;
use crate::scan::view;
use crate::scan::walk::{Found, Walk};
use crate::snapshot::{Content, Facts, Groups, RecordId, Snapshot, Stamp, What};
use crate::stat::{FileKind, Stat};
use crate::verify::{is_settled, tells_changes};
use crate::{Dir, Result};
use orlop_layer::{Chunk, Device, Kind, Meta, Time, TreePath, Xattrs};
use orlop_spec::{Algorithm, Hasher};
use std::collections::{HashMap, HashSet};

/// Tells what was changed in `folder` since `snapshot` was taken. What has inode number and ctime of the snapshot is believed
/// not to have changed where `how` says so; whether the folder is the one of the snapshot at all, the caller has asked.
pub fn compare(folder: &Dir, snapshot: &Snapshot, how: &Compare<'_>) -> Result<Compared> {
    let walk = Walk::new(folder, &scan_options(how.journal, how.cancel))?;
    let mut next = Snapshot::new(snapshot.owner, Groups::Known);
    next.now = how.now;
    let comparison = Comparison {
        walk,
        snapshot,
        how,
        root: folder.stat_self()?,
        believes: how.trust == Trust::Facts && tells_changes(folder),
        grouped: grouped(snapshot),
        sides: Sides::new(how.limits),
        branch: Vec::new(),
        inodes: HashMap::new(),
        next: (how.renew == Renew::Yes).then(|| Next {
            snapshot: next,
            names: Names::default(),
            moved: HashMap::new(),
        }),
        names: 0,
        read: 0,
        reading: Reading::default(),
        refused: Vec::new(),
        losses: Losses::default(),
        strays: Vec::new(),
        spared: Vec::new(),
    };
    comparison.run()
}

/// Records of files that have several names.
fn grouped(snapshot: &Snapshot) -> HashSet<RecordId> {
    let firsts = snapshot.ids().map(|id| (id, snapshot.first(id)));
    firsts.filter(|(id, first)| id != first).map(|(_, first)| first).collect()
}

struct Comparison<'a> {
    walk: Walk,
    snapshot: &'a Snapshot,
    how: &'a Compare<'a>,
    root: Stat,
    /// Whether facts say that a content is what it was.
    believes: bool,
    grouped: HashSet<RecordId>,
    sides: Sides,
    /// The folders from the root to where the walk stands.
    branch: Vec<Folder>,
    /// What was found of files with several names.
    inodes: HashMap<(u64, u64), Inode>,
    next: Option<Next>,
    names: u32,
    read: u64,
    reading: Reading,
    refused: Vec<TreePath>,
    losses: Losses,
    strays: Vec<Stray>,
    spared: Vec<TreePath>,
}

/// A folder that the walk is in.
struct Folder {
    path: TreePath,
    older: Option<Meta>,
    newer: Meta,
    /// What of the snapshot is still to come in it.
    rest: std::ops::Range<u32>,
    /// Whether both trees have it.
    is_told: bool,
    /// Whether no tree can have it, nor what is in it.
    is_stray: bool,
}

/// A file of the folder, as it is.
#[derive(Clone)]
struct Inode {
    ordinal: u32,
    xattrs: Xattrs,
    what: What,
    /// Which older content it has.
    same: Option<RecordId>,
}

/// The snapshot that is made.
struct Next {
    snapshot: Snapshot,
    names: Names,
    /// Where inodes of the old one are that are kept as they were.
    moved: HashMap<RecordId, RecordId>,
}

impl Comparison<'_> {
    fn run(mut self) -> Result<Compared> {
        while let Some(found) = self.walk.next()? {
            self.how.cancel.check()?;
            let depth = found.path.components().count();
            while self.branch.len() > depth {
                self.close()?;
            }
            self.one(&found)?;
        }
        while !self.branch.is_empty() {
            self.close()?;
        }
        if !self.refused.is_empty() {
            return Err(Error::unrepresentable(&self.refused));
        }
        self.losses.sum_up(self.how.observer);
        let (older, newer, known) = self.sides.finish()?;
        Ok(Compared {
            older,
            newer,
            snapshot: self.next.map(|next| next.snapshot),
            losses: self.losses,
            strays: self.strays,
            spared: self.spared,
            names: self.names.into(),
            read: self.read,
            known,
        })
    }

    fn one(&mut self, found: &Found) -> Result<()> {
        let record = self.record(found)?;
        if self.is_spared(found, record) {
            self.spared.push(found.path.clone());
            return self.keep(record);
        }
        if self.is_stray(found) {
            self.gone_if_any(record)?;
            return self.stray(found);
        }
        match (found.stat.kind, record.map(|record| self.kind_of(record))) {
            (FileKind::Directory, Some(FileKind::Directory)) => self.folder(found, record),
            (FileKind::Directory, Some(_)) => {
                self.gone_if_any(record)?;
                self.folder(found, None)
            }
            (FileKind::Directory, None) => self.folder(found, None),
            (_, Some(FileKind::Directory)) => {
                self.gone_if_any(record)?;
                self.leaf(found, None)
            }
            _ => self.leaf(found, record),
        }
    }

    /// The record of what is found. Those before it, in the same folder, are of names that are gone.
    fn record(&mut self, found: &Found) -> Result<Option<RecordId>> {
        if found.path.is_root() {
            return Ok((!self.snapshot.is_empty()).then_some(RecordId::ROOT));
        }
        loop {
            let Some(folder) = self.branch.last_mut() else { return Ok(None) };
            if folder.rest.is_empty() {
                return Ok(None);
            }
            let id = RecordId::at(folder.rest.start);
            let order = self.snapshot.name(id).cmp(found.name());
            if order.is_gt() {
                return Ok(None);
            }
            folder.rest.start = index(self.snapshot.end(id));
            if order.is_eq() {
                return Ok(Some(id));
            }
            self.gone(id)?;
        }
    }

    /// Leaves the innermost folder: what it had and was not found is gone.
    fn close(&mut self) -> Result<()> {
        while let Some(folder) = self.branch.last_mut() {
            if folder.rest.is_empty() {
                break;
            }
            let id = RecordId::at(folder.rest.start);
            folder.rest.start = index(self.snapshot.end(id));
            self.gone(id)?;
        }
        self.branch.pop();
        Ok(())
    }

    fn kind_of(&self, record: RecordId) -> FileKind {
        match self.snapshot.record(self.snapshot.first(record)).what {
            // A first name is no further one.
            What::File(_) | What::Link(_) => FileKind::File,
            What::Directory => FileKind::Directory,
            What::Symlink(_) => FileKind::Symlink,
            What::CharDevice(_) => FileKind::CharDevice,
            What::BlockDevice(_) => FileKind::BlockDevice,
            What::Fifo => FileKind::Fifo,
        }
    }

    /// Whether the facts say that nothing about a file was changed.
    fn is_believed(&self, record: RecordId, stat: &Stat) -> bool {
        let facts = &self.snapshot.record(record).facts;
        let now = self.snapshot.now.filter(|_| self.believes);
        let is_size = stat.kind != FileKind::File || facts.size == Some(stat.size);
        is_size
            && facts.ctime == Some(stat.ctime)
            && facts.ino == Some(stat.ino)
            && facts.mtime == Some(Stamp::Exact(stat.mtime))
            && (facts.mode, facts.uid, facts.gid) == (Some(stat.mode), Some(stat.uid), Some(stat.gid))
            && self.snapshot.xattrs(record).is_some()
            && now.is_some_and(|now| is_settled(stat.ctime, now))
    }

    fn folder(&mut self, found: &Found, record: Option<RecordId>) -> Result<()> {
        let known = record.filter(|record| self.is_believed(*record, &found.stat));
        let xattrs = match known.and_then(|record| self.snapshot.xattrs(record)) {
            Some(xattrs) => xattrs.clone(),
            None => self.walk.xattrs(found)?,
        };
        if !found.path.is_root() {
            self.walk.enter(found)?;
        }
        let older = record.map(|record| self.older_meta(record, &found.stat, &xattrs));
        let newer = self.view(&found.stat, xattrs.clone());
        let is_same = older.as_ref() == Some(&newer);
        self.note(found, Facts::of(&found.stat), &xattrs, What::Directory)?;
        let rest = record.map_or(0..0, |record| index(record) + 1..index(self.snapshot.end(record)));
        let path = found.path.clone();
        self.branch.push(Folder { path, older, newer, rest, is_told: false, is_stray: false });
        if !is_same {
            self.lose(found, &xattrs);
            self.tell_folders()?;
        }
        Ok(())
    }

    /// Lets both trees have the folders that the walk is in.
    fn tell_folders(&mut self) -> Result<()> {
        let told = self.branch.iter().rposition(|folder| folder.is_told).map_or(0, |last| last + 1);
        for folder in &mut self.branch[told..] {
            if let Some(older) = folder.older.clone() {
                self.sides.older.add(&folder.path, (older, Kind::Directory), 0, None)?;
            }
            self.sides.newer.add(&folder.path, (folder.newer.clone(), Kind::Directory), 0, None)?;
            folder.is_told = true;
        }
        Ok(())
    }

    /// Anything but a folder.
    fn leaf(&mut self, found: &Found, record: Option<RecordId>) -> Result<()> {
        let record = match record {
            Some(record) if self.kind_of(record) != found.stat.kind => {
                self.gone(record)?;
                None
            }
            record => record,
        };
        let first = record.map(|record| self.snapshot.first(record));
        let is_believed = first.is_some_and(|first| self.is_believed(first, &found.stat));
        let is_grouped = first.is_some_and(|first| self.grouped.contains(&first)) || has_names(found);
        if let (true, false, Some(first)) = (is_believed, is_grouped, first) {
            return self.unchanged(found, first);
        }
        let inode = self.inode(found, first, is_believed)?;
        let newer = self.view(&found.stat, inode.xattrs.clone());
        let older = first.map(|first| self.older_meta(first, &found.stat, &inode.xattrs));
        if first.is_some_and(|first| self.has_left(first, &found.stat)) {
            // The content may be the same, but of another file: it is written.
            self.sides.known.newer.insert(inode.ordinal, (None, None));
        }
        let is_same =
            older.as_ref() == Some(&newer) && first.is_some_and(|first| self.is_what(first, found, &inode));
        if is_same && !is_grouped {
            return Ok(());
        }
        if !is_same {
            self.lose(found, &inode.xattrs);
        }
        self.tell_folders()?;
        if let (Some(first), Some(older)) = (first, older) {
            self.older_leaf(found, first, &inode, (older, &newer))?;
        }
        let kind = kind(&inode.what, found);
        let key = has_names(found).then_some((found.stat.dev, found.stat.ino));
        self.sides.newer.add(&found.path, (newer, kind), inode.ordinal, key)
    }

    fn unchanged(&mut self, found: &Found, first: RecordId) -> Result<()> {
        if self.next.is_some() {
            let (what, xattrs) = (self.snapshot.record(first).what.clone(), self.snapshot.xattrs(first));
            let xattrs = xattrs.cloned().unwrap_or_default();
            self.note(found, Facts::of(&found.stat), &xattrs, what)?;
        } else {
            self.names += 1;
        }
        Ok(())
    }

    /// What is found at a name: looked at closely once for each inode.
    fn inode(&mut self, found: &Found, first: Option<RecordId>, is_believed: bool) -> Result<Inode> {
        let key = (found.stat.dev, found.stat.ino);
        if let Some(inode) = self.inodes.get(&key).filter(|_| has_names(found)).cloned() {
            self.note(found, Facts::of(&found.stat), &inode.xattrs, inode.what.clone())?;
            return Ok(inode);
        }
        let inode = match first.filter(|_| is_believed) {
            Some(first) => self.known_inode(first),
            None => self.look(found, first)?,
        };
        let inode = Inode { ordinal: self.names, ..inode };
        self.note(found, Facts::of(&found.stat), &inode.xattrs, inode.what.clone())?;
        if let What::File(Content { sha256, .. }) = inode.what {
            self.sides.known.newer.insert(inode.ordinal, (sha256, inode.same.map(index)));
        }
        if has_names(found) {
            self.inodes.insert(key, inode.clone());
        }
        Ok(inode)
    }

    fn known_inode(&self, first: RecordId) -> Inode {
        let xattrs = self.snapshot.xattrs(first).cloned().unwrap_or_default();
        Inode { ordinal: 0, xattrs, what: self.snapshot.record(first).what.clone(), same: Some(first) }
    }

    fn look(&mut self, found: &Found, first: Option<RecordId>) -> Result<Inode> {
        let mut same = None;
        let (content, xattrs) = match (found.stat.kind, first) {
            (FileKind::File, first) if self.is_doubtful(found, first) => {
                let known = first.map_or_else(Content::default, |first| self.snapshot.content(first));
                let (sha256, xattrs) = self.hash(found)?;
                let is_known = known.sha256 == Some(sha256);
                same = first.filter(|_| is_known);
                let origin = known.origin.filter(|_| is_known);
                (Content { sha256: Some(sha256), origin }, xattrs)
            }
            _ => (Content::default(), self.walk.xattrs(found)?),
        };
        Ok(Inode { ordinal: 0, xattrs, what: what(&self.walk, found, content)?, same })
    }

    /// Whether a content must be hashed to know what it is.
    fn is_doubtful(&self, found: &Found, first: Option<RecordId>) -> bool {
        // What has another size, owner, mode or time is written anyway.
        let may_be_same = first.is_some_and(|first| {
            self.snapshot.record(first).facts.over(&found.stat) == found.stat
                && self.snapshot.content(first).sha256.is_some()
        });
        may_be_same || self.how.hash == Hash::Changed
    }

    /// Whether a name leads to what it led to.
    fn is_what(&self, first: RecordId, found: &Found, inode: &Inode) -> bool {
        let record = self.snapshot.record(first);
        match (&record.what, &inode.what) {
            (What::File(_), What::File(_)) => inode.same == Some(first) && !self.has_left(first, &found.stat),
            (What::CharDevice(None), What::CharDevice(_))
            | (What::BlockDevice(None), What::BlockDevice(_)) => true,
            (older, newer) => older == newer,
        }
    }

    /// Whether a file has another number of names than it had.
    fn has_left(&self, first: RecordId, stat: &Stat) -> bool {
        self.snapshot.record(first).facts.links.is_some_and(|links| links != stat.links)
    }

    /// Adds what a name led to.
    fn older_leaf(
        &mut self,
        found: &Found,
        first: RecordId,
        inode: &Inode,
        (older, newer): (Meta, &Meta),
    ) -> Result<()> {
        let record = self.snapshot.record(first);
        let kind = match (&record.what, found.stat.kind) {
            (What::CharDevice(None), _) => Kind::CharDevice(found.stat.device),
            (What::BlockDevice(None), _) => Kind::BlockDevice(found.stat.device),
            (what, _) => kind_of_record(what, &record.facts, found.stat.size),
        };
        let together = self.together(found, first, inode).filter(|_| older == *newer);
        let kind = together.map_or(kind, |target| Kind::HardLink { target });
        self.older_name(&found.path, first, (older, kind))
    }

    /// Where it is not known which names belonged together, those that do now, and are what they were, are taken to have
    /// done so: the first of them.
    fn together(&self, found: &Found, first: RecordId, inode: &Inode) -> Option<TreePath> {
        let What::File(Content { sha256: now, .. }) = inode.what else { return None };
        let is_same = now.is_some() && self.snapshot.content(first).sha256 == now;
        if self.snapshot.groups == Groups::Known || !is_same || self.has_left(first, &found.stat) {
            return None;
        }
        let target = self.sides.newer.first(&(found.stat.dev, found.stat.ino))?;
        self.sides.is_in_older(target).then(|| target.clone())
    }

    fn older_name(&mut self, path: &TreePath, first: RecordId, (meta, kind): (Meta, Kind)) -> Result<()> {
        if let Some(sha256) = self.snapshot.content(first).sha256 {
            self.sides.known.older.insert(index(first), sha256);
        }
        let key = self.grouped.contains(&first).then_some(first);
        self.sides.older.add(path, (meta, kind), index(first), key)?;
        if self.snapshot.groups == Groups::Unknown {
            self.sides.note_older(path);
        }
        Ok(())
    }

    fn gone_if_any(&mut self, record: Option<RecordId>) -> Result<()> {
        record.map_or(Ok(()), |record| self.gone(record))
    }

    /// A name that the folder had, and all that was beneath it.
    fn gone(&mut self, record: RecordId) -> Result<()> {
        let base = self.branch.last().map_or_else(TreePath::root, |folder| folder.path.clone());
        if self.how.masks.contains(&base.join(self.snapshot.name(record))) {
            return self.keep(Some(record));
        }
        self.tell_folders()?;
        let mut open: Vec<(usize, TreePath)> = Vec::new();
        for id in (index(record)..index(self.snapshot.end(record))).map(RecordId::at) {
            let depth = self.snapshot.record(id).depth();
            while open.last().is_some_and(|(above, _)| *above >= depth) {
                open.pop();
            }
            let path = open.last().map_or(&base, |(_, path)| path).join(self.snapshot.name(id));
            let first = self.snapshot.first(id);
            let Facts { size, .. } = self.snapshot.record(first).facts;
            let kind =
                kind_of_record(&self.snapshot.record(first).what, &Facts { size, ..Facts::default() }, 0);
            let meta = self.older_meta(first, &UNKNOWN, &Xattrs::new());
            self.older_name(&path, first, (meta, kind))?;
            open.push((depth, path));
        }
        Ok(())
    }

    /// What is behind a mount or a mask is what it was.
    fn keep(&mut self, record: Option<RecordId>) -> Result<()> {
        let (Some(record), Some(next)) = (record, &mut self.next) else { return Ok(()) };
        for id in (index(record)..index(self.snapshot.end(record))).map(RecordId::at) {
            next.keep(self.snapshot, id, self.how.limits)?;
            self.names += 1;
        }
        Ok(())
    }

    /// Reads a content.
    fn hash(&mut self, found: &Found) -> Result<(Sha256, Xattrs)> {
        let (file, xattrs) = self.walk.open_file(found)?;
        let mut hasher = Hasher::new(Algorithm::Sha256);
        self.reading.open(file, &found.stat, self.walk.shown(&found.path))?;
        while let Some(chunk) = self.reading.next()? {
            self.how.cancel.check()?;
            match chunk {
                Chunk::Data(bytes) => {
                    self.read += bytes.len() as u64;
                    hasher.update(bytes);
                }
                Chunk::Hole(size) => hash_zeros(&mut hasher, size),
            }
        }
        Ok((sha256_of(hasher), xattrs))
    }

    fn view(&self, stat: &Stat, xattrs: Xattrs) -> Meta {
        view::meta(self.snapshot.owner, stat, xattrs, |_, _| ())
    }

    /// What an image would have had; what is not known is as it is now.
    fn older_meta(&self, record: RecordId, now: &Stat, xattrs: &Xattrs) -> Meta {
        let xattrs = self.snapshot.xattrs(record).unwrap_or(xattrs).clone();
        self.view(&self.snapshot.record(record).facts.over(now), xattrs)
    }

    /// Counts the attributes of what was changed that no image has.
    fn lose(&mut self, found: &Found, xattrs: &Xattrs) {
        for name in xattrs.keys() {
            let belongs = crate::xattr::belongs(name);
            self.losses.add_foreign(belongs, name, found.path.as_bytes(), self.how.observer);
        }
    }

    /// Counts a name, and lets the next snapshot have it.
    fn note(&mut self, found: &Found, facts: Facts, xattrs: &Xattrs, what: What) -> Result<()> {
        self.names += 1;
        match &mut self.next {
            Some(next) => next.note(found, facts, xattrs, what, self.how),
            None => Ok(()),
        }
    }
}

impl Next {
    fn note(
        &mut self,
        found: &Found,
        facts: Facts,
        xattrs: &Xattrs,
        what: What,
        how: &Compare<'_>,
    ) -> Result<()> {
        let at = (found.path.components().count(), found.name());
        if let Some(first) = self.names.first(found) {
            return self.snapshot.push(at, Facts::default(), None, What::Link(first), how.limits).map(drop);
        }
        let id = self.snapshot.push(at, facts, Some(xattrs), what, how.limits)?;
        self.names.note(found, id);
        Ok(())
    }

    /// Takes over a name as it was. Of an inode whose first name was not taken over so, it is the first now.
    fn keep(&mut self, old: &Snapshot, id: RecordId, limits: &orlop_spec::Limits) -> Result<()> {
        let at = (old.record(id).depth(), old.name(id));
        let first = old.first(id);
        if let Some(moved) = self.moved.get(&first) {
            return self.snapshot.push(at, Facts::default(), None, What::Link(*moved), limits).map(drop);
        }
        let record = old.record(first);
        let new = self.snapshot.push(at, record.facts, old.xattrs(first), record.what.clone(), limits)?;
        if record.what != What::Directory {
            self.moved.insert(first, new);
        }
        Ok(())
    }
}

/// Stands for what is not there any more.
const UNKNOWN: Stat = Stat {
    kind: FileKind::File,
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    allocated: 0,
    mtime: Time::from_seconds(0),
    ctime: Time::from_seconds(0),
    dev: 0,
    ino: 0,
    links: 1,
    device: Device { major: 0, minor: 0 },
};

fn index(record: RecordId) -> u32 {
    u32::try_from(record.index()).expect("records are counted in 32 bits")
}

fn kind(what: &What, found: &Found) -> Kind {
    kind_of_record(what, &Facts { size: Some(found.stat.size), ..Facts::default() }, found.stat.size)
}

fn kind_of_record(what: &What, facts: &Facts, size: u64) -> Kind {
    match what {
        What::File(_) => Kind::File { size: facts.size.unwrap_or(size) },
        What::Directory => Kind::Directory,
        What::Symlink(target) => Kind::Symlink { target: target.clone() },
        What::CharDevice(device) => Kind::CharDevice(device.unwrap_or_default()),
        What::BlockDevice(device) => Kind::BlockDevice(device.unwrap_or_default()),
        What::Fifo => Kind::Fifo,
        What::Link(_) => unreachable!("a first name is no further one"),
    }
}
