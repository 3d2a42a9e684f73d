//! Repositories of OSTree as places: what verbs make of them.

pub mod encapsulated;
pub mod export;
pub mod kept;
pub mod laid;
pub mod source;
pub mod target;
