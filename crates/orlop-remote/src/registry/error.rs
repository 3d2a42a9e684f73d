//! What a registry can refuse, or say wrongly.

use orlop_spec::media_type::MediaType;
use orlop_spec::reference::Repository;
use orlop_spec::schema_one::SchemaOneError;
use orlop_spec::wire::Address;
use orlop_spec::{AnyDigest, Diagnose, Fault, Kind, Names};

/// What a registry can refuse, or say wrongly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No image bears the tag, or the digest.
    #[error("{repository} has no image {wanted:?}")]
    NoSuchImage {
        /// Where.
        repository: Box<Repository>,
        /// What was asked for.
        wanted: Box<str>,
        /// What is there.
        known: Names,
    },
    /// No name was given, and there are several.
    #[error("{repository} holds {count} tags, and none was chosen")]
    SeveralImages {
        /// Where.
        repository: Box<Repository>,
        /// How many.
        count: usize,
        /// What is there.
        known: Names,
    },
    /// A blob that a manifest names is not there.
    #[error("the blob {digest} is missing in {repository}")]
    BlobMissing {
        /// The blob.
        digest: AnyDigest,
        /// Where it should be.
        repository: Box<Repository>,
    },
    /// A root that was neither put nor is there.
    #[error("{digest} cannot be named in {repository}: it is not there")]
    RootMissing {
        /// The root.
        digest: AnyDigest,
        /// Where it should be.
        repository: Box<Repository>,
    },
    /// A manifest of the form before 2016.
    #[error("{address} is an image of Docker's schema 1, which has no digests of its layers' content")]
    SchemaOne {
        /// Where it is.
        address: Box<Address>,
    },
    /// A manifest of that form that does not say what it must.
    #[error("{address} is no manifest of Docker's schema 1 that can be read")]
    BadSchemaOne {
        /// Where it is.
        address: Box<Address>,
        /// What is wrong.
        #[source]
        source: SchemaOneError,
    },
    /// An answer that says of itself what it is not (CVE-2021-41190).
    #[error("{address} is said to be {said}, and says itself that it is {found}")]
    OtherType {
        /// What was asked for.
        address: Box<Address>,
        /// `Content-Type`.
        said: MediaType,
        /// `mediaType` of the body.
        found: MediaType,
    },
    /// Content of another digest than was asked for, or than the registry says.
    #[error("{address} is damaged: its digest is {found}, not {expected}")]
    OtherDigest {
        /// What was asked for.
        address: Box<Address>,
        /// What was asked for, or what `Docker-Content-Digest` says.
        expected: AnyDigest,
        /// What the bytes hash to, or what the registry calls them.
        found: AnyDigest,
    },
    /// A document that exceeds the limit.
    #[error("{address} is longer than {limit} bytes")]
    LongDocument {
        /// What was asked for.
        address: Box<Address>,
        /// Bytes allowed.
        limit: u64,
    },
    /// A list whose pages never end.
    #[error("the list {address} does not end: {pages} pages were read")]
    EndlessList {
        /// Its first page.
        address: Box<Address>,
        /// Pages that were read.
        pages: usize,
    },
    /// An answer that is no such list, or no such document.
    #[error("{address} answers with no {what}")]
    NoSense {
        /// What was asked for.
        address: Box<Address>,
        /// What should have come.
        what: &'static str,
    },
    /// A server that sends another part of a blob than was asked for.
    #[error("{address} sends another part than was asked for")]
    OtherPart {
        /// What was asked for.
        address: Box<Address>,
    },
    /// Bytes that are not the blob were about to be sent.
    #[error("the blob {digest} is damaged: {damage}, and its descriptor says {size} bytes")]
    Damaged {
        /// What was named.
        digest: AnyDigest,
        /// Bytes that it should have.
        size: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// Registries keep no free blobs to sweep.
    #[error("a registry sweeps its blobs itself")]
    NotSwept,
    /// A position beyond the last tag.
    #[error("{repository} was asked for its image number {position}, and has {count} tags")]
    NoSuchPosition {
        /// Where.
        repository: Box<Repository>,
        /// What was asked for, from 0.
        position: usize,
        /// How many there are.
        count: usize,
    },
    /// Nobody is configured to serve what was asked for.
    #[error("no place is configured that serves {wanted} of {repository}")]
    NoEndpoint {
        /// Whose.
        repository: Box<Repository>,
        /// What was asked for.
        wanted: Box<str>,
    },
    /// A configuration that names an endpoint without any site.
    #[error("an endpoint of {repository} has no site")]
    NoSite {
        /// The repository as it is called there.
        repository: Box<Repository>,
    },
}

/// What is wrong with bytes that were about to be sent.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// They end early.
    #[error("it ends after {0} bytes")]
    Short(u64),
    /// They go on.
    #[error("it is longer")]
    Long,
    /// They have the right size and another digest.
    #[error("its digest is {0}")]
    Digest(AnyDigest),
}

impl Diagnose for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoSuchImage { .. } | Self::NoSuchPosition { .. } => Kind::NotFound,
            Self::LongDocument { .. } | Self::EndlessList { .. } => Kind::Limit,
            Self::OtherType { .. }
            | Self::BadSchemaOne { .. }
            | Self::OtherDigest { .. }
            | Self::OtherPart { .. }
            | Self::BlobMissing { .. }
            | Self::RootMissing { .. }
            | Self::Damaged { .. } => Kind::Integrity,
            Self::SeveralImages { .. } | Self::NotSwept => Kind::Usage,
            Self::SchemaOne { .. } | Self::NoSense { .. } | Self::NoEndpoint { .. } | Self::NoSite { .. } => {
                Kind::Other
            }
        }
    }

    fn is_absence(&self) -> bool {
        self.kind() == Kind::NotFound || matches!(self, Self::BlobMissing { .. })
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchImage { known, .. } | Self::SeveralImages { known, .. } if !known.is_empty() => {
                Some(format!("it has {known}"))
            }
            Self::SchemaOne { .. } => {
                Some("convert it to OCI with --convert-schema1; its digest changes".into())
            }
            Self::LongDocument { .. } => {
                Some("if it is an image all the same, allow more with --max-document 16M".into())
            }
            Self::NotSwept => Some("remove images with `orlop rm`; the registry's owner sweeps".into()),
            _ => None,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}
