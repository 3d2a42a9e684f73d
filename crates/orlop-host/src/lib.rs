//! Foreign worlds that hold images in forms of their own, and what crosses between them and OCI.
//!
//! ```text
//! aci       App Container Images: manifests ↔ configs, and what is wrong with them
//! ostree    repositories of OSTree: objects, refs, transactions; commits ↔ images; layers that a repository keeps
//! flatpak   what flatpak asks of an image
//! delta     layers as differences from older ones, in flatpak's form
//! umoci     bundles: manifests of trees in the form of mtree(5), and what is kept beside them
//! ```
//!
//! Invariant: nothing of a foreign place is believed before its digest was proven, and nothing is visible there before
//! it is whole.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod aci;
pub mod delta;
pub mod error;
pub mod flatpak;
pub mod ostree;
pub mod umoci;

pub use error::Error;
