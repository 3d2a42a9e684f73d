//! A blob that proves itself while it is read.
//!
//! Invariant: the end of a [`Verified`] stream is reached only by bytes of the right digest, and of the right size where
//! that is known. It never reads more than one byte past the size that was named.

use orlop_spec::digest::{AnyDigest, Digest, Hasher};
use orlop_spec::{Descriptor, Diagnose, Fault, Kind};
use std::io::{self, Read};

/// Reads a blob; fails at its end unless size and digest are those of the descriptor.
pub struct Verified<R> {
    inner: R,
    expected: Digest,
    /// Without it the digest alone decides.
    size: Option<u64>,
    seen: u64,
    hasher: Option<Hasher>,
}

impl<R: Read> Verified<R> {
    /// Reads `inner` as `blob`. A digest that cannot be computed is an error: such blobs are never opened.
    pub fn new(inner: R, blob: &Descriptor) -> Result<Self, Fault> {
        let AnyDigest::Known(expected) = blob.digest else {
            return Err(Fault::new(Unprovable(blob.digest.clone())));
        };
        let hasher = Some(Hasher::new(expected.algorithm()));
        Ok(Self { inner, expected, size: Some(blob.size), seen: 0, hasher })
    }

    /// Reads bytes of which only the digest is known, as of a layer without its compression. For what is at hand:
    /// nothing bounds how much is read.
    pub fn of_digest(inner: R, expected: Digest) -> Self {
        let hasher = Some(Hasher::new(expected.algorithm()));
        Self { inner, expected, size: None, seen: 0, hasher }
    }

    /// What the blob must hash to.
    pub fn digest(&self) -> Digest {
        self.expected
    }

    /// Reads what is left, so that the verdict on the digest is known even when a decoder gave up before.
    pub fn drain(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }

    fn end(&mut self) -> io::Result<usize> {
        let Some(hasher) = self.hasher.take() else { return Ok(0) };
        if self.size.is_some_and(|size| self.seen < size) {
            return Err(self.damaged(Damage::Short { found: self.seen }));
        }
        let found = hasher.finish();
        if found != self.expected {
            return Err(self.damaged(Damage::Digest { found: Box::new(found) }));
        }
        Ok(0)
    }

    fn damaged(&self, damage: Damage) -> io::Error {
        let size = self.size.unwrap_or(self.seen);
        Fault::new(Damaged { blob: self.expected, size, damage }).into()
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let left = self.size.map_or(u64::MAX, |size| size - self.seen);
        if left == 0 {
            if self.hasher.is_some() && self.inner.read(&mut [0])? != 0 {
                self.hasher = None;
                return Err(self.damaged(Damage::Long));
            }
            return self.end();
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(&mut buffer[..most])?;
        if count == 0 {
            return self.end();
        }
        self.seen += count as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// A blob is not what its descriptor says.
#[derive(Debug, thiserror::Error)]
#[error("the blob {blob} is damaged: {}", .damage.against(*.size))]
pub struct Damaged {
    /// What was named.
    pub blob: Digest,
    /// Bytes that it should have.
    pub size: u64,
    /// What is wrong.
    pub damage: Damage,
}

/// What is wrong with a blob.
#[derive(Debug)]
pub enum Damage {
    /// It ends early.
    Short {
        /// Bytes that are there.
        found: u64,
    },
    /// It goes on.
    Long,
    /// It has the right size and other content.
    Digest {
        /// What the bytes hash to.
        found: Box<Digest>,
    },
}

impl Damage {
    /// What was found, beside what was named of the same kind: a size beside a size, a digest beside a digest.
    fn against(&self, size: u64) -> String {
        match self {
            Self::Short { found } => format!("it ends after {found} bytes, and its descriptor says {size}"),
            Self::Long => format!("it goes on after the {size} bytes that its descriptor says"),
            Self::Digest { found } => format!("its digest is {found}"),
        }
    }
}

impl Diagnose for Damaged {
    fn kind(&self) -> Kind {
        Kind::Integrity
    }

    fn hint(&self) -> Option<String> {
        Some("fetch the image again, and check its place with `orlop validate`".into())
    }
}

/// The digest is of an algorithm that orlop cannot compute.
#[derive(Debug, thiserror::Error)]
#[error("the blob {0} cannot be proven: its digest algorithm is unknown, so it is never opened")]
pub struct Unprovable(pub AnyDigest);

impl Diagnose for Unprovable {
    fn kind(&self) -> Kind {
        Kind::Integrity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_spec::digest::Algorithm;
    use orlop_spec::media_type::{MediaType, OCI_LAYER};

    fn blob(content: &[u8]) -> Descriptor {
        let digest = Digest::of(Algorithm::Sha512, content);
        Descriptor::new(MediaType::new(OCI_LAYER), digest, content.len() as u64)
    }

    fn read(content: &[u8], blob: &Descriptor) -> Result<Vec<u8>, Kind> {
        let mut out = Vec::new();
        let mut verified = Verified::new(content, blob).expect("known algorithm");
        match verified.read_to_end(&mut out) {
            Ok(_) => Ok(out),
            Err(error) => Err(Fault::io("read", error).kind()),
        }
    }

    #[test]
    fn the_end_is_reached_only_by_what_was_named() {
        assert_eq!(read(b"abc", &blob(b"abc")), Ok(b"abc".to_vec()));
        assert_eq!(read(b"abd", &blob(b"abc")), Err(Kind::Integrity));
        assert_eq!(read(b"", &blob(b"")), Ok(Vec::new()));
    }

    #[test]
    fn item_11_a_size_off_by_one_is_refused() {
        assert_eq!(read(b"ab", &blob(b"abc")), Err(Kind::Integrity));
        assert_eq!(read(b"abcd", &blob(b"abc")), Err(Kind::Integrity));
        assert_eq!(read(b"a", &blob(b"")), Err(Kind::Integrity));
    }

    #[test]
    fn a_size_is_told_beside_a_size_and_a_digest_beside_a_digest() {
        let said = |content: &[u8], blob: &Descriptor| {
            let error = Verified::new(content, blob).expect("known algorithm").drain().expect_err("damaged");
            let said = Fault::io("read", error).to_string();
            said.strip_prefix(&format!("the blob {} is damaged: ", blob.digest)).expect("named").to_owned()
        };
        let abd = blob(b"abd").digest;
        assert_eq!(said(b"abd", &blob(b"abc")), format!("its digest is {abd}"));
        assert_eq!(said(b"ab", &blob(b"abc")), "it ends after 2 bytes, and its descriptor says 3");
        assert_eq!(said(b"abcd", &blob(b"abc")), "it goes on after the 3 bytes that its descriptor says");
    }

    #[test]
    fn an_unknown_algorithm_is_never_opened() {
        let mut blob = blob(b"abc");
        blob.digest = "md5:900150983cd24fb0d6963f7d28e17f72".parse().expect("fits the grammar");
        assert!(Verified::new(&b"abc"[..], &blob).is_err());
    }
}
