//! `orlop ostree`, as a test types it.

use crate::command::{Finished, orlop};
use std::path::Path;

/// What our words of OSTree come to, typed in a folder.
pub fn ours(folder: &Path, words: &[&str]) -> Finished {
    orlop().arg("ostree").args(words).current_dir(folder).run()
}

/// The same, which must do; gives what it printed.
///
/// # Panics
/// Where it fails.
pub fn well(folder: &Path, words: &[&str]) -> String {
    let done = ours(folder, words);
    assert!(done.success(), "{words:?}: {}", done.err());
    done.out()
}
