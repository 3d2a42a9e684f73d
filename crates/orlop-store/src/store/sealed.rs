//! A line that is proven by the one behind it.
//!
//! ```text
//! {…}            one line, of JSON
//! sha256 HEX     of the line before, its line feed included
//! ```
//!
//! Invariant: nothing of a line is understood before its sha256 was proven.

use orlop_spec::{Algorithm, Digest};

/// The line, and its proof.
pub(super) fn sealed(mut line: Vec<u8>) -> Vec<u8> {
    line.push(b'\n');
    let proof = Digest::of(Algorithm::Sha256, &line).hex();
    line.extend(format!("sha256 {proof}\n").into_bytes());
    line
}

/// The line, where its proof is right.
pub(super) fn proven(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    (sealed(bytes[..end].to_vec()) == bytes).then(|| &bytes[..end])
}
