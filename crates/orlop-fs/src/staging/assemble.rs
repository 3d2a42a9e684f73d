//! Puts the merged tree together from what the layers left on the disk.
//!
//! The layer with the most files becomes the root where it lies. Then, in this order:
//!
//! ```text
//! clear     of that layer's files, those that the merged tree has elsewhere go to its spill, those that it has
//!           nowhere are removed, and folders that are none in the merged tree as well
//! build     along the merged tree: folders of other layers are renamed in where they are whole, missing ones are
//!           made, contents of other layers are renamed in, links and devices are made, further names linked
//! finish    folders get owner, attributes, mode and time, the deepest first
//! ```
//!
//! Invariant: nothing is ever replaced. A name that is taken although the merged tree has it free means that the
//! file system holds two names for one (it folds case, or normalises), which is an error.

use super::cursor::Cursor;
use super::descent::{Descent, Step};
use super::layer::{Written, split};
use super::meta::{Setter, failed};
use super::nodes::{Made, finish, join, link, reopen, special, taken};
use super::places::{FolderId, SPILL};
use super::whole::{self, Spot, content, in_place, twins};
use super::{layer_name, spill_name};
use crate::call;
use crate::error::Error;
use crate::{Dir, Result};
use orlop_layer::tree::{Content, InodeId, InodeKind, Tree};
use rustix::fd::BorrowedFd;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

/// The work of putting one tree together.
pub(super) struct Assembly<'a, 'b> {
    merged: &'a Tree,
    /// The folder of the merged tree that becomes the root.
    top: InodeId,
    layers: &'a [Written],
    sources: Sources<'a>,
    host: Option<Host>,
    /// What can become folders of the merged tree by one rename.
    whole: HashMap<InodeId, Spot>,
    root: &'a Dir,
    setter: &'a mut Setter<'b>,
    /// Where inodes with several names have their first.
    first: HashMap<InodeId, Vec<u8>>,
}

/// The folders of the layers, opened where contents are taken out of them.
struct Sources<'a> {
    staging: &'a Dir,
    open: HashMap<u16, Source>,
}

/// Layers whose folders are open at once: an image may have thousands.
const OPEN_LAYERS: usize = 16;

struct Source {
    folders: Cursor<()>,
    spill: Dir,
}

/// The layer that becomes the root where it lies.
struct Host {
    index: usize,
    /// Its folder that is the root.
    base: FolderId,
    /// Of each of its folders, whether it lies within the base.
    inside: Vec<bool>,
    /// Contents that had to leave their places.
    moved: HashSet<u32>,
}

/// Where a content is before its name is made.
enum Home {
    /// Where it belongs already.
    Here,
    /// In the root, under another of its names: its folder's path within the root, and its name.
    Named(Vec<u8>, Vec<u8>),
    /// Outside the root, to be renamed in: the index of its layer.
    Away(usize),
}

impl<'a, 'b> Assembly<'a, 'b> {
    /// `base` is the folder of the host layer that becomes the root, where one does.
    pub(super) fn new(
        merged: &'a Tree,
        top: InodeId,
        layers: &'a [Written],
        staging: &'a Dir,
        root: &'a Dir,
        base: Option<(usize, FolderId)>,
        setter: &'a mut Setter<'b>,
    ) -> Self {
        let sources = Sources { staging, open: HashMap::new() };
        let host = base.map(|(index, base)| Host::new(index, base, &layers[index]));
        let subdir = setter.apply().subdir.as_bytes();
        let whole = whole::find(merged, (top, subdir), layers, host.as_ref().map(|host| host.index));
        Self { merged, top, layers, sources, host, whole, root, setter, first: HashMap::new() }
    }

    pub(super) fn run(&mut self) -> Result<()> {
        if let Some(mut host) = self.host.take() {
            self.clear(&mut host)?;
            self.host = Some(host);
        }
        self.build()?;
        finish(self.merged, self.top, self.root, self.setter)
    }

