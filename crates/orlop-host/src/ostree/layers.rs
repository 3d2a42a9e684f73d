//! Layers that a repository keeps, each once, so that they come out as they went in.
//!
//! ```text
//! ostree/container/blob/ESC(BLOB)   the files of a layer, whiteouts as `.wh.` files; metadata: the note
//! orlop/layer/ESC(DIFF-ID)          files/  the same
//!                                   list    the rest of the tar, and which file is where (`orlop_layer::list`)
//!                                   more/   contents that no name of the layer leads to, by their ordinal
//! orlop/blob/ESC(BLOB)              blob    what cannot be made again to the bit
//! ```
//!
//! Two blobs with one diff id, such as a layer in gzip and in zstd, share all but a note. `docs/formats/ostree-layers.md`
//! draws the bytes.
//!
//! Invariant: a ref comes after everything that its commit reaches is on the disk. What comes out was proven by the ids
//! of its objects, and is proven again by whoever reads it.

mod error;
mod former;
pub mod known;
mod look;
pub(super) mod note;
pub(super) mod recipe;
pub mod tarsplit;
pub mod usage;

pub use error::LayersError;
pub use note::{Back, Note};

use super::escape::Escape;
use super::refname::{RefError, RefName};
use super::variant::Dict;
use orlop_layer::list::Dialect;

/// Where lists of layers are, by diff id.
pub const LISTS: &str = "orlop/layer";
/// Where blobs are as they came.
pub const WHOLE: &str = "orlop/blob";

/// Objects are named as the repository names its files: by owner, mode, attributes and content.
pub const DIALECT: Dialect = Dialect {
    start: *b"orlop ostree 1\n\0",
    family: "orlop ostree ",
    understood: "orlop ostree 1",
    // Every content is a file of the layer's tree anyway.
    short: 0,
};

/// Whether a commit is one of a layer, a blob or an image, by its metadata.
pub(super) fn is_ours(metadata: &Dict) -> bool {
    [note::BACK, recipe::DIFF_ID, recipe::BLOB, super::kept::note::ROOT]
        .iter()
        .any(|key| metadata.get(key).is_some())
}

/// The ref beneath a folder for what a digest names.
pub fn ref_of(folder: &str, digest: &str) -> Result<RefName, RefError> {
    Escape::Bootc.encode(folder, digest.as_bytes())
}

/// The digest that a ref beneath a folder stands for.
pub fn digest_of(folder: &str, name: &RefName) -> Option<String> {
    String::from_utf8(Escape::Bootc.decode(folder, name)?).ok()
}
