//! Layers as differences from an older image: tar-diff, as flatpak applies it.
//!
//! ```text
//! "tardf1\n\0" │ one zstd frame: operation │ operation │ …          docs/formats/delta.md
//!
//! operation:  code (1 byte) │ number (LEB128) │ bytes, where the code has some
//!   0 data   n bytes follow, which stand in the layer
//!   1 open   n bytes follow: the path of a file of the older tree; reading begins at its start
//!   2 copy   n bytes of the file, from where reading is
//!   3 add    n bytes follow, which are added to n bytes of the file, each to each, modulo 256
//!   4 seek   reading goes on at byte n of the file
//! ```
//!
//! What the operations give, one after the other, is the uncompressed layer. Making one:
//!
//! ```text
//! older image ──Older──► files: digests, names, chunks; contents in a spool
//! newer layer ──Newer──► segments: framing │ a file that the older tree has │ another file
//!                           └─► pairs (in parallel): the most similar file of the older tree ──► Script
//! ```
//!
//! Invariants: the bytes of a delta depend on both images and the level alone. What a delta gives is believed only when it
//! hashes to the diff id of the layer; nothing that it asks for is outside the files of the older tree.

mod apply;
mod chunk;
mod make;
mod newer;
mod older;
mod operation;
mod pair;

pub use apply::{Paths, Sources, apply};
pub use make::{Make, make};
pub use newer::Newer;
pub use older::{Files, Older, Place, Wanted};

/// How a delta begins.
pub const MAGIC: [u8; 8] = *b"tardf1\n\0";

/// The media type of a delta.
pub const MEDIA_TYPE: &str = "application/vnd.tar-diff";

#[cfg(test)]
mod tests;
