//! How much of large contents is held in memory at once.
//!
//! Invariant: no more than a constant, and one times the workers. Who has a share waits for nobody who wants one, if the
//! holder of a share asks for no other: then everybody gets theirs.

use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes of the largest content that is held.
const LARGEST: u64 = 128 << 20;
/// Bytes for each worker, where there are many.
const EACH: u64 = 32 << 20;

/// What is held.
pub(super) struct Held {
    largest: u64,
    most: u64,
    bytes: Mutex<u64>,
    freed: Condvar,
}

/// A part of it, until it is dropped.
pub(super) struct Share<'h> {
    held: &'h Held,
    bytes: u64,
}

impl Held {
    pub(super) fn new(workers: NonZeroUsize) -> Self {
        let most = EACH.saturating_mul(workers.get() as u64).max(LARGEST);
        Self { largest: LARGEST, most, bytes: Mutex::new(0), freed: Condvar::new() }
    }

    /// Waits until there is room for so many bytes; nothing where there never is.
    pub(super) fn take(&self, bytes: u64) -> Option<Share<'_>> {
        if bytes > self.largest {
            return None;
        }
        let held = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |held: &mut u64| *held + bytes > self.most;
        let mut held = self.freed.wait_while(held, waits).unwrap_or_else(PoisonError::into_inner);
        *held += bytes;
        Some(Share { held: self, bytes })
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.held.bytes.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.held.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::super::FileHeader;
    use super::*;
    use crate::ostree::object::REGULAR;
    use crate::ostree::repo::{Mode, Repo};
    use orlop_layer::Xattrs;
    use orlop_spec::{Cancel, Context, Limits};
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn no_more_is_held_than_may_be_and_everybody_gets_theirs() {
        let held = Held::new(NonZeroUsize::MIN);
        let (now, most, served) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (held, now, most, served) = (&held, &now, &most, &served);
                scope.spawn(move || {
                    for _ in 0..50 {
                        let bytes = LARGEST / (1 + number % 3);
                        let _share = held.take(bytes).expect("it is not too large");
                        most.fetch_max(now.fetch_add(bytes, Ordering::SeqCst) + bytes, Ordering::SeqCst);
                        std::thread::yield_now();
                        now.fetch_sub(bytes, Ordering::SeqCst);
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!((LARGEST / 2..=LARGEST).contains(&most.into_inner()));
        assert_eq!(served.into_inner(), 400);
        assert!(held.take(LARGEST + 1).is_none());
    }

    /// Too large a content is compressed while it passes: by another way, to the same object.
    #[test]
    fn what_is_not_held_becomes_the_same_object() {
        let (cancel, limits) = (Cancel::new(), Limits::default());
        let cx = Context { observer: &(), cancel: &cancel, limits: &limits, workers: NonZeroUsize::MIN };
        let header =
            FileHeader { uid: 0, gid: 0, mode: REGULAR | 0o644, target: "".into(), xattrs: Xattrs::new() };
        let content = [vec![7; 2 << 20], testkit::noise(1, 3 << 20)].concat();
        let mut ids = Vec::new();
        for largest in [LARGEST, 0] {
            let scratch = testkit::scratch::scratch_in_memory();
            let repo = Repo::create(scratch.root(), Mode::Archive, &limits).expect("made");
            let mut transaction = repo.begin(&cx).expect("begun");
            transaction.held.largest = largest;
            let mut file = transaction.file(&header, content.len() as u64).expect("begun");
            content.chunks(100_000).for_each(|piece| file.take(piece).expect("taken"));
            ids.push(file.finish().expect("whole"));
            transaction.finish().expect("published");
            let found = repo.file(&ids[0]).and_then(|file| file.content(1 << 30)).expect("whole");
            assert!(found == content, "{largest}");
        }
        assert_eq!(ids[0], ids[1]);
    }
}
