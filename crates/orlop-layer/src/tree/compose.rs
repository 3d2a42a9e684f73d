//! Layers as one layer, whatever they are put on.
//!
//! Law: where `compose` gives a layer, `base.stack(a).stack(b) == base.stack(compose(a, b))` for every base.
//!
//! That is not so for all layers. What a folder means that a layer leaves out, or a link to what lies below, depends on
//! the tree below: `lib/x` may lead through a link, and then `lib/x` of one layer is `usr/lib/x` of another. Such layers
//! are left to whoever has the base, which can ask [`Tree::diff`].
//!
//! Invariant: the layer that is given holds no implied folder but the root, no link to what lies below, and no folder that
//! stands beside a whiteout of its own name; so the entries of it can be said in any order that a tar allows.

use super::children::IntoNames;
use super::{Form, Inode, InodeId, InodeKind, Lower, Presence, Tree};
use crate::entry::Meta;
use crate::error::Error;
use crate::path::TreePath;
use std::collections::HashMap;

impl Tree {
    /// The layer that does what all of these do, the lowest first; nothing where that depends on what they are put on.
    /// Fails when the layer outgrows the limits that the layers were built with.
    pub fn compose(layers: impl IntoIterator<Item = Self>) -> Result<Option<Self>, Error> {
        let mut composed: Option<Self> = None;
        for upper in layers {
            let lower = composed.unwrap_or_else(|| Self::empty(Form::Layer, upper.bounds));
            match Compose::put_on(lower, upper)? {
                Some(layer) => composed = Some(layer),
                None => return Ok(None),
            }
        }
        Ok(composed)
    }
}

/// One more layer on its way into those below it.
struct Compose {
    layer: Tree,
    upper: Tree,
    /// From links of the upper layer to what they lead to; pinned, as a name may go before the link comes.
    links: HashMap<InodeId, InodeId>,
    /// Where inodes with several names went; pinned too.
    moved: HashMap<InodeId, InodeId>,
    open: Vec<Frame>,
}

/// A folder of the upper layer under way.
struct Frame {
    name: Box<[u8]>,
    names: IntoNames,
    /// Where its children go. Not there yet for a folder that the layer leaves out: where nothing but whiteouts lies in
    /// it, it is not made.
    folder: Option<InodeId>,
    /// Whether all that is there is known: nothing of what the layers are put on shows in it.
    known: bool,
}

/// What the layers below say of a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Whiteout,
    Folder(InodeId),
    Link,
    Other,
}

/// The meaning depends on what the layers are put on.
struct Depends;

type Step = Result<Result<(), Depends>, Error>;

impl Compose {
    fn put_on(mut layer: Tree, upper: Tree) -> Result<Option<Tree>, Error> {
        layer.bounds = upper.bounds;
        let mut compose =
            Self { layer, upper, links: HashMap::new(), moved: HashMap::new(), open: Vec::new() };
        if compose.find_links().is_err() || compose.run()?.is_err() {
            return Ok(None);
        }
        Ok(Some(compose.finish()))
    }

    /// Links lead to what was there before the upper layer came.
    fn find_links(&mut self) -> Result<(), Depends> {
        for (index, inode) in (0..).zip(&self.upper.inodes) {
            if let (1.., InodeKind::LinkBelow(target)) = (inode.names, &inode.kind) {
                let found = linked(&self.layer, target).ok_or(Depends)?;
                self.layer.pin(found);
                self.links.insert(InodeId(index), found);
            }
        }
        Ok(())
    }

