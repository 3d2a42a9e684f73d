//! A blob on its way out.
//!
//! ```text
//! byte  0 ─────────── hashed ─────────────► size
//!         sent again: known already │ hashed as it passes │ the last bytes wait for the proof
//! ```
//!
//! Invariant: the last byte is given only after all of them were seen, once each, to be the blob. A body that lacks
//! its last byte is no body, so no registry stores what is wrong.

use super::error::{Damage, Error};
use orlop_spec::port::{Origin, Result};
use orlop_spec::{AnyDigest, Course, Descriptor, Fault, Hasher};
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A blob on its way out; it may be opened again, at any byte.
pub(super) struct Outgoing<'o> {
    inner: &'o dyn Origin,
    blob: &'o Descriptor,
    course: Course<'o>,
    state: Mutex<State>,
}

struct State {
    /// What has seen the bytes so far; nothing where nothing can be proven.
    hasher: Option<Hasher>,
    /// How many bytes have been seen.
    hashed: u64,
    verdict: Verdict,
}

enum Verdict {
    Open,
    Proven,
    Failed(Option<Fault>),
}

impl<'o> Outgoing<'o> {
    pub(super) fn new(inner: &'o dyn Origin, blob: &'o Descriptor, course: Course<'o>) -> Self {
        let hasher = blob.digest.known().ok().map(|digest| Hasher::new(digest.algorithm()));
        let state = State { hasher, hashed: 0, verdict: Verdict::Open };
        Self { inner, blob, course, state: Mutex::new(state) }
    }

    /// How far it has come.
    pub(super) fn course(&self) -> &Course<'o> {
        &self.course
    }

    /// Why the bytes could not be given: what the origin said, or what they were.
    pub(super) fn fault(&self) -> Option<Fault> {
        match &mut self.state().verdict {
            Verdict::Failed(fault) => fault.take(),
            _ => None,
        }
    }

    /// Sees all bytes that were not seen yet, without giving any.
    pub(super) fn prove_whole(&self) -> Result<()> {
        self.course.begin(self.blob.size);
        match self.state().verdict {
            Verdict::Proven => return Ok(()),
            Verdict::Failed(_) => return Err(unreadable()),
            Verdict::Open => {}
        }
        self.open_inner(self.blob.size).and_then(|mut rest| self.prove(&mut rest))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at bytes that begin at `at`; those that were seen before are not looked at again.
    fn see(&self, at: u64, bytes: &[u8]) {
        let mut state = self.state();
        let end = at + bytes.len() as u64;
        let known = usize::try_from(state.hashed.saturating_sub(at)).unwrap_or(usize::MAX);
        if let Some(fresh) = bytes.get(known..) {
            if let Some(hasher) = &mut state.hasher {
                hasher.update(fresh);
            }
            state.hashed = state.hashed.max(end);
        }
    }

    /// Whether everything that was seen is the blob.
    fn prove(&self, rest: &mut dyn Read) -> Result<()> {
        if matches!(self.state().verdict, Verdict::Proven) {
            return Ok(());
        }
        if rest.read(&mut [0]).map_err(|error| Fault::io("read a blob", error))? != 0 {
            return Err(self.damaged(Damage::Long));
        }
        let hasher = self.state().hasher.take();
        if let (Some(hasher), AnyDigest::Known(expected)) = (hasher, &self.blob.digest) {
            let found = hasher.finish();
            if found != *expected {
                return Err(self.damaged(Damage::Digest(found.into())));
            }
        }
        self.state().verdict = Verdict::Proven;
        Ok(())
    }

    fn damaged(&self, damage: Damage) -> Fault {
        let Descriptor { digest, size, .. } = self.blob;
        Error::Damaged { digest: digest.clone(), size: *size, damage }.into()
    }

    /// Remembers why it cannot go on, and says so in the stream as well.
    fn fail(&self, fault: Fault) -> io::Error {
        self.state().verdict = Verdict::Failed(Some(fault));
        io::Error::other("what is sent cannot be read")
    }

    fn open_inner(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        let begin = self.state().hashed.min(at);
        let mut reader = self.inner.open(begin)?;
        let mut buffer = vec![0; 1 << 16];
        let mut reached = begin;
        while reached < at {
            let most = usize::try_from(at - reached).unwrap_or(usize::MAX).min(buffer.len());
            let count = reader.read(&mut buffer[..most]).map_err(|error| Fault::io("read a blob", error))?;
            if count == 0 {
                return Err(self.damaged(Damage::Short(reached)));
            }
            self.see(reached, &buffer[..count]);
            reached += count as u64;
        }
        Ok(reader)
    }
}

