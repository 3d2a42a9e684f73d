//! The body of an answer, whose bytes are told when it was read, or read as far as it will be.

use crate::exchange::Answer;
use orlop_spec::{Event, Observer};
use std::io::{self, Read};

/// A body that counts.
pub(super) struct Heard<'x> {
    body: Box<dyn Read + Send + 'x>,
    observer: &'x dyn Observer,
    bytes: u64,
}

impl<'x> Heard<'x> {
    pub(super) fn wrap(observer: &'x dyn Observer, answer: Answer<'x>) -> Answer<'x> {
        let Answer { head, body } = answer;
        Answer { head, body: Box::new(Self { body, observer, bytes: 0 }) }
    }
}

impl Read for Heard<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.body.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

impl Drop for Heard<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.observer.event(Event::Fetched { bytes: self.bytes });
        }
    }
}
