//! The lists of the store: which dialect of [`orlop_layer::list`] they are, and how a file is read as one.

use crate::blobs::FileOrigin;
use crate::error::Error;
use orlop_fs::File;
use orlop_layer::list::{Dialect, Input, Reader, Wrong};
use orlop_spec::port::Result;
use std::io::Read;
use std::path::PathBuf;

/// Contents of at most so many bytes stay in the list.
pub(super) const SHORT: usize = 64;

/// Objects are named by the sha256 of their content.
pub(super) const DIALECT: Dialect = Dialect {
    start: *b"orlop layer 1\n\0\0",
    family: "orlop layer ",
    understood: "orlop layer 1",
    short: SHORT,
};

/// Reads a list whose bytes are proven first.
pub(super) fn open(file: File) -> Result<Reader> {
    let shown = PathBuf::from(file.shown().to_string());
    let blame = move |wrong| match wrong {
        Wrong::Damaged(what) => Error::ListDamaged { file: shown.clone(), what }.into(),
        Wrong::Version(found) => {
            Error::UnknownVersion { file: shown.clone(), found, understood: DIALECT.understood }.into()
        }
    };
    Reader::open(&OnDisk(file), &DIALECT, Box::new(blame))
}

struct OnDisk(File);

impl Input for OnDisk {
    fn size(&self) -> Result<u64> {
        Ok(self.0.size()?)
    }

    fn open(&self) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(FileOrigin::whole(self.0.try_clone()?).into_reader(0)))
    }
}
