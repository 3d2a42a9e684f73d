//! Layers that others put above a commit.
//!
//! ```text
//! the tree of the commit ─┐
//! layers above it ────────┴──stack──► the tree of a new commit
//! ```
//!
//! Invariant: what the layers mean is asked of the one engine, in the names that the commit has: `etc` is `usr/etc` again.
//! Nothing of the repository in the layers is part of the new tree, but what they link to from elsewhere.

use super::base::Base;
use super::{LABEL, REPOSITORY, object_at, plain};
use crate::Error;
use crate::ostree::id::{Kind as Object, ObjectId};
use orlop_layer::decode::Visit;
use orlop_layer::tree::{Builder, Tree};
use orlop_layer::{Entry, Error as LayerError, Kind, Meta, TreePath};
use orlop_spec::{Context, Limits};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// Takes layers above a commit, several at a time.
pub struct Above<'a> {
    base: &'a Base,
    limits: &'a Limits,
    found: Mutex<Found>,
}

/// What the layers above hold.
#[derive(Default)]
pub struct Found {
    trees: BTreeMap<u16, Tree>,
    /// Objects of the commit that they link to.
    wanted: BTreeSet<ObjectId>,
}

/// Takes one of them; `V` takes its contents.
pub struct AboveLayer<'a, V> {
    above: &'a Above<'a>,
    contents: V,
    layer: u16,
    tree: Option<Builder>,
    wanted: BTreeSet<ObjectId>,
    /// Whether the content that comes is that of an entry that counts.
    is_taken: bool,
}

impl<'a> Above<'a> {
    /// Nothing is taken yet.
    pub fn new(base: &'a Base, limits: &'a Limits) -> Self {
        Self { base, limits, found: Mutex::default() }
    }

    /// What takes a layer.
    pub fn layer<V: Visit>(&self, layer: u16, contents: V) -> AboveLayer<'_, V> {
        let tree = Some(Builder::new(layer, self.limits));
        AboveLayer { above: self, contents, layer, tree, wanted: BTreeSet::new(), is_taken: false }
    }

    /// What all layers held.
    pub fn into_found(self) -> Found {
        self.found.into_inner().expect("no holder panics")
    }
}

impl Found {
    /// Whether there was any layer.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// The tree of all layers over that of the commit.
    pub fn stack(self, cx: &Context<'_>, base: &mut Base) -> Result<Tree, Error> {
        let repository =
            if base.tree.locate(b"sysroot/ostree").is_some() { REPOSITORY } else { "sysroot/ostree" };
        let mut tree = base.tree.clone().stack(base.linked(cx, &self.wanted)?)?;
        for upper in self.trees.into_values() {
            tree = tree.stack(upper)?;
        }
        let mut last = Builder::new(0, cx.limits);
        last.add(0, 0, &Entry { path: plain(repository), meta: Meta::default(), kind: Kind::Whiteout })?;
        Ok(tree.stack(last.finish())?)
    }
}

impl<V: Visit> AboveLayer<'_, V> {
    /// The entry by the names of the commit; `None` where it is one of the repository that nothing can link to.
    fn meant(&mut self, entry: &Entry) -> Option<Entry> {
        let object = object_at(&entry.path).map(|object| object.kind);
        let is_folder = entry.kind == Kind::Directory;
        if entry.path.starts_with(&plain(REPOSITORY)) && object != Some(Object::File) && !is_folder {
            return None;
        }
        let settings = self.above.base.settings;
        let path = settings.meant(&entry.path);
        let kind = match &entry.kind {
            Kind::HardLink { target } => {
                self.want(target);
                Kind::HardLink { target: settings.meant(target) }
            }
            kind => kind.clone(),
        };
        let meta = if is_folder { self.labelled(&path, &entry.meta) } else { entry.meta.clone() };
        Some(Entry { path, meta, kind })
    }

    fn want(&mut self, target: &TreePath) {
        let object = object_at(target).filter(|object| object.kind == Object::File);
        self.wanted.extend(object.map(|object| object.id).filter(|id| self.above.base.has_file(id)));
    }

    /// Layers have no labels of SELinux: a folder keeps the one that it has in the commit.
    fn labelled(&self, path: &TreePath, meta: &Meta) -> Meta {
        let tree = &self.above.base.tree;
        let below =
            tree.locate(path.as_bytes()).map(|id| tree.inode(id)).filter(|inode| inode.is_directory());
        let label = below.and_then(|inode| inode.meta.xattrs.get(LABEL));
        let mut meta = meta.clone();
        if let Some(label) = label.filter(|_| !meta.xattrs.contains_key(LABEL)) {
            meta.xattrs.insert(LABEL.into(), label.clone());
        }
        meta
    }
}

impl<V: Visit> Visit for AboveLayer<'_, V> {
    fn entry(&mut self, ordinal: u32, offset: u64, entry: &Entry) -> Result<(), LayerError> {
        let meant = self.meant(entry);
        self.is_taken = meant.is_some();
        let Some(entry) = meant else { return Ok(()) };
        self.tree.as_mut().expect("it is there until the end").add(ordinal, offset, &entry)?;
        self.contents.entry(ordinal, offset, &entry)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        if self.is_taken { self.contents.data(bytes) } else { Ok(()) }
    }

    fn hole(&mut self, length: u64) -> Result<(), LayerError> {
        if self.is_taken { self.contents.hole(length) } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), LayerError> {
        self.contents.end()?;
        let tree = self.tree.take().expect("it is there until the end").finish();
        let mut found = self.above.found.lock().expect("no holder panics");
        found.trees.insert(self.layer, tree);
        found.wanted.append(&mut self.wanted);
        Ok(())
    }
}
