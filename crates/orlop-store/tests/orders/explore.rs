//! Every order of the steps of a few runs on one store, each state once.
//!
//! A state is what is in the store, how old each file is beside the times that count (when a lease began, when a sweep
//! did), and what each run has done and seen so far. Two orders that lead to one state go on alike, so only one of them
//! does. The clock moves with every step.

use super::conductor::{Conductor, Step, What};
use super::stage::{Snapshot, Stage, observed};
use orlop_fs::seam::Glance;
use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;

/// What a run does; an error is none that may be.
pub(crate) type Act = fn(&Path) -> Result<(), String>;

/// What was explored.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Explored {
    pub(crate) states: usize,
    /// Orders that were followed to their end; all others come to a state that one of them had.
    pub(crate) orders: usize,
    /// Whether there is no state beyond these.
    pub(crate) is_all: bool,
}

/// A state, and who took the step from it.
struct Fork {
    taken: usize,
    left: Vec<usize>,
    /// What each run had done and seen.
    seen: Vec<u64>,
}

/// Explores all orders, or as many states as allowed.
pub(crate) fn explore(stage: &Stage, acts: &[Act], most: usize) -> Explored {
    let mut explored = Explored::default();
    let mut known = HashSet::new();
    let mut forks: Vec<Fork> = Vec::new();
    loop {
        explored.orders += usize::from(play(stage, acts, &mut forks, &mut known));
        while forks.last().is_some_and(|fork| fork.left.is_empty()) {
            forks.pop();
        }
        explored.states = known.len();
        explored.is_all = forks.is_empty();
        match forks.last_mut() {
            Some(fork) if explored.states < most => fork.taken = fork.left.pop().expect("not empty"),
            _ => return explored,
        }
    }
}

/// One run: along the forks, then on until a state is known or everybody has ended, which it tells.
fn play(stage: &Stage, acts: &[Act], forks: &mut Vec<Fork>, known: &mut HashSet<u64>) -> bool {
    let conductor = Conductor::begin(acts.len(), stage.reset());
    let place = stage.place();
    let outcome = thread::scope(|scope| {
        let begin = |(actor, act): (usize, &Act)| {
            let (conductor, place, act) = (conductor.clone(), &place, *act);
            scope.spawn(move || {
                conductor.act(actor, || {
                    catch_unwind(AssertUnwindSafe(|| act(place))).unwrap_or_else(|_| Err("a panic".into()))
                })
            })
        };
        let actors: Vec<_> = acts.iter().enumerate().map(begin).collect();
        conductor.assemble();
        let mut run =
            Run { stage, conductor: &conductor, seen: vec![0; acts.len()], stuck: vec![false; acts.len()] };
        let came = run.along(forks, known);
        conductor.end();
        let outcomes: Vec<_> = actors.into_iter().map(|actor| actor.join().expect("caught")).collect();
        came.and_then(|is_end| {
            if is_end { outcomes.into_iter().collect::<Result<_, _>>().map(|()| true) } else { Ok(false) }
        })
    });
    orlop_fs::seam::clear();
    match outcome {
        Ok(false) => false,
        Ok(true) => {
            stage.check_end();
            true
        }
        Err(what) => panic!("{what}, in this order:\n{}", conductor.order()),
    }
}

struct Run<'a> {
    stage: &'a Stage,
    conductor: &'a Conductor,
    seen: Vec<u64>,
    /// Who asked for a lock that another has, and nobody took a step since.
    stuck: Vec<bool>,
}

impl Run<'_> {
    /// Whether the run came to its end.
    fn along(&mut self, forks: &mut Vec<Fork>, known: &mut HashSet<u64>) -> Result<bool, String> {
        if let [before @ .., last] = &forks[..] {
            self.conductor.replay(before.iter().map(|fork| fork.taken));
            self.seen.clone_from(&last.seen);
            self.step(last.taken, &self.snapshot());
        }
        loop {
            let able: Vec<usize> = (0..self.seen.len()).filter(|actor| self.is_able(*actor)).collect();
            let Some((first, left)) = able.split_first() else {
                let all_ended = self.stuck.iter().all(|is_stuck| !is_stuck);
                return if all_ended { Ok(true) } else { Err("everybody waits for a lock".into()) };
            };
            let snapshot = self.snapshot();
            self.stage.check_names(&snapshot)?;
            if !known.insert(self.key(&snapshot)) {
                return Ok(false);
            }
            forks.push(Fork { taken: *first, left: left.to_vec(), seen: self.seen.clone() });
            self.step(*first, &snapshot);
        }
    }

    fn is_able(&self, actor: usize) -> bool {
        !self.stuck[actor] && self.conductor.next(actor).is_some()
    }

    fn snapshot(&self) -> Snapshot {
        self.conductor.book(|book| self.stage.snapshot(book))
    }

    fn step(&mut self, actor: usize, snapshot: &Snapshot) {
        let step = self.conductor.next(actor).expect("it waits");
        let mut hasher = DefaultHasher::new();
        (self.seen[actor], step.what).hash(&mut hasher);
        self.conductor.book(|book| observed(actor, &step, snapshot, book)).hash(&mut hasher);
        self.conductor.step(actor);
        let waits = |step: Step| step.what == What::Glance(Glance::Wait);
        if self.conductor.next(actor).is_some_and(waits) {
            // To ask in vain is no step.
            self.stuck[actor] = true;
        } else {
            self.stuck.fill(false);
            self.seen[actor] = hasher.finish();
        }
    }

    fn key(&self, snapshot: &Snapshot) -> u64 {
        let mut hasher = DefaultHasher::new();
        (snapshot, &self.seen).hash(&mut hasher);
        for actor in 0..self.seen.len() {
            self.conductor.next(actor).is_none().hash(&mut hasher);
        }
        hasher.finish()
    }
}
