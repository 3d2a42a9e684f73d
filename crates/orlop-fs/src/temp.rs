//! Files that get their name when they are whole.
//!
//! Invariant: until [`Temp::persist`] nobody sees the file under its name, and a killed run leaves nothing: the
//! file has no name at all (`O_TMPFILE`), or, where the file system lacks that and for the moment before it
//! replaces another, one that tells what it is:
//!
//! ```text
//! .orlop-tmp-XXXXXXXXXXXX    in folders that are orlop's own: a sweep removes what was left
//! .NAME.orlop-XXXXXXXXXXXX   beside other people's files, locked while its writer lives: the next writer of
//!                            NAME removes it
//! ```

use crate::call;
use crate::dir::{Dir, is_without_tmpfile};
use crate::file::File;
use crate::lock::{self, Share, Wait};
use crate::{Result, privilege, random};
use rustix::fd::AsFd as _;
use std::io::{self, Write};
use std::ops::Deref;

/// How the names of temporary files begin in folders that are orlop's own.
pub const PREFIX: &str = ".orlop-tmp-";

/// Whether a name is one of a temporary file.
pub fn is_temp_name(name: &[u8]) -> bool {
    name.starts_with(PREFIX.as_bytes())
}

/// How what is made beside a name begins, files and folders. A long name is cut: names have at most 255 bytes.
pub(crate) fn prefix_beside(name: &[u8]) -> Vec<u8> {
    const LONGEST: usize = 200;
    [b".", &name[..name.len().min(LONGEST)], b".orlop-"].concat()
}

/// What to do with a file that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persist {
    /// It is replaced, in one step.
    Replace,
    /// It stays, and persisting fails.
    New,
}

/// A file without a name of its own yet. Dropping it removes it.
#[derive(Debug)]
pub struct Temp<'a> {
    folder: Folder<'a>,
    file: File,
    prefix: Vec<u8>,
    /// Where the file system has no nameless files.
    name: Option<Vec<u8>>,
}

/// The folder that the file will be in.
#[derive(Debug)]
enum Folder<'a> {
    Borrowed(&'a Dir),
    Own(Box<Dir>),
}

impl Deref for Folder<'_> {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        match self {
            Self::Borrowed(folder) => folder,
            Self::Own(folder) => folder,
        }
    }
}

impl<'a> Temp<'a> {
    pub(crate) fn create(folder: &'a Dir) -> Result<Self> {
        Self::create_in(Folder::Borrowed(folder), PREFIX.into())
    }

    /// A file that is to be `name`, in a folder of anybody's. What killed writers of that name left goes first.
    pub fn beside(folder: Dir, name: impl AsRef<[u8]>) -> Result<Temp<'static>> {
        let prefix = prefix_beside(folder.plain(name.as_ref())?);
        remove_stale(&folder, &prefix);
        let mut folder = Box::new(folder);
        loop {
            let temp = Temp::create_in(Folder::Own(folder), prefix.clone())?;
            // Where the file system knows no locks, nobody can take this file for one that was left.
            lock::hold(&temp.file).ok();
            // Between making and locking, another writer may have taken a named file for a stale one.
            if temp.name.is_none() || temp.file.stat()?.links != 0 {
                return Ok(temp);
            }
            folder = Box::new(temp.folder.try_clone()?);
        }
    }

    fn create_in(folder: Folder<'a>, prefix: Vec<u8>) -> Result<Self> {
        match call::create_unnamed(&*folder, 0o666) {
            Ok(handle) => {
                let file = File::new(handle, folder.shown("(temporary file)"));
                Ok(Self { folder, file, prefix, name: None })
            }
            Err(error) if is_without_tmpfile(error) => {
                let name = random::name(&prefix);
                let file = folder.create_file(&name, 0o666)?;
                Ok(Self { folder, file, prefix, name: Some(name) })
            }
            Err(error) => Err(folder.failed("create a temporary file in", b"")(error)),
        }
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name; the file stays open.
    pub fn persist(self, name: impl AsRef<[u8]>, how: Persist) -> Result<File> {
        self.place(None, name.as_ref(), how)
    }

    /// Gives the file a name in another folder of its file system.
    pub fn persist_in(self, folder: &Dir, name: impl AsRef<[u8]>, how: Persist) -> Result<File> {
        self.place(Some(folder), name.as_ref(), how)
    }

    fn place(mut self, folder: Option<&Dir>, new: &[u8], how: Persist) -> Result<File> {
        if (how, &self.name) == (Persist::Replace, &None) {
            self.name = Some(self.name_aside(new)?);
        }
        let to = folder.unwrap_or(&self.folder);
        let new = to.plain(new)?;
        match (how, &self.name) {
            (_, None) => call::link_open(&self.file, to, new).map_err(to.failed("create", new)),
            (Persist::New, Some(name)) => {
                call::rename_new(&*self.folder, name, to, new).map_err(to.failed("create", new))
            }
            (Persist::Replace, Some(name)) => {
                call::rename(&*self.folder, name, to, new).map_err(to.failed("replace", new))
            }
        }?;
        self.name = None;
        Ok(self.file.try_clone()?.renamed(to.shown(new)))
    }

    /// A nameless file cannot replace: it gets a temporary name first.
    fn name_aside(&self, new: &[u8]) -> Result<Vec<u8>> {
        let name = random::name(&self.prefix);
        call::link_open(&self.file, &*self.folder, &name).map_err(self.folder.failed("create", new))?;
        Ok(name)
    }
}

/// Only what belongs to the caller and has no writer, and without a word where it fails: it is not what this run
/// is about.
fn remove_stale(folder: &Dir, prefix: &[u8]) {
    let names = folder.list().unwrap_or_default();
    for name in names.iter().filter(|name| random::is_name(prefix, name)) {
        let Ok(file) = folder.open_file(name) else { continue };
        let is_ours = file.stat().is_ok_and(|stat| stat.uid == privilege::ids().0);
        drop(file);
        if let (true, Ok(Some(_lock))) = (is_ours, folder.lock_file(name, Share::Exclusive, Wait::No)) {
            folder.remove_file(name).ok();
        }
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What cannot be removed is found by its prefix later.
            call::remove_file(self.folder.as_fd(), name).ok();
        }
    }
}

impl Write for Temp<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
