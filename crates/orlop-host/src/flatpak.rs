//! What flatpak asks of an image: labels that carry a commit, and an index that lists images.
//!
//! ```text
//! commit ◄── labels ──► config of an image ──► index ──► a remote that flatpak can add
//! ```
//!
//! Invariant: what comes out of a label is parsed, or it is an error that names the label; what is written is what
//! flatpak itself writes for the same commit.

pub mod appstream;
pub mod index;
pub mod labels;
pub mod lint;
pub mod refname;
