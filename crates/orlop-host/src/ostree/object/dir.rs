//! Folders: their names, and what is known of them.

use super::super::id::ObjectId;
use super::super::variant::{View, Writer, nul_ended};
use super::{FOLDER, Malformed, mode, parse_xattrs, print_xattrs, reference, swapped};
use orlop_layer::path::is_component;
use orlop_layer::{Meta, Time, Xattrs};

const TREE: &str = "(a(say)a(sayay))";
const META: &str = "(uuua(ayay))";

/// What a folder holds, sorted bytewise by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirTree {
    /// Files and symbolic links.
    pub files: Vec<(Box<str>, ObjectId)>,
    /// Folders: their dirtree and their dirmeta.
    pub folders: Vec<(Box<str>, ObjectId, ObjectId)>,
}

impl DirTree {
    /// Out of the bytes of an object.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let [files, folders] = View::parse(TREE, bytes)?.members();
        let files = files.children().map(|file| {
            let [name, id] = file.members();
            Ok((plain(name)?, reference(id)?))
        });
        let folders = folders.children().map(|folder| {
            let [name, tree, meta] = folder.members();
            Ok((plain(name)?, reference(tree)?, reference(meta)?))
        });
        let files = files.collect::<Result<Vec<_>, Malformed>>()?;
        let tree = Self { files, folders: folders.collect::<Result<_, Malformed>>()? };
        tree.check_order().map(|()| tree)
    }

    /// The bytes of the object. Names must be plain, sorted and come once.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut files = Writer::new("a(say)");
        for (name, id) in &self.files {
            files.push(&Writer::new("(say)").push(&nul_ended(name)).push(id.as_bytes()).finish());
        }
        let mut folders = Writer::new("a(sayay)");
        for (name, tree, meta) in &self.folders {
            let mut folder = Writer::new("(sayay)");
            folders.push(&folder.push(&nul_ended(name)).push(tree.as_bytes()).push(meta.as_bytes()).finish());
        }
        Writer::new(TREE).push(&files.finish()).push(&folders.finish()).finish()
    }

    /// Its id.
    pub fn id(&self) -> ObjectId {
        ObjectId::of(&self.to_bytes())
    }

    /// The file or link of a name.
    pub fn file(&self, name: &str) -> Option<&ObjectId> {
        let found = self.files.binary_search_by(|(other, _)| (**other).cmp(name)).ok()?;
        Some(&self.files[found].1)
    }

    /// The dirtree and the dirmeta of the folder of a name.
    pub fn folder(&self, name: &str) -> Option<(&ObjectId, &ObjectId)> {
        let found = self.folders.binary_search_by(|(other, ..)| (**other).cmp(name)).ok()?;
        let (_, tree, meta) = &self.folders[found];
        Some((tree, meta))
    }

    fn check_order(&self) -> Result<(), Malformed> {
        let files = self.files.iter().map(|(name, _)| name);
        let folders = self.folders.iter().map(|(name, ..)| name);
        if let Some((_, late)) = files
            .clone()
            .zip(files.skip(1))
            .chain(folders.clone().zip(folders.clone().skip(1)))
            .find(|(a, b)| a >= b)
        {
            return Err(Malformed::Order(late.clone()));
        }
        match folders.into_iter().find(|name| self.file(name).is_some()) {
            Some(twice) => Err(Malformed::Order(twice.clone())),
            None => Ok(()),
        }
    }
}

fn plain(name: View<'_>) -> Result<Box<str>, Malformed> {
    let name = name.text();
    if is_component(name.as_bytes()) { Ok(name.into()) } else { Err(Malformed::Name(name.into())) }
}

/// Owner, mode and attributes of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DirMeta {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Mode, with [`FOLDER`] in it.
    pub mode: u32,
    /// Attributes.
    pub xattrs: Xattrs,
}

impl DirMeta {
    /// Of a folder of a tree.
    pub fn of(meta: &Meta) -> Self {
        let mode = FOLDER | u32::from(meta.mode);
        Self { uid: meta.uid, gid: meta.gid, mode, xattrs: meta.xattrs.clone() }
    }

    /// As a tree has it; OSTree keeps no times.
    pub fn to_meta(&self) -> Meta {
        let mode = u16::try_from(self.mode & 0o7777).expect("twelve bits");
        Meta { mode, uid: self.uid, gid: self.gid, mtime: Time::default(), xattrs: self.xattrs.clone() }
    }

    /// Out of the bytes of an object.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let [uid, gid, mode_of, xattrs] = View::parse(META, bytes)?.members();
        let mode = mode(mode_of, &[FOLDER])?;
        Ok(Self { uid: swapped(uid), gid: swapped(gid), mode, xattrs: parse_xattrs(xattrs)? })
    }

    /// The bytes of the object.
    pub fn to_bytes(&self) -> Vec<u8> {
        Writer::new(META)
            .push(&self.uid.to_be_bytes())
            .push(&self.gid.to_be_bytes())
            .push(&self.mode.to_be_bytes())
            .push(&print_xattrs(&self.xattrs))
            .finish()
    }

    /// Its id.
    pub fn id(&self) -> ObjectId {
        ObjectId::of(&self.to_bytes())
    }
}
