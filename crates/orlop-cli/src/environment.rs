//! The only place that reads the environment. Nothing is read before a command asks for it.

use crate::error::Error;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// The arguments, the program's name first.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// `SOURCE_DATE_EPOCH`: seconds since 1970 (reproducible-builds.org, version 1.1).
pub fn source_date_epoch() -> Result<Option<i64>, Error> {
    let Some(text) = variable("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.map(Some).ok_or_else(|| Error::BadEpoch(text.to_string_lossy().into_owned()))
}

/// Where spools go: `TMPDIR`, else `/var/tmp`, because layers are large and `/tmp` is often memory.
pub fn temporary_folder() -> PathBuf {
    variable("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from)
}

/// Whether `NO_COLOR` forbids colour (no-color.org: set and not empty).
pub fn no_color() -> bool {
    variable("NO_COLOR").is_some()
}

/// Threads that the machine offers. Reads files below `/proc` and `/sys`, so it is asked late.
pub fn processors() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// `ORLOP_FAULT`: what the crash tests do to a file operation. A released binary does not know the variable.
///
/// # Panics
/// When the text is no fault: a crash test that injects nothing proves nothing.
#[cfg(debug_assertions)]
pub fn arm_faults() {
    use orlop::fs::seam;
    if let Some(text) = variable("ORLOP_FAULT") {
        let fault = text.to_str().and_then(seam::from_text);
        seam::install(fault.expect("ORLOP_FAULT is kill:N, eio:N or enospc:N"));
    }
}

/// A variable that is set and not empty.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
