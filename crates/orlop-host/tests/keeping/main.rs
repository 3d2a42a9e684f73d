//! Images that an OSTree repository keeps.

mod images;
mod prune;
mod world;
