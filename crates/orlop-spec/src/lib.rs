//! The words that every part of orlop speaks: digests, descriptors, documents, references, platforms,
//! the ports between the places that hold images, and the common shape of errors.
//!
//! Invariant: this crate opens no file and no socket, asks no clock and no environment, starts no thread.
//! Its laws are those of the OCI image specification 1.1.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod base64;
pub mod change;
pub mod config;
pub mod context;
pub mod course;
pub mod descriptor;
pub mod diagnose;
pub mod digest;
pub mod document;
pub mod edit;
pub mod graph;
pub mod index;
pub mod json;
pub mod lock;
pub mod manifest;
pub mod media_type;
pub mod near;
pub mod network;
pub mod platform;
pub mod port;
pub mod reference;
pub mod runtime;
pub mod schema_one;
pub mod time;
pub mod user;
pub mod validate;
pub mod wire;

pub use config::Config;
pub use context::{Cancel, Cancelled, Context, Event, Limits, Observer};
pub use course::Course;
pub use descriptor::Descriptor;
pub use diagnose::{Diagnose, Fault, Kind};
pub use digest::{Algorithm, AnyDigest, BlobId, ChainId, DiffId, Digest, Hasher, ImageId, TreeId};
pub use document::Document;
pub use index::Index;
pub use lock::Lock;
pub use manifest::Manifest;
pub use media_type::MediaType;
pub use near::Names;
pub use platform::Platform;
pub use reference::Reference;
pub use time::Timestamp;
