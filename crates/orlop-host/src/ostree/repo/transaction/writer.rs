//! A file whose content passes.

use super::held::Share;
use super::{SMALL, Transaction, write};
use crate::Error;
use crate::ostree::id::{Kind, ObjectId, ObjectName};
use crate::ostree::object::{FileHasher, FileHeader};
use crate::ostree::repo::deflate::Deflating;
use crate::ostree::repo::{Mode, RepoError};
use orlop_fs::{File, random};
use orlop_spec::Fault;
use std::io;

/// Takes the content of one file. Dropping it leaves nothing.
pub struct FileWriter<'t> {
    transaction: &'t Transaction<'t>,
    header: FileHeader,
    announced: u64,
    taken: u64,
    place: Place<'t>,
}

enum Place<'t> {
    /// Until all is there.
    Memory(Vec<u8>, Option<Share<'t>>),
    /// A file that waits for its id.
    File(Box<Large>),
}

struct Large {
    file: File,
    name: Vec<u8>,
    hasher: FileHasher,
    deflating: Option<Deflating>,
}

impl<'t> FileWriter<'t> {
    pub(super) fn new(
        transaction: &'t Transaction<'_>,
        header: FileHeader,
        announced: u64,
    ) -> Result<Self, Error> {
        // Only compressing gains by holding more.
        let takes_share = announced > SMALL && transaction.repo.mode == Mode::Archive;
        let share = if takes_share { transaction.held.take(announced) } else { None };
        let place = match usize::try_from(announced) {
            Ok(size) if announced <= SMALL || share.is_some() => {
                Place::Memory(Vec::with_capacity(size), share)
            }
            _ => Place::File(Box::new(Large::new(transaction, &header, announced)?)),
        };
        Ok(Self { transaction, header, announced, taken: 0, place })
    }

    /// Takes the next bytes.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.taken += bytes.len() as u64;
        if self.taken > self.announced {
            return Err(self.wrong_size());
        }
        match &mut self.place {
            Place::Memory(content, _) => content.extend_from_slice(bytes),
            Place::File(large) => large.take(bytes)?,
        }
        Ok(())
    }

    /// The file is whole: its id.
    pub fn finish(self) -> Result<ObjectId, Error> {
        if self.taken != self.announced {
            return Err(self.wrong_size());
        }
        let Self { transaction, header, place, taken, .. } = self;
        match place {
            Place::Memory(content, _share) => transaction.put_file(&header, &content),
            Place::File(large) => large.finish(transaction, &header, taken),
        }
    }

    fn wrong_size(&self) -> Error {
        RepoError::WrongSize { announced: self.announced, found: self.taken }.into()
    }
}

impl Large {
    fn new(transaction: &Transaction<'_>, header: &FileHeader, size: u64) -> Result<Self, Error> {
        let name = random::name("large-");
        let file = transaction.staging.dir().create_file(&name, 0o600)?;
        let mut deflating = None;
        if transaction.repo.mode == Mode::Archive {
            write(&file, &header.to_archived(size))?;
            deflating = Some(transaction.compressors.stream());
        }
        Ok(Self { file, name, hasher: FileHasher::new(header), deflating })
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hasher.update(bytes);
        let Self { file, deflating, .. } = self;
        match deflating {
            Some(deflating) => deflating.push(bytes, |out| write(file, out)),
            None => write(file, bytes),
        }
    }

    fn finish(
        self,
        transaction: &Transaction<'_>,
        header: &FileHeader,
        size: u64,
    ) -> Result<ObjectId, Error> {
        let Self { file, name, hasher, deflating } = self;
        if let Some(deflating) = deflating {
            deflating.finish(|out| write(&file, out))?;
        }
        let object = ObjectName::new(hasher.finish(), Kind::File);
        let staged = transaction.staging.dir();
        if transaction.claim(&object, &transaction.content, size)? {
            transaction.set_meta(&file, header)?;
            let folder = transaction.staging.folder(&object.id)?;
            staged.rename(&name, folder, transaction.repo.file_name(&object))?;
        } else {
            staged.remove_file(&name)?;
        }
        Ok(object.id)
    }
}

impl io::Write for FileWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes).map(|()| bytes.len()).map_err(|error| Fault::from(error).into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
