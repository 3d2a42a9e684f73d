//! Why a text is no reference.

use crate::diagnose::{Diagnose, Fault, Kind};
use crate::digest::DigestError;

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// Nothing was given.
    #[error("the reference is empty")]
    Empty,
    /// A transport without a place behind it.
    #[error("`{transport}:` is followed by no {what}")]
    NoPlace {
        /// The transport.
        transport: &'static str,
        /// What is missing: `folder`, `file`, `name`.
        what: &'static str,
    },
    /// A colon without a tag behind it.
    #[error("{0:?} ends with a colon, but no tag follows")]
    NoTag(Box<str>),
    /// Only paths may be other than UTF-8.
    #[error("{0:?} holds a name or tag that is not UTF-8")]
    NotText(Box<str>),
    /// A tag with control characters, or outside of a registry's grammar.
    #[error("{0:?} is no tag")]
    BadTag(Box<str>),
    /// Not a name of a repository.
    #[error("{0:?} is no name of an image in a registry")]
    BadRepository(Box<str>),
    /// Not an address.
    #[error("{0:?} is no address: it needs a host and a path")]
    BadAddress(Box<str>),
    /// Behind the last `@` stands a digest of a known algorithm that is none.
    #[error("behind the last `@` of the reference: {0}")]
    BadDigest(#[source] DigestError),
    /// `@N` together with a tag or a digest.
    #[error("{0:?} names an image by position and by name; one of them must go")]
    TwoSelectors(Box<str>),
    /// A tag or digest where the place holds one image, or no image at all.
    #[error("`{transport}:` takes no {what}: {text:?}")]
    NoSuchSelector {
        /// The transport.
        transport: &'static str,
        /// `tag`, `digest` or `position`.
        what: &'static str,
        /// The reference.
        text: Box<str>,
    },
    /// `oci://`: some tools mean a registry by it, others a folder.
    #[error("`oci://{0}` could mean a registry or a folder")]
    OciSlashes(Box<str>),
    /// `docker:` without the two slashes.
    #[error("`docker:{0}` lacks two slashes")]
    DockerWithoutSlashes(Box<str>),
    /// Skopeo's former order of `ostree:`.
    #[error("`ostree:{image}@{repository}` has image and repository in the former order")]
    FormerOstree {
        /// The image.
        image: Box<str>,
        /// The repository's folder.
        repository: Box<str>,
    },
    /// `ostree:` without `@`.
    #[error("`ostree:{0}` names no commit")]
    OstreeWithoutName(Box<str>),
    /// An address without TLS.
    #[error("`{0}` is not protected on its way")]
    PlainHttp(Box<str>),
    /// A transport of other tools.
    #[error("the transport `{transport}:` is not known")]
    ForeignTransport {
        /// The transport.
        transport: &'static str,
        /// What to use instead.
        instead: &'static str,
    },
    /// `-` without a transport.
    #[error("`-` needs a transport that says what the stream is")]
    LoneStream,
    /// `-` where a folder is needed.
    #[error("`{0}:` names a folder, and a stream is none")]
    StreamIsNoFolder(&'static str),
}

/// What a name of a place may begin with, as a hint lists it.
const PLACES: &str =
    "oci:, oci-archive:, docker-archive:, dir:, docker://, store:, ostree:, rootfs:, tar: or https:";

impl Diagnose for ReferenceError {
    fn kind(&self) -> Kind {
        Kind::Usage
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::OciSlashes(rest) => {
                let path = rest.trim_start_matches('/');
                let path = if rest.starts_with('/') { format!("/{path}") } else { path.into() };
                format!(
                    "write oci:{path} for a folder, docker://{} for a registry",
                    rest.trim_start_matches('/')
                )
            }
            Self::DockerWithoutSlashes(rest) => {
                format!(
                    "write docker://{rest} for that repository, docker://docker:{rest} for the image `docker`"
                )
            }
            Self::FormerOstree { image, repository } => format!("write ostree:{repository}@{image}"),
            Self::OstreeWithoutName(rest) => format!("write ostree:{rest}@REF or ostree:{rest}@COMMIT"),
            Self::ForeignTransport { instead, .. } => (*instead).into(),
            Self::PlainHttp(address) => format!("write https{}", address.trim_start_matches("http")),
            Self::LoneStream => "write oci-archive:-, docker-archive:- or tar:-".into(),
            Self::StreamIsNoFolder(transport) => format!("write {transport}:./- for a folder of that name"),
            Self::BadRepository(text) if text.contains(':') => {
                format!(
                    "a place begins with {PLACES}; for a file or folder write a path that begins with ./ or /: ./{text}"
                )
            }
            Self::BadRepository(text) => {
                format!("for a file or folder write a path that begins with ./ or /: ./{text}")
            }
            Self::BadTag(text) if text.contains([':', '@', '/']) => format!("a place begins with {PLACES}"),
            Self::NoTag(text) => format!("write {}, or a tag behind the colon", text.trim_end_matches(':')),
            _ => return None,
        })
    }
}

impl From<ReferenceError> for Fault {
    fn from(error: ReferenceError) -> Self {
        Self::new(error)
    }
}
