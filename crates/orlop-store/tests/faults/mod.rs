//! Work that is disturbed at the seam which every changing file operation passes.

use orlop_fs::seam::{self, Verdict};
use orlop_spec::port::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Works with a fault at the seam; whether it came.
pub(crate) fn under(fault: &str, work: impl FnOnce() -> Result<()>) -> (Result<()>, bool) {
    let (hook, hits) = (seam::from_text(fault).expect("a known fault"), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&hits);
    seam::install(Box::new(move |operation, name| {
        let verdict = hook(operation, name);
        count.fetch_add(u64::from(verdict != Verdict::Go), Ordering::Relaxed);
        verdict
    }));
    let outcome = work();
    seam::clear();
    (outcome, hits.load(Ordering::Relaxed) > 0)
}
