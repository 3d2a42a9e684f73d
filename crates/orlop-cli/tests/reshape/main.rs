//! `flatten`, `convert` and `strip`: images in another form, and with less in them.

mod complaints;
mod convert;
mod flatten;
mod peers;
mod registry;
mod strip;
mod together;
mod world;
