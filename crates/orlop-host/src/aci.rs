//! App Container Images (appc specification 0.8.11), as rkt ran them.
//!
//! ```text
//! tar, plain or compressed by gzip, bzip2 or xz
//! ├── manifest       JSON: name, labels, how it runs, dependencies, annotations
//! └── rootfs/        the files
//! image id = sha512 of the tar before compression
//!
//! config of an image ──from_config──► manifest ──into_config──► config
//! ```
//!
//! Invariant: what one side cannot say of the other is carried in annotations, and is told.

pub mod archive;
mod error;
pub mod from_bundle;
pub mod from_config;
pub mod into_config;
pub mod into_runtime;
mod isolator;
pub mod layer;
pub mod machine;
pub mod manifest;
pub mod name;
pub mod squeeze;
pub mod validate;

pub use error::AciError;
