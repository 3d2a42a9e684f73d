//! Work with a fault at the file seam.

use crate::Command;
use orlop_fs::seam::{self, Verdict};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What `work` gives under a fault as `seam::from_text` reads it, and whether the fault came.
///
/// # Panics
/// Where the text is no fault.
pub fn under<T>(fault: &str, work: impl FnOnce() -> T) -> (T, bool) {
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

/// The changing operations of a run of the program that nothing disturbs, each with the name that it is about; they are
/// noted in a new file.
///
/// # Panics
/// Where it fails, or is a program that knows no faults.
pub fn operations(command: Command, notes: &Path) -> Vec<String> {
    drop(fs::remove_file(notes));
    command.env("ORLOP_FAULT", format!("note:{}", notes.display())).ok();
    let noted = fs::read_to_string(notes).expect("the program knows ORLOP_FAULT");
    noted.lines().map(str::to_owned).collect()
}