    fn run(&mut self) -> Step {
        self.root();
        while let Some(frame) = self.open.last_mut() {
            match frame.names.next() {
                None => drop(self.open.pop()),
                Some((name, id)) => {
                    if let Err(depends) = self.put(name, id)? {
                        return Ok(Err(depends));
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    /// The root is a folder in every tree.
    fn root(&mut self) {
        let (inode, children) = self.upper.take(Tree::ROOT);
        if let InodeKind::Directory { presence, lower } = inode.kind {
            if presence == Presence::Explicit {
                self.describe(Tree::ROOT, inode.meta);
            }
            if lower != Lower::Merge {
                self.hide(Tree::ROOT, false);
            }
        }
        let known = self.hides(Tree::ROOT);
        let names = children.into_names();
        self.open.push(Frame { name: Box::default(), names, folder: Some(Tree::ROOT), known });
    }

    fn put(&mut self, name: Box<[u8]>, id: InodeId) -> Step {
        if let Some(known) = self.moved.get(&id).or_else(|| self.links.get(&id)) {
            let known = *known;
            let folder = self.needed()?;
            return self.layer.bind(folder, name, known).map(Ok);
        }
        match self.upper.inode(id).kind {
            InodeKind::Whiteout => self.remove(name).map(Ok),
            InodeKind::Directory { presence: Presence::Explicit, .. } => self.explicit(name, id).map(Ok),
            InodeKind::Directory { lower: Lower::Replace, .. } => {
                self.remove(name.clone())?;
                self.unmade(name, id);
                Ok(Ok(()))
            }
            InodeKind::Directory { lower, .. } => Ok(self.implied(name, id, lower)),
            _ => self.leaf(name, id).map(Ok),
        }
    }

    /// What is known to be gone needs no whiteout.
    fn remove(&mut self, name: Box<[u8]>) -> Result<(), Error> {
        let (folder, known) = self.here();
        match folder {
            Some(folder) if known => self.layer.unbind(folder, &name),
            Some(folder) => {
                let whiteout = self.layer.create(Inode::new(Meta::default(), InodeKind::Whiteout));
                self.layer.bind(folder, name, whiteout)?;
            }
            None => {}
        }
        Ok(())
    }

    fn leaf(&mut self, name: Box<[u8]>, id: InodeId) -> Result<(), Error> {
        let folder = self.needed()?;
        let names = self.upper.names(id);
        let (inode, _) = self.upper.take(id);
        let moved = self.layer.create(inode);
        if names > 1 {
            self.layer.pin(moved);
            self.moved.insert(id, moved);
        }
        self.layer.bind(folder, name, moved)
    }

    /// Folder over folder keeps the children; over anything else it replaces, and hides what no layer here knows of.
    fn explicit(&mut self, name: Box<[u8]>, id: InodeId) -> Result<(), Error> {
        let folder = self.needed()?;
        let (_, above) = self.here();
        let found = self.found(&name);
        let (inode, children) = self.upper.take(id);
        let merges = matches!(inode.kind, InodeKind::Directory { lower: Lower::Merge, .. });
        let place = if let Found::Folder(place) = found {
            if !merges {
                self.hide(place, above);
            }
            self.describe(place, inode.meta);
            place
        } else {
            let lower = if above || (merges && found == Found::Nothing) { Lower::Merge } else { Lower::Hide };
            let place = self.layer.create(Inode::directory(inode.meta, Presence::Explicit, lower));
            self.layer.bind(folder, name.clone(), place)?;
            place
        };
        let known = above || self.hides(place);
        self.open.push(Frame { name, names: children.into_names(), folder: Some(place), known });
        Ok(())
    }

    /// A folder that the layer leaves out is the one that is there. Where nothing is known to be there, it is made for
    /// what lies in it.
    fn implied(&mut self, name: Box<[u8]>, id: InodeId, lower: Lower) -> Result<(), Depends> {
        let (_, above) = self.here();
        match self.found(&name) {
            Found::Link => return Err(Depends),
            Found::Nothing if !above => return Err(Depends),
            Found::Folder(place) => {
                if lower != Lower::Merge {
                    self.hide(place, above);
                }
                let known = above || self.hides(place);
                let (_, children) = self.upper.take(id);
                self.open.push(Frame { name, names: children.into_names(), folder: Some(place), known });
            }
            Found::Nothing | Found::Whiteout | Found::Other => self.unmade(name, id),
        }
        Ok(())
    }

    /// A folder that is made when something comes that lies in it.
    fn unmade(&mut self, name: Box<[u8]>, id: InodeId) {
        let (_, children) = self.upper.take(id);
        self.open.push(Frame { name, names: children.into_names(), folder: None, known: true });
    }

    /// The folder under way, made with those on the way to it where it is not there.
    fn needed(&mut self) -> Result<InodeId, Error> {
        let first = self.open.iter().rposition(|frame| frame.folder.is_some()).map_or(0, |last| last + 1);
        for index in first..self.open.len() {
            let (above, known) = index.checked_sub(1).map_or((Tree::ROOT, false), |index| {
                let above = &self.open[index];
                (above.folder.unwrap_or(Tree::ROOT), above.known)
            });
            let lower = if known { Lower::Merge } else { Lower::Hide };
            let fresh = Inode::directory(Inode::fresh().meta, Presence::Explicit, lower);
            let place = self.layer.create(fresh);
            self.layer.bind(above, self.open[index].name.clone(), place)?;
            self.open[index].folder = Some(place);
        }
        Ok(self.here().0.unwrap_or(Tree::ROOT))
    }

    /// The folder under way, and whether all that it holds is known.
    fn here(&self) -> (Option<InodeId>, bool) {
        self.open.last().map_or((Some(Tree::ROOT), false), |frame| (frame.folder, frame.known))
    }

    fn found(&self, name: &[u8]) -> Found {
        let id = self.here().0.and_then(|folder| self.layer.child(folder, name));
        id.map_or(Found::Nothing, |id| match self.layer.inode(id).kind {
            InodeKind::Whiteout => Found::Whiteout,
            InodeKind::Directory { .. } => Found::Folder(id),
            InodeKind::Symlink(_) => Found::Link,
            _ => Found::Other,
        })
    }

    fn describe(&mut self, id: InodeId, meta: Meta) {
        let inode = self.layer.inode_mut(id);
        inode.meta = meta;
        if let InodeKind::Directory { presence, .. } = &mut inode.kind {
            *presence = Presence::Explicit;
        }
    }

    /// Empties a folder, of what it is put on too.
    fn hide(&mut self, id: InodeId, known: bool) {
        self.layer.clear(id);
        if let (InodeKind::Directory { lower, .. }, false) = (&mut self.layer.inode_mut(id).kind, known) {
            *lower = Lower::Hide;
        }
    }

    fn hides(&self, id: InodeId) -> bool {
        matches!(self.layer.inode(id).kind, InodeKind::Directory { lower: Lower::Hide, .. })
    }

    fn finish(mut self) -> Tree {
        for id in self.links.into_values().chain(self.moved.into_values()) {
            self.layer.unpin(id);
        }
        self.layer.reclaim();
        self.layer
    }
}

/// What a link leads to, by folders of these layers alone.
fn linked(layer: &Tree, target: &TreePath) -> Option<InodeId> {
    let found = target.components().try_fold(Tree::ROOT, |folder, name| layer.child(folder, name))?;
    let kind = &layer.inode(found).kind;
    (!matches!(kind, InodeKind::Whiteout | InodeKind::Directory { .. })).then_some(found)
}
