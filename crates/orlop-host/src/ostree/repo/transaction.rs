//! Objects and refs that become visible together.
//!
//! ```text
//! tmp/orlop-XXXXXXXXXXXX/        locked while its writer lives; what killed writers left is removed by the next
//!   XX/REST.KIND                 objects
//!   commits/ID.commit            commits, and what was said of them
//!   large-XXXXXXXXXXXX           a file whose id is not known yet
//! ```
//!
//! Order of [`Transaction::finish`]: everything here is forced to the disk; the objects go to their places, and those are
//! forced to the disk; the same with the commits; then the refs, one by one. Whatever stops it leaves objects that nothing
//! names, at worst, and no ref to anything that is not whole.

mod held;
mod publish;
mod staging;
mod writer;

pub use writer::FileWriter;

use super::deflate::Compressors;
use super::file::BARE_USER;
use super::{Mode, Repo, RepoError};
use crate::Error;
use crate::ostree::id::{Kind, ObjectId, ObjectName};
use crate::ostree::object::{FileHasher, FileHeader, LARGEST_METADATA};
use crate::ostree::refname::RefSpec;
use held::Held;
use orlop_fs::lock::{Lock, Share, Wait};
use orlop_fs::{Dir, File, privilege};
use orlop_layer::Time;
use orlop_spec::Context;
use staging::Staging;
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Contents up to this size are held in memory until their id is known.
pub(in super::super) const SMALL: u64 = 4 << 20;

/// Writes objects, from as many threads as there are. Dropping it leaves nothing.
pub struct Transaction<'r> {
    repo: &'r Repo,
    staging: Staging,
    /// Objects that this transaction has met, and their bytes.
    met: Mutex<HashMap<ObjectName, u64>>,
    refs: Mutex<Vec<(RefSpec, Option<ObjectId>)>>,
    compressors: Compressors,
    held: Held,
    /// Which folders of objects there are, here or in a parent, by their first byte.
    folders: Box<[bool; 256]>,
    caller: (u32, u32),
    is_synced: bool,
    metadata: Counter,
    content: Counter,
    _lock: Lock,
}

/// What a transaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Commits, dirtrees, dirmetas.
    pub metadata: Count,
    /// Files and links.
    pub content: Count,
}

/// What was done with objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many were given, each time that it was.
    pub given: u64,
    /// How many were not there and were written.
    pub written: u64,
    /// Bytes of those that were written, before compression.
    pub bytes: u64,
}

#[derive(Default)]
struct Counter {
    given: AtomicU64,
    written: AtomicU64,
    bytes: AtomicU64,
}

impl Repo {
    /// Begins to write. Waits for whoever removes objects.
    pub fn begin(&self, cx: &Context<'_>) -> Result<Transaction<'_>, Error> {
        if self.mode == Mode::BareSplitXattrs {
            return Err(RepoError::ReadOnly { mode: self.mode }.into());
        }
        cx.cancel.check().map_err(RepoError::from)?;
        let lock = self.lock(Share::Shared, Wait::Yes)?.expect("who waits gets the lock");
        let level = self.config.number("archive", "zlib-level")?.and_then(|level| u8::try_from(level).ok());
        Ok(Transaction {
            repo: self,
            staging: Staging::make(self.dir.make_or_open_dir("tmp", 0o777)?)?,
            met: Mutex::default(),
            refs: Mutex::default(),
            compressors: Compressors::new(level.unwrap_or(6)),
            held: Held::new(cx.workers),
            folders: self.object_folders()?,
            caller: privilege::ids(),
            is_synced: self.config.boolean("core", "fsync")?.unwrap_or(true),
            metadata: Counter::default(),
            content: Counter::default(),
            _lock: lock,
        })
    }
}

impl Transaction<'_> {
    /// Where it writes to.
    pub fn repo(&self) -> &Repo {
        self.repo
    }

    /// Puts a commit, a dirtree or a dirmeta.
    pub fn put(&self, kind: Kind, bytes: &[u8]) -> Result<ObjectId, Error> {
        let (size, most) = (bytes.len() as u64, LARGEST_METADATA);
        if size > most {
            return Err(RepoError::TooLarge { size, most }.into());
        }
        let object = ObjectName::new(ObjectId::of(bytes), kind);
        if self.claim(&object, &self.metadata, size)? {
            let file = match kind {
                Kind::Commit => {
                    self.staging.commits()?.create_file(format!("{}.{kind}", object.id), 0o644)?
                }
                _ => self.staging.folder(&object.id)?.create_file(self.repo.file_name(&object), 0o644)?,
            };
            write(&file, bytes)?;
            file.set_mode(0o644)?;
        }
        Ok(object.id)
    }

    /// Puts a file whose content is at hand.
    pub fn put_file(&self, header: &FileHeader, content: &[u8]) -> Result<ObjectId, Error> {
        self.check_fits(header)?;
        let mut hasher = FileHasher::new(header);
        hasher.update(content);
        let object = ObjectName::new(hasher.finish(), Kind::File);
        if self.claim(&object, &self.content, content.len() as u64)? {
            self.write_small(&object, header, content)?;
        }
        Ok(object.id)
    }

