//! Where the contents of a layer lie, while they wait for the tree of all layers.
//!
//! ```text
//! L3/          the layer's files, each at the path that its entry spells, and the folders on the way
//! L3.spill/    files whose path was taken: by an earlier entry of the layer, or by a file where a folder
//!              would have to be; each is named by its ordinal
//! ```

use std::collections::HashMap;

/// A folder of a layer, as it lies on the disk; 0 is the root.
pub(super) type FolderId = u32;

/// Files in the spill have this folder.
pub(super) const SPILL: FolderId = u32::MAX;

/// The folders and files of one layer.
#[derive(Default)]
pub(super) struct Places {
    /// Parent and name of each folder but the root.
    folders: Vec<(FolderId, Box<[u8]>)>,
    by_name: HashMap<(FolderId, Box<[u8]>), FolderId>,
    /// In the order of their ordinals.
    files: Vec<File>,
    names: Vec<u8>,
}

struct File {
    ordinal: u32,
    folder: FolderId,
    length: u32,
    at: usize,
}

/// Where one content lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) ordinal: u32,
    pub(super) folder: FolderId,
    pub(super) name: &'a [u8],
}

impl Places {
    pub(super) fn folder(&self, parent: FolderId, name: &[u8]) -> Option<FolderId> {
        self.by_name.get(&(parent, name.into())).copied()
    }

    pub(super) fn add_folder(&mut self, parent: FolderId, name: &[u8]) -> FolderId {
        self.folders.push((parent, name.into()));
        let id = FolderId::try_from(self.folders.len()).expect("limits keep folders below 2^32");
        self.by_name.insert((parent, name.into()), id);
        id
    }

    /// Ordinals come in ascending order.
    pub(super) fn add_file(&mut self, ordinal: u32, folder: FolderId, name: &[u8]) {
        let length = u32::try_from(name.len()).expect("the kernel took the name");
        self.files.push(File { ordinal, folder, length, at: self.names.len() });
        self.names.extend_from_slice(name);
    }

    /// Where the content of the entry with this ordinal lies.
    pub(super) fn find(&self, ordinal: u32) -> Option<Place<'_>> {
        let index = self.files.binary_search_by_key(&ordinal, |file| file.ordinal).ok()?;
        Some(self.place(&self.files[index]))
    }

    /// Every file, in the order of the ordinals.
    pub(super) fn files(&self) -> impl Iterator<Item = Place<'_>> {
        self.files.iter().map(|file| self.place(file))
    }

    /// Every folder but the root: parent, name, itself; parents first.
    pub(super) fn folders(&self) -> impl DoubleEndedIterator<Item = (FolderId, &[u8], FolderId)> {
        self.folders.iter().enumerate().map(|(index, (parent, name))| {
            let id = FolderId::try_from(index + 1).expect("it was a folder's number before");
            (*parent, &**name, id)
        })
    }

    pub(super) fn folder_count(&self) -> usize {
        self.folders.len() + 1
    }

    pub(super) fn file_count(&self) -> usize {
        self.files.len()
    }

    /// The path of a folder below the layer's root.
    pub(super) fn path(&self, folder: FolderId) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = folder;
        while at != 0 {
            let (parent, name) = &self.folders[at as usize - 1];
            names.push(&**name);
            at = *parent;
        }
        names.reverse();
        names.join(&b'/')
    }

    /// The folder at a path, if the layer has one there.
    pub(super) fn at(&self, path: &[u8]) -> Option<FolderId> {
        let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(0, |folder, name| self.folder(folder, name))
    }

    fn place(&self, file: &File) -> Place<'_> {
        let name = &self.names[file.at..file.at + file.length as usize];
        Place { ordinal: file.ordinal, folder: file.folder, name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_by_its_ordinal() {
        let mut places = Places::default();
        let usr = places.add_folder(0, b"usr");
        let lib = places.add_folder(usr, b"lib");
        places.add_file(3, lib, b"x");
        places.add_file(7, 0, b"yz");
        assert_eq!(places.find(3), Some(Place { ordinal: 3, folder: lib, name: b"x" }));
        assert_eq!(places.find(7).map(|place| place.name), Some(&b"yz"[..]));
        assert_eq!(places.find(4), None);
        assert_eq!(places.path(lib), b"usr/lib");
        assert_eq!((places.at(b"usr/lib"), places.at(b""), places.at(b"lib")), (Some(lib), Some(0), None));
    }
}
