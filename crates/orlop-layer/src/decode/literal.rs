//! The bytes of a layer that are content of no file, for a visitor that wants them.
//!
//! Invariant: every byte that the reader of the tar takes is given to the visitor once, in order: as data where it is
//! handed out as content, else as a literal. The reader knows nothing of it, so no form of header can be forgotten.
//!
//! ```text
//!            Literals                tar::Reader
//! stream ──► what is consumed ─────► entries, chunks ──► Visit::entry, Visit::data
//!            less what was data ───────────────────────► Visit::literal
//! ```

use super::Visit;
use crate::error::Error;
use std::cell::{Cell, RefCell, RefMut};
use std::io::{self, BufRead, ErrorKind, Read};

/// A visitor that is called from above the reader and from below it.
pub(super) struct Shared<'a> {
    visitor: RefCell<&'a mut dyn Visit>,
    wants_literals: bool,
    /// Bytes that were data, and that the reader has not consumed yet.
    data: Cell<usize>,
    failure: Cell<Option<Error>>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(visitor: &'a mut dyn Visit) -> Self {
        let wants_literals = visitor.wants_literals();
        Self { visitor: RefCell::new(visitor), wants_literals, data: Cell::new(0), failure: Cell::new(None) }
    }

    pub(super) fn borrow(&self) -> RefMut<'_, &'a mut dyn Visit> {
        self.visitor.borrow_mut()
    }

    /// Content that the reader lends: it consumes these bytes next.
    pub(super) fn data(&self, bytes: &[u8]) -> Result<(), Error> {
        self.data.set(bytes.len());
        self.borrow().data(bytes)
    }

    /// What the visitor said to a literal, where it failed.
    pub(super) fn into_failure(self) -> Option<Error> {
        self.failure.into_inner()
    }

    /// Takes what the reader is about to consume.
    fn consumed(&self, bytes: &[u8]) {
        let literal = &bytes[self.data.take().min(bytes.len())..];
        if !literal.is_empty()
            && let Err(error) = self.borrow().literal(literal)
        {
            self.failure.set(Some(error));
        }
    }

    fn has_failed(&self) -> bool {
        let failure = self.failure.take();
        let has_failed = failure.is_some();
        self.failure.set(failure);
        has_failed
    }
}

/// The stream below the reader.
pub(super) struct Literals<'a, 'b, B> {
    inner: B,
    visitor: &'a Shared<'b>,
}

impl<'a, 'b, B: BufRead> Literals<'a, 'b, B> {
    pub(super) fn new(inner: B, visitor: &'a Shared<'b>) -> Self {
        Self { inner, visitor }
    }

    /// A consumer cannot be told of an error, so the next read ends.
    fn show(&mut self, count: usize) {
        if let Ok(bytes) = self.inner.fill_buf() {
            self.visitor.consumed(&bytes[..count]);
        }
    }
}

impl<B: BufRead> BufRead for Literals<'_, '_, B> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.visitor.wants_literals && self.visitor.has_failed() {
            return Err(ErrorKind::Other.into());
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if self.visitor.wants_literals && count > 0 {
            self.show(count);
        }
        self.inner.consume(count);
    }
}

impl<B: BufRead> Read for Literals<'_, '_, B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}
