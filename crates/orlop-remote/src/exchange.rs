//! One request and its answer: the only way to a socket.
//!
//! ```text
//! Http ── head ──► Connection ──► Stream (watched) ──► TLS ──► socket
//!   Incoming ◄── framing ──┘                                  dial
//! ```

mod body;
pub(crate) mod connection;
mod head;
mod http;
mod socks;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
pub(crate) mod watch;

pub use http::Http;

use orlop_spec::port::Result;
use orlop_spec::wire::{Head, Request, Site};
use std::io::Read;

/// Sends one request and gives its answer.
///
/// Laws: no redirect is followed, nothing is repeated, no secret is added; an answer that is not a success is an
/// answer, not an error; an answer that comes before the body was sent whole is given; a body that ends early is an
/// error, never a short success; it ends with an error when the other side stalls or the user asks to stop.
pub trait Exchange: Send + Sync {
    /// Sends one request.
    fn send(&self, request: &Request, named: Named<'_>, body: Body<'_>) -> Result<Answer<'_>>;
}

/// Who named the place that a request goes to, and so which addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'s> {
    /// The user, or the user's configuration: it may be anywhere.
    ByUser,
    /// A server at this site, by a redirect, a location, a realm or a document. A public server must not lead into
    /// a private network.
    BySite(&'s Site),
}

/// What is sent after the head.
pub enum Body<'a> {
    /// Nothing.
    Empty,
    /// A document.
    Bytes(&'a [u8]),
    /// Exactly `size` bytes.
    Stream {
        /// How many.
        size: u64,
        /// Where they come from.
        read: &'a mut (dyn Read + Send),
    },
}

/// What came back.
pub struct Answer<'x> {
    /// Status and headers.
    pub head: Head,
    /// The rest, read from the connection as it is asked for; dropping it early closes the connection.
    pub body: Box<dyn Read + Send + 'x>,
}
