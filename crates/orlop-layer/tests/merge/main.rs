//! What a stack of layers means: our engine against a naive model, the kernel, and what peers were seen to do.

mod changesets;
mod compose;
mod hostile;
mod kernel;
mod laws;
mod model;
mod notation;
mod output;
mod random;
mod table;
