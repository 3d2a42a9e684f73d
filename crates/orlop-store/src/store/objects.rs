//! Contents of files, each kept once.
//!
//! ```text
//! objects/6c/3c…   the content whose sha256 is 6c3c…: nothing but the bytes, mode 0444
//! ```
//!
//! Invariant: what gets a name here was hashed on its way into the file, and has no name before it is whole. A file
//! that is there with the right size is never written again; its time says when somebody last relied on it. Whoever
//! looks at one and touches it, or gives one its name, holds a shared lock on its folder.

use crate::error::Error;
use orlop_fs::lock::{Share, Wait};
use orlop_fs::{Dir, File, Lock, Persist, Temp};
use orlop_spec::digest::{Algorithm, Digest, Hasher};
use orlop_spec::port::Result;
use orlop_spec::{Cancel, Fault};
use std::path::PathBuf;

/// Contents up to so many bytes are hashed in memory: one that is there already is not written at all.
const HELD: usize = 256 << 10;

/// Mode of every object.
const MODE: u16 = 0o444;

/// What a content is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its sha256.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
}

/// The folder of objects.
#[derive(Debug)]
pub struct Objects {
    root: Dir,
}

/// What is under a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// It has the size, and was touched.
    Whole,
    /// It has another size: its writer lost power before the bytes were on the disk.
    Cut,
}

impl Objects {
    pub(super) fn new(root: Dir) -> Self {
        Self { root }
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
        let shard = Shard::open(&self.root, &folder)?;
        let how = match shard.look(&name, object.size)? {
            Found::Whole => return Ok(()),
            Found::Nothing => Persist::New,
            Found::Cut => Persist::Replace,
        };
        let temp = match spool {
            Some(temp) => temp,
            None => filled(&shard.0, held)?,
        };
        temp.file().set_mode(MODE)?;
        if shard.place(temp, &name, how, object.size)? == Found::Cut {
            return Err(self.damaged(object).into());
        }
        Ok(())
    }
}

/// Folder and name of an object.
fn split(digest: &Digest) -> (String, String) {
    let mut folder = digest.hex();
    let name = folder.split_off(2);
    (folder, name)
}

fn filled<'a>(shard: &'a Dir, content: &[u8]) -> Result<Temp<'a>> {
    let temp = shard.create_temp()?;
    temp.file().write_at(content, 0)?;
    Ok(temp)
}

/// One of the 256 folders.
struct Shard(Dir);

impl Shard {
    fn open(root: &Dir, folder: &str) -> Result<Self> {
        match root.open_dir(folder) {
            Err(error) if error.is_not_found() => Ok(Self(root.make_or_open_dir(folder, 0o777)?)),
            opened => Ok(Self(opened?)),
        }
    }

    fn lock(&self) -> Result<Option<Lock>> {
        Ok(self.0.lock(Share::Shared, Wait::Yes)?)
    }

    /// What is there, touched where it can be relied on. Most new contents need no lock for this.
    fn look(&self, name: &str, size: u64) -> Result<Found> {
        if self.0.try_stat(name)?.is_none() {
            return Ok(Found::Nothing);
        }
        let _lock = self.lock()?;
        self.touch(name, size)
    }

    /// Under the lock.
    fn touch(&self, name: &str, size: u64) -> Result<Found> {
        match self.0.try_stat(name)? {
            None => Ok(Found::Nothing),
            Some(stat) if stat.size != size => Ok(Found::Cut),
            Some(_) => {
                self.0.touch(name)?;
                Ok(Found::Whole)
            }
        }
    }

    /// Gives a whole file its name. Where another was quicker, what that one left must be as good.
    fn place(&self, temp: Temp<'_>, name: &str, how: Persist, size: u64) -> Result<Found> {
        let _lock = self.lock()?;
        match temp.persist_in(&self.0, name, how) {
            Ok(_) => Ok(Found::Whole),
            Err(error) if error.is_exists() => self.touch(name, size),
            Err(error) => Err(error.into()),
        }
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
            temp.file().write_at(bytes, at)?;
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
