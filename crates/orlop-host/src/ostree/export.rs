//! A commit as the files of an image.
//!
//! ```text
//! commit ──► dirtree, dirmeta ──► folders ┐
//!                └─► file objects ────────┴─► entries in the order of a canonical tar
//! ```
//!
//! Who reads contents gets those that follow read ahead, by several threads; who reads none has none read.
//!
//! Invariant: every object was hashed before it counts. A file's owner, mode and attributes are proven by its content, so
//! who skips a content has not proven the file. Objects may be shared: a few of them can mean a tree without end, so
//! entries and depth are bounded.

mod ahead;

use super::id::{ObjectId, ObjectName};
use super::object::Commit;
use super::object::FileHeader;
use super::repo::{FileReader, Repo, RepoError};
use crate::Error;
use ahead::{Ahead, DEPTH, Got, Slot};
use orlop_layer::path::is_component;
use orlop_layer::{Chunk, Entries, Entry, Error as LayerError, Kind, Time, TreePath};
use orlop_spec::Fault;
use std::collections::VecDeque;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::vec::IntoIter;

/// Bytes of a content that are read at once.
const PIECE: usize = 256 << 10;

/// A folder of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folder {
    /// What it holds.
    pub tree: ObjectId,
    /// Whose it is.
    pub meta: ObjectId,
}

/// The folder at a path of a commit; links are not followed.
pub fn folder(repo: &Repo, commit: &Commit, path: &TreePath) -> Result<Folder, Error> {
    let mut at = Folder { tree: commit.tree, meta: commit.meta };
    for name in path.components() {
        let tree = repo.dirtree(&at.tree)?;
        let found = std::str::from_utf8(name).ok().and_then(|name| tree.folder(name));
        let (tree, meta) = found.ok_or_else(|| RepoError::NoFolder { path: path.to_string() })?;
        at = Folder { tree: *tree, meta: *meta };
    }
    Ok(at)
}

/// When a commit was made.
pub fn time(commit: &Commit) -> Time {
    Time::from_seconds(i64::try_from(commit.time).unwrap_or(i64::MAX))
}

/// The entries below a folder of a commit, the folder being the root.
pub struct CommitEntries {
    repo: Arc<Repo>,
    workers: NonZeroUsize,
    time: Time,
    /// The folder that comes next, before anything in it.
    next: Option<(TreePath, Folder)>,
    open: Vec<Open>,
    /// What was walked over and not given yet.
    walked: VecDeque<Walked>,
    is_walked: bool,
    ahead: Option<Ahead>,
    /// The file object of the entry that was given last.
    file: Option<ObjectName>,
    content: Option<Content>,
    /// Whether the content of the last file was asked for.
    is_read: bool,
    buffer: Vec<u8>,
    count: u64,
}

enum Walked {
    Folder(Entry),
    /// A file or a link; where it comes, if it is read ahead.
    File(TreePath, ObjectId, Option<Slot>),
    /// The walk ends here.
    Failed(Error),
}

enum Content {
    Whole(Vec<u8>),
    Open(Box<FileReader>),
}

struct Open {
    path: TreePath,
    rest: IntoIter<(Box<str>, Child)>,
}

enum Child {
    File(ObjectId),
    Folder(Folder),
}

impl CommitEntries {
    /// Nothing is read yet. All times are `time`.
    pub fn new(repo: Arc<Repo>, root: Folder, time: Time, workers: NonZeroUsize) -> Self {
        Self {
            repo,
            workers,
            time,
            next: Some((TreePath::root(), root)),
            open: Vec::new(),
            walked: VecDeque::new(),
            is_walked: false,
            ahead: None,
            file: None,
            content: None,
            is_read: false,
            buffer: Vec::new(),
            count: 0,
        }
    }

    /// The object of the entry that came last, if that is a file or a link.
    pub fn file(&self) -> Option<ObjectName> {
        self.file
    }

    fn advance(&mut self) -> Result<Option<Entry>, Error> {
        (self.content, self.file) = (None, None);
        self.look_ahead();
        match self.walked.pop_front() {
            None => Ok(None),
            Some(Walked::Folder(entry)) => Ok(Some(entry)),
            Some(Walked::File(path, id, slot)) => self.open_file(path, id, slot).map(Some),
            Some(Walked::Failed(error)) => Err(error),
        }
    }

    fn look_ahead(&mut self) {
        let is_ahead = self.is_read && self.workers.get() > 1;
        let depth = if is_ahead { DEPTH * self.workers.get() } else { 1 };
        while self.walked.len() < depth && !self.is_walked {
            let walked = self.walk(is_ahead).unwrap_or_else(|error| Some(Walked::Failed(error)));
            self.is_walked = matches!(walked, None | Some(Walked::Failed(_)));
            self.walked.extend(walked);
        }
    }

