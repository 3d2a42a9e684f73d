//! Contents of files, each kept once.
//!
//! ```text
//! objects/6c/3c…   the content whose sha256 is 6c3c…: nothing but the bytes, mode 0444
//! ```
//!
//! Invariant: what gets a name here was hashed on its way into the file, and has no name before it is whole. A file
//! that is there with the right size is never written again. One of another size is of a writer who lost power before its
//! bytes were on the disk, and is replaced. Each of the 256 folders is a [`Shelf`].

use super::guard::{Placed, Shelf};
use crate::error::Error;
use orlop_fs::{Dir, File, Persist, Temp};
use orlop_spec::digest::{Algorithm, Digest, Hasher};
use orlop_spec::port::Result;
use orlop_spec::{Cancel, Fault};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Contents up to so many bytes are hashed in memory: one that is there already is not written at all.
const HELD: usize = 256 << 10;

/// Mode of every object.
const MODE: u16 = 0o444;

pub use orlop_layer::list::Object;

/// The folder of objects.
#[derive(Debug)]
pub struct Objects {
    root: Dir,
    /// What is known to be damaged, and is written anew when it comes.
    distrusted: OnceLock<HashSet<Digest>>,
}

impl Objects {
    pub(super) fn new(root: Dir) -> Self {
        Self { root, distrusted: OnceLock::new() }
    }

    /// From now on, what comes replaces those of `damaged` that are here, whatever their size is. Once.
    pub(super) fn distrust(&self, damaged: HashSet<Digest>) {
        self.distrusted.set(damaged).ok();
    }

    fn is_trusted(&self, digest: &Digest) -> bool {
        self.distrusted.get().is_none_or(|damaged| !damaged.contains(digest))
    }

    /// A content that is about to come.
    pub fn begin(&self) -> Incoming<'_> {
        Incoming { objects: self, size: 0, held: Vec::new(), spool: None }
    }

    /// Opens a content. Its size is right; who reads it proves the rest.
    pub fn open(&self, object: &Object) -> Result<File> {
        let (folder, name) = split(&object.digest);
        let opened = self.root.open_dir(folder).and_then(|shard| shard.open_file(name));
        match opened {
            Ok(file) if file.size()? == object.size => Ok(file),
            Ok(_) => Err(self.damaged(object).into()),
            Err(error) if error.is_not_found() => Err(self.missing(object).into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Forces every object to the disk, and its name.
    pub fn sync(&self) -> Result<()> {
        Ok(self.root.sync_fs()?)
    }

    pub(super) fn damaged(&self, object: &Object) -> Error {
        Error::ObjectDamaged { digest: Box::new(object.digest), path: self.path(object) }
    }

    fn missing(&self, object: &Object) -> Error {
        Error::ObjectMissing { digest: Box::new(object.digest), path: self.path(object) }
    }

    fn path(&self, object: &Object) -> PathBuf {
        let (folder, name) = split(&object.digest);
        self.root.path().join(folder).join(name)
    }

    /// Keeps a content, whose bytes are `held` where there is no spool.
    fn keep(&self, object: &Object, held: &[u8], spool: Option<Temp<'_>>) -> Result<()> {
        let (folder, name) = split(&object.digest);
        let shard = shard(&self.root, &folder)?;
        let how = match shard.rely_on(&name)? {
            Some(stat) if stat.size == object.size && self.is_trusted(&object.digest) => return Ok(()),
            Some(_) => Persist::Replace,
            None => Persist::New,
        };
        let temp = match spool {
            Some(temp) => temp,
            None => filled(shard.folder(), held)?,
        };
        temp.file().set_mode(MODE)?;
        match shard.place(temp, &name, how)? {
            Placed::Found(stat) if stat.size != object.size => Err(self.damaged(object).into()),
            _ => Ok(()),
        }
    }
}

/// Folder and name of an object.
pub(super) fn split(digest: &Digest) -> (String, String) {
    let mut folder = digest.hex();
    let name = folder.split_off(2);
    (folder, name)
}

fn filled<'a>(shard: &'a Dir, content: &[u8]) -> Result<Temp<'a>> {
    let temp = shard.create_temp()?;
    temp.file().write_data_at(content, 0)?;
    if content.ends_with(&[0]) {
        temp.file().set_len(content.len() as u64)?;
    }
    Ok(temp)
}

