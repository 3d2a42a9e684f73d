//! Blobs, fetched from any byte on.
//!
//! Invariant: of a blob at most one byte more than its size is read (N10); the part that comes is the part that was
//! asked for.

use super::doors::{Ask, Doors, PULL, Told};
use super::error::Error;
use orlop_spec::network::Serves;
use orlop_spec::port::{Lender, Origin, Result};
use orlop_spec::wire::Place;
use orlop_spec::wire::endpoint::Part;
use orlop_spec::wire::header::{self, ContentRange};
use orlop_spec::{Descriptor, Fault};
use std::io::{self, Read};

/// A blob of a repository.
pub(super) struct Blob<'r> {
    pub(super) doors: &'r Doors<'r>,
    pub(super) blob: Descriptor,
}

impl Origin for Blob<'_> {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        if at > 0 && at >= self.blob.size {
            return Ok(Box::new(io::empty()));
        }
        let part = if at == 0 { Part::All } else { Part::From(at) };
        let request = |place: &Place| Ok(place.get_blob(&self.blob.digest, part));
        let told = self.doors.first(Serves::Digests, |door| {
            let told = self.doors.ask(door, &Ask::new(PULL, &request))?;
            if told.status() == 404 { Err(self.missing().into()) } else { told.success() }
        })?;
        let left = (self.blob.size - at).saturating_add(1);
        Ok(Box::new(from(told, at)?.take(left)))
    }

    fn is_far(&self) -> bool {
        true
    }

    fn lenders(&self) -> Vec<Lender> {
        self.doors.lenders()
    }
}

impl Blob<'_> {
    fn missing(&self) -> Error {
        let repository = Box::new(self.doors.repository.clone());
        Error::BlobMissing { digest: self.blob.digest.clone(), repository }
    }
}

/// The body from byte `at` on; a server that knows no parts sends everything.
fn from(told: Told<'_>, at: u64) -> Result<Box<dyn Read + Send + '_>> {
    let address = told.address().clone();
    let part = header::content_range(&told.head().headers);
    match (told.status(), part) {
        (206, Some(ContentRange::Part { first, .. })) if first == at => Ok(told.answer.body),
        (206, _) => Err(Error::OtherPart { address: Box::new(address) }.into()),
        _ => {
            let mut body = told.answer.body;
            let skipped = io::copy(&mut (&mut body).take(at), &mut io::sink());
            skipped.map_err(|error| Fault::io(format!("read {address}"), error))?;
            Ok(body)
        }
    }
}
