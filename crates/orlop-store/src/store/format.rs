//! The file that says what a folder is.
//!
//! ```text
//! ROOT/format     "orlop store 1\n", then a line "needs WORD" for each thing that a reader must know
//! ```
//!
//! Invariant: the file is the last thing that is made: a folder that has it has all the others.

use crate::error::Error;
use crate::folder::write_new;
use orlop_fs::{Dir, temp};
use orlop_spec::port::Result;

const FORMAT: &str = "format";
const UNDERSTOOD: &str = "orlop store 1";
/// More is not read.
const LIMIT: u64 = 4096;

pub(super) const NAMES: &str = "names";
pub(super) const BLOBS: &str = "blobs";
pub(super) const FORMS: &str = "forms";
pub(super) const LAYERS: &str = "layers";
pub(super) const OBJECTS: &str = "objects";
pub(super) const LEASES: &str = "leases";
pub(super) const TREES: &str = "trees";
pub(super) const MOUNTS: &str = "mounts";
pub(super) const RUNS: &str = "runs";

const PARTS: [&str; 9] = [NAMES, BLOBS, FORMS, LAYERS, OBJECTS, LEASES, TREES, MOUNTS, RUNS];

/// Whether the folder is a store of a form that is understood.
pub(super) fn check(root: &Dir) -> Result<()> {
    let mut file = match root.open_file(FORMAT) {
        Err(error) if error.is_not_found() => {
            let place = root.path().into();
            return Err(Error::Incomplete { place, what: "store", missing: FORMAT }.into());
        }
        opened => opened?,
    };
    let text = String::from_utf8_lossy(&file.read_to_limit(LIMIT)?).into_owned();
    // Nothing is needed yet beyond what the first version has.
    if text.strip_suffix('\n') == Some(UNDERSTOOD) {
        return Ok(());
    }
    Err(Error::UnknownVersion {
        file: root.path().join(FORMAT),
        found: text.trim_end().into(),
        understood: UNDERSTOOD,
    }
    .into())
}

/// Makes a store of a folder that is empty, or holds a part of what a killed run made here.
pub(super) fn make(root: &Dir) -> Result<()> {
    if root.try_stat(FORMAT)?.is_some() {
        return check(root);
    }
    let is_part = |name: &[u8]| PARTS.iter().any(|part| part.as_bytes() == name) || temp::is_temp_name(name);
    if !root.list()?.iter().all(|name| is_part(name) || **name == *FORMAT.as_bytes()) {
        return Err(Error::Occupied { path: root.path().into(), what: "store" }.into());
    }
    // What was built from images may hold secrets, and programs that run with another owner's rights do no harm here.
    root.set_mode(0o700)?;
    for part in PARTS {
        root.make_or_open_dir(part, 0o777)?;
    }
    root.sync()?;
    write_new(root, FORMAT, format!("{UNDERSTOOD}\n").as_bytes())
}
