//! What a mount or a container uses, beyond what names reach.
//!
//! ```text
//! mounts/ID/roots, runs/ID/roots     {"version":1, "images":[…], "layers":[…], "trees":[…]}
//! ```
//!
//! Invariant: the file is whole or absent, and is never changed. While it is absent, the run that makes the folder has a
//! lease. What it lists stays until the folder is removed, which is for whoever knows that the mount or container is gone.

use crate::error::Error;
use orlop_fs::{Dir, FileKind, Persist, temp};
use orlop_spec::port::Result;
use orlop_spec::{Descriptor, DiffId, json};
use serde::{Deserialize, Serialize};
use std::io::Write as _;

/// The file in the folder of a mount or container.
pub const FILE: &str = "roots";
const VERSION: u32 = 1;
/// More is not read.
const LIMIT: u64 = 4 << 20;

/// What is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// Images, with all that they reach.
    pub images: Vec<Descriptor>,
    /// Layers, with their contents.
    pub layers: Vec<DiffId>,
    /// Names in the folder of trees.
    pub trees: Vec<Box<str>>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    images: Vec<Descriptor>,
    layers: Vec<DiffId>,
    trees: Vec<Box<str>>,
}

impl Roots {
    /// Writes what is in use into the folder of a mount or container; from then on no lease is needed for it.
    pub fn write(&self, folder: &Dir) -> Result<()> {
        let Self { images, layers, trees } = self.clone();
        // Not synced: neither a mount nor a container is there after a loss of power.
        let mut temp = folder.create_temp()?;
        temp.write_all(&json::print(&Written { version: VERSION, images, layers, trees }))
            .map_err(|error| orlop_fs::Error::io("write", folder.shown(FILE), error))?;
        temp.persist(FILE, Persist::New)?;
        Ok(())
    }

    /// What the folder of a mount or container says; `None` where it says nothing yet.
    pub fn read(folder: &Dir) -> Result<Option<Self>> {
        let bytes = match folder.open_file(FILE) {
            Err(error) if error.is_not_found() => return Ok(None),
            opened => opened?.read_to_limit(LIMIT)?,
        };
        // What a loss of power may leave.
        if bytes.is_empty() {
            return Ok(None);
        }
        let file = || folder.path().join(FILE);
        let written: Written =
            json::parse(&bytes).map_err(|error| Error::Damaged { file: file(), source: error.into() })?;
        if written.version != VERSION {
            let found = format!("version {}", written.version);
            let understood = "version 1 of what is in use";
            return Err(Error::UnknownVersion { file: file(), found, understood }.into());
        }
        Ok(Some(Self { images: written.images, layers: written.layers, trees: written.trees }))
    }
}

/// What all folders of a folder of mounts or containers say.
pub(super) fn all(folders: &Dir) -> Result<Vec<Roots>> {
    let mut all = Vec::new();
    for name in folders.list()?.iter().filter(|name| !temp::is_temp_name(name)) {
        if folders.try_stat(name)?.is_none_or(|stat| stat.kind != FileKind::Directory) {
            continue;
        }
        match folders.open_dir(name) {
            // It ended meanwhile.
            Err(error) if error.is_not_found() => {}
            opened => all.extend(Roots::read(&opened?)?),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_spec::digest::{Algorithm, Digest};
    use orlop_spec::media_type::{MediaType, OCI_MANIFEST};

    #[test]
    fn what_was_written_is_read_and_a_folder_without_it_says_nothing() {
        let scratch = testkit::scratch();
        let folders = Dir::open(scratch.folder("mounts")).expect("a folder");
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let roots = Roots {
            images: vec![Descriptor::new(MediaType::new(OCI_MANIFEST), digest, 1)],
            layers: vec![DiffId(digest)],
            trees: vec!["a-tree".into()],
        };
        scratch.folder("mounts/begun");
        scratch.file("mounts/probed", "kernel");
        let folder = Dir::open(scratch.folder("mounts/a")).expect("a folder");
        roots.write(&folder).expect("written");
        assert_eq!(all(&folders).expect("read"), [roots]);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let scratch = testkit::scratch();
        let folder = Dir::open(scratch.folder("a")).expect("a folder");
        scratch.file("a/roots", "");
        assert_eq!(Roots::read(&folder).expect("nothing is said"), None);
        for bad in ["{}", r#"{"version":2,"images":[],"layers":[],"trees":[]}"#] {
            scratch.file("a/roots", bad);
            assert!(Roots::read(&folder).is_err(), "{bad}");
        }
    }
}
