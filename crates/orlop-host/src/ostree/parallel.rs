//! Work on several threads.

use crate::Error;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Works on every item, in no order, each thread with a state of its own. The first error ends the work.
pub(super) fn each<T: Sync, S>(
    workers: usize,
    items: &[T],
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    if workers <= 1 || items.len() <= 1 {
        let mut state = state();
        return items.iter().try_for_each(|item| work(&mut state, item));
    }
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..workers.min(items.len()) {
            scope.spawn(|| {
                let mut state = state();
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = work(&mut state, item) {
                        next.store(items.len(), Ordering::Relaxed);
                        failed.lock().expect("no holder panics").get_or_insert(error);
                    }
                }
            });
        }
    });
    failed.into_inner().expect("no holder panics").map_or(Ok(()), Err)
}
