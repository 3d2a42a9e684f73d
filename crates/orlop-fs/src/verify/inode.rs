//! One file against its node.

use super::expected::{Expected, counts, needs_privilege};
use super::links::Names;
use super::{Aspect, Field, Shape, Verify};
use crate::call;
use crate::error::{Error, Shown};
use crate::owner::Owner;
use crate::stat::{FileKind, Stat};
use crate::{Dir, Result, xattr};
use orlop_layer::manifest::{NodeId, TreeManifest, What};
use orlop_layer::path::escape;
use orlop_layer::{Device, Xattrs};
use orlop_spec::{Algorithm, Digest, Hasher};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{self, Mode};
use rustix::io::{Errno, pread};
use std::collections::{BTreeSet, HashSet};

/// Bytes of a content that are read at once.
const PIECE: usize = 256 << 10;

/// What all files are compared by.
pub(super) struct Comparer<'a> {
    pub(super) manifest: &'a TreeManifest,
    pub(super) how: Verify<'a>,
    pub(super) root: Stat,
    shown: Shown,
    /// The first names of inodes that have further ones.
    firsts: HashSet<NodeId>,
}

impl<'a> Comparer<'a> {
    pub(super) fn new(folder: &Dir, manifest: &'a TreeManifest, how: &Verify<'a>, root: &Stat) -> Self {
        let further = manifest.ids().filter(|id| manifest.first(*id) != *id);
        let firsts = further.map(|id| manifest.first(id)).collect();
        Self { manifest, how: *how, root: *root, shown: folder.shown(""), firsts }
    }

    /// Whether the manifest has several names for an inode.
    pub(super) fn has_names(&self, id: NodeId) -> Names {
        let several = self.manifest.first(id) != id || self.firsts.contains(&id);
        if several { Names::Several } else { Names::One }
    }

    /// Whether a node must be there: an ordinary user makes no devices, nor does root of a namespace.
    pub(super) fn is_expected(&self, id: NodeId) -> bool {
        let what = &self.manifest.node(self.manifest.first(id)).what;
        self.how.owner == Owner::Exact || !matches!(what, What::CharDevice(_) | What::BlockDevice(_))
    }

    /// What differs about anything but a folder, and how many bytes were read for it.
    pub(super) fn leaf(&self, folder: &OwnedFd, id: NodeId, stat: &Stat) -> Result<(Vec<Field>, u64)> {
        let (node, name) = (self.manifest.node(id), self.manifest.name(id));
        let (expected, found) = (kind_of(&node.what), stat.kind);
        if expected != found {
            let field = Field::new(Aspect::Type, expected.word(), found.word());
            return Ok((vec![field], 0));
        }
        let mut own = Vec::new();
        let (mut read, mut xattrs) = (0, None);
        match &node.what {
            What::File { size, .. } if *size != stat.size => {
                own.push(Field::new(Aspect::Size, size, stat.size));
            }
            What::File { size, sha256 } if self.is_here(*size) => match self.content(folder, id)? {
                Some(content) => {
                    (read, xattrs) = (*size, Some(content.xattrs));
                    own.extend(differing(sha256, &content.sha256));
                }
                None => own.push(Field::new(Aspect::Content, shown(sha256), "unreadable")),
            },
            What::Symlink(target) => own.extend(self.target(folder, id, target)?),
            What::CharDevice(device) | What::BlockDevice(device) => own.extend(numbers(*device, stat.device)),
            _ => {}
        }
        let xattrs = match xattrs {
            Some(xattrs) => xattrs,
            None => xattr::read_at(folder.as_fd(), name)
                .map_err(|error| self.failed("read the attributes of", id, error))?,
        };
        own.extend(self.common(id, stat, &xattrs));
        Ok((own, read))
    }

    /// Whether the folder holds a content of so many bytes.
    fn is_here(&self, size: u64) -> bool {
        match self.how.shape {
            Shape::Whole => size > 0,
            Shape::Skeleton(short) => (1..=short).contains(&size),
        }
    }

