//! Repositories of OSTree, read and written without libostree.

pub mod keyfile;
