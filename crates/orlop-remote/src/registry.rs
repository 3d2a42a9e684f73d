//! A repository of a registry, behind the ports (distribution-spec 1.1).
//!
//! ```text
//! Remote  Source, Catalog, Keeper    manifests/TAG  ──► document, kept ──► origin ──► blobs/DIGEST, in parts
//! Push    Sink                       put: held? ── lent? ── uploaded        documents wait for finish
//!    └────┬────┘                     finish: manifests by digest, indexes, then each root under its tag
//!       Doors                        the endpoints of the repository, in order
//! ```
//!
//! Invariants: a document is proven before it is given; no byte of a blob beyond its size is read, and none is sent
//! as its last before the whole was proven; a tag is written once, at the end. What a manifest says about other
//! places to fetch from (`urls`) is never followed.

mod blob;
mod doors;
mod enter;
mod error;
mod keep;
mod manifest;
mod noting;
mod outgoing;
mod push;
mod referrers;
mod source;
mod standing;
mod tags;
mod upload;
mod wide;

pub use enter::{Entry, enter};
pub use error::{Damage, Error};
pub use push::Push;
pub use source::{Remote, Resolve};
