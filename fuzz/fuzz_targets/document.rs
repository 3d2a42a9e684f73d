//! Manifests, indexes and configs: whatever parses is printed and parsed to the same value, unknown fields
//! included.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_spec::digest::{Algorithm, Digest};
use orlop_spec::document::Parse;
use orlop_spec::media_type::{MediaType, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use orlop_spec::{Config, Descriptor, Document, Index, Manifest};
use serde::Serialize;

fuzz_target!(|bytes: &[u8]| {
    round_trip::<Manifest>(bytes, OCI_MANIFEST);
    round_trip::<Index>(bytes, OCI_INDEX);
    round_trip::<Config>(bytes, OCI_CONFIG);
});

fn round_trip<T: Parse + Serialize + Clone>(bytes: &[u8], media_type: &'static str) {
    let media_type = MediaType::new(media_type);
    let digest = Digest::of(Algorithm::Sha256, bytes);
    let descriptor = Descriptor::new(media_type.clone(), digest, bytes.len() as u64);
    let Ok(document) = Document::<T>::open(bytes.to_vec(), descriptor) else { return };
    assert_eq!(&document.raw()[..], bytes, "a document keeps its bytes");
    let printed = Document::print(document.into_value(), media_type, Algorithm::Sha256);
    let again = Document::<T>::open(printed.raw().to_vec(), printed.descriptor().clone());
    let again = again.expect("what was printed parses");
    let twice =
        Document::print(again.into_value(), printed.descriptor().media_type.clone(), Algorithm::Sha256);
    assert_eq!(printed.raw(), twice.raw(), "printing is a function of the value");
}
