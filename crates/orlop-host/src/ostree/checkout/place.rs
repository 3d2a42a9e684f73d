//! One file of a checkout.

use super::{Checkout, Existing, Link, Owners, Whiteouts, may_link};
use crate::Error;
use crate::ostree::id::{Kind, ObjectId, ObjectName};
use crate::ostree::object::FileHeader;
use crate::ostree::repo::{FileObject, Mode, RepoError};
use orlop_fs::{Dir, File, FileKind, Persist, random};
use std::io::ErrorKind;
use std::sync::atomic::Ordering;

impl Checkout<'_> {
    /// Puts a file or a link at its name.
    pub(super) fn place(
        &self,
        folder: &Dir,
        name: &[u8],
        id: &ObjectId,
        buffer: &mut [u8],
    ) -> Result<(), Error> {
        if self.options.existing != Existing::Refuse
            && let Some(there) = folder.try_stat(name)?
        {
            match self.options.existing {
                Existing::Keep => return Ok(()),
                Existing::Identical => return self.check_same(folder, name, id, buffer),
                _ if there.kind == FileKind::Directory && self.options.whiteouts == Whiteouts::Apply => {
                    folder.remove_all(name)?;
                }
                _ => {}
            }
        }
        if self.link(folder, name, id)? {
            self.linked.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.copied.fetch_add(1, Ordering::Relaxed);
        let object = self.repo.file(id)?;
        if object.header().is_link() {
            self.make_link(folder, name, object)
        } else {
            self.copy(folder, name, object, buffer)
        }
    }

    /// Whether the file became a further name of the repository's.
    fn link(&self, folder: &Dir, name: &[u8], id: &ObjectId) -> Result<bool, Error> {
        if self.options.link == Link::Never || !may_link(self.repo.mode(), self.options.owners) {
            return Ok(false);
        }
        let is_user = matches!(self.repo.mode(), Mode::BareUser | Mode::BareUserOnly);
        if is_user && !is_shared_by_users(self.repo.mode(), &self.repo.file(id)?) {
            return Ok(false);
        }
        let Some((from, object)) = self.repo.place_of(&ObjectName::new(*id, Kind::File))? else {
            let mode = self.repo.mode();
            return if self.options.link == Link::Try {
                Ok(false)
            } else {
                Err(RepoError::CannotLink { mode }.into())
            };
        };
        let linked = match self.options.existing {
            Existing::Overwrite => replace_by_link(from, &object, folder, name),
            _ => from.link(&object, folder, name),
        };
        match linked {
            Ok(()) => Ok(true),
            Err(error) if self.options.link == Link::Try && is_no_place_for_links(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn make_link(&self, folder: &Dir, name: &[u8], object: FileObject) -> Result<(), Error> {
        let header = object.header().clone();
        object.content(0)?;
        let made = match self.options.existing {
            Existing::Overwrite => random::name(orlop_fs::temp::PREFIX),
            _ => name.to_vec(),
        };
        folder.make_symlink(&*header.target, &made)?;
        if self.options.owners == Owners::Exact {
            folder.set_owner_of(&made, header.uid, header.gid)?;
            for (xattr, value) in &header.xattrs {
                folder.set_xattr_of(&made, xattr, value)?;
            }
        }
        if made == name { Ok(()) } else { Ok(folder.rename(&made, folder, name)?) }
    }

    /// The file has no name until all of it was proven.
    fn copy(&self, folder: &Dir, name: &[u8], object: FileObject, buffer: &mut [u8]) -> Result<(), Error> {
        let header = object.header().clone();
        let temp = folder.create_temp()?;
        let (mut reader, mut at) = (object.reader(), 0);
        loop {
            self.cx.cancel.check().map_err(RepoError::from)?;
            match reader.next_piece(buffer)? {
                0 => break,
                count => {
                    temp.file().write_at(&buffer[..count], at)?;
                    at += count as u64;
                }
            }
        }
        self.set_meta(temp.file(), &header)?;
        let how = if self.options.existing == Existing::Overwrite { Persist::Replace } else { Persist::New };
        temp.persist(name, how)?;
        Ok(())
    }

    fn set_meta(&self, file: &File, header: &FileHeader) -> Result<(), Error> {
        let bits = u16::try_from(header.mode & 0o7777).expect("twelve bits");
        if self.options.owners == Owners::User {
            return Ok(file.set_mode(bits & 0o1777 | 0o400)?);
        }
        file.set_owner(header.uid, header.gid)?;
        for (name, value) in &header.xattrs {
            file.set_xattr(name, value)?;
        }
        Ok(file.set_mode(bits)?)
    }

    /// What is there must be what would come.
    fn check_same(&self, folder: &Dir, name: &[u8], id: &ObjectId, buffer: &mut [u8]) -> Result<(), Error> {
        let object = self.repo.file(id)?;
        let there = folder.stat(name)?;
        let is_same = match there.kind {
            FileKind::Symlink => *folder.read_link(name)? == *object.header().target.as_bytes(),
            FileKind::File if !object.header().is_link() && there.size == object.size() => {
                same_content(&folder.open_file(name)?, object, buffer)?
            }
            _ => false,
        };
        if is_same {
            Ok(())
        } else {
            Err(RepoError::InTheWay { path: folder.shown(name).to_string() }.into())
        }
    }
}

/// Links of `bare-user` are files there. libostree copies what is empty, since nothing is saved by sharing it, and what
/// its owner may not read, since a copy may be readable.
fn is_shared_by_users(mode: Mode, object: &FileObject) -> bool {
    let header = object.header();
    if header.is_link() { mode == Mode::BareUserOnly } else { object.size() > 0 && header.mode & 0o400 != 0 }
}

fn same_content(there: &File, object: FileObject, buffer: &mut [u8]) -> Result<bool, Error> {
    let mut theirs = vec![0; buffer.len()];
    let (mut reader, mut at, mut is_same) = (object.reader(), 0, true);
    loop {
        match reader.next_piece(buffer)? {
            0 => return Ok(is_same),
            count => {
                let read = there.read_at(&mut theirs[..count], at)?;
                is_same &= buffer[..count] == theirs[..read];
                at += count as u64;
            }
        }
    }
}

fn replace_by_link(from: &Dir, object: &str, folder: &Dir, name: &[u8]) -> orlop_fs::Result<()> {
    if let Some(there) = folder.try_stat(name)?
        && there.is_same_file(&from.stat(object)?)
    {
        return Ok(());
    }
    let aside = random::name(orlop_fs::temp::PREFIX);
    from.link(object, folder, &aside)?;
    let renamed = folder.rename(&aside, folder, name);
    if renamed.is_err() {
        folder.remove_file(&aside).ok();
    }
    renamed
}

/// Another file system, one without hard links, or a file that has all the names it can have.
fn is_no_place_for_links(error: &orlop_fs::Error) -> bool {
    use ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    error
        .io_kind()
        .is_some_and(|kind| matches!(kind, CrossesDevices | PermissionDenied | TooManyLinks | Unsupported))
}
