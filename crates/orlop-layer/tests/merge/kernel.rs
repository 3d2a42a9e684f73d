//! Layers that nobody should make.
