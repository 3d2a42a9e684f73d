//! Slots of inodes and folders, and the names that keep them.
//!
//! Invariant: `Inode::names` counts the names that lead there (the root has one that nobody sees); at none the
//! slot is dead, and is used again only after [`Tree::reclaim`].

use super::children::{Children, Iter};
use super::{Bounds, Form, Inode, InodeId, InodeKind, Lower, Spare, Tree};
use crate::error::Error;

/// What only folders have.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) parent: InodeId,
    /// Components of its path.
    depth: u32,
    /// Bytes of its path, one slash for each component.
    length: u32,
    pub(super) children: Children,
}

impl Tree {
    pub(super) fn empty(form: Form, bounds: Bounds) -> Self {
        let root = Folder { parent: Self::ROOT, depth: 0, length: 0, children: Children::default() };
        let inode = match form {
            Form::Layer => Inode::implied(Lower::Merge),
            Form::Stacked => Inode::fresh(),
        };
        Self {
            inodes: vec![Inode { names: 1, folder: 0, ..inode }],
            folders: vec![root],
            spare: Spare::default(),
            names: 1,
            form,
            bounds,
            followed: 0,
        }
    }

    pub(super) fn inode_mut(&mut self, id: InodeId) -> &mut Inode {
        &mut self.inodes[id.0 as usize]
    }

    pub(super) fn folder(&self, id: InodeId) -> Option<&Folder> {
        self.folders.get(self.inode(id).folder as usize)
    }

    fn folder_mut(&mut self, id: InodeId) -> &mut Folder {
        let folder = self.inode(id).folder;
        &mut self.folders[folder as usize]
    }

    pub(super) fn names_of(&self, id: InodeId) -> Iter<'_> {
        self.folder(id).map_or_else(Iter::default, |folder| folder.children.iter())
    }

    /// The folder above; the root's is the root.
    pub(super) fn parent(&self, id: InodeId) -> InodeId {
        self.folder(id).map_or(Self::ROOT, |folder| folder.parent)
    }

    /// Whether some name still leads there.
    pub(super) fn is_live(&self, id: InodeId) -> bool {
        self.inode(id).names > 0
    }

    /// Puts an inode into a slot; it is dead until a name is bound to it.
    pub(super) fn create(&mut self, inode: Inode) -> InodeId {
        let inode = Inode { names: 0, folder: u32::MAX, ..inode };
        if let Some(id) = self.spare.inodes.pop() {
            *self.inode_mut(id) = inode;
            return id;
        }
        let id = u32::try_from(self.inodes.len()).expect("bounds keep numbers of inodes within 31 bits");
        self.inodes.push(inode);
        InodeId(id)
    }

    /// Makes `name` in `folder` lead to `id`; what it led to before loses the name.
    pub(super) fn bind(&mut self, folder: InodeId, name: Box<[u8]>, id: InodeId) -> Result<(), Error> {
        let place = self.admit(folder, &name)?;
        if self.inode(id).is_directory() {
            self.inode_mut(id).folder = self.open(place);
        }
        self.inode_mut(id).names += 1;
        self.names += 1;
        if let Some(old) = self.folder_mut(folder).children.insert(name, id) {
            self.release(old);
        }
        within("the number of entries", self.names - 1, self.bounds.entries)
    }

    /// Takes a name away; an inode without names goes, and so does all that it holds.
    pub(super) fn unbind(&mut self, folder: InodeId, name: &[u8]) {
        if let Some(old) = self.folder_mut(folder).children.remove(name) {
            self.release(old);
        }
    }

    /// Takes all names of a folder away.
    pub(super) fn clear(&mut self, folder: InodeId) {
        let children = std::mem::take(&mut self.folder_mut(folder).children);
        for (_, id) in children.into_names() {
            self.release(id);
        }
    }

    /// Keeps an inode alive whatever becomes of its names, until [`Tree::unpin`].
    pub(super) fn pin(&mut self, id: InodeId) {
        self.inode_mut(id).names += 1;
    }

    pub(super) fn unpin(&mut self, id: InodeId) {
        self.names += 1;
        self.release(id);
    }

    /// Lets the slots that were freed be used again.
    pub(super) fn reclaim(&mut self) {
        self.spare.inodes.append(&mut self.spare.fresh);
    }

    /// Takes the inode out of its slot, and its children with it.
    pub(super) fn take(&mut self, id: InodeId) -> (Inode, Children) {
        let hollow = Inode::new(crate::entry::Meta::default(), InodeKind::Whiteout);
        let inode = std::mem::replace(self.inode_mut(id), hollow);
        let children =
            self.folders.get_mut(inode.folder as usize).map(|folder| std::mem::take(&mut folder.children));
        (inode, children.unwrap_or_default())
    }

    /// What a folder of that name in `parent` would be, within the bounds.
    fn admit(&self, parent: InodeId, name: &[u8]) -> Result<Folder, Error> {
        let above = self.folder(parent).expect("names are bound in folders");
        let length = u32::try_from(name.len()).unwrap_or(u32::MAX).saturating_add(1);
        let place = Folder {
            parent,
            depth: above.depth + 1,
            length: above.length.saturating_add(length),
            children: Children::default(),
        };
        within("the depth of a folder", place.depth.into(), self.bounds.depth.into())?;
        within("the length of a path", u64::from(place.length) - 1, self.bounds.path.into())?;
        Ok(place)
    }

    fn open(&mut self, folder: Folder) -> u32 {
        if let Some(slot) = self.spare.folders.pop() {
            self.folders[slot as usize] = folder;
            return slot;
        }
        self.folders.push(folder);
        u32::try_from(self.folders.len() - 1).expect("there are fewer folders than inodes")
    }

    fn release(&mut self, id: InodeId) {
        let mut orphans = vec![id];
        while let Some(id) = orphans.pop() {
            self.names -= 1;
            let inode = self.inode_mut(id);
            inode.names -= 1;
            if inode.names == 0 {
                let (inode, children) = self.take(id);
                orphans.extend(children.into_names().map(|(_, child)| child));
                self.spare.fresh.push(id);
                if inode.is_directory() {
                    self.spare.folders.push(inode.folder);
                }
            }
        }
    }
}

/// An error when a count is over its limit.
pub(super) fn within(what: &'static str, count: u64, limit: u64) -> Result<(), Error> {
    if count > limit { Err(Error::Limit { what, limit }) } else { Ok(()) }
}
