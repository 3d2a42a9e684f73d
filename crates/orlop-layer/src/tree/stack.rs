//! One layer on top of the layers below (image-spec, `layer.md`, "Applying Changesets").
//!
//! Invariant: the cost is that of the upper layer and of what it removes; the tree below is never walked.
//!
//! Two passes. The plan asks what the whiteouts, opaque folders and links of the layer mean in the tree below as
//! it was, so that neither their order nor what the layer adds matters to them. The merge then puts the layer's
//! own inodes in, folder by folder.

use super::children::{IntoNames, Iter};
use super::trail::Last;
use super::{Form, Inode, InodeId, InodeKind, Lower, Presence, Tree};
use crate::error::Error;
use crate::path::{TreePath, escape};
use std::collections::HashMap;

impl Tree {
    /// This tree with one more layer on it.
    ///
    /// Fails when the layer links to what is not there, when a path meets more than 40 links, and when the
    /// tree outgrows the limits that `upper` was built with.
    pub fn stack(self, upper: Self) -> Result<Self, Error> {
        let mut lower = if self.form == Form::Layer { Self::default().stack(self)? } else { self };
        if lower.is_untouched() && upper.is_plain() {
            return Ok(upper.settled());
        }
        lower.bounds = upper.bounds;
        lower.followed = 0;
        let plan = Plan::new(&mut lower, &upper)?;
        plan.remove(&mut lower);
        let mut merge = Merge { lower, upper, links: plan.links, ..Merge::default() };
        merge.run()?;
        merge.finish()
    }

    /// Whether no layer has changed the root yet.
    fn is_untouched(&self) -> bool {
        self.is_empty() && self.inode(Self::ROOT).meta == Inode::fresh().meta
    }

    /// Whether this layer asks nothing of those below: as the base, it is what it holds.
    fn is_plain(&self) -> bool {
        let plain = |kind: &InodeKind| match kind {
            InodeKind::Whiteout | InodeKind::LinkBelow(_) => false,
            InodeKind::Directory { lower, .. } => *lower == Lower::Merge,
            _ => true,
        };
        self.inodes.iter().all(|inode| inode.names == 0 || plain(&inode.kind))
    }

    /// A plain layer as a stacked tree, in its place: most of an image is in its base.
    fn settled(mut self) -> Self {
        for inode in self.inodes.iter_mut().filter(|inode| inode.is_directory()) {
            inode.kind = Inode::fresh().kind;
        }
        Self { form: Form::Stacked, ..self }
    }
}

/// What a layer asks of the tree below.
#[derive(Default)]
struct Plan {
    names: Vec<(InodeId, Box<[u8]>)>,
    contents: Vec<InodeId>,
    links: Links,
}

/// From links of the layer to inodes of the tree below, which are pinned.
type Links = HashMap<InodeId, InodeId>;

impl Plan {
    fn new(lower: &mut Tree, upper: &Tree) -> Result<Self, Error> {
        let mut plan = Self::default();
        let mut open = vec![plan.open(upper, Tree::ROOT, Some(Tree::ROOT))];
        while let Some((names, below)) = open.last_mut() {
            let Some((name, id)) = names.next() else {
                open.pop();
                continue;
            };
            match (&upper.inode(id).kind, *below) {
                (InodeKind::Whiteout, Some(below)) => plan.names.push((below, name.into())),
                (InodeKind::LinkBelow(target), _) => plan.link(lower, id, target)?,
                (InodeKind::Directory { lower: Lower::Replace, .. }, Some(below)) => {
                    plan.names.push((below, name.into()));
                    open.push((upper.names_of(id), None));
                }
                (InodeKind::Directory { presence, .. }, Some(below)) => {
                    let below = covered(lower, below, name, *presence)?;
                    open.push(plan.open(upper, id, below));
                }
                (InodeKind::Directory { .. }, None) => open.push(plan.open(upper, id, None)),
                _ => {}
            }
        }
        Ok(plan)
    }

