//! SIGINT and SIGTERM ask the running verb to stop; a second one kills.

use orlop::fs::sys;
use orlop::spec::{Cancel, Fault};

static CANCEL: Cancel = Cancel::new();

/// The flag that the verbs look at, set by signals from now on.
pub fn cancel() -> Result<&'static Cancel, Fault> {
    sys::cancel_on_signals(&CANCEL)?;
    Ok(&CANCEL)
}

/// The flag alone.
pub fn flag() -> &'static Cancel {
    &CANCEL
}

/// Whether the user asked to stop.
pub fn happened() -> bool {
    CANCEL.check().is_err()
}
