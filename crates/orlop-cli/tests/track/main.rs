//! `--track`, `repack`, `revert` and `diff DIR`, through the binary: laws on the torture tree, other tools, registries,
//! crashes, and folders that somebody tampered with.

mod crash;
mod hostile;
mod laws;
mod mounts;
mod peers;
mod place;
mod strays;
mod world;
