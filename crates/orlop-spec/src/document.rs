//! A document keeps the bytes that it came with: nothing is serialised again in order to be hashed.

mod revise;

use crate::descriptor::Descriptor;
use crate::diagnose::{Diagnose, Fault, Kind};
use crate::digest::{Algorithm, AnyDigest, Digest, DigestError};
use crate::index::REF_NAME;
use crate::json::JsonError;
use crate::media_type::{MediaType, Role};
use serde::Serialize;
use std::ops::Deref;
use std::sync::Arc;

/// A parsed document, its bytes, and the descriptor that names them.
///
/// Invariant: `raw` is proven by `descriptor` (digest and size), unless the digest's algorithm is not ours.
#[derive(Clone, Debug)]
pub struct Document<T> {
    raw: Arc<[u8]>,
    descriptor: Descriptor,
    value: T,
}

/// A type that has a document form of its own laws.
pub trait Parse: Sized {
    /// Reads the type from proven bytes. `media_type` is what the descriptor says.
    fn parse(bytes: &[u8], media_type: &MediaType) -> Result<Self, DocumentError>;
}

impl<T: Parse> Document<T> {
    /// Proves `raw` against `descriptor`, then parses it.
    pub fn open(raw: impl Into<Arc<[u8]>>, descriptor: Descriptor) -> Result<Self, DocumentError> {
        let raw = raw.into();
        prove(&raw, &descriptor)?;
        match T::parse(&raw, &descriptor.media_type) {
            Ok(value) => Ok(Self { raw, descriptor, value }),
            Err(error) => Err(error.of(descriptor)),
        }
    }
}

impl<T: Serialize> Document<T> {
    /// Prints a value that orlop made, once, and names it.
    pub fn print(value: T, media_type: MediaType, algorithm: Algorithm) -> Self {
        let raw: Arc<[u8]> = crate::json::print(&value).into();
        let descriptor = Descriptor::new(media_type, Digest::of(algorithm, &raw), raw.len() as u64);
        Self { raw, descriptor, value }
    }
}

impl<T: Serialize> Document<T> {
    /// The document with another value. What is equal in both keeps its bytes; all of it where nothing differs.
    #[must_use]
    pub fn revised(&self, value: T, media_type: MediaType, algorithm: Algorithm) -> Self {
        let (before, after) = (crate::json::to_value(&self.value), crate::json::to_value(&value));
        let raw: Arc<[u8]> = if before == after {
            self.raw.clone()
        } else {
            let text = std::str::from_utf8(&self.raw).expect("what was parsed is text");
            revise::revise(text, &before, &after).into()
        };
        let descriptor = Descriptor::new(media_type, Digest::of(algorithm, &raw), raw.len() as u64);
        Self { raw, descriptor, value }
    }
}

impl<T> Document<T> {
    /// The bytes.
    pub fn raw(&self) -> &Arc<[u8]> {
        &self.raw
    }

    /// The descriptor that names the bytes.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The value alone, to be changed and printed as another document.
    pub fn into_value(self) -> T {
        self.value
    }
}

impl<T> Deref for Document<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// An error unless the bytes are what the descriptor says; those of an algorithm that is not ours cannot be proven.
pub fn prove(raw: &[u8], descriptor: &Descriptor) -> Result<(), DocumentError> {
    if raw.len() as u64 != descriptor.size {
        return Err(DocumentError::WrongSize {
            found: raw.len() as u64,
            expected: Box::new(descriptor.clone()),
        });
    }
    descriptor.prove_data()?;
    if let AnyDigest::Known(expected) = &descriptor.digest {
        let found = Digest::of(expected.algorithm(), raw);
        if found != *expected {
            return Err(DocumentError::WrongDigest { found: Box::new(found), expected: Box::new(*expected) });
        }
    }
    Ok(())
}

/// Why bytes are not the document that was named.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The content has another size.
    #[error("{} is {found} bytes long, not {} as its descriptor says", expected.digest, expected.size)]
    WrongSize {
        /// Bytes found.
        found: u64,
        /// What was named.
        expected: Box<Descriptor>,
    },
    /// The content has another digest.
    #[error("the content of {expected} is damaged: its digest is {found}")]
    WrongDigest {
        /// What the bytes hash to.
        found: Box<Digest>,
        /// What was named.
        expected: Box<Digest>,
    },
    /// The bytes are those that were named, and no document of the type that was named.
    #[error("the {} cannot be read: {source}", named(document))]
    Invalid {
        /// What was named.
        document: Box<Descriptor>,
        /// What is wrong with the bytes.
        source: Box<Self>,
    },
    /// The `data` of a descriptor is not the content that it names.
    #[error("the data embedded for {0} is not its content")]
    WrongData(Box<Digest>),
    /// Not JSON, or not of this shape.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// `schemaVersion` is not 2.
    #[error("schemaVersion is {0}, and only 2 is understood")]
    SchemaVersion(u64),
    /// The document says that it is of another type than its descriptor (CVE-2021-41190).
    #[error("the document says that it is {found}, its descriptor says {expected}")]
    MediaTypeDiffers {
        /// In the document.
        found: MediaType,
        /// In the descriptor.
        expected: MediaType,
    },
    /// Both a manifest's and an index's members are there (CVE-2021-41190).
    #[error("the document has both `manifests` and `layers` or `config`: it is neither manifest nor index")]
    Ambiguous,
    /// A field has a value that the specification forbids.
    #[error("`{field}` is {found:?}, which the specification forbids: {law}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// The value.
        found: String,
        /// What the specification says.
        law: &'static str,
    },
    /// The digest is of an algorithm that orlop cannot compute.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl DocumentError {
    /// As an error about the document that was named.
    pub(crate) fn of(self, document: Descriptor) -> Self {
        Self::Invalid { document: Box::new(document), source: Box::new(self) }
    }
}

/// What a document is to an image, its digest, and its name, where the place gave it one.
fn named(document: &Descriptor) -> String {
    let role = match document.media_type.role() {
        Role::Manifest => "manifest",
        Role::Index => "index",
        Role::Config => "config",
        Role::Layer(_) | Role::Unknown => "document",
    };
    let name = document.annotations.get(REF_NAME).map(|name| format!(" ({name})")).unwrap_or_default();
    format!("{role} {}{name}", document.digest)
}

impl Diagnose for DocumentError {
    fn kind(&self) -> Kind {
        Kind::Integrity
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Invalid { .. } => Some("`orlop validate` tells all that is wrong with an image".into()),
            _ => None,
        }
    }
}

impl From<DocumentError> for Fault {
    fn from(error: DocumentError) -> Self {
        Self::new(error)
    }
}

/// The laws that manifests and indexes share (image-spec, `manifest.md` and `image-index.md`).
pub(crate) fn check_shape(
    value: &serde_json::Value,
    media_type: &MediaType,
    foreign: &[&str],
) -> Result<(), DocumentError> {
    let version = value.get("schemaVersion").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if version != 2 {
        return Err(DocumentError::SchemaVersion(version));
    }
    if foreign.iter().any(|name| value.get(name).is_some()) {
        return Err(DocumentError::Ambiguous);
    }
    match value.get("mediaType") {
        Some(serde_json::Value::String(found)) if found != media_type.as_str() => {
            Err(DocumentError::MediaTypeDiffers {
                found: MediaType::new(found.as_str()),
                expected: media_type.clone(),
            })
        }
        _ => Ok(()),
    }
}