    /// What differs about mode, owner and attributes.
    pub(super) fn common(&self, id: NodeId, stat: &Stat, xattrs: &Xattrs) -> Vec<Field> {
        let expected = Expected::of(self.manifest.node(id), &self.how, &self.root);
        let mut fields = Vec::new();
        if let Some(mode) = expected.mode.filter(|mode| *mode != stat.mode) {
            let octal = |mode: u16| format!("{mode:04o}");
            fields.push(Field::new(Aspect::Mode, octal(mode), octal(stat.mode)));
        }
        let (uid, gid) = expected.owner;
        let owners = [(Aspect::Uid, uid, stat.uid), (Aspect::Gid, gid, stat.gid)];
        let differing = owners.into_iter().filter(|(_, expected, found)| expected != found);
        fields.extend(differing.map(|(aspect, expected, found)| Field::new(aspect, expected, found)));
        fields.extend(self.attributes(&expected.xattrs, xattrs));
        fields
    }

    fn attributes(&self, expected: &Xattrs, found: &Xattrs) -> Vec<Field> {
        let here = found.iter().filter(|(name, value)| counts(name, value)).map(|(name, _)| name);
        let names: BTreeSet<_> = expected.keys().chain(here).collect();
        let mut fields = Vec::new();
        for name in names {
            let (before, after) = (expected.get(name), found.get(name));
            let may_miss = after.is_none() && self.how.owner != Owner::Exact && needs_privilege(name);
            if before != after && !may_miss {
                let value =
                    |value: Option<&Box<[u8]>>| value.map_or_else(|| "absent".into(), |it| escape(it));
                fields.push(Field::new(Aspect::Xattr(name.clone()), value(before), value(after)));
            }
        }
        fields
    }

    fn target(&self, folder: &OwnedFd, id: NodeId, expected: &[u8]) -> Result<Option<Field>> {
        let found = fs::readlinkat(folder, self.manifest.name(id), Vec::new())
            .map_err(|error| self.failed("read the link", id, error))?;
        let differs = found.as_bytes() != expected;
        Ok(differs.then(|| Field::new(Aspect::Target, escape(expected), escape(found.as_bytes()))))
    }

    /// Reads a content and attributes; `None` where the caller may not.
    fn content(&self, folder: &OwnedFd, id: NodeId) -> Result<Option<Content>> {
        let file = match fs::openat(folder, self.manifest.name(id), call::READ, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::ACCESS | Errno::PERM) => return Ok(None),
            Err(error) => return Err(self.failed("open", id, error)),
        };
        let xattrs = xattr::read(&file).map_err(|error| self.failed("read the attributes of", id, error))?;
        Ok(Some(Content { sha256: self.hash(&file, id)?, xattrs }))
    }

    fn hash(&self, file: &OwnedFd, id: NodeId) -> Result<[u8; 32]> {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let (mut at, mut buffer) = (0, vec![0; PIECE]);
        loop {
            self.how.cancel.check().map_err(Error::Cancelled)?;
            match pread(file, &mut buffer[..], at) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    (self.how.progress)(count as u64);
                    at += count as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.failed("read", id, error)),
            }
        }
        Ok(hasher.finish().bytes().try_into().expect("it has 32 bytes"))
    }

    pub(super) fn failed(&self, action: &'static str, id: NodeId, error: Errno) -> Error {
        let path = Shown::join(self.shown.as_bytes(), self.manifest.path(id).as_bytes());
        Error::io(action, path, error)
    }
}

struct Content {
    sha256: [u8; 32],
    xattrs: Xattrs,
}

fn differing(expected: &[u8; 32], found: &[u8; 32]) -> Option<Field> {
    (expected != found).then(|| Field::new(Aspect::Content, shown(expected), shown(found)))
}

fn numbers(expected: Device, found: Device) -> Option<Field> {
    let text = |device: Device| format!("{}:{}", device.major, device.minor);
    (expected != found).then(|| Field::new(Aspect::Device, text(expected), text(found)))
}

fn shown(sha256: &[u8; 32]) -> String {
    Digest::from_bytes(Algorithm::Sha256, sha256).map_or_else(String::new, |digest| digest.to_string())
}

fn kind_of(what: &What) -> FileKind {
    match what {
        // A further name is asked for by its first.
        What::File { .. } | What::Link(_) => FileKind::File,
        What::Directory(_) => FileKind::Directory,
        What::Symlink(_) => FileKind::Symlink,
        What::CharDevice(_) => FileKind::CharDevice,
        What::BlockDevice(_) => FileKind::BlockDevice,
        What::Fifo => FileKind::Fifo,
    }
}
