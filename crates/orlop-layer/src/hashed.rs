//! Digest and size of a stream, together.

use orlop_spec::digest::{Algorithm, Digest, Hasher};

/// What was seen of a stream so far.
pub(crate) struct Hashed {
    hasher: Hasher,
    size: u64,
}

impl Hashed {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self { hasher: Hasher::new(algorithm), size: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    pub(crate) fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.size)
    }
}
