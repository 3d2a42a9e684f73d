//! What the layers of an image may have together, while several of them are decoded at once.

use crate::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};

/// Uncompressed bytes, or entries, that are taken from one sum by whichever thread comes to them.
///
/// Invariant: no byte is handed on that was not taken from the sum before.
#[derive(Debug)]
pub struct Budget {
    spent: AtomicU64,
    limit: u64,
    what: &'static str,
}

impl Budget {
    /// So many bytes for all that share it.
    pub fn new(limit: u64) -> Self {
        Self { spent: AtomicU64::new(0), limit, what: "the size of all layers" }
    }

    /// So many entries for all trees that share it.
    pub fn of_entries(limit: u64) -> Self {
        Self { what: "the number of entries of all layers", ..Self::new(limit) }
    }

    /// Takes some.
    pub fn take(&self, count: u64) -> Result<(), Error> {
        if self.spent.fetch_add(count, Ordering::Relaxed).saturating_add(count) > self.limit {
            return Err(Error::Limit { what: self.what, limit: self.limit });
        }
        Ok(())
    }
}
