//! Layers: bytes ↔ entries ↔ trees.
//!
//! Invariant: this crate opens no file and no socket and knows no JSON. A layer comes in as a `Read` and goes
//! out as a `Write`; what a `.wh.` name means is decided here and nowhere else.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod budget;
mod buffers;
pub mod codec;
pub mod decode;
pub mod encode;
pub mod entry;
pub mod error;
mod hashed;
pub mod list;
pub mod manifest;
pub mod path;
pub mod tar;
pub mod tree;
pub mod verified;
pub mod whiteout;

pub use budget::Budget;
pub use codec::Codec;
pub use decode::{Decode, Decoded, Stages, Visit, decode};
pub use encode::{Encode, Encoded, encode};
pub use entry::{Chunk, Device, Entries, Entry, Kind, Meta, Order, Time, Xattrs};
pub use error::Error;
pub use manifest::TreeManifest;
pub use path::TreePath;
pub use tree::Tree;
pub use verified::Verified;