impl Origin for Outgoing<'_> {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        if matches!(self.state().verdict, Verdict::Failed(_)) {
            return Err(unreadable());
        }
        let opened = self.open_inner(at).and_then(|mut inner| {
            // A blob without bytes has no last one that could wait.
            if self.blob.size == 0 {
                self.prove(&mut inner)?;
            }
            Ok(inner)
        });
        match opened {
            Ok(inner) => {
                self.course.begin(at);
                Ok(Box::new(Leaving { blob: self, inner, at }))
            }
            Err(fault) => Err(Fault::io("read a blob", self.fail(fault))),
        }
    }
}

/// Stands for a fault that was told already.
fn unreadable() -> Fault {
    Fault::io("read a blob", io::ErrorKind::InvalidData.into())
}

struct Leaving<'b> {
    blob: &'b Outgoing<'b>,
    inner: Box<dyn Read + Send + 'b>,
    at: u64,
}

impl Read for Leaving<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.blob.blob.size - self.at).unwrap_or(usize::MAX).min(buffer.len());
        if left == 0 {
            return Ok(0);
        }
        let count = match self.inner.read(&mut buffer[..left]) {
            Ok(0) => return Err(self.blob.fail(self.blob.damaged(Damage::Short(self.at)))),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(self.blob.fail(Fault::io("read a blob", error))),
        };
        self.blob.see(self.at, &buffer[..count]);
        self.at += count as u64;
        if self.at == self.blob.blob.size
            && let Err(fault) = self.blob.prove(&mut self.inner)
        {
            return Err(self.blob.fail(fault));
        }
        self.blob.course.pass(self.at - count as u64, self.at);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_spec::{Algorithm, Digest, Kind, MediaType};

    const CONTENT: &[u8] = b"what is sent";

    fn blob() -> Descriptor {
        let digest = Digest::of(Algorithm::Sha256, CONTENT);
        Descriptor::new(MediaType::new("a/b"), digest, CONTENT.len() as u64)
    }

    fn course() -> Course<'static> {
        Course::new(&(), "what is sent")
    }

    fn drained(mut read: impl Read) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        let mut buffer = [0; 5];
        loop {
            match read.read(&mut buffer) {
                Ok(0) => return (bytes, true),
                Ok(count) => bytes.extend(&buffer[..count]),
                Err(_) => return (bytes, false),
            }
        }
    }

    #[test]
    fn the_last_bytes_of_what_is_not_the_blob_are_never_given() {
        for wrong in [&b"what is senT"[..], b"what is sen", b"what is sent!", b"What is sent", b""] {
            let (blob, wrong) = (blob(), wrong.to_vec());
            let outgoing = Outgoing::new(&wrong, &blob, course());
            let (given, is_whole) = drained(outgoing.open(0).expect("it opens"));
            assert!(!is_whole && given.len() < CONTENT.len(), "{wrong:?}");
            assert_eq!(outgoing.fault().map(|fault| fault.kind()), Some(Kind::Integrity));
        }
    }

    #[test]
    fn bytes_that_go_out_again_are_seen_once() {
        let (blob, content) = (blob(), CONTENT.to_vec());
        let outgoing = Outgoing::new(&content, &blob, course());
        let mut first = [0; 7];
        outgoing.open(0).expect("it opens").read_exact(&mut first).expect("there is more");
        for at in [3, 9, 12, 0] {
            let (given, is_whole) = drained(outgoing.open(at as u64).expect("it opens again"));
            assert!(is_whole && given == CONTENT[at..], "{at}");
        }
        assert_eq!(outgoing.course().again(), 7 + 9 + 3 + 12 - 12);
    }

    #[test]
    fn a_rerun_looks_at_what_an_earlier_run_sent_without_sending_it() {
        let (blob, content) = (blob(), CONTENT.to_vec());
        let outgoing = Outgoing::new(&content, &blob, course().after(10));
        assert_eq!(drained(outgoing.open(8).expect("it opens")), (CONTENT[8..].to_vec(), true));
        assert_eq!(outgoing.course().again(), 2, "the earlier run had sent ten bytes");
        let wrong = b"What is sent".to_vec();
        let outgoing = Outgoing::new(&wrong, &blob, course());
        assert!(!drained(outgoing.open(8).expect("it opens")).1, "the bytes before count as well");
    }
}
