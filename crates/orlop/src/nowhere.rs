//! A sink that keeps nothing: for doing work only to learn its digests.

use orlop_spec::Descriptor;
use orlop_spec::port::{BlobWriter, Hints, Name, Origin, Put, Result, Seen, Sink};
use std::io::{self, Write};

/// Takes everything, keeps nothing.
#[derive(Debug)]
pub struct Nowhere;

impl Sink for Nowhere {
    fn put(&self, _: &Descriptor, _: &dyn Origin, _: &Hints) -> Result<Put> {
        Ok(Put::Held)
    }

    fn begin(&self, _: &Hints) -> Result<Box<dyn BlobWriter + '_>> {
        Ok(Box::new(Self))
    }

    fn finish_if(self: Box<Self>, _: &[(Name, Descriptor)], _: &[Seen]) -> Result<()> {
        Ok(())
    }
}

impl BlobWriter for Nowhere {
    fn commit(self: Box<Self>, _: &Descriptor) -> Result<()> {
        Ok(())
    }
}

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
