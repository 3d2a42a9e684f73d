//! Images that an OSTree repository keeps.

mod former;
mod images;
mod prune;
mod world;
