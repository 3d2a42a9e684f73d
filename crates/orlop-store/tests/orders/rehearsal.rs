//! Real runs that are led to a state, step by step.

use super::clock::{Book, Luck};
use super::conductor::{Conductor, Waiting};
use super::stage::{Seen, Stage};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// What a run does; an error is none that may be.
pub(crate) type Act = Arc<dyn Fn(&Path) -> Result<(), String> + Send + Sync>;

/// How a run ended, if it did.
type Outcome = Option<Result<(), String>>;

/// Runs, on their way. Dropping them ends them where they are.
pub(crate) struct Rehearsal {
    conductor: Conductor,
    actors: Vec<JoinHandle<()>>,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
    /// Who took the steps so far.
    pub(crate) taken: Vec<u8>,
}

impl Rehearsal {
    /// Everybody at the first step.
    pub(crate) fn begin(stage: &Stage, acts: &[Act], luck: Luck) -> Self {
        let conductor = Conductor::begin(acts.len(), stage.reset(acts.len(), luck));
        let outcomes = Arc::new(Mutex::new(vec![None; acts.len()]));
        let begin = |(actor, act): (usize, &Act)| {
            let (conductor, act, place) = (conductor.clone(), act.clone(), stage.place());
            let outcomes = outcomes.clone();
            thread::spawn(move || {
                conductor.act(actor, || {
                    let outcome = catch_unwind(AssertUnwindSafe(|| act(&place)));
                    let outcome = outcome.unwrap_or_else(|_| Err("a panic".into()));
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner)[actor] = Some(outcome);
                });
            })
        };
        let actors = acts.iter().enumerate().map(begin).collect();
        conductor.assemble();
        Self { conductor, actors, outcomes, taken: Vec::new() }
    }

    /// Takes steps, nobody looking.
    pub(crate) fn replay(&mut self, steps: &[u8]) {
        self.conductor.replay(steps.iter().map(|actor| usize::from(*actor)));
        self.taken.extend(steps);
    }

    /// Whether random names came in an order that is not the one to be tried.
    pub(crate) fn is_unlucky(&self) -> bool {
        self.conductor.book(Book::is_unlucky)
    }

    pub(crate) fn next(&self, actor: usize) -> Option<Waiting> {
        self.conductor.next(actor)
    }

    /// How a run ended, where it failed.
    pub(crate) fn failed(&self, actor: usize) -> Option<String> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)[actor].clone().and_then(Result::err)
    }

    pub(crate) fn look(&self, stage: &Stage) -> Seen {
        self.conductor.book(|book| stage.look(book))
    }

    /// The steps, for whoever reads what went wrong.
    pub(crate) fn order(&self) -> String {
        self.conductor.order()
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        self.conductor.end();
        for actor in self.actors.drain(..) {
            actor.join().ok();
        }
        orlop_fs::seam::clear();
    }
}