    fn clear(&mut self, host: &mut Host) -> Result<()> {
        let written = &self.layers[host.index];
        let places = &written.places;
        let twins = twins(self.merged, (self.top, host.base), written);
        let live = self.live(written.layer);
        let source = self.sources.of(written.layer)?;
        for place in
            places.files().filter(|place| place.folder != SPILL && host.inside[place.folder as usize])
        {
            self.setter.apply().cancel.check()?;
            if in_place(self.merged, &twins, written, place).is_some() {
                continue;
            }
            let folder = places.path(place.folder);
            source.go(&folder).map_err(failed("open the folder", &folder))?;
            if live.contains(&place.ordinal) {
                let new = place.ordinal.to_string();
                call::rename_new(source.folders.here(), place.name, &source.spill, new.as_bytes())
                    .map_err(failed("move away", place.name))?;
                host.moved.insert(place.ordinal);
            } else {
                call::remove_file(source.folders.here(), place.name).map_err(failed("remove", place.name))?;
            }
        }
        for (parent, name, id) in places.folders().rev() {
            if host.inside[id as usize] && twins[id as usize].is_none() {
                let folder = places.path(parent);
                source.go(&folder).map_err(failed("open the folder", &folder))?;
                call::remove_dir(source.folders.here(), name).map_err(failed("remove the folder", name))?;
            }
        }
        Ok(())
    }

    /// Which contents of a layer the tree holds.
    fn live(&self, layer: u16) -> HashSet<u32> {
        let contents = Descent::new(self.merged, self.top).filter_map(|step| match step {
            Step::Leaf(_, id) => content(self.merged.inode(id)),
            _ => None,
        });
        contents.filter(|content| content.layer == layer).map(|content| content.ordinal).collect()
    }

    fn build(&mut self) -> Result<()> {
        let base = self.host.as_ref().map(|host| Spot { layer: host.index, folder: host.base });
        let mut at = Cursor::new(reopen(self.root)?, base);
        // A second cursor goes where further names are linked from.
        let mut links = Cursor::new(reopen(self.root)?, ());
        for step in Descent::new(self.merged, self.top) {
            match step {
                Step::Enter(name, id) => self.enter(&mut at, name, id)?,
                Step::Leaf(name, id) => {
                    self.setter.apply().cancel.check()?;
                    self.leaf(&at, &mut links, name, id)?;
                }
                Step::Leave(id) if id != self.top => drop(at.leave().map_err(failed("leave", at.path()))?),
                Step::Leave(_) => {}
            }
        }
        Ok(())
    }

    fn enter(&mut self, at: &mut Cursor<Option<Spot>>, name: &[u8], id: InodeId) -> Result<()> {
        let path = join(at.path(), name);
        let below = |spot: Spot| {
            let folder = self.layers[spot.layer].places.folder(spot.folder, name)?;
            Some(Spot { folder, ..spot })
        };
        let spot = match (at.about().and_then(below), self.whole.get(&id).copied()) {
            (Some(there), _) => Some(there),
            (None, Some(whole)) => {
                self.take(whole, at.here(), name, &path)?;
                Some(whole)
            }
            (None, None) => {
                call::make_dir(at.here(), name, 0o700).map_err(taken("create the folder", &path))?;
                None
            }
        };
        let handle = call::open_dir(at.here(), name).map_err(failed("open the folder", &path))?;
        at.enter(name, handle, spot);
        Ok(())
    }

