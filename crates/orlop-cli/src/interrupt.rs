//! SIGINT and SIGTERM ask the running verb to stop; a second one kills.

use orlop_spec::Cancel;

static CANCEL: Cancel = Cancel::new();

/// The flag that the verbs look at.
pub fn cancel() -> &'static Cancel {
    &CANCEL
}

/// Whether the user asked to stop.
pub fn happened() -> bool {
    CANCEL.check().is_err()
}
