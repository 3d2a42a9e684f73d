//! A client of registries (distribution-spec 1.1), and of files on the web.
//!
//! ```text
//! Remote (a repository: Catalog, Sink, Keeper)
//!    │ requests of orlop_spec::wire
//! Client ── redirects, retries, tokens, what was waited for
//!    │ one request, one answer
//! Exchange ── a connection: pool, TLS, proxy, stalls, which addresses may be reached
//! ```
//!
//! Invariants: a byte that leaves this crate as part of a blob is proven by whoever reads it, and never more of them
//! come than its descriptor says; a secret goes to the site that it belongs to and to nobody else; nothing waits
//! without a bound. No file is opened and no environment read: what is needed is handed in as
//! [`Network`](orlop_spec::network::Network).
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod auth;
pub mod client;
pub mod dial;
pub mod error;
pub mod exchange;
pub mod line;
#[cfg(test)]
mod loopback;
pub mod pool;
pub mod registry;
mod retry;
pub mod web;

pub use client::{Client, Errand, Options, Payload, Redirects, Repeat, Who, Wide};
pub use error::{Error, Phase, Refusal};
pub use exchange::Http;
pub use line::{Dialling, Line};
pub use pool::Pool;
pub use registry::{Entry, Push, Remote, Resolve, enter};
pub use web::{Pinned, WebFile, WebFolder};