    /// Renames a whole folder into the root.
    fn take(&mut self, spot: Spot, to: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<()> {
        let layer = &self.layers[spot.layer];
        let source = self.sources.of(layer.layer)?;
        let whole = layer.places.path(spot.folder);
        let (parent, own) = split(&whole);
        source.go(parent).map_err(failed("open the folder", parent))?;
        call::rename_new(source.folders.here(), own, to, name).map_err(taken("create the folder", path))
    }

    fn leaf(
        &mut self,
        at: &Cursor<Option<Spot>>,
        links: &mut Cursor<()>,
        name: &[u8],
        id: InodeId,
    ) -> Result<()> {
        let path = join(at.path(), name);
        let inode = self.merged.inode(id);
        let has_names = self.merged.names(id) > 1;
        let home = match inode.kind {
            InodeKind::File(content) => Some((content, self.home(at.about(), name, content, &path)?)),
            _ => None,
        };
        let first = self.first.get(&id).filter(|_| has_names);
        let made = match (home, first) {
            (Some((_, Home::Here)), _) => Made::Yes,
            (_, Some(first)) => {
                let (folder, target) = split(first);
                return link(links, folder, target, at.here(), name, &path);
            }
            (Some((_, Home::Named(folder, target))), None) => {
                link(links, &folder, &target, at.here(), name, &path)?;
                Made::Yes
            }
            (Some((content, Home::Away(index))), None) => {
                self.bring(content, index, at.here(), name, &path)?;
                Made::Yes
            }
            (None, None) => special(self.setter, (at.here(), name), &inode.kind, &inode.meta, &path)?,
        };
        if has_names && made == Made::Yes {
            self.first.entry(id).or_insert(path);
        }
        Ok(())
    }

    /// Renames a content into the root.
    fn bring(
        &mut self,
        content: Content,
        index: usize,
        to: BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
    ) -> Result<()> {
        let layer = &self.layers[index];
        let source = self.sources.of(layer.layer)?;
        let is_moved = self.host.as_ref().is_some_and(|host| host.has_moved(index, content.ordinal));
        let place = layer.places.find(content.ordinal).expect("it has a home");
        if is_moved || place.folder == SPILL {
            let spilled = content.ordinal.to_string();
            return call::rename_new(&source.spill, spilled.as_bytes(), to, name)
                .map_err(taken("create", path));
        }
        let folder = layer.places.path(place.folder);
        source.go(&folder).map_err(failed("open the folder", &folder))?;
        call::rename_new(source.folders.here(), place.name, to, name).map_err(taken("create", path))
    }

    fn home(&self, spot: Option<Spot>, name: &[u8], content: Content, path: &[u8]) -> Result<Home> {
        let layer = self.layers.iter().position(|written| written.layer == content.layer);
        let place = layer.and_then(|layer| self.layers[layer].places.find(content.ordinal));
        let (Some(layer), Some(place)) = (layer, place) else {
            return Err(Error::MissingContent { path: path.into(), layer: content.layer });
        };
        if spot == Some(Spot { layer, folder: place.folder }) && place.name == name {
            return Ok(Home::Here);
        }
        let Some(host) = self.host.as_ref().filter(|host| host.holds(layer, place.folder, content.ordinal))
        else {
            return Ok(Home::Away(layer));
        };
        let places = &self.layers[layer].places;
        let (whole, base) = (places.path(place.folder), places.path(host.base));
        let within = whole.strip_prefix(base.as_slice()).expect("it lies within the base");
        Ok(Home::Named(within.strip_prefix(b"/").unwrap_or(within).to_vec(), place.name.to_vec()))
    }
}

impl Host {
    fn new(index: usize, base: FolderId, layer: &Written) -> Self {
        let mut inside = vec![false; layer.places.folder_count()];
        inside[base as usize] = true;
        for (parent, _, id) in layer.places.folders() {
            inside[id as usize] |= inside[parent as usize];
        }
        Self { index, base, inside, moved: HashSet::new() }
    }

    /// Whether a content of the layer with this index is in the root already.
    fn holds(&self, index: usize, folder: FolderId, ordinal: u32) -> bool {
        index == self.index
            && folder != SPILL
            && self.inside[folder as usize]
            && !self.moved.contains(&ordinal)
    }

    fn has_moved(&self, index: usize, ordinal: u32) -> bool {
        index == self.index && self.moved.contains(&ordinal)
    }
}

impl Sources<'_> {
    fn of(&mut self, layer: u16) -> Result<&mut Source> {
        if !self.open.contains_key(&layer) && self.open.len() == OPEN_LAYERS {
            self.open.clear();
        }
        match self.open.entry(layer) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(place) => {
                let folder = self.staging.open_dir(layer_name(layer))?;
                let spill = self.staging.open_dir(spill_name(layer))?;
                Ok(place.insert(Source { folders: Cursor::new(reopen(&folder)?, ()), spill }))
            }
        }
    }
}

impl Source {
    fn go(&mut self, path: &[u8]) -> rustix::io::Result<()> {
        self.folders.go(path, |at, name| Ok((call::open_dir(at.here(), name)?, ())))
    }
}
