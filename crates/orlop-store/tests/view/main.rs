//! What the store shows through the kernel: views of layers, mounts of views.

mod crash;
#[expect(dead_code, reason = "layers of few forms are enough here")]
#[path = "../layers/mod.rs"]
mod layers;
mod mounts;
mod views;
mod world;