/// One of the 256 folders.
fn shard(root: &Dir, folder: &str) -> Result<Shelf> {
    match root.open_dir(folder) {
        Err(error) if error.is_not_found() => Ok(Shelf::new(root.make_or_open_dir(folder, 0o777)?)),
        opened => Ok(Shelf::new(opened?)),
    }
}

/// A content on its way to its name. Dropping it leaves nothing.
pub struct Incoming<'a> {
    objects: &'a Objects,
    size: u64,
    /// All of it, while it is short.
    held: Vec<u8>,
    /// Where it is once it is not.
    spool: Option<(Temp<'a>, Hasher)>,
}

impl<'a> Incoming<'a> {
    /// Takes the next bytes.
    pub fn data(&mut self, bytes: &[u8]) -> Result<()> {
        if self.is_held(bytes.len() as u64) {
            self.held.extend_from_slice(bytes);
        } else {
            let at = self.size;
            let (temp, hasher) = self.spool()?;
            temp.file().write_data_at(bytes, at)?;
            hasher.update(bytes);
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Takes so many zeros, which occupy nothing where the content is long.
    pub fn hole(&mut self, length: u64, cancel: &Cancel) -> Result<()> {
        if self.is_held(length) {
            self.held.resize(self.held.len() + usize::try_from(length).expect("it is held"), 0);
        } else {
            let (_, hasher) = self.spool()?;
            hash_zeros(hasher, length, cancel)?;
        }
        self.size += length;
        Ok(())
    }

    /// Bytes that came so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The whole content, where it has at most `most` bytes.
    pub(super) fn short(&self, most: usize) -> Option<&[u8]> {
        (self.spool.is_none() && self.held.len() <= most).then_some(&self.held[..])
    }

    /// Forgets what came.
    pub fn clear(&mut self) {
        self.size = 0;
        self.held.clear();
        self.spool = None;
    }

    /// Keeps what came under its digest, and is ready for the next content.
    pub fn keep(&mut self) -> Result<Object> {
        let (spool, digest) = match self.spool.take() {
            None => (None, Digest::of(Algorithm::Sha256, &self.held)),
            Some((temp, hasher)) => {
                temp.file().set_len(self.size)?;
                (Some(temp), hasher.finish())
            }
        };
        let object = Object { digest, size: self.size };
        self.objects.keep(&object, &self.held, spool)?;
        self.clear();
        Ok(object)
    }

    fn is_held(&self, more: u64) -> bool {
        self.spool.is_none() && self.size.saturating_add(more) <= HELD as u64
    }

    /// Moves what is held into a file, the first time.
    fn spool(&mut self) -> Result<&mut (Temp<'a>, Hasher)> {
        let spool = if let Some(spool) = self.spool.take() {
            spool
        } else {
            let mut hasher = Hasher::new(Algorithm::Sha256);
            hasher.update(&self.held);
            (filled(&self.objects.root, &self.held)?, hasher)
        };
        Ok(self.spool.insert(spool))
    }
}

/// Cancelled between pieces: a hole may have any length.
fn hash_zeros(hasher: &mut Hasher, mut length: u64, cancel: &Cancel) -> Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    while length > 0 {
        cancel.check().map_err(Fault::from)?;
        let count = usize::try_from(length).unwrap_or(ZEROS.len()).min(ZEROS.len());
        hasher.update(&ZEROS[..count]);
        length -= count as u64;
    }
    Ok(())
}