    /// The names of a folder of the layer, and the folder that it covers. What a folder hides leads nowhere.
    fn open<'a>(
        &mut self,
        upper: &'a Tree,
        id: InodeId,
        below: Option<InodeId>,
    ) -> (Iter<'a>, Option<InodeId>) {
        let names = upper.names_of(id);
        match upper.inode(id).kind {
            InodeKind::Directory { lower: Lower::Hide, .. } => {
                self.contents.extend(below);
                (names, None)
            }
            _ => (names, below),
        }
    }

    fn link(&mut self, lower: &mut Tree, id: InodeId, target: &TreePath) -> Result<(), Error> {
        if self.links.contains_key(&id) {
            return Ok(());
        }
        if let Some(found) = linked(lower, target)? {
            lower.pin(found);
            self.links.insert(id, found);
        }
        Ok(())
    }

    fn remove(&self, lower: &mut Tree) {
        for folder in &self.contents {
            if lower.is_live(*folder) {
                lower.clear(*folder);
            }
        }
        for (folder, name) in &self.names {
            if lower.is_live(*folder) {
                lower.unbind(*folder, name);
            }
        }
    }
}

/// The folder of the tree below that a folder of the layer covers: an explicit one replaces a link, an implied
/// one is reached through it. (A link that loops leads to none. The layer may replace it.)
fn covered(
    lower: &mut Tree,
    below: InodeId,
    name: &[u8],
    presence: Presence,
) -> Result<Option<InodeId>, Error> {
    match presence {
        Presence::Explicit => Ok(lower.child(below, name).filter(|id| lower.inode(*id).is_directory())),
        Presence::Implied => {
            let trace = lower.attempt(below, name, Last::Follow)?.ok();
            Ok(trace.filter(|trace| trace.left.is_empty()).map(|trace| trace.folder))
        }
    }
}

/// What a link to `target` is another name of, if anything is there.
fn linked(tree: &mut Tree, target: &TreePath) -> Result<Option<InodeId>, Error> {
    match tree.follow(Tree::ROOT, target.as_bytes(), Last::Keep)?.inode(tree) {
        Some(id) if tree.inode(id).is_directory() => Err(super::linked_folder(target)),
        found => Ok(found),
    }
}

/// The layer's inodes on their way into the tree below.
#[derive(Default)]
struct Merge {
    lower: Tree,
    upper: Tree,
    links: Links,
    /// Where inodes with several names went; pinned too, as a name may be replaced before the next one comes.
    moved: HashMap<InodeId, InodeId>,
    late: Vec<Late>,
    open: Vec<Frame>,
}

/// A folder of the layer under way.
struct Frame {
    name: Box<[u8]>,
    names: IntoNames,
    /// Where its children go. Not known yet for an implied folder: if whiteouts are all that the layer has there,
    /// it is not made.
    folder: Option<InodeId>,
}

/// A link to what the tree below did not hold: the layer itself may hold it, by another path.
struct Late {
    path: String,
    folder: InodeId,
    name: Box<[u8]>,
    target: TreePath,
}

impl Merge {
    fn run(&mut self) -> Result<(), Error> {
        self.open(Box::default(), Tree::ROOT, Some(Tree::ROOT));
        while let Some(frame) = self.open.last_mut() {
            match frame.names.next() {
                None => drop(self.open.pop()),
                Some((name, id)) => self.put(name, id)?,
            }
        }
        Ok(())
    }

    fn put(&mut self, name: Box<[u8]>, id: InodeId) -> Result<(), Error> {
        if let Some(known) = self.moved.get(&id).or_else(|| self.links.get(&id)) {
            let known = *known;
            let folder = self.folder(&name)?;
            return self.lower.bind(folder, name, known);
        }
        match &self.upper.inode(id).kind {
            InodeKind::Whiteout => Ok(()),
            InodeKind::Directory { presence: Presence::Implied, .. } => {
                self.open(name, id, None);
                Ok(())
            }
            InodeKind::Directory { .. } => self.explicit(name, id),
            InodeKind::LinkBelow(target) => {
                let (path, target) = (self.path(&name), target.clone());
                let folder = self.folder(&name)?;
                self.late.push(Late { path, folder, name, target });
                Ok(())
            }
            _ => self.leaf(name, id),
        }
    }

