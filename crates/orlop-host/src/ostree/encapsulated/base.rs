//! The commit that layers hold.
//!
//! Invariant: every object that it needs was in the layers. The layers show the files that the commit has, no other ones and
//! no other contents: who looks at a container sees what a machine gets.

use super::error::EncapsulatedError;
use super::gather::{MOST_HELD, Objects, Place};
use super::{REPOSITORY, Settings, path_of, plain};
use crate::Error;
use crate::ostree::carried::Carried;
use crate::ostree::flavour::Flavour;
use crate::ostree::id::{Kind as Object, ObjectId, ObjectName};
use crate::ostree::import::Ids;
use crate::ostree::object::{Commit, FileHeader, weight};
use crate::ostree::tree::{Step, walk};
use orlop_layer::tree::{Builder, Content, Inode, InodeKind, Tree};
use orlop_layer::{Entry, Kind, Meta, TreePath};
use orlop_spec::{Context, Limits};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// The number of the layer that the files of the commit are of; no image has so many.
const BASE: u16 = u16::MAX;

/// The commit that layers hold.
pub struct Base {
    id: ObjectId,
    commit: Commit,
    objects: Objects,
    pub(super) tree: Tree,
    /// By the ordinals of the tree's contents.
    names: Vec<ObjectId>,
    pub(super) settings: Settings,
}

impl Base {
    /// Puts the commit together. `said` is what a label says of it.
    pub fn new(cx: &Context<'_>, mut objects: Objects, said: Option<&str>) -> Result<Self, Error> {
        let commit = objects.commit.take().ok_or(EncapsulatedError::NoCommit)?;
        let id = commit.id();
        if let Some(said) = said.filter(|said| *said != id.to_string()) {
            return Err(EncapsulatedError::Another { said: said.into(), found: id }.into());
        }
        let mut planting = Planting::new(&objects, cx.limits);
        let dirtree = |id: &ObjectId| objects.tree(id);
        walk(cx, &dirtree, (commit.tree, commit.meta), &mut |path, step| planting.step(path, step))?;
        let Planting { tree, names, .. } = planting;
        let tree = Tree::default().stack(tree.finish())?;
        let root = objects.tree(&commit.tree)?;
        let settings = Settings::of(&root);
        Ok(Self { id, commit, objects, tree, names, settings })
    }

    /// The id of the commit.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// The tree of the commit.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The commit, and what was said of it later.
    pub fn carried(&self) -> Carried {
        let detached = self.objects.detached.get(&self.id).cloned();
        Carried { commit: self.commit.clone(), detached }
    }

    /// Whether a container has the files of the commit: `shown` is what its layers mean.
    pub fn check_shown(&self, shown: &Tree) -> Result<(), EncapsulatedError> {
        let differs = |path: &TreePath| EncapsulatedError::Shown { path: path.to_string(), id: self.id };
        let mut known = HashSet::new();
        for (path, inode) in self.tree.walk().filter(|(_, id)| !self.tree.inode(*id).is_directory()) {
            let path = self.settings.shown(&path);
            let found = shown.locate(path.as_bytes()).map(|id| shown.inode(id));
            if !found.is_some_and(|found| self.is_shown(self.tree.inode(inode), found)) {
                return Err(differs(&path));
            }
            known.insert(path);
        }
        let repository = plain(REPOSITORY);
        let mut further = shown
            .walk()
            .filter(|(_, id)| !shown.inode(*id).is_directory())
            .map(|(path, _)| path)
            .filter(|path| !path.starts_with(&repository) && !known.contains(path));
        further.next().map_or(Ok(()), |path| Err(differs(&path)))
    }

    fn is_shown(&self, meant: &Inode, found: &Inode) -> bool {
        let owner = |inode: &Inode| (inode.meta.uid, inode.meta.gid);
        match (&meant.kind, &found.kind) {
            (InodeKind::Symlink(meant_target), InodeKind::Symlink(target)) => {
                meant_target == target && owner(meant) == owner(found)
            }
            (InodeKind::File(content), InodeKind::File(at)) => {
                let name = self.names[content.ordinal as usize];
                let is_it = self.objects.places.get(&(at.layer, at.ordinal)) == Some(&name);
                let empty = self.objects.empty.get(&name).filter(|_| at.size == 0);
                is_it || empty.is_some_and(|meta| (meta.uid, meta.gid, meta.mode) == of(&found.meta))
            }
            _ => false,
        }
    }

