//! Tracked folders: what was changed becomes a layer that makes just that, or is taken back whole.

mod doubt;
mod random;
mod world;
