//! App Container Images: read as a tree that knows how it runs, and made of any image.

pub mod archive;
pub mod bundle;
mod chain;
pub mod check;
pub mod dependencies;
pub mod source;
pub mod target;

pub use orlop_host::aci::validate::Finding;
