//! What flatpak is told about images of any place.
//!
//! ```text
//! place ──► listing (manifest, labels) ──► index: static files, or answers of a server
//! image ──► lint: labels, layers, tree ──► findings
//! ```

pub mod import;
pub mod index;
mod learned;
pub mod lint;
mod listing;
pub mod serve;

pub use orlop_host::flatpak::index::{Index, Rival};
pub use orlop_host::flatpak::lint::Finding;
pub use orlop_serve::{Guard, Options, Registry, Server};
