//! A registry that is read from: images of any place, over HTTP, for clients that know registries.
//!
//! ```text
//! socket ──► Asked ──► Route ──► Registry ──► Answer ──► socket
//!  server    request   (spec)    │    │       answer
//!                             Guard  Shown ◄── Offer: what there is, asked anew for each request
//! ```
//!
//! Invariant: nothing is handed out but what a repository that is offered reaches, and no blob whole that is not what
//! its digest says. A client costs one thread of a bounded number, a bounded head, and a bounded time without progress.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

mod answer;
pub mod error;
mod guard;
mod listing;
mod offer;
mod registry;
pub mod request;
mod server;
mod shown;

pub use error::Error;
pub use guard::Guard;
pub use offer::{Entry, Offer, Page};
pub use registry::Registry;
pub use server::{Options, Server};
