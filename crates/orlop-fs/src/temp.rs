//! Files that get their name when they are whole.
//!
//! Invariant: until [`Temp::persist`] nobody sees the file under its name, and a killed run leaves nothing: the
//! file has no name at all (`O_TMPFILE`), or, where the file system lacks that, one that begins with
//! [`PREFIX`], which a later run may remove.

use crate::call;
use crate::dir::{Dir, is_without_tmpfile};
use crate::file::File;
use crate::{Result, random};
use rustix::fd::AsFd as _;
use std::io::{self, Write};
use std::ops::Deref;

/// How the names of temporary files begin.
pub const PREFIX: &str = ".orlop-tmp-";

/// Whether a name is one of a temporary file.
pub fn is_temp_name(name: &[u8]) -> bool {
    name.starts_with(PREFIX.as_bytes())
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
        Self::create_in(Folder::Borrowed(folder))
    }

    fn create_in(folder: Folder<'a>) -> Result<Self> {
        match call::create_unnamed(&*folder, 0o666) {
            Ok(handle) => {
                let file = File::new(handle, folder.shown("(temporary file)"));
                Ok(Self { folder, file, name: None })
            }
            Err(error) if is_without_tmpfile(error) => {
                let name = random::name(PREFIX);
                let file = folder.create_file(&name, 0o666)?;
                Ok(Self { folder, file, name: Some(name) })
            }
            Err(error) => Err(folder.failed("create a temporary file in", b"")(error)),
        }
    }

    /// A file that keeps its folder open itself.
    pub fn create_own(folder: Dir) -> Result<Temp<'static>> {
        Temp::create_in(Folder::Own(Box::new(folder)))
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name; the file stays open.
    pub fn persist(mut self, name: impl AsRef<[u8]>, how: Persist) -> Result<File> {
        let new = self.folder.plain(name.as_ref())?;
        match how {
            Persist::New => self.persist_new(new)?,
            Persist::Replace => self.persist_over(new)?,
        }
        self.name = None;
        Ok(self.file.try_clone()?.renamed(self.folder.shown(new)))
    }

    fn persist_new(&self, new: &[u8]) -> Result<()> {
        match &self.name {
            None => call::link_open(&self.file, &*self.folder, new),
            Some(name) => call::rename_new(&*self.folder, name, &*self.folder, new),
        }
        .map_err(self.folder.failed("create", new))
    }

    /// A nameless file cannot replace: it gets a temporary name first.
    fn persist_over(&mut self, new: &[u8]) -> Result<()> {
        if self.name.is_none() {
            let name = random::name(PREFIX);
            call::link_open(&self.file, &*self.folder, &name).map_err(self.folder.failed("create", new))?;
            self.name = Some(name);
        }
        let name = self.name.as_deref().expect("it has a name by now");
        call::rename(&*self.folder, name, &*self.folder, new).map_err(self.folder.failed("replace", new))
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
