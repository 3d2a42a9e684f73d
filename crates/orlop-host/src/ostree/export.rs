//! A commit as the files of an image.
//!
//! ```text
//! commit ──► dirtree, dirmeta ──► folders ┐
//!                └─► file objects ────────┴─► entries in the order of a canonical tar
//! ```
//!
//! Invariant: every object was hashed before it counts. A file's owner, mode and attributes are proven by its content, so
//! who skips a content has not proven the file. Objects may be shared: a few of them can mean a tree without end, so
//! entries and depth are bounded.

use super::id::{ObjectId, ObjectName};
use super::object::Commit;
use super::repo::{FileReader, Repo, RepoError};
use crate::Error;
use orlop_layer::path::is_component;
use orlop_layer::{Chunk, Entries, Entry, Error as LayerError, Kind, Time, TreePath};
use orlop_spec::Fault;
use std::io::Read as _;
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
pub struct CommitEntries<'r> {
    repo: &'r Repo,
    time: Time,
    /// The folder that comes next, before anything in it.
    next: Option<(TreePath, Folder)>,
    open: Vec<Open>,
    /// The file object of the entry that was given last.
    file: Option<ObjectName>,
    content: Option<FileReader>,
    buffer: Vec<u8>,
    count: u64,
}

struct Open {
    path: TreePath,
    rest: IntoIter<(Box<str>, Child)>,
}

enum Child {
    File(ObjectId),
    Folder(Folder),
}

impl<'r> CommitEntries<'r> {
    /// Nothing is read yet. All times are `time`.
    pub fn new(repo: &'r Repo, root: Folder, time: Time) -> Self {
        let next = Some((TreePath::root(), root));
        let (open, buffer) = (Vec::new(), Vec::new());
        Self { repo, time, next, open, file: None, content: None, buffer, count: 0 }
    }

    /// The object of the entry that came last, if that is a file or a link.
    pub fn file(&self) -> Option<ObjectName> {
        self.file
    }

    fn advance(&mut self) -> Result<Option<Entry>, Error> {
        (self.content, self.file) = (None, None);
        if let Some((path, folder)) = self.next.take() {
            return self.enter(path, folder).map(Some);
        }
        while let Some(open) = self.open.last_mut() {
            let Some((name, child)) = open.rest.next() else {
                self.open.pop();
                continue;
            };
            let path = open.path.join(name.as_bytes());
            return match child {
                Child::Folder(folder) => self.enter(path, folder).map(Some),
                Child::File(id) => self.open_file(path, id).map(Some),
            };
        }
        Ok(None)
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

    fn open_file(&mut self, path: TreePath, id: ObjectId) -> Result<Entry, Error> {
        let file = self.repo.file(&id)?;
        let header = file.header();
        let meta = orlop_layer::Meta { mtime: self.time, ..header.to_meta() };
        let kind = if header.is_link() {
            Kind::Symlink { target: header.target.as_bytes().into() }
        } else {
            Kind::File { size: file.size() }
        };
        let mut reader = file.reader();
        if matches!(kind, Kind::Symlink { .. }) {
            // There is no content: the object is proven by its end.
            let ended = reader.read(&mut [0]);
            ended.map_err(LayerError::Read)?;
        }
        self.file = Some(ObjectName::new(id, super::Kind::File));
        self.content = matches!(kind, Kind::File { .. }).then_some(reader);
        Ok(Entry { path, meta, kind })
    }
}

impl Entries for CommitEntries<'_> {
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
        let Some(content) = &mut self.content else { return Ok(None) };
        self.buffer.resize(PIECE, 0);
        let mut filled = 0;
        while filled < PIECE {
            match content.read(&mut self.buffer[filled..]).map_err(LayerError::Read)? {
                0 => {
                    self.content = None;
                    break;
                }
                count => filled += count,
            }
        }
        Ok((filled > 0).then(|| Chunk::Data(&self.buffer[..filled])))
    }
}

/// Cuts `:/SUBPATH` off the name of a commit.
pub fn split_subpath(name: &str) -> Result<(&str, TreePath), Error> {
    let Some((commit, path)) = name.split_once(":/") else { return Ok((name, TreePath::root())) };
    let is_plain = path.is_empty() || path.split('/').all(|part| is_component(part.as_bytes()));
    let path = TreePath::parse(path.as_bytes()).ok().filter(|_| is_plain);
    let path = path.ok_or_else(|| RepoError::NoFolder { path: name.into() })?;
    Ok((commit, path))
}

#[cfg(test)]
mod tests;
