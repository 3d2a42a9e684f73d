//! Blobs, fetched from any byte on.
//!
//! Invariant: of a blob at most one byte more than its size is read (N10); the part that comes is the part that was
//! asked for.

use super::doors::{Ask, Doors, PULL, Told};
use super::error::Error;
use super::wide;
use orlop_spec::network::Serves;
use orlop_spec::port::{Lender, Origin, Result, Take, drain};
use orlop_spec::wire::Place;
use orlop_spec::wire::endpoint::Part;
use orlop_spec::wire::header::{self, ContentRange};
use orlop_spec::{Descriptor, Fault};
use std::io::{self, Read};
use std::ops::Range;

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

    fn pour(&self, at: u64, take: Take<'_>) -> Result<()> {
        let client = &self.doors.client;
        let wide = &client.options().wide;
        // Where the user bounds the rate, more connections carry no more.
        let is_wide = self.blob.size.saturating_sub(at) > wide.from && client.pool().throttle().is_none();
        match is_wide.then(|| client.pool().widen()).flatten() {
            Some(_alone) => wide::pour(self, at, wide, take),
            None => drain(&mut *self.open(at)?, take),
        }
    }

    fn is_far(&self) -> bool {
        true
    }

    fn lenders(&self) -> Vec<Lender> {
        self.doors.lenders()
    }
}

impl Blob<'_> {
    /// A part of the blob, where the server gives exactly that one.
    pub(super) fn piece(&self, piece: &Range<u64>) -> Result<Option<Box<dyn Read + Send + '_>>> {
        let (first, last) = (piece.start, piece.end - 1);
        let part = Part::Between { first, last };
        let request = |place: &Place| Ok(place.get_blob(&self.blob.digest, part));
        let told = self
            .doors
            .first(Serves::Digests, |door| self.doors.ask(door, &Ask::new(PULL, &request))?.success())?;
        let given = header::content_range(&told.head().headers);
        let is_it = matches!(given, Some(ContentRange::Part { first: from, last: to, .. }) if (from, to) == (first, last));
        let is_it = is_it && told.status() == 206;
        Ok(is_it.then(|| -> Box<dyn Read + Send + '_> { Box::new(told.answer.body.take(last - first + 1)) }))
    }

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
