//! Repositories of OSTree, read and written without libostree.

pub mod id;
pub mod keyfile;
pub mod object;
pub mod variant;

pub use id::{Kind, ObjectId, ObjectName};
pub use object::{Commit, DirMeta, DirTree, FileHasher, FileHeader, Malformed};
pub use variant::{Dict, Variant};
