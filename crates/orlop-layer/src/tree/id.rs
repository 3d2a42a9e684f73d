//! The name of what a tree means, whatever layers it came from.
//!
//! Law: trees have equal ids when they hold the same paths with the same attributes, contents and hard links.
//! The hashed bytes are drawn in `docs/formats/tree-id.md`.

use super::{Content, Inode, InodeId, InodeKind, Tree};
use crate::entry::{Device, Meta};
use crate::path::TreePath;
use orlop_spec::{Algorithm, Digest, Hasher, TreeId};
use std::collections::HashMap;

const MAGIC: &[u8] = b"orlop tree 1\n";

impl Tree {
    /// The id of this tree; `content` gives the digest of a file's bytes, holes read as zeros.
    pub fn id<E>(
        &self,
        algorithm: Algorithm,
        mut content: impl FnMut(&Content) -> Result<Digest, E>,
    ) -> Result<TreeId, E> {
        let mut form = Canonical(Hasher::new(algorithm));
        form.0.update(MAGIC);
        let mut first: HashMap<InodeId, TreePath> = HashMap::new();
        for (path, id) in self.walk() {
            let inode = self.inode(id);
            form.bytes(path.as_bytes());
            match first.get(&id) {
                Some(known) => form.link(known),
                None => form.inode(inode, &mut content)?,
            }
            if inode.names > 1 {
                first.entry(id).or_insert(path);
            }
        }
        Ok(TreeId(form.0.finish()))
    }
}

struct Canonical(Hasher);

impl Canonical {
    fn inode<E>(
        &mut self,
        inode: &Inode,
        content: &mut impl FnMut(&Content) -> Result<Digest, E>,
    ) -> Result<(), E> {
        match &inode.kind {
            InodeKind::File(file) => {
                self.head(b'f', &inode.meta);
                self.bytes(content(file)?.to_string().as_bytes());
            }
            InodeKind::Directory { .. } => self.head(b'd', &inode.meta),
            InodeKind::Fifo => self.head(b'p', &inode.meta),
            InodeKind::Symlink(target) => {
                self.head(b'l', &inode.meta);
                self.bytes(target);
            }
            InodeKind::CharDevice(device) => self.device(b'c', &inode.meta, *device),
            InodeKind::BlockDevice(device) => self.device(b'b', &inode.meta, *device),
            InodeKind::Whiteout => self.0.update(b"w"),
            InodeKind::LinkBelow(target) => self.link(target),
        }
        Ok(())
    }

    fn link(&mut self, target: &TreePath) {
        self.0.update(b"h");
        self.bytes(target.as_bytes());
    }

    fn device(&mut self, kind: u8, meta: &Meta, device: Device) {
        self.head(kind, meta);
        self.0.update(&device.major.to_le_bytes());
        self.0.update(&device.minor.to_le_bytes());
    }

    fn head(&mut self, kind: u8, meta: &Meta) {
        self.0.update(&[kind]);
        self.0.update(&meta.mode.to_le_bytes());
        self.0.update(&meta.uid.to_le_bytes());
        self.0.update(&meta.gid.to_le_bytes());
        self.0.update(&meta.mtime.seconds.to_le_bytes());
        self.0.update(&meta.mtime.nanoseconds.to_le_bytes());
        self.0.update(&(meta.xattrs.len() as u64).to_le_bytes());
        for (name, value) in &meta.xattrs {
            self.bytes(name);
            self.bytes(value);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}