    /// A file whose content will pass.
    pub fn file(&self, header: &FileHeader, size: u64) -> Result<FileWriter<'_>, Error> {
        self.check_fits(header)?;
        FileWriter::new(self, header.clone(), size)
    }

    /// Puts a symbolic link.
    pub fn link(&self, header: &FileHeader) -> Result<ObjectId, Error> {
        self.put_file(header, &[])
    }

    /// What is said of a commit beside it. It takes the place of what was said before.
    pub fn detached(&self, commit: &ObjectId, bytes: &[u8]) -> Result<(), Error> {
        let name = format!("{commit}.{}", Kind::CommitMeta);
        let commits = self.staging.commits()?;
        match commits.remove_file(&name) {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        let file = commits.create_file(&name, 0o644)?;
        write(&file, bytes)?;
        Ok(file.set_mode(0o644)?)
    }

    /// Lets a ref name a commit at the end, or nothing any more.
    pub fn set_ref(&self, spec: &RefSpec, to: Option<&ObjectId>) {
        self.refs.lock().expect("no holder panics").push((spec.clone(), to.copied()));
    }

    /// Takes back a file that turned out not to be needed, unless the repository has it already.
    pub fn forget(&self, object: &ObjectName) -> Result<(), Error> {
        let was_met = self.met.lock().expect("no holder panics").remove(object);
        let Some(bytes) = was_met.filter(|_| object.kind == Kind::File) else { return Ok(()) };
        if self.repo.has(object)? {
            return Ok(());
        }
        self.content.written.fetch_sub(1, Ordering::Relaxed);
        self.content.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Ok(self.staging.folder(&object.id)?.remove_file(self.repo.file_name(object))?)
    }

    /// Whether an object is in the repository, or will be.
    pub fn has(&self, object: &ObjectName) -> Result<bool, Error> {
        let is_met = self.met.lock().expect("no holder panics").contains_key(object);
        Ok(is_met || self.repo.has(object)?)
    }

    /// Whether the object has to be written, by whoever asks first.
    fn claim(&self, object: &ObjectName, counter: &Counter, bytes: u64) -> Result<bool, Error> {
        counter.given.fetch_add(1, Ordering::Relaxed);
        let was_met = self.met.lock().expect("no holder panics").insert(*object, bytes).is_some();
        // What another writer brings meanwhile is written once more, and takes the place of what is the same.
        let may_be_there = self.folders[usize::from(object.id.0[0])];
        let is_new = !(was_met || may_be_there && self.repo.has(object)?);
        if is_new {
            counter.written.fetch_add(1, Ordering::Relaxed);
            counter.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(is_new)
    }

    /// `bare-user-only` keeps nothing but what the file itself shows, to anybody.
    fn check_fits(&self, header: &FileHeader) -> Result<(), Error> {
        let FileHeader { uid, gid, mode, ref xattrs, .. } = *header;
        let fits = (uid, gid) == (0, 0) && xattrs.is_empty() && (header.is_link() || mode & 0o7002 == 0);
        if self.repo.mode != Mode::BareUserOnly || fits {
            return Ok(());
        }
        Err(RepoError::NotCanonical { uid, gid, mode, xattrs: xattrs.len() }.into())
    }

    fn write_small(&self, object: &ObjectName, header: &FileHeader, content: &[u8]) -> Result<(), Error> {
        let (folder, name) = (self.staging.folder(&object.id)?, self.repo.file_name(object));
        let is_bare = matches!(self.repo.mode, Mode::Bare | Mode::BareUserOnly);
        if header.is_link() && is_bare {
            return self.make_link(folder, &name, header);
        }
        let file = folder.create_file(&name, 0o600)?;
        match self.repo.mode {
            Mode::Archive => {
                let front = header.to_archived(content.len() as u64);
                let has_content = !header.is_link();
                let deflated = has_content.then(|| self.compressors.deflate(&front, content));
                write(&file, &deflated.unwrap_or(front))?;
            }
            Mode::BareUser if header.is_link() => write(&file, &[header.target.as_bytes(), b"\0"].concat())?,
            _ => write(&file, content)?,
        }
        self.set_meta(&file, header)
    }

    fn make_link(&self, folder: &Dir, name: &str, header: &FileHeader) -> Result<(), Error> {
        folder.make_symlink(&*header.target, name)?;
        if self.repo.mode == Mode::BareUserOnly {
            return Ok(());
        }
        if (header.uid, header.gid) != self.caller {
            folder.set_owner_of(name, header.uid, header.gid)?;
        }
        for (xattr, value) in &header.xattrs {
            folder.set_xattr_of(name, xattr, value)?;
        }
        Ok(())
    }

    /// What a file of the mode shows beside its content.
    fn set_meta(&self, file: &File, header: &FileHeader) -> Result<(), Error> {
        let bits = u16::try_from(header.mode & 0o7777).expect("twelve bits");
        match self.repo.mode {
            Mode::Bare => {
                if (header.uid, header.gid) != self.caller {
                    file.set_owner(header.uid, header.gid)?;
                }
                for (xattr, value) in &header.xattrs {
                    file.set_xattr(xattr, value)?;
                }
                file.set_mode(bits)?;
            }
            Mode::BareUser => {
                file.set_xattr(BARE_USER, &header.to_bare_user())?;
                let shown = if header.is_link() { 0o644 } else { bits & 0o775 | 0o400 };
                file.set_mode(shown)?;
            }
            Mode::BareUserOnly => file.set_mode(bits)?,
            Mode::Archive | Mode::BareSplitXattrs => return Ok(file.set_mode(0o644)?),
        }
        Ok(file.set_time(Time::default())?)
    }

    fn account(&self) -> Account {
        Account { metadata: self.metadata.count(), content: self.content.count() }
    }
}

impl Counter {
    fn count(&self) -> Count {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Count { given: value(&self.given), written: value(&self.written), bytes: value(&self.bytes) }
    }
}

fn write(mut file: &File, bytes: &[u8]) -> Result<(), Error> {
    let failed = |error| orlop_fs::Error::io("write", file.shown().clone(), error);
    Ok(file.write_all(bytes).map_err(failed)?)
}
