//! Bytes on their way, of which the journal knows how far they have come.
//!
//! Invariant: what the journal says was sent was given to be sent; a run that dies may have sent at most a step more.

use orlop_spec::port::{Origin, Result};
use std::io::{self, Read};

/// How much is sent between two notes.
const STEP: u64 = 1 << 20;

/// An origin whose bytes are noted as they are read.
pub(super) struct Noting<'n> {
    pub(super) inner: &'n dyn Origin,
    /// Takes a note that so many bytes of the whole were sent.
    pub(super) note: &'n (dyn Fn(u64) + Sync),
}

impl Origin for Noting<'_> {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(Noted { inner: self.inner.open(at)?, note: self.note, at, last: at }))
    }
}

struct Noted<'n> {
    inner: Box<dyn Read + Send + 'n>,
    note: &'n (dyn Fn(u64) + Sync),
    at: u64,
    last: u64,
}

impl Read for Noted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.at += count as u64;
        if self.at - self.last >= STEP {
            self.last = self.at;
            (self.note)(self.at);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_note_is_taken_with_every_step_and_not_for_less() {
        let (bytes, notes) = (vec![0; 3 << 20], Mutex::new(Vec::new()));
        let note = |sent| notes.lock().expect("one thread").push(sent);
        let noting = Noting { inner: &bytes, note: &note };
        io::copy(&mut noting.open(5).expect("it opens").take(STEP - 1), &mut io::sink()).expect("read");
        assert!(notes.lock().expect("one thread").is_empty());
        io::copy(&mut noting.open(5).expect("it opens"), &mut io::sink()).expect("read");
        let notes = notes.into_inner().expect("one thread");
        assert_eq!(notes.len(), 2);
        assert!(notes.iter().zip(1..).all(|(sent, step)| (step * STEP..(step + 1) * STEP).contains(sent)));
    }
}