    fn walk(&mut self, is_ahead: bool) -> Result<Option<Walked>, Error> {
        if let Some((path, folder)) = self.next.take() {
            return self.enter(path, folder).map(Walked::Folder).map(Some);
        }
        while let Some(open) = self.open.last_mut() {
            let Some((name, child)) = open.rest.next() else {
                self.open.pop();
                continue;
            };
            let path = open.path.join(name.as_bytes());
            return Ok(Some(match child {
                Child::Folder(folder) => Walked::Folder(self.enter(path, folder)?),
                Child::File(id) => {
                    let slot = is_ahead.then(|| self.ahead().ask(id));
                    Walked::File(path, id, slot)
                }
            }));
        }
        Ok(None)
    }

    fn ahead(&mut self) -> &Ahead {
        self.ahead.get_or_insert_with(|| Ahead::new(&self.repo, self.workers))
    }

    fn enter(&mut self, path: TreePath, folder: Folder) -> Result<Entry, Error> {
        let limit = self.repo.limits().depth;
        if self.open.len() >= limit {
            return Err(RepoError::TooDeep { most: limit }.into());
        }
        let tree = self.repo.dirtree(&folder.tree)?;
        let meta = self.repo.dirmeta(&folder.meta)?.to_meta();
        let files = tree.files.into_iter().map(|(name, id)| (name, Child::File(id)));
        let folders = tree.folders.into_iter();
        let folders = folders.map(|(name, tree, meta)| (name, Child::Folder(Folder { tree, meta })));
        let mut children: Vec<_> = files.chain(folders).collect();
        children.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        self.open.push(Open { path: path.clone(), rest: children.into_iter() });
        Ok(Entry { path, meta: orlop_layer::Meta { mtime: self.time, ..meta }, kind: Kind::Directory })
    }

    fn open_file(&mut self, path: TreePath, id: ObjectId, slot: Option<Slot>) -> Result<Entry, Error> {
        self.file = Some(ObjectName::new(id, super::Kind::File));
        // A slot that was closed is of a thread that is gone: its work is done here.
        let got = match slot.and_then(|slot| slot.recv().ok()) {
            Some(got) => got?,
            None => Got::Open(self.repo.file(&id)?),
        };
        let (header, kind) = match got {
            Got::Whole(header, content) => {
                let kind = Kind::File { size: content.len() as u64 };
                self.content = Some(Content::Whole(content));
                (header, kind)
            }
            Got::Open(file) => {
                let (header, size) = (file.header().clone(), file.size());
                let mut reader = Box::new(file.reader());
                let kind = if header.is_link() {
                    // There is no content: the object is proven by its end.
                    reader.read(&mut [0]).map_err(LayerError::Read)?;
                    Kind::Symlink { target: header.target.as_bytes().into() }
                } else {
                    self.content = Some(Content::Open(reader));
                    Kind::File { size }
                };
                (header, kind)
            }
        };
        self.is_read &= self.content.is_none();
        Ok(Entry { path, meta: self.meta(&header), kind })
    }

    fn meta(&self, header: &FileHeader) -> orlop_layer::Meta {
        orlop_layer::Meta { mtime: self.time, ..header.to_meta() }
    }
}

impl Entries for CommitEntries {
    fn next_entry(&mut self) -> Result<Option<Entry>, LayerError> {
        let entry = self.advance().map_err(|error| LayerError::Read(Fault::from(error).into()))?;
        let limit = self.repo.limits().entries;
        self.count += u64::from(entry.is_some());
        if self.count > limit {
            return Err(LayerError::Limit { what: "the number of entries", limit });
        }
        Ok(entry)
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, LayerError> {
        self.is_read = true;
        match self.content.take() {
            None => return Ok(None),
            Some(Content::Whole(content)) => self.buffer = content,
            Some(Content::Open(mut reader)) => {
                if fill(&mut reader, &mut self.buffer).map_err(LayerError::Read)? {
                    self.content = Some(Content::Open(reader));
                }
            }
        }
        Ok((!self.buffer.is_empty()).then(|| Chunk::Data(&self.buffer)))
    }
}

/// The next piece of a content; whether more may follow.
fn fill(content: &mut FileReader, buffer: &mut Vec<u8>) -> std::io::Result<bool> {
    buffer.resize(PIECE, 0);
    let mut filled = 0;
    while filled < PIECE {
        match content.read(&mut buffer[filled..])? {
            0 => {
                buffer.truncate(filled);
                return Ok(false);
            }
            count => filled += count,
        }
    }
    Ok(true)
}

/// Cuts `:/SUBPATH` off the name of a commit. A slash at its end says that it is a folder, as it must be.
pub fn split_subpath(name: &str) -> Result<(&str, TreePath), Error> {
    let Some((commit, said)) = name.split_once(":/") else { return Ok((name, TreePath::root())) };
    let path = said.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(said);
    let is_plain = path.is_empty() || path.split('/').all(|part| is_component(part.as_bytes()));
    let path = TreePath::parse(path.as_bytes()).ok().filter(|_| is_plain);
    let path = path.ok_or_else(|| RepoError::NoFolder { path: said.into() })?;
    Ok((commit, path))
}

#[cfg(test)]
mod tests;
