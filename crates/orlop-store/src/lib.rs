//! Content on disk: OCI layouts, archives, and the forms of other tools, behind the ports of `orlop-spec`.
//!
//! Invariant: a name is absent, or old, or new and whole, whatever happens while it is written. Every file
//! operation goes through `orlop-fs`; nothing here looks at the clock, the environment or the network.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod archive;
mod blobs;
mod catalog;
pub mod dir;
pub mod docker_archive;
pub mod error;
mod folder;
mod index_file;
pub mod layout;
mod part;
mod reach;
mod select;
pub mod store;
mod take;

pub use archive::{ArchiveSink, OciArchive};
pub use dir::{Exploded, ExplodedSink};
pub use docker_archive::DockerArchive;
pub use error::Error;
pub use layout::{FarLayout, Layout, LayoutSink, Options};
pub use store::Store;
