//! What the layers of an image may have together, while several of them are decoded at once.

use crate::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};

/// Uncompressed bytes that are taken from one sum, by whichever thread comes to them.
///
/// Invariant: no byte is handed on that was not taken from the sum before.
#[derive(Debug)]
pub struct Budget {
    spent: AtomicU64,
    limit: u64,
}

impl Budget {
    /// So many bytes for all that share it.
    pub fn new(limit: u64) -> Self {
        Self { spent: AtomicU64::new(0), limit }
    }

    /// Takes some.
    pub fn take(&self, bytes: usize) -> Result<(), Error> {
        let bytes = bytes as u64;
        if self.spent.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > self.limit {
            return Err(Error::Limit { what: "the size of all layers", limit: self.limit });
        }
        Ok(())
    }
}
