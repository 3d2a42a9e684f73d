//! Repositories of OSTree, read and written without libostree.

pub mod carried;
pub mod checkout;
pub mod claim;
pub mod commit;
pub mod encapsulated;
pub mod escape;
pub mod export;
pub mod flavour;
pub mod id;
pub mod identity;
pub mod import;
pub mod kept;
pub mod keyfile;
pub mod layers;
pub mod look;
pub mod make;
pub mod object;
mod parallel;
pub mod pile;
pub mod refname;
pub mod remote;
pub mod repo;
pub mod summary;
pub mod tree;
pub mod variant;
pub mod write_tree;
mod zeros;

pub use id::{Kind, ObjectId, ObjectName};
pub use object::{Commit, DirMeta, DirTree, FileHasher, FileHeader, Malformed};
pub use refname::{RefError, RefName, RefSpec};
pub use repo::{Mode, Repo, RepoError, Transaction};
pub use variant::{Dict, Variant};