    fn leaf(&mut self, name: Box<[u8]>, id: InodeId) -> Result<(), Error> {
        let folder = self.folder(&name)?;
        let names = self.upper.names(id);
        let (inode, _) = self.upper.take(id);
        let moved = self.lower.create(inode);
        if names > 1 {
            self.lower.pin(moved);
            self.moved.insert(id, moved);
        }
        self.lower.bind(folder, name, moved)
    }

    /// Folder over folder keeps the children; over anything else it replaces.
    fn explicit(&mut self, name: Box<[u8]>, id: InodeId) -> Result<(), Error> {
        let folder = self.folder(&name)?;
        let found = self.lower.child(folder, &name).filter(|id| self.lower.inode(*id).is_directory());
        let place = found.unwrap_or_else(|| self.lower.create(Inode::fresh()));
        if found.is_none() {
            self.lower.bind(folder, name.clone(), place)?;
        }
        self.open(name, id, Some(place));
        Ok(())
    }

    fn open(&mut self, name: Box<[u8]>, id: InodeId, folder: Option<InodeId>) {
        let (inode, children) = self.upper.take(id);
        if let (InodeKind::Directory { presence: Presence::Explicit, .. }, Some(folder)) =
            (inode.kind, folder)
        {
            self.lower.inode_mut(folder).meta = inode.meta;
        }
        self.open.push(Frame { name, names: children.into_names(), folder });
    }

    /// Where `name` of the folder under way goes: now its implied folders are needed.
    fn folder(&mut self, name: &[u8]) -> Result<InodeId, Error> {
        let known = self.open.iter().rposition(|frame| frame.folder.is_some()).unwrap_or(0);
        let mut folder = self.open[known].folder.unwrap_or(Tree::ROOT);
        for index in known + 1..self.open.len() {
            self.check_live(folder, name)?;
            let entered = self.lower.enter(folder, &self.open[index].name);
            folder = entered.map_err(|error| self.located(error, index))?;
            self.open[index].folder = Some(folder);
        }
        self.check_live(folder, name)?;
        Ok(folder)
    }

    fn check_live(&self, folder: InodeId, name: &[u8]) -> Result<(), Error> {
        if self.lower.is_live(folder) { Ok(()) } else { Err(self.error(name, REPLACED)) }
    }

    fn finish(mut self) -> Result<Tree, Error> {
        for late in std::mem::take(&mut self.late) {
            let error = |what| Error::Entry { path: late.path.clone(), what };
            let found = linked(&mut self.lower, &late.target)?;
            let found = found.ok_or_else(|| Error::LinkToNothing {
                path: late.path.clone(),
                target: late.target.to_string(),
            })?;
            if !self.lower.is_live(late.folder) {
                return Err(error(REPLACED));
            }
            self.lower.bind(late.folder, late.name, found)?;
        }
        for id in self.links.into_values().chain(self.moved.into_values()) {
            self.lower.unpin(id);
        }
        self.lower.reclaim();
        Ok(self.lower)
    }

    /// An error of the tree below, which knows the last component only, with the path of the layer's folder.
    fn located(&self, error: Error, index: usize) -> Error {
        match error {
            Error::Entry { what, .. } => Error::Entry { path: self.path_to(index, None), what },
            error => error,
        }
    }

    fn error(&self, name: &[u8], what: &'static str) -> Error {
        Error::Entry { path: self.path(name), what }
    }

    /// The layer's path of a name in the folder under way, for messages.
    fn path(&self, name: &[u8]) -> String {
        self.path_to(self.open.len() - 1, Some(name))
    }

    fn path_to(&self, index: usize, name: Option<&[u8]>) -> String {
        let folders = self.open[..=index].iter().skip(1).map(|frame| &*frame.name);
        escape(&folders.chain(name).collect::<Vec<_>>().join(&b'/'))
    }
}

const REPLACED: &str = "lies in a folder that the same layer replaces by another path";
