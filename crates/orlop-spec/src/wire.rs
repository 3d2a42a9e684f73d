//! The distribution protocol without sockets (distribution-spec 1.1): what is asked, what is answered, and what
//! follows from it. A client and a server share it.
//!
//! ```text
//! Request { method, address, headers } ──► [ a socket ] ──► Head { status, headers } + body
//! ```
//!
//! Invariant: nothing here opens a socket, waits or looks at a clock; every function is total on hostile text.

pub mod address;
pub mod endpoint;
pub mod error;
pub mod failure;
pub mod header;
pub mod message;
pub mod referrers;
pub mod route;
pub mod scope;
pub mod token;
pub mod upload;

pub use address::{Address, AddressError, Scheme, Site};
pub use endpoint::{Api, ManifestName, Place};
pub use error::WireError;
pub use failure::{Code, Failure};
pub use message::{Head, Headers, Method, Request};
pub use route::{Query, Route};
pub use upload::Upload;
