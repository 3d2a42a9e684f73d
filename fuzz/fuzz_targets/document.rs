//! Manifests, indexes and configs: whatever parses is printed and parsed to the same value, unknown fields
//! included; and what a checker finds no error in parses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_spec::digest::{Algorithm, Digest};
use orlop_spec::document::Parse;
use orlop_spec::media_type::{MediaType, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use orlop_spec::validate::{self, Finding, IndexKind, Severity};
use orlop_spec::{Config, Descriptor, Document, Index, Manifest};
use serde::Serialize;
use std::fmt::Debug;

fuzz_target!(|bytes: &[u8]| {
    let manifest = MediaType::new(OCI_MANIFEST);
    round_trip::<Manifest>(bytes, OCI_MANIFEST, &validate::manifest(bytes, &manifest));
    round_trip::<Index>(bytes, OCI_INDEX, &validate::index(bytes, None, IndexKind::Layout));
    round_trip::<Config>(bytes, OCI_CONFIG, &validate::config(bytes));
});

fn round_trip<T: Parse + Serialize + Clone + Debug + PartialEq>(
    bytes: &[u8],
    media_type: &'static str,
    findings: &[Finding],
) {
    let media_type = MediaType::new(media_type);
    let digest = Digest::of(Algorithm::Sha256, bytes);
    let descriptor = Descriptor::new(media_type.clone(), digest, bytes.len() as u64);
    let clean = findings.iter().all(|finding| finding.severity < Severity::Error);
    let document = match Document::<T>::open(bytes.to_vec(), descriptor) {
        Ok(document) => document,
        Err(error) => return assert!(!clean, "no finding, but {error}"),
    };
    assert_eq!(&document.raw()[..], bytes, "a document keeps its bytes");
    let value = document.into_value();
    let printed = Document::print(value.clone(), media_type.clone(), Algorithm::Sha256);
    let again = Document::<T>::open(printed.raw().to_vec(), printed.descriptor().clone());
    let again = again.expect("what was printed parses").into_value();
    assert_eq!(again, value, "nothing is lost in print");
    let twice = Document::print(again, media_type, Algorithm::Sha256);
    assert_eq!(printed.raw(), twice.raw(), "printing is a function of the value");
}
