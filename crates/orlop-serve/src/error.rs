//! What can go wrong with a server, beside single requests: those are answered.

use orlop_spec::{Diagnose, Fault, Kind};
use std::io;
use std::net::SocketAddr;

/// What can go wrong with a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is taken, or none of this machine.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A blob whose bytes are not what its digest says.
    #[error("the content of {digest} is damaged, so it was not sent whole")]
    Damaged {
        /// Which.
        digest: Box<str>,
    },
}

impl Diagnose for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Listen { .. } => Kind::Other,
            Self::Damaged { .. } => Kind::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Listen { .. } => Some("have a free port chosen: --listen 127.0.0.1:0".into()),
            Self::Damaged { .. } => None,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}
