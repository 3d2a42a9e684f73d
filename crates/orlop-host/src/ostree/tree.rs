//! A commit as a tree: what layers mean is asked of the same type.
//!
//! Invariant: every name of the commit is in the tree, each file an inode of its own, since OSTree knows no hard links. No
//! content is read; headers are, and what they say is proven with the content only.

use super::id::{Kind, ObjectId, ObjectName};
use super::object::{Commit, DirMeta, DirTree, FileHeader};
use super::parallel;
use super::repo::{Repo, RepoError};
use crate::Error;
use orlop_layer::tree::{Builder, Tree};
use orlop_layer::whiteout::{self, Member};
use orlop_layer::{Entry, Kind as EntryKind, Meta, Time, TreePath};
use orlop_spec::Context;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

/// Folders within folders, at most: as in libostree.
pub const DEEPEST: usize = 256;

/// The tree of a commit, and which objects its files are.
#[derive(Debug)]
pub struct CommitTree {
    /// The commit.
    pub commit: Commit,
    /// Merged; of one layer, whose number is 0.
    pub tree: Tree,
    /// By the ordinals of the tree's contents.
    pub files: Vec<ObjectId>,
}

/// What names that begin with `.wh.` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Refused: no tree holds them.
    Plain,
    /// Whiteouts.
    Whiteouts,
}

impl Names {
    /// The entry that a name stands for, if any.
    fn read(self, path: &TreePath, kind: EntryKind) -> Result<Option<(TreePath, EntryKind)>, Error> {
        if self == Self::Plain {
            return Ok(Some((path.clone(), kind)));
        }
        Ok(match whiteout::read_member(path)? {
            Member::Plain => Some((path.clone(), kind)),
            Member::Whiteout(removed) => Some((removed, EntryKind::Whiteout)),
            Member::Opaque(folder) => Some((folder, EntryKind::Opaque)),
            Member::Private => None,
        })
    }
}

/// Where a walk over a commit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A folder begins.
    Folder {
        /// Its names.
        tree: ObjectId,
        /// Its owner and mode.
        meta: ObjectId,
    },
    /// A file or a link.
    File {
        /// Which.
        id: ObjectId,
    },
}

impl Repo {
    /// The tree of a commit, or of a folder of it. All times are the commit's.
    pub fn tree(&self, cx: &Context<'_>, id: &ObjectId, folder: &TreePath) -> Result<CommitTree, Error> {
        let commit = self.commit(id)?;
        let root = self.find_folder(&commit, folder)?;
        let (tree, files) = self.tree_of(cx, root, commit.time)?;
        Ok(CommitTree { commit, tree, files })
    }

    /// The tree of a folder, merged, and the objects of its files by the ordinals of its contents. All times are the same.
    pub fn tree_of(
        &self,
        cx: &Context<'_>,
        root: (ObjectId, ObjectId),
        time: u64,
    ) -> Result<(Tree, Vec<ObjectId>), Error> {
        let (layer, files) = self.layer_at(cx, root, (0, Names::Plain), time)?;
        Ok((Tree::default().stack(layer)?, files))
    }

    /// The same as the `number`th layer of an image, not stacked on anything.
    pub(super) fn layer_at(
        &self,
        cx: &Context<'_>,
        root: (ObjectId, ObjectId),
        (number, names): (u16, Names),
        time: u64,
    ) -> Result<(Tree, Vec<ObjectId>), Error> {
        let mut steps = Vec::new();
        self.walk(cx, root, &mut |path, step| {
            steps.push((path.clone(), step.clone()));
            Ok(())
        })?;
        let (headers, metas) = self.described(cx, &steps)?;
        let time = Time::from_seconds(i64::try_from(time).unwrap_or(i64::MAX));
        let mut builder = Builder::new(number, cx.limits);
        let mut files = Vec::new();
        for (path, step) in &steps {
            let (meta, kind) = match step {
                Step::Folder { meta, .. } => (metas[meta].to_meta(), EntryKind::Directory),
                Step::File { id } => entry_of(&headers[id]),
            };
            let Some((path, kind)) = names.read(path, kind)? else { continue };
            let entry = Entry { path, meta: Meta { mtime: time, ..meta }, kind };
            let ordinal =
                u32::try_from(files.len()).expect("bounds keep the number of entries within 32 bits");
            builder.add(ordinal, 0, &entry)?;
            if let (Step::File { id }, EntryKind::File { .. }) = (step, &entry.kind) {
                files.push(*id);
            }
        }
        Ok((builder.finish(), files))
    }

    /// Dirtree and dirmeta of a folder of a commit.
    pub fn find_folder(&self, commit: &Commit, path: &TreePath) -> Result<(ObjectId, ObjectId), Error> {
        self.find_beneath((commit.tree, commit.meta), path)
    }

    /// Dirtree and dirmeta of a folder beneath another one.
    pub(super) fn find_beneath(
        &self,
        root: (ObjectId, ObjectId),
        path: &TreePath,
    ) -> Result<(ObjectId, ObjectId), Error> {
        let mut found = root;
        for name in path.components() {
            let tree = self.dirtree(&found.0)?;
            let below = std::str::from_utf8(name)
                .ok()
                .and_then(|name| tree.folder(name))
                .map(|(tree, meta)| (*tree, *meta));
            found = below.ok_or_else(|| RepoError::NoFolder { path: path.to_string() })?;
        }
        Ok(found)
    }