    /// Whether every content is what its name says: `ids` tell what they hash to.
    pub fn prove(&self, ids: &Ids, flavour: Flavour) -> Result<(), EncapsulatedError> {
        if flavour != Flavour::EXACT {
            // They were hashed as they are while they passed, and then put otherwise.
            return Ok(());
        }
        for (place, id) in &self.objects.places {
            let object = ObjectName::new(*id, Object::File);
            let found = ids.get(&content(*place)).ok_or(EncapsulatedError::Missing { object })?;
            if found != *id {
                return Err(EncapsulatedError::Damaged { object, found });
            }
        }
        Ok(())
    }

    /// What a content became, of the commit or of a layer above it.
    pub fn file(&self, ids: &Ids, of: &Content) -> Option<ObjectId> {
        if of.layer != BASE {
            return ids.get(of);
        }
        let name = self.names.get(of.ordinal as usize)?;
        ids.get(&content(*self.objects.files.get(name)?))
    }

    /// Whether layers above can link to an object.
    pub(super) fn has_file(&self, id: &ObjectId) -> bool {
        self.objects.files.contains_key(id) || self.objects.links.contains_key(id)
    }

    /// A layer of objects, where the layers above link to them.
    pub(super) fn linked(&mut self, cx: &Context<'_>, wanted: &BTreeSet<ObjectId>) -> Result<Tree, Error> {
        let mut planting = Planting::new(&self.objects, cx.limits);
        std::mem::swap(&mut planting.names, &mut self.names);
        for id in wanted {
            planting.file(&path_of(&ObjectName::new(*id, Object::File)), *id)?;
        }
        let Planting { tree, names, .. } = planting;
        self.names = names;
        Ok(tree.finish())
    }
}

impl Objects {
    fn tree(&self, id: &ObjectId) -> Result<Arc<crate::ostree::DirTree>, Error> {
        let object = ObjectName::new(*id, Object::DirTree);
        Ok(self.trees.get(id).cloned().ok_or(EncapsulatedError::Missing { object })?)
    }
}

/// Builds a tree of objects.
struct Planting<'a> {
    objects: &'a Objects,
    tree: Builder,
    names: Vec<ObjectId>,
    /// Bytes of attributes that the tree has, each time that it has them.
    held: u64,
    most: u64,
}

impl<'a> Planting<'a> {
    fn new(objects: &'a Objects, limits: &Limits) -> Self {
        Self { objects, tree: Builder::new(BASE, limits), names: Vec::new(), held: 0, most: MOST_HELD }
    }

    fn step(&mut self, path: &TreePath, step: &Step) -> Result<(), Error> {
        match step {
            Step::Folder { meta, .. } => {
                let object = ObjectName::new(*meta, Object::DirMeta);
                let meta = self.objects.metas.get(meta).ok_or(EncapsulatedError::Missing { object })?;
                self.add(path, meta.to_meta(), Kind::Directory)
            }
            Step::File { id } => self.file(path, *id),
        }
    }

    fn file(&mut self, path: &TreePath, id: ObjectId) -> Result<(), Error> {
        if let Some(header) = self.objects.links.get(&id) {
            return self.link(path, header);
        }
        if !self.objects.files.contains_key(&id) {
            let object = ObjectName::new(id, Object::File);
            return Err(EncapsulatedError::Missing { object }.into());
        }
        self.add(path, Meta::default(), Kind::File { size: 0 })?;
        self.names.push(id);
        Ok(())
    }

    fn link(&mut self, path: &TreePath, header: &FileHeader) -> Result<(), Error> {
        let target = header.target.as_bytes().into();
        self.add(path, header.to_meta(), Kind::Symlink { target })
    }

    /// The ordinal is that of a file that comes; it means nothing for anything else.
    fn add(&mut self, path: &TreePath, meta: Meta, kind: Kind) -> Result<(), Error> {
        self.held = self.held.saturating_add(weight(&meta.xattrs));
        if self.held > self.most {
            return Err(EncapsulatedError::TooMuch { most: self.most }.into());
        }
        let ordinal =
            u32::try_from(self.names.len()).expect("bounds keep the number of entries within 32 bits");
        Ok(self.tree.add(ordinal, 0, &Entry { path: path.clone(), meta, kind })?)
    }
}

fn of(meta: &Meta) -> (u32, u32, u16) {
    (meta.uid, meta.gid, meta.mode)
}

fn content((layer, ordinal): Place) -> Content {
    Content { layer, ordinal, offset: 0, size: 0 }
}

#[cfg(test)]
mod tests;
