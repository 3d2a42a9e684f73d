//! Orders of the steps of runs that meet in a store.

mod breaks;
mod clock;
mod conductor;
mod explore;
mod learned;
mod rehearsal;
mod stage;
mod state;
mod step;

pub(crate) use breaks::{Sweeper, Taker, needed, prepare};
pub(crate) use clock::Luck;
pub(crate) use conductor::forget_but;
pub(crate) use explore::{Explored, Extent, Reduction, Scene, explore};
pub(crate) use rehearsal::Act;
pub(crate) use stage::Stage;
