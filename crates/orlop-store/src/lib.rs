//! Placeholder header, replaced with the first module.
