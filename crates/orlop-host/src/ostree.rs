//! Repositories of OSTree, read and written without libostree.
