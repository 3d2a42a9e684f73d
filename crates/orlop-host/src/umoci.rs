//! Bundles as umoci unpacks them, so that either tool can repack what the other unpacked (`docs/formats/umoci-bundle.md`).
//!
//! ```text
//! BUNDLE/
//!   config.json  rootfs/
//!   umoci.json           meta     which image it is of, how owners were mapped
//!   sha256_HEX.mtree     mtree    what rootfs was when it was unpacked
//! ```
//!
//! Invariant: what is read is what the file says or an error with its line; what is written, umoci 0.4.7 and 0.6.0 read.

mod error;
pub mod meta;
pub mod mtree;

pub use error::{MtreeError, UmociError, Wrong};
