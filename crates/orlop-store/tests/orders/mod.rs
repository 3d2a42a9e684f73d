//! Orders of the steps of runs that meet in a store.

mod clock;
mod conductor;
mod explore;
mod stage;

pub(crate) use explore::{Act, Switches, explore};
pub(crate) use stage::Stage;
