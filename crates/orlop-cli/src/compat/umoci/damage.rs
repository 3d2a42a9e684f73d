//! What the original says of damaged blobs, which scripts look for beside our own words.

use orlop::layer::verified::{Damage, Damaged};
use orlop::spec::Fault;
use orlop::spec::document::DocumentError;

/// The content is another one.
const DIGEST: &str = "verified reader digest mismatch";
/// The content goes on where it should end.
const SIZE: &str = "verified reader size mismatch";

/// The original's words for a failure, where it has some and they are true of it.
pub fn words(fault: &Fault) -> Option<&'static str> {
    if let Some(Damaged { damage, .. }) = fault.downcast_ref() {
        return Some(match damage {
            Damage::Long => SIZE,
            Damage::Short { .. } | Damage::Digest { .. } => DIGEST,
        });
    }
    match fault.downcast_ref()? {
        DocumentError::WrongSize { found, expected } if *found > expected.size => Some(SIZE),
        DocumentError::WrongSize { .. } | DocumentError::WrongDigest { .. } => Some(DIGEST),
        _ => None,
    }
}
