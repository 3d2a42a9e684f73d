//! Layers that others put above a commit.
//!
//! ```text
//! the tree of the commit ─┐
//! layers above it ────────┴──stack──► the tree of a new commit
//! ```
//!
//! Invariant: what the layers mean is asked of the one engine, in the names that the commit has: `etc` is `usr/etc` again.
//! Nothing of the repository in the layers is part of the new tree, but what they link to from elsewhere. Where one layer has
//! a file by both names of the settings, the later one counts, and that is said.

use super::base::Base;
use super::{ETC, LABEL, REPOSITORY, Settings, USR_ETC, object_at, plain};
use crate::Error;
use crate::ostree::id::{Kind as Object, ObjectId};
use orlop_layer::decode::Visit;
use orlop_layer::tree::{Builder, Tree};
use orlop_layer::{Entry, Error as LayerError, Kind, Meta, TreePath};
use orlop_spec::{Context, Event};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

/// The folder of the repository. No layer has it for anything else, unless others put something there.
const AROUND: &str = "sysroot/ostree";

/// Takes layers above a commit, several at a time.
pub struct Above<'a> {
    base: &'a Base,
    cx: &'a Context<'a>,
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
    /// Files beneath the settings, and whether the layers call them so.
    settings: HashMap<TreePath, Called>,
    /// Whether the content that comes is that of an entry that counts.
    is_taken: bool,
}

/// How a layer calls a file of the settings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Called {
    /// As the commit does.
    UsrEtc,
    /// As containers have it.
    Etc,
}

impl<'a> Above<'a> {
    /// Nothing is taken yet.
    pub fn new(base: &'a Base, cx: &'a Context<'a>) -> Self {
        Self { base, cx, found: Mutex::default() }
    }

    /// What takes a layer.
    pub fn layer<V: Visit>(&self, layer: u16, contents: V) -> AboveLayer<'_, V> {
        let tree = Some(Builder::new(layer, self.cx.limits));
        let (wanted, settings) = (BTreeSet::new(), HashMap::new());
        AboveLayer { above: self, contents, layer, tree, wanted, settings, is_taken: false }
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
        let mut tree = base.tree.clone().stack(base.linked(cx, &self.wanted)?)?;
        for upper in self.trees.into_values() {
            tree = tree.stack(upper)?;
        }
        tree = without(cx, tree, REPOSITORY)?;
        let is_empty = tree
            .locate(AROUND.as_bytes())
            .is_some_and(|id| tree.inode(id).is_directory() && tree.children(id).next().is_none());
        let is_of_base = base.tree.locate(AROUND.as_bytes()).is_some();
        if is_empty && !is_of_base { without(cx, tree, AROUND) } else { Ok(tree) }
    }
}

/// A tree without a path, if it has it.
fn without(cx: &Context<'_>, tree: Tree, path: &str) -> Result<Tree, Error> {
    if tree.locate(path.as_bytes()).is_none() {
        return Ok(tree);
    }
    let mut last = Builder::new(0, cx.limits);
    last.add(0, 0, &Entry { path: plain(path), meta: Meta::default(), kind: Kind::Whiteout })?;
    Ok(tree.stack(last.finish())?)
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
        if !is_folder && !matches!(entry.kind, Kind::Whiteout | Kind::Opaque) {
            self.warn_of_two(&entry.path, &path);
        }
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

    fn warn_of_two(&mut self, said: &TreePath, meant: &TreePath) {
        let called = if said == meant { Called::UsrEtc } else { Called::Etc };
        if self.above.base.settings == Settings::Kept || !meant.starts_with(&plain(USR_ETC)) {
            return;
        }
        if self.settings.insert(meant.clone(), called).is_some_and(|before| before != called) {
            let name = meant.to_string();
            let layer = self.layer + 1;
            self.above.cx.observer.event(Event::Warned(format!(
                "layer {layer} has the file {name} of the commit also beneath {ETC}: what comes later in it counts"
            )));
        }
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
