//! Objects, read and proven.

use super::file::FileObject;
use super::{Repo, RepoError};
use crate::Error;
use crate::ostree::id::{Kind, ObjectId, ObjectName};
use crate::ostree::object::{Commit, DirMeta, DirTree, LARGEST_METADATA, Malformed};
use crate::ostree::variant::Dict;

impl Repo {
    /// Whether an object is there, or in a parent. It is not looked into.
    pub fn has(&self, object: &ObjectName) -> Result<bool, Error> {
        let is_here = match self.folder(&object.id)? {
            Some(folder) => folder.try_stat(self.file_name(object))?.is_some(),
            None => false,
        };
        match &self.parent {
            Some(parent) if !is_here => parent.has(object),
            _ => Ok(is_here),
        }
    }

    /// The folder of an object, and its name there, for those who give it a further name; `None` where it is in a parent that
    /// keeps files otherwise.
    pub(in super::super) fn place_of(
        &self,
        object: &ObjectName,
    ) -> Result<Option<(&orlop_fs::Dir, String)>, Error> {
        let name = self.file_name(object);
        if let Some(folder) = self.folder(&object.id)?
            && folder.try_stat(&name)?.is_some()
        {
            return Ok(Some((folder, name)));
        }
        match &self.parent {
            Some(parent) if parent.mode == self.mode => parent.place_of(object),
            Some(parent) if parent.has(object)? => Ok(None),
            _ => Err(RepoError::Missing { object: *object }.into()),
        }
    }

    /// The bytes of an object of metadata, which hash to its id.
    pub fn raw(&self, object: &ObjectName) -> Result<Vec<u8>, Error> {
        let bytes = self.read(object)?.ok_or(RepoError::Missing { object: *object })?;
        let found = ObjectId::of(&bytes);
        // These two are about a commit, and bear its id.
        let is_proven = found == object.id || matches!(object.kind, Kind::CommitMeta | Kind::Tombstone);
        if is_proven { Ok(bytes) } else { Err(RepoError::Damaged { object: *object, found }.into()) }
    }

    /// A commit.
    pub fn commit(&self, id: &ObjectId) -> Result<Commit, Error> {
        self.parsed(id, Kind::Commit, Commit::parse)
    }

    /// The names of a folder.
    pub fn dirtree(&self, id: &ObjectId) -> Result<DirTree, Error> {
        self.parsed(id, Kind::DirTree, DirTree::parse)
    }

    /// Owner, mode and attributes of a folder.
    pub fn dirmeta(&self, id: &ObjectId) -> Result<DirMeta, Error> {
        self.parsed(id, Kind::DirMeta, DirMeta::parse)
    }

    /// What was said of a commit after it was made: its bytes, which nothing proves.
    pub fn detached_bytes(&self, commit: &ObjectId) -> Result<Option<Vec<u8>>, Error> {
        self.read(&ObjectName::new(*commit, Kind::CommitMeta))
    }

    /// What was said of a commit after it was made.
    pub fn detached(&self, commit: &ObjectId) -> Result<Option<Dict>, Error> {
        let object = ObjectName::new(*commit, Kind::CommitMeta);
        let parse = |bytes: Vec<u8>| Dict::parse(&bytes).map_err(|why| malformed(object, why.into()));
        Ok(self.detached_bytes(commit)?.map(parse).transpose()?)
    }

    /// A file or a symbolic link. Its content is proven when it was read to its end.
    pub fn file(&self, id: &ObjectId) -> Result<FileObject, Error> {
        FileObject::open(self, id)
    }

    /// Which folders of objects there are, here or in a parent, by their first byte.
    pub(super) fn object_folders(&self) -> Result<Box<[bool; 256]>, Error> {
        let mut found = match &self.parent {
            Some(parent) => parent.object_folders()?,
            None => Box::new([false; 256]),
        };
        for name in self.objects.list()? {
            let number = std::str::from_utf8(&name).ok().filter(|name| name.len() == 2);
            if let Some(number) = number.and_then(|number| u8::from_str_radix(number, 16).ok()) {
                found[usize::from(number)] = true;
            }
        }
        Ok(found)
    }

    /// Every object that is there, in no order: names that are none are passed over.
    pub fn list(&self, kinds: &[Kind]) -> Result<Vec<ObjectName>, Error> {
        let mut found = Vec::new();
        for folder in self.objects.list()? {
            let is_folder = folder.len() == 2 && folder.iter().all(u8::is_ascii_hexdigit);
            if !is_folder {
                continue;
            }
            for name in self.objects.open_dir(&folder)?.list()? {
                found.extend(object_of(&folder, &name).filter(|object| kinds.contains(&object.kind)));
            }
        }
        Ok(found)
    }

    fn parsed<T>(
        &self,
        id: &ObjectId,
        kind: Kind,
        parse: fn(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, Error> {
        let object = ObjectName::new(*id, kind);
        parse(&self.raw(&object)?).map_err(|why| malformed(object, why).into())
    }

    /// The bytes of an object of metadata, whatever they are.
    pub(super) fn read(&self, object: &ObjectName) -> Result<Option<Vec<u8>>, Error> {
        let file = self.folder(&object.id)?.map(|folder| folder.open_file(self.file_name(object)));
        match (file, &self.parent) {
            (Some(Ok(mut file)), _) => Ok(Some(file.read_to_limit(LARGEST_METADATA)?)),
            (Some(Err(error)), _) if !error.is_not_found() => Err(error.into()),
            (_, Some(parent)) => parent.read(object),
            (_, None) => Ok(None),
        }
    }
}

pub(super) fn malformed(object: ObjectName, why: Malformed) -> RepoError {
    RepoError::Malformed { object, why }
}

/// The object that a file in a folder of `objects` is.
fn object_of(folder: &[u8], name: &[u8]) -> Option<ObjectName> {
    let (rest, ending) = std::str::from_utf8(name).ok()?.split_once('.')?;
    let hex = [std::str::from_utf8(folder).ok()?, rest].concat();
    Some(ObjectName::new(hex.parse().ok()?, Kind::from_ending(ending)?))
}
