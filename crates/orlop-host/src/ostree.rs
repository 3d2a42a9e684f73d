//! Repositories of OSTree, read and written without libostree.

pub mod carried;
pub mod claim;
pub mod escape;
pub mod id;
pub mod identity;
pub mod kept;
pub mod keyfile;
pub mod layers;
pub mod object;
pub mod refname;
pub mod repo;
pub mod summary;
pub mod variant;

pub use id::{Kind, ObjectId, ObjectName};
pub use object::{Commit, DirMeta, DirTree, FileHasher, FileHeader, Malformed};
pub use refname::{RefError, RefName, RefSpec};
pub use repo::{Mode, Repo, RepoError, Transaction};
pub use variant::{Dict, Variant};
