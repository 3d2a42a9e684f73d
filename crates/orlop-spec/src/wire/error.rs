//! What can be wrong with a question before it is asked, and with an answer that the protocol forbids.

use super::{Address, AddressError, Site};
use crate::diagnose::{Diagnose, Fault, Kind};
use crate::digest::DigestError;

/// A question that cannot be asked, or an answer that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A host, prefix or name from a configuration does not make an address.
    #[error("{site} has no {path:?}: it is no plain path")]
    Path {
        /// The site.
        site: Box<Site>,
        /// What was to stand behind it.
        path: Box<str>,
    },
    /// Not a tag.
    #[error("{0:?} is no tag: up to 128 letters, digits, `_`, `.` and `-`, the first a letter, digit or `_`")]
    Tag(Box<str>),
    /// A manifest of a registry is named by tag or by digest, never by position.
    #[error("an image of a registry needs a tag or a digest")]
    Nameless,
    /// A media type that cannot be sent.
    #[error("{0:?} is no media type, so it cannot be sent")]
    MediaType(Box<str>),
    /// The answer leads to something that is no address.
    #[error("{asked} answered with an address that cannot be followed")]
    Leads {
        /// Whom was asked.
        asked: Box<Address>,
        /// What is wrong with it.
        #[source]
        source: AddressError,
    },
    /// The next page of a list is somebody else's (N4).
    #[error("{asked} says that the next page is at {}, and pages of others are not read", next.site())]
    ForeignPage {
        /// Whom was asked.
        asked: Box<Address>,
        /// Where it leads.
        next: Box<Address>,
    },
    /// The answer leads from TLS to the clear.
    #[error("{asked} leads to {to}, which is in the clear: refused")]
    InTheClear {
        /// Whom was asked.
        asked: Box<Address>,
        /// Where it leads.
        to: Box<Address>,
    },
    /// A header that must be there is not, or makes no sense.
    #[error("{asked} answered without a {header} that makes sense")]
    Header {
        /// Whom was asked.
        asked: Box<Address>,
        /// Name of the header.
        header: &'static str,
    },
    /// `Docker-Content-Digest` is no digest.
    #[error("{asked} answered with a digest that is none")]
    ContentDigest {
        /// Whom was asked.
        asked: Box<Address>,
        /// What is wrong with it.
        #[source]
        source: DigestError,
    },
    /// An upload makes no progress: the registry keeps on taking less than what is sent.
    #[error("the upload to {site} stays at byte {at}")]
    Stuck {
        /// The registry.
        site: Box<Site>,
        /// Bytes that it acknowledged.
        at: u64,
    },
    /// The registry says that it has bytes which were never sent.
    #[error("{site} acknowledges {acknowledged} bytes of an upload of which {sent} were sent")]
    Acknowledged {
        /// The registry.
        site: Box<Site>,
        /// What it says.
        acknowledged: u64,
        /// What was sent.
        sent: u64,
    },
    /// An authorisation server answered with something that is no token.
    #[error("{realm} answered with no token: {problem}")]
    Token {
        /// Who was asked.
        realm: Box<Address>,
        /// What is wrong.
        problem: TokenProblem,
    },
}

/// What is wrong with the answer of an authorisation server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenProblem {
    /// More than 64 KiB (N12).
    #[error("it is longer than 64 KiB")]
    Long,
    /// Not JSON with the right members.
    #[error("it is not the JSON that the protocol wants")]
    Json,
    /// Neither `token` nor `access_token`.
    #[error("it holds neither `token` nor `access_token`")]
    Missing,
    /// Characters that no header may hold.
    #[error("the token holds characters that no header may hold")]
    Characters,
}

impl Diagnose for WireError {
    fn kind(&self) -> Kind {
        match self {
            Self::Path { .. } | Self::Tag(_) | Self::Nameless | Self::MediaType(_) => Kind::Usage,
            Self::Token { .. } => Kind::Denied,
            Self::ForeignPage { .. } | Self::InTheClear { .. } => Kind::Policy,
            Self::ContentDigest { .. } => Kind::Integrity,
            Self::Leads { .. } | Self::Header { .. } | Self::Stuck { .. } | Self::Acknowledged { .. } => {
                Kind::Other
            }
        }
    }

    fn hint(&self) -> Option<String> {
        matches!(self, Self::Nameless).then(|| "add :TAG or @DIGEST to the name".into())
    }
}

impl From<WireError> for Fault {
    fn from(error: WireError) -> Self {
        Self::new(error)
    }
}