    /// Every path beneath a folder, depth first, names sorted bytewise, the folder itself first. A dirtree that comes again
    /// is not read again.
    pub fn walk(
        &self,
        cx: &Context<'_>,
        root: (ObjectId, ObjectId),
        see: &mut dyn FnMut(&TreePath, &Step) -> Result<(), Error>,
    ) -> Result<(), Error> {
        walk(cx, &|id| self.dirtree(id).map(Arc::new), root, see)
    }

    /// Owners and modes of everything that a walk saw.
    fn described(&self, cx: &Context<'_>, steps: &[(TreePath, Step)]) -> Result<Described, Error> {
        let mut metas = HashMap::new();
        let mut files = HashSet::new();
        for (_, step) in steps {
            match step {
                Step::Folder { meta, .. } if metas.contains_key(meta) => {}
                Step::Folder { meta, .. } => drop(metas.insert(*meta, self.dirmeta(meta)?)),
                Step::File { id } => drop(files.insert(*id)),
            }
        }
        let files: Vec<ObjectId> = files.into_iter().collect();
        let headers = Mutex::new(HashMap::with_capacity(files.len()));
        parallel::each(
            cx.workers.get(),
            &files,
            || (),
            |(), id| {
                cx.cancel.check().map_err(RepoError::from)?;
                let file = self.file(id)?;
                let described = (file.header().clone(), file.size());
                headers.lock().expect("no holder panics").insert(*id, described);
                Ok(())
            },
        )?;
        Ok((headers.into_inner().expect("no holder panics"), metas))
    }

    /// Every object that a commit needs, itself included, each once; what was said of it, where there is something.
    pub fn reach(&self, cx: &Context<'_>, id: &ObjectId) -> Result<HashSet<ObjectName>, Error> {
        let commit = self.commit(id)?;
        let mut found = HashSet::from([ObjectName::new(*id, Kind::Commit)]);
        let said = ObjectName::new(*id, Kind::CommitMeta);
        if self.has(&said)? {
            found.insert(said);
        }
        let mut left = vec![(commit.tree, commit.meta)];
        while let Some((tree, meta)) = left.pop() {
            cx.cancel.check().map_err(RepoError::from)?;
            found.insert(ObjectName::new(meta, Kind::DirMeta));
            if !found.insert(ObjectName::new(tree, Kind::DirTree)) {
                continue;
            }
            let tree = self.dirtree(&tree)?;
            found.extend(tree.files.iter().map(|(_, id)| ObjectName::new(*id, Kind::File)));
            left.extend(tree.folders.iter().map(|(_, tree, meta)| (*tree, *meta)));
        }
        Ok(found)
    }
}

/// Every path beneath a folder, as [`Repo::walk`] sees them, wherever the dirtrees are.
pub(super) fn walk(
    cx: &Context<'_>,
    dirtree: &dyn Fn(&ObjectId) -> Result<Arc<DirTree>, Error>,
    root: (ObjectId, ObjectId),
    see: &mut dyn FnMut(&TreePath, &Step) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut known: HashMap<ObjectId, Arc<DirTree>> = HashMap::new();
    let mut count = 0;
    let mut open: Vec<(TreePath, Children)> = Vec::new();
    let mut next = Some((TreePath::root(), Step::Folder { tree: root.0, meta: root.1 }));
    while let Some((path, step)) = next {
        cx.cancel.check().map_err(RepoError::from)?;
        count += 1;
        if count > cx.limits.entries {
            return Err(RepoError::TooMany { most: cx.limits.entries }.into());
        }
        see(&path, &step)?;
        if let Step::Folder { tree, .. } = step {
            if open.len() >= DEEPEST {
                return Err(RepoError::TooDeep { most: DEEPEST }.into());
            }
            let names = match known.get(&tree) {
                Some(names) => Arc::clone(names),
                None => Arc::clone(known.entry(tree).or_insert(dirtree(&tree)?)),
            };
            open.push((path, Children::of(names)));
        }
        next = loop {
            let Some((folder, names)) = open.last_mut() else { break None };
            match names.next() {
                Some((name, step)) => break Some((folder.join(name.as_bytes()), step)),
                None => drop(open.pop()),
            }
        };
    }
    Ok(())
}

/// Headers and sizes of files, and metas of folders.
type Described = (HashMap<ObjectId, (FileHeader, u64)>, HashMap<ObjectId, DirMeta>);

fn entry_of((header, size): &(FileHeader, u64)) -> (Meta, EntryKind) {
    let kind = if header.is_link() {
        EntryKind::Symlink { target: header.target.as_bytes().into() }
    } else {
        EntryKind::File { size: *size }
    };
    (header.to_meta(), kind)
}

/// The names of a folder, files and folders in one order.
struct Children {
    tree: Arc<DirTree>,
    files: usize,
    folders: usize,
}

impl Children {
    fn of(tree: Arc<DirTree>) -> Self {
        Self { tree, files: 0, folders: 0 }
    }

    fn next(&mut self) -> Option<(Box<str>, Step)> {
        let file = self.tree.files.get(self.files);
        let folder = self.tree.folders.get(self.folders);
        match (file, folder) {
            (Some((name, id)), folder) if folder.is_none_or(|(other, ..)| name < other) => {
                self.files += 1;
                Some((name.clone(), Step::File { id: *id }))
            }
            (_, Some((name, tree, meta))) => {
                self.folders += 1;
                Some((name.clone(), Step::Folder { tree: *tree, meta: *meta }))
            }
            _ => None,
        }
    }
}
