//! What the store shows through the kernel: views of layers, mounts of views.

#[expect(dead_code, reason = "layers of few forms are enough here")]
#[path = "../layers/mod.rs"]
mod layers;
mod views;
mod world;
